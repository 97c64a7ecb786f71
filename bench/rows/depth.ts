/** Row 7: whether a task costs more when many wait. Each run is a process of its own. */
import { atMost, compare, formatCount, type Measurement, type Pace } from '../measure.ts';
import { growthAtMost, growthNote, waitingIn } from '../waiting/growth.ts';
import { few, manyIn } from '../waiting/pools.ts';

const program = new URL('../waiting/steady.ts', import.meta.url);
const sizes = { full: { runs: 5 }, quick: { runs: 1 } };
const libraries = ['taskwarden', 'piscina', 'tinypool']; // those that take a million tasks in seconds

export async function measure(pace: Pace): Promise<Measurement[]> {
  const { runs } = sizes[pace];
  const many = manyIn('taskwarden', pace);
  const contestants = [few, many].flatMap((depth) => libraries.map((name) => waitingIn(program, name, depth)));
  const figures = await compare(contestants, { runs, warmups: 0 });
  const ofFew = figures.slice(0, libraries.length);
  const ofMany = figures.slice(libraries.length);
  const shared = { unit: 'µs a task', better: 'lower', runs } as const;
  return [
    { ...shared, what: `${formatCount(few)} waiting`, figures: ofFew, checks: [], notes: [] },
    {
      ...shared,
      what: `${formatCount(many)} waiting`,
      chart: 'Cost of a task while very many wait',
      figures: ofMany,
      checks: [growthAtMost(2, ofFew, ofMany), atMost(0.15, 'piscina', ofMany)],
      notes: [growthNote(ofFew, ofMany)],
    },
  ];
}
