/** Programs that a bundler has joined with the package, and single executables. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { rollup } from 'rollup';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const run = promisify(execFile);
const root = resolve(import.meta.dirname, '../..');
const directory = mkdtempSync(join(tmpdir(), 'bundles-'));

interface Esbuild {
  build(options: object): Promise<{ readonly metafile: { readonly inputs: Record<string, unknown> } }>;
}
/** The one of tsx. */
const esbuild = createRequire(createRequire(import.meta.url).resolve('tsx'))('esbuild') as Esbuild;

const program = `
import { backgroundTask, taskSupervisor } from 'taskwarden';
taskSupervisor.configure({ logger: false });
const double = backgroundTask((n) => n * 2, { name: 'double' });
async function main() {
  for (const type of ['thread', 'process']) {
    await double.with({ type })(21).then(console.log, ({ code, message }) => console.log(code, message));
  }
  await taskSupervisor.stop();
}
main();
`;

beforeAll(() => {
  writeFileSync(join(directory, 'program.js'), program);
  mkdirSync(join(directory, 'node_modules'));
  symlinkSync(root, join(directory, 'node_modules', 'taskwarden'));
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }');
});
afterAll(() => rmSync(directory, { recursive: true }));

const own = { taskwarden: join(root, 'dist/src/index.js') };
const base = { entryPoints: [join(directory, 'program.js')], bundle: true, platform: 'node', metafile: true };

async function linesOf(file: string): Promise<readonly string[]> {
  const { stdout } = await run(process.execPath, [join(directory, file)], { cwd: directory });
  return stdout.trim().split('\n');
}

function expectHints(lines: readonly string[]): void {
  expect(lines).toHaveLength(2);
  for (const line of lines) expect(line).toMatch(/^LANE_BROKEN .*was bundled.*external: \['taskwarden'\]/);
}

describe('a program that was bundled with the package', () => {
  it.each([
    ['esm', 'out.js'],
    ['esm', 'out.mjs'],
    ['cjs', 'out.cjs'],
  ])('by esbuild as %s to %s is told so, and has no compiler in it', async (format, file) => {
    const outfile = join(directory, file);
    const { metafile } = await esbuild.build({ ...base, alias: own, format, outfile, minify: true, logLevel: 'error' });
    expect(Object.keys(metafile.inputs).filter((input) => /node_modules\/(tsx|esbuild)\//.test(input))).toEqual([]);
    expectHints(await linesOf(file));
  });

  it('by Rollup is told so, and has no compiler in it', async () => {
    const bundle = await rollup({
      input: join(directory, 'program.js'),
      external: /^node:/,
      plugins: [{ name: 'own', resolveId: (id) => (id === 'taskwarden' ? own.taskwarden : null) }],
    });
    const { output } = await bundle.write({ file: join(directory, 'rolled.mjs'), inlineDynamicImports: true });
    await bundle.close();
    expect(output[0].imports.concat(output[0].dynamicImports).filter((id) => /tsx|esbuild/.test(id))).toEqual([]);
    expectHints(await linesOf('rolled.mjs'));
  });

  it('runs where the package was left out', async () => {
    const outfile = join(directory, 'external.mjs');
    await esbuild.build({ ...base, external: ['taskwarden'], format: 'esm', outfile });
    expect(await linesOf('external.mjs')).toEqual(['42', '42']);
  });
});

describe('a single executable', () => {
  it('starts no children, which would be the program once more, and has threads', async () => {
    const sea = `
import { createRequire } from 'node:module';
createRequire(import.meta.url)('node:sea').isSea = () => true;
`;
    writeFileSync(join(directory, 'single.mjs'), sea + program.replace("'taskwarden'", JSON.stringify(own.taskwarden)));
    const lines = await linesOf('single.mjs');
    expect(lines[0]).toBe('42');
    expect(lines[1]).toMatch(/^LANE_BROKEN .*a single executable can't start children.*type: 'thread'/);
  });
});
