/** Row 14: programs written as the documentation of each library says, each run in a new process. */
import { rmSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atMost, type Contestant, compare, formatCount, type Measurement, type Pace } from '../measure.ts';
import { apart } from '../program.ts';
import { documents } from '../real-work/documents.ts';

const sizes = { full: { files: 10_000, pages: 2_000, runs: 5 }, quick: { files: 300, pages: 100, runs: 2 } };

const settings = {
  taskwarden: 'all(), no reserves',
  piscina: 'Promise.all',
  'p-queue': 'addAll(), bare threads',
};

export async function measure(pace: Pace): Promise<Measurement[]> {
  const { files, pages, runs } = sizes[pace];
  const folder = await mkdtemp(join(tmpdir(), 'taskwarden-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const measurement = async (what: string, job: string, inputs: readonly string[]): Promise<Measurement> => {
    const inputsFile = join(folder, `${job}.json`);
    await writeFile(inputsFile, JSON.stringify(inputs));
    const figures = await compare(contestants(job, inputsFile), { runs });
    const checks = [atMost(1, 'piscina', figures), atMost(1, 'p-queue', figures)];
    return { what, unit: 'ms', better: 'lower', runs, figures, checks, notes: [] };
  };
  return [
    await measurement(`SHA-256 and Brotli of ${formatCount(files)} files`, 'archive', await writeFiles(folder, files)),
    await measurement(`HTML of ${formatCount(pages)} pages of Markdown`, 'render', documents(pages)),
  ];
}

async function writeFiles(folder: string, count: number): Promise<string[]> {
  const paths = [];
  for (const [n, text] of documents(count).entries()) {
    const path = join(folder, `${n}.md`);
    await writeFile(path, text);
    paths.push(path);
  }
  return paths;
}

/** All have to give the same results in the same order. */
function contestants(job: string, inputsFile: string): Contestant[] {
  let expected: string | undefined;
  const jobModule = new URL(`../real-work/${job}.mjs`, import.meta.url);
  return Object.entries(settings).map(([name, text]) => ({
    name,
    settings: text,
    run: async () => {
      const program = new URL(`../real-work/${name}.mjs`, import.meta.url);
      const { ms, digest } = await apart<{ ms: number; digest: string }>(program, jobModule.href, inputsFile);
      expected ??= digest;
      if (digest !== expected) throw new Error(`${name} gave other results, or in another order`);
      return ms;
    },
  }));
}
