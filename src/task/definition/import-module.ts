/** Imports a module in a thread or in the command line, TypeScript too: by Node itself where it can, else through tsx. */
import { fileURLToPath } from 'node:url';
import { fieldOf, isInstance, messageOf, textOf } from '../../base/foreign-value.ts';
import { Promise } from '../../platform/globals.ts';

const typescript = /\.[cm]?tsx?$/;

/** Marks a module that is imported once more, through tsx: Node keeps the first failure under the plain URL. */
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

/** What Node's own type stripping does not do, tsx may: decorators and enums, `.js` for `.ts`, no extension at all. */
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

/** Once in a thread: tsx put in the command line reaches only the main thread, on Node 20. */
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

/** Bundlers take along whatever they see imported, and tsx brings a compiler. */
function importUnseen<M>(specifier: string): Promise<M> {
  return import(specifier);
}
