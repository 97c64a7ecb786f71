/** URLs of task modules. */
import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isInstance } from '../../base/foreign-value.ts';
import { show } from '../../base/options.ts';
import { tsxMark } from './import-module.ts';

/** The mark that `importModule` adds for tsx: the module is the same. */
const tsxMarked = new RegExp(`[?&]${tsxMark}$`);

/** The URL of a module, from `import.meta.url`, a URL, or `__filename`. */
export function toModuleUrl(module: unknown): string {
  if (isInstance(module, URL)) return toModuleUrl(module.href);
  if (typeof module === 'string') {
    if (isAbsolute(module)) return pathToFileURL(module).href;
    if (URL.canParse(module)) return module.replace(tsxMarked, '');
  }
  throw new TypeError(
    `the module of a task must be import.meta.url, a URL or an absolute path (__filename); got ${show(module)}`,
  );
}
