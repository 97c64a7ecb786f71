/**
 * The task modules of tests and the examples, compiled once for all: threads and children import them, and each of those
 * would load a compiler, which takes more CPU time than all else that a test does. Tests of how modules are loaded take them
 * as they are.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { type Plugin, transformWithEsbuild } from 'vite';

const root = join(import.meta.dirname, '..');
const output = join(root, 'dist');
const folders = ['test/fixtures/tasks', 'test/hostile', 'examples'];
const programs = [join(root, 'test/fixtures/programs/machine.ts')];
/** Decorators, compilers that rename functions, and what is no task module. */
const asTheyAre = /\/(decorated|named-like-its-const|[^/]*\.test|[^/]*doors)\.ts$/;

export function compiledTasks(): Plugin {
  const compiled = new Map<string, string>();
  let compiling: Promise<[string, string][]> | undefined;
  return {
    name: 'compiled-tasks',
    enforce: 'pre',
    async configResolved() {
      compiling ??= Promise.all([...folders.flatMap(modulesIn), ...programs].map(compile)); // once for all projects of a run
      for (const [file, target] of await compiling) compiled.set(file, target);
    },
    async resolveId(source, importer, options) {
      if (!/^\.\.?\/.*\.ts$/.test(source) || importer === undefined) return undefined;
      const found = await this.resolve(source, importer, { ...options, skipSelf: true });
      const file = compiled.get(found?.id ?? '');
      return file === undefined ? found : { id: file, external: true };
    },
  };
}

function modulesIn(folder: string): string[] {
  const files = readdirSync(join(root, folder), { recursive: true }).map((name) => join(root, folder, `${name}`));
  return files.filter((file) => file.endsWith('.ts') && !asTheyAre.test(file));
}

/** Where the program of an example is when it is compiled. */
export function compiledExample(name: string): string {
  return join(output, 'examples', `${name}.js`);
}

/** Where a program of the fixtures is when it is compiled. */
export function compiledProgram(name: string): string {
  return join(output, 'test/fixtures/programs', `${name}.js`);
}

async function compile(file: string): Promise<[string, string]> {
  const source = readFileSync(file, 'utf8').replaceAll(/(new URL\('[\w./-]+\.)ts'/g, "$1js'");
  const { code } = await transformWithEsbuild(source, file, { sourcemap: false, target: 'es2023' });
  const target = join(output, relative(root, file)).replace(/\.ts$/, '.js');
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, code.replaceAll(/((?:from |import |import\()"\.[^"]+\.)ts"/g, '$1js"'));
  return [file, target];
}
