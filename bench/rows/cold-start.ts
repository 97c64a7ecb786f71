/** Row 12: fresh processes, each with the defaults of its library, but with threads. Node's own start is not counted. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { atMost, type Contestant, compare, type Figure, figure, type Measurement, type Pace } from '../measure.ts';
import { peerNames } from '../peer-names.ts';

const sizes = { full: { runs: 15 }, quick: { runs: 3 } };

export async function measure(pace: Pace): Promise<Measurement[]> {
  const { runs } = sizes[pace];
  const libraries = ['taskwarden', ...peerNames];
  const starts = libraries.map((name) => new ColdStart(name, new URL(`../cold/${name}.mjs`, import.meta.url)));
  const bare = new ColdStart('bare postMessage', new URL('../cold/bare.mjs', import.meta.url));
  const firstResults = await compare([...starts, bare], { runs });
  const imports = starts.map(({ name, importMs }) => figure(name, '', importMs.slice(-runs)));
  const measurement = (what: string, figures: readonly Figure[]): Measurement => {
    return { what, unit: 'ms', better: 'lower', runs, figures, checks: [atMost(1, 'piscina', figures)], notes: [] };
  };
  return [measurement('import', imports), measurement('first result, import included', firstResults)];
}

class ColdStart implements Contestant {
  readonly name: string;
  readonly importMs: number[] = [];
  readonly #program: string;

  constructor(name: string, program: URL) {
    this.name = name;
    this.#program = fileURLToPath(program);
  }

  /** Gives the time to the first result. */
  async run(): Promise<number> {
    const { stdout } = await promisify(execFile)(process.execPath, [this.#program]);
    const { importMs, firstResultMs } = JSON.parse(stdout) as { importMs: number; firstResultMs: number };
    this.importMs.push(importMs);
    return firstResultMs;
  }
}
