/**
 * Where this package lies: what of it threads and children run, and the packages that it loads when they are needed. A
 * bundler joins it with a program, and leaves all that behind.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Bundles of CommonJS have none. */
const here: string | undefined = import.meta.url;

/** A package that is loaded when it is needed: who only imports this one need not wait for it. */
export function requireLate(name: string): unknown {
  return createRequire(here ?? join(process.cwd(), 'package.json'))(name);
}

/** What a thread or child runs: built into one file, beside `dist/src/`; tests of the package also run from its sources. */
export function hostProgram(host: 'thread' | 'process'): string {
  const isSource = here?.endsWith('.ts') === true;
  const url = here && new URL(isSource ? '../../workers/from-sources.cjs' : `../workers/${host}.cjs`, here);
  const file = url && url.protocol === 'file:' ? fileURLToPath(url) : undefined;
  if (file !== undefined && existsSync(file)) return file;
  throw new Error(
    `taskwarden was bundled into the program, without what its ${host === 'thread' ? 'threads' : 'children'} run` +
      `${file === undefined ? '' : ` (${file})`}: leave it out of the bundle, by external: ['taskwarden'] (esbuild, Rollup), ` +
      'ssr.external (Vite) or externals (webpack), and install it beside the program',
  );
}

/** Whether the program is a single executable, which is all that can be started of it: https://nodejs.org/api/single-executable-applications.html */
export function isSingleExecutable(): boolean {
  try {
    return (requireLate('node:sea') as { isSea(): boolean }).isSea();
  } catch {
    return false; // a Node without them
  }
}
