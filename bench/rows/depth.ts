/** Row 7: whether a task costs more when many wait. Each run is a process of its own. */
import { compare, type Row } from '../measure.ts';
import { growthAtMost, growthNote, waitingIn } from '../waiting/growth.ts';
import { few } from '../waiting/pools.ts';

const program = new URL('../waiting/steady.ts', import.meta.url);
const runs = 5;
const libraries = ['taskwarden', 'piscina', 'tinypool']; // those that take a million tasks in seconds

export const depth: Row = {
  number: 7,
  name: 'depth',
  work: 'cost of a tiny task from call to end, while 1,000 and while 1,000,000 wait',
  measure: async () => {
    const contestants = [
      ...libraries.map((name) => waitingIn(program, name, few)),
      ...libraries.map((name) => waitingIn(program, name, 1_000_000)),
    ];
    const figures = await compare(contestants, { runs, warmups: 0 });
    const ofFew = figures.slice(0, libraries.length);
    const ofMany = figures.slice(libraries.length);
    const shared = { unit: 'µs a task', better: 'lower', runs } as const;
    return [
      { ...shared, what: '1,000 waiting', figures: ofFew, checks: [], notes: [] },
      {
        ...shared,
        what: '1,000,000 waiting',
        chart: 'Cost of a task while 1,000,000 wait',
        figures: ofMany,
        checks: [growthAtMost(1.3, ofFew, ofMany)],
        notes: [growthNote(ofFew, ofMany)],
      },
    ];
  },
};
