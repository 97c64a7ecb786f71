/** Imports a module, also TypeScript: by Node itself if possible, else through tsx. */
import { fileURLToPath } from 'node:url';
import { fieldOf, isInstance, messageOf, textOf } from '../../base/foreign-value.ts';
import { Promise } from '../../platform/globals.ts';

const typescript = /\.[cm]?tsx?$/;

/** Marks the URL of a module that is imported again through tsx, because Node keeps the first failure under the plain URL. */
export const tsxMark = 'taskwarden=tsx';

export async function importModule(url: string): Promise<Record<string, unknown>> {
  const isTypescript = URL.canParse(url) && typescript.test(new URL(url).pathname);
  if (!isTypescript) return import(url);
  if (!stripsTypes()) {
    await registerTsx(url);
    return import(url);
  }
  try {
    return await import(url);
  } catch (error) {
    return importThroughTsx(url, error);
  }
}

/** Imports what Node's own type stripping can't: decorators and enums, `.js` for `.ts`, no extension at all. */
async function importThroughTsx(url: string, error: unknown): Promise<Record<string, unknown>> {
  const code = textOf(fieldOf(error, 'code'));
  if (!isInstance(error, SyntaxError) && !/TYPESCRIPT|MODULE_NOT_FOUND|FILE_EXTENSION|DIR_IMPORT/.test(code))
    throw error;
  try {
    await registerTsx(url);
  } catch {
    throw new SyntaxError(
      `${messageOf(error)} (in ${fileURLToPath(url)}, or a module that it imports): Node's own TypeScript ` +
        'support takes neither decorators nor enums, and imports only full file names: compile the module first, or ' +
        'install tsx (npm install tsx)',
      { cause: error },
    );
  }
  return import(`${url}${new URL(url).search === '' ? '?' : '&'}${tsxMark}`);
}

function stripsTypes(): boolean {
  const { typescript } = process.features as { typescript?: string | false };
  return typescript !== undefined && typescript !== false;
}

let registered: Promise<void> | undefined;

/** Registers tsx, once in each thread: on Node 20, tsx from the command line works only in the main thread. */
function registerTsx(url: string): Promise<void> {
  registered ??= (async () => {
    const [esm, cjs] = await Promise.all([
      importUnseen<typeof import('tsx/esm/api')>('tsx/esm/api'),
      importUnseen<typeof import('tsx/cjs/api')>('tsx/cjs/api'),
    ]).catch((cause) => {
      throw new Error(
        `${fileURLToPath(url)} is TypeScript, which Node ${process.version} does not run: ` +
          'install tsx (npm install tsx), use Node 22.18 or later, or compile it first',
        { cause },
      );
    });
    esm.register();
    cjs.register();
  })();
  return registered;
}

/** Hides an import from bundlers, which would include the compiler that tsx brings. */
function importUnseen<M>(specifier: string): Promise<M> {
  return import(specifier);
}
