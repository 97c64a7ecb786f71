/**
 * The task modules of tests and the examples, compiled once for all: threads and children import them, and each of those
 * would load a compiler, which takes more CPU time than all else that a test does. Tests of how modules are loaded take them
 * as they are.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';
import type { Plugin } from 'vitest/config';

const root = join(import.meta.dirname, '..');
const output = join(root, 'dist');
const folders = ['test/fixtures/tasks', 'test/hostile', 'examples'];
const programs = [join(root, 'test/fixtures/programs/machine.ts')];
/** Decorators, compilers that rename functions, and what is no task module. */
const asTheyAre = /\/(decorated|named-like-its-const|[^/]*\.test|[^/]*doors)\.ts$/;

export function compiledTasks(): Plugin {
  const compiled = new Map<string, string>();
  return {
    name: 'compiled-tasks',
    enforce: 'pre',
    configResolved() {
      if (compiled.size > 0) return; // for another project of the same run
      for (const file of [...folders.flatMap(modulesIn), ...programs]) compiled.set(file, compile(file));
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

function compile(file: string): string {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson({ ...config.compilerOptions, module: 'esnext' }, root);
  const source = readFileSync(file, 'utf8').replaceAll(/(new URL\('[\w./-]+\.)ts'/g, "$1js'");
  const { outputText } = ts.transpileModule(source, { fileName: file, compilerOptions: options });
  const target = join(output, relative(root, file)).replace(/\.ts$/, '.js');
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, outputText);
  return target;
}
