/**
 * Finds the files of this package that threads and children run, and loads packages on demand. A bundler that joins the
 * package with a program leaves those files and packages out.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Undefined in CommonJS bundles. */
const here: string | undefined = import.meta.url;

/** Loads a package on first use, so that importing this one stays fast. */
export function requireLate(name: string): unknown {
  return createRequire(here ?? join(process.cwd(), 'package.json'))(name);
}

/**
 * The program of a thread or child: one built file, beside `dist/src/`. Tests of the package also run it from sources.
 */
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

/**
 * Whether the program is a single executable, so that no other file of it can be started:
 * https://nodejs.org/api/single-executable-applications.html
 */
export function isSingleExecutable(): boolean {
  try {
    return (requireLate('node:sea') as { isSea(): boolean }).isSea();
  } catch {
    return false; // a Node without them
  }
}
