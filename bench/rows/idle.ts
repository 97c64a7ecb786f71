/**
 * Row 10: what a process does while its supervisor has nothing to do. Each run is a process of its own. The same with no
 * pool at all says what Node itself takes.
 */
import type { Idling } from '../idle/contestant.ts';
import {
  type Contestant,
  compare,
  type Figure,
  figure,
  formatCount,
  formatNumber,
  type Measurement,
  medianOf,
  type Pace,
} from '../measure.ts';
import { apart } from '../program.ts';

const program = new URL('../idle/contestant.ts', import.meta.url);
const sizes = { full: { watchMs: 1_500, runs: 5 }, quick: { watchMs: 500, runs: 1 } };
const kept = 'its two threads kept';
const contestants = {
  taskwarden: kept,
  'taskwarden, retired': 'its threads ended by idleTimeoutMs',
  piscina: kept,
  tinypool: kept,
  workerpool: kept,
  poolifier: kept,
  'jest-worker': kept,
  'no pool': '',
};

export async function measure(pace: Pace): Promise<Measurement[]> {
  const { watchMs, runs } = sizes[pace];
  const watches = Object.entries(contestants).map(([name, settings]) => new Watch(name, settings, watchMs));
  const shared = { better: 'lower', runs } as const;
  const cpu = await compare(watches, { runs, warmups: 0 });
  const percent = worst(cpu);
  const callbacks = watches.map((each) => figure(each.name, each.settings, each.callbacks));
  const calls = worst(callbacks);
  const resources = watches.map(({ name, resources }) => `${name} ${[...resources].join(', ') || 'none'}`);
  return [
    {
      ...shared,
      what: `processor time of all threads in ${formatCount(watchMs)} ms`,
      unit: '% of a core',
      figures: cpu,
      checks: [{ target: '0 % CPU (below 0.05)', measured: `${formatNumber(percent)} %`, holds: percent < 0.05 }],
      notes: [],
    },
    {
      ...shared,
      what: 'callbacks on the main event loop',
      unit: 'calls',
      figures: callbacks,
      checks: [{ target: 'no timer ticking', measured: `${formatNumber(calls)} calls`, holds: calls === 0 }],
      notes: [`active resources: ${resources.join('; ')}`],
    },
  ];
}

function worst(figures: readonly Figure[]): number {
  return Math.max(medianOf(figures, 'taskwarden'), medianOf(figures, 'taskwarden, retired'));
}

class Watch implements Contestant {
  readonly name: string;
  readonly settings: string;
  readonly callbacks: number[] = [];
  readonly resources: Set<string> = new Set();
  readonly #watchMs: number;

  constructor(name: string, settings: string, watchMs: number) {
    this.name = name;
    this.settings = settings;
    this.#watchMs = watchMs;
  }

  /** Gives the share of a core, in percent. */
  async run(): Promise<number> {
    const { percent, callbacks, resources } = await apart<Idling>(program, this.name, String(this.#watchMs));
    this.callbacks.push(callbacks);
    for (const resource of resources) this.resources.add(resource);
    return percent;
  }
}
