/** The target of a command: a module file, and for `map` a function in it. */
import { realpathSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { UsageError } from './usage-error.ts';

export interface Target {
  readonly moduleUrl: string;
  /** The name of an export, or of a background task. */
  readonly name: string;
}

/** `./images.ts#resize`, `node:path#basename`, or `./images.ts` for its default export. */
export function parseTarget(text: string): Target {
  const [, path = text, name = 'default'] = /^(.+)#([^#/\\]+)$/.exec(text) ?? [];
  return { moduleUrl: path.startsWith('node:') ? path : findModule(path), name };
}

/** The URL of a module as its `import.meta.url` has it: symbolic links are resolved. */
export function findModule(path: string): string {
  try {
    return pathToFileURL(realpathSync(path)).href;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(code === 'ENOENT' ? `there is no file ${path}` : message);
  }
}
