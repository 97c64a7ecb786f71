/**
 * How contestants are measured: in turn (A B C A B C ...), after a warm-up, each run on a heap that was just collected.
 * A ratio is one of medians, and only between figures of one measurement.
 */
export interface Contestant {
  readonly name: string;
  /** The settings it runs with, as its documentation names them. */
  readonly settings?: string;
  /** One run; gives its figure in the unit of the measurement. */
  run(): Promise<number>;
  close?(): Promise<unknown>;
}

export interface Figure {
  readonly name: string;
  readonly settings: string;
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** Which way a figure of a measurement is better. */
export type Better = 'higher' | 'lower';

/** A target of the library, and what came out. */
export interface Check {
  readonly target: string;
  readonly measured: string;
  readonly holds: boolean;
}

export interface Measurement {
  readonly what: string;
  readonly unit: string;
  readonly better: Better;
  /** Its heading in the chart, if it is there. */
  readonly chart?: string;
  readonly runs: number;
  readonly figures: readonly Figure[];
  readonly checks: readonly Check[];
  readonly notes: readonly string[];
}

/** `quick` has smaller sizes, fewer runs and no heats: in two minutes its figures say about the same. */
export type Pace = 'full' | 'quick';

export interface Row {
  /** That of the target. */
  readonly number: string;
  readonly name: string;
  readonly work: string;
  load(): Promise<{ measure(pace: Pace): Promise<Measurement[]> }>;
}

interface Rounds {
  readonly runs?: number;
  readonly warmups?: number;
}

/** Runs the contestants in turn and closes them. Figures are in the order of the contestants. */
export async function compare(
  contestants: readonly Contestant[],
  { runs = 5, warmups = 1 }: Rounds = {},
): Promise<Figure[]> {
  const values = contestants.map((): number[] => []);
  try {
    for (let round = 0; round < warmups + runs; round += 1) {
      for (const [index, contestant] of contestants.entries()) {
        globalThis.gc?.();
        const value = await contestant.run();
        if (round >= warmups) values[index]?.push(value);
      }
    }
  } finally {
    for (const contestant of contestants) await contestant.close?.();
  }
  return contestants.map(({ name, settings = '' }, index) => figure(name, settings, values[index] ?? []));
}

/**
 * The best of some settings of one library, by a short heat of all, and a note that says how each did. Its runs are given
 * less work than those of the measurement: there are very many settings.
 */
export async function heat<S>(
  settings: readonly S[],
  contestant: (settings: S) => Contestant,
  better: Better,
): Promise<{ readonly best: S; readonly notes: readonly string[] }> {
  const [only] = settings;
  if (only === undefined) throw new Error('a heat needs settings');
  if (settings.length === 1) return { best: only, notes: [] };
  const figures = await compare(settings.map(contestant), { runs: 2 });
  const sign = better === 'higher' ? -1 : 1;
  const ranked = settings
    .map((each, index) => ({ each, figure: figures[index] as Figure }))
    .sort((a, b) => sign * (a.figure.median - b.figure.median));
  const shown = ranked.map(({ figure }) => `${figure.settings}: ${formatNumber(figure.median)}`);
  const note = `settings of ${figures[0]?.name} in a heat, the best first: ${shown.join('; ')}`;
  return { best: ranked[0]?.each ?? only, notes: [note] };
}

/** The settings that a heat is to compare: the first ones are those that usually do best. */
export function heatSettings<S>(pace: Pace, settings: readonly S[]): readonly S[] {
  return pace === 'quick' ? settings.slice(0, 1) : settings;
}

/** The median of one contestant by that of another. */
export function ratio(figures: readonly Figure[], name: string, other: string): number {
  return medianOf(figures, name) / medianOf(figures, other);
}

export function medianOf(figures: readonly Figure[], name: string): number {
  const found = figures.find((figure) => figure.name === name);
  if (found === undefined) throw new Error(`there is no figure of ${name}`);
  return found.median;
}

export function figure(name: string, settings: string, values: readonly number[]): Figure {
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length / 2;
  const median = sorted
    .slice(Math.ceil(half) - 1, Math.floor(half) + 1)
    .reduce((sum, value, _, { length }) => sum + value / length, 0);
  return { name, settings, median, min: Math.min(...sorted), max: Math.max(...sorted) };
}

/** The smallest value that at least `fraction` of all are not above. */
export function percentile(values: readonly number[], fraction: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(Math.ceil(sorted.length * fraction) - 1, 0)] ?? Number.NaN;
}

/** Taskwarden's figure is at least so many times that of each of the others. */
export function atLeast(limit: number, others: string | readonly string[], figures: readonly Figure[]): Check {
  const [closest] = ratios(others, figures);
  return comparison('>=', limit, others, closest, (value) => value >= limit);
}

export function atMost(limit: number, others: string | readonly string[], figures: readonly Figure[]): Check {
  const closest = ratios(others, figures).at(-1);
  return comparison('<=', limit, others, closest, (value) => value <= limit);
}

interface Ratio {
  readonly other: string;
  readonly value: number;
}

/** The smallest first. */
function ratios(others: string | readonly string[], figures: readonly Figure[]): Ratio[] {
  return [others]
    .flat()
    .map((other) => ({ other, value: ratio(figures, 'taskwarden', other) }))
    .sort((a, b) => a.value - b.value);
}

function comparison(
  sign: string,
  limit: number,
  others: string | readonly string[],
  { other, value }: Ratio = { other: 'nothing', value: Number.NaN },
  isHeld: (value: number) => boolean,
): Check {
  const isOne = typeof others === 'string';
  return {
    target: `${sign} ${formatNumber(limit)} x ${isOne ? others : 'every other pool'}`,
    measured: `${formatNumber(value)} x${isOne ? '' : ` ${other}`}`,
    holds: isHeld(value),
  };
}

/** Taskwarden's figure itself, whatever the others have. */
export function below(limit: number, unit: string, figures: readonly Figure[]): Check {
  const value = medianOf(figures, 'taskwarden');
  return { target: `<= ${limit} ${unit}`, measured: `${formatNumber(value)} ${unit}`, holds: value <= limit };
}

const formatter = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 });

/** Counts, in full. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US');
}

export function formatNumber(value: number): string {
  return formatter.format(value);
}
