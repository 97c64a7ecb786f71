/** Imports a module in a thread or in the command line, TypeScript too: by Node itself where it can, else through tsx. */
import { fileURLToPath } from 'node:url';

const typescript = /\.[cm]?tsx?$/;

export async function importModule(url: string): Promise<Record<string, unknown>> {
  const isTypescript = URL.canParse(url) && typescript.test(new URL(url).pathname);
  if (!isTypescript) return import(url);
  if (!stripsTypes()) await registerTsx(url);
  try {
    return await import(url);
  } catch (error) {
    throw stripsTypes() ? withHint(error, url) : error;
  }
}

function stripsTypes(): boolean {
  const { typescript } = process.features as { typescript?: string | false };
  return typescript !== undefined && typescript !== false;
}

let registered: Promise<void> | undefined;

/** Once in a thread: tsx put in the command line reaches only the main thread, on Node 20. */
function registerTsx(url: string): Promise<void> {
  registered ??= (async () => {
    const [esm, cjs] = await Promise.all([import('tsx/esm/api'), import('tsx/cjs/api')]).catch((cause) => {
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

/** Node's own type stripping takes neither decorators nor enums. */
function withHint(error: unknown, url: string): unknown {
  const code = (error as { code?: string } | undefined)?.code;
  if (code !== 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX' && !(error instanceof SyntaxError)) return error;
  return new SyntaxError(
    `${fileURLToPath(url)}: ${(error as Error).message}; Node's own TypeScript support takes neither decorators nor ` +
      'enums: compile this module first, or run it through tsx',
    { cause: error },
  );
}
