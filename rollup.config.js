/**
 * Joins the modules of each way into the package into one file. Node takes about half a millisecond for each file that
 * it imports, and that would be most of what a cold start takes, in the main thread and once more in each thread.
 */
import { dirname, relative, resolve } from 'node:path';
import { transform } from 'esbuild';

/** By file: most are in more than one bundle. */
const compiled = new Map();

const typescript = {
  name: 'typescript',
  transform(code, sourcefile) {
    const known = compiled.get(sourcefile) ?? transform(code, { ...options, sourcefile });
    compiled.set(sourcefile, known);
    return known;
  },
};

const options = {
  loader: 'ts',
  target: 'es2023',
  charset: 'ascii', // Node reads a file that is all ASCII faster
  sourcemap: true,
  tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
};

function join(input, file, format, external = []) {
  return {
    input,
    external: [/^[@a-z]/, ...external],
    context: 'this', // left as it is, in what the compiler adds
    plugins: [typescript],
    output: { file, format, sourcemap: true, sourcemapExcludeSources: true, paths: (id) => toBundle(file, id) },
  };
}

/** More than one file: what only one command needs is loaded for that one. */
function commandLine() {
  const { output, ...options } = join(['src/cli/main.ts', 'src/cli/command-line.ts'], 'dist/src/cli/main.js', 'es', [
    index,
    bullmq,
    sqlite,
  ]);
  const { file, ...rest } = output;
  return {
    ...options,
    preserveEntrySignatures: 'allow-extension', // what commands share is in the file that loads them
    output: { ...rest, dir: dirname(file), chunkFileNames: '[name].js', hoistTransitiveImports: false },
  };
}

const index = resolve('src/index.ts');
const bullmq = resolve('src/integrations/bullmq/index.ts');
const sqlite = resolve('src/integrations/sqlite/index.ts');

/** The bundles that others refer to: there must be only one of each. */
const bundles = new Map([
  [index, 'dist/src/index.js'],
  [bullmq, 'dist/src/integrations/bullmq/index.js'],
  [sqlite, 'dist/src/integrations/sqlite/index.js'],
]);

/** From a bundle to another one. */
function toBundle(file, id) {
  const bundle = bundles.get(id);
  return bundle === undefined ? id : relative(dirname(file), bundle).replaceAll('\\', '/');
}

export default [
  join('src/index.ts', 'dist/src/index.js', 'es'),
  // The command line must not have a supervisor of its own.
  commandLine(),
  join('src/integrations/bullmq/index.ts', 'dist/src/integrations/bullmq/index.js', 'es', [index]),
  join('src/integrations/celery/index.ts', 'dist/src/integrations/celery/index.js', 'es', [index]),
  join('src/integrations/redis/index.ts', 'dist/src/integrations/redis/index.js', 'es', [index]),
  join('src/integrations/sqlite/index.ts', 'dist/src/integrations/sqlite/index.js', 'es', [index]),
  join('src/integrations/sqlite/thread.ts', 'dist/src/integrations/sqlite/thread.js', 'es'),
  // Piscina tries `require` first; and a thread that is ended while it requires an ES module takes the process along
  // (seen on Node 20.20: v8::Module::IsGraphAsync).
  join('workers/thread.ts', 'dist/workers/thread.cjs', 'cjs'),
  join('workers/process.ts', 'dist/workers/process.cjs', 'cjs'),
];
