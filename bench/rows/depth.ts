/** Row 7: whether a task costs more when many wait. Each run is a process of its own. */
import { apart } from '../apart.ts';
import { type Contestant, compare, type Row } from '../measure.ts';
import { few, growthAtMost, growthNote, many } from '../waiting/growth.ts';
import { queueing } from '../waiting/pools.ts';

const program = new URL('../waiting/steady.ts', import.meta.url);
const runs = 5;

export const depth: Row = {
  number: 7,
  name: 'depth',
  work: 'cost of a tiny task from call to end, while 1,000 and while 1,000,000 wait',
  measure: async () => {
    const figures = await compare([...contestants(few), ...contestants(many)], { runs, warmups: 0 });
    const ofFew = figures.slice(0, queueing.length);
    const ofMany = figures.slice(queueing.length);
    const shared = { unit: 'µs a task', better: 'lower', runs } as const;
    return [
      { ...shared, what: '1,000 waiting', figures: ofFew, checks: [], notes: [] },
      {
        ...shared,
        what: '1,000,000 waiting',
        figures: ofMany,
        checks: [growthAtMost(1.3, ofFew, ofMany)],
        notes: [growthNote(ofFew, ofMany)],
      },
    ];
  },
};

function contestants(waiting: number): Contestant[] {
  return queueing.map((name) => ({ name, run: () => apart<number>(program, name, String(waiting)) }));
}
