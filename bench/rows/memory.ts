/** Row 6: what the heap holds for a task that waits, and what the peers hold. Each run is a process of its own. */
import { apart } from '../apart.ts';
import { below, compare, type Row } from '../measure.ts';
import { queueing } from '../waiting/pools.ts';

const program = new URL('../waiting/memory.ts', import.meta.url);
const waiting = 1_000_000;

export const memory: Row = {
  number: 6,
  name: 'memory',
  work: 'memory of a waiting task',
  measure: async () => {
    const runs = 5;
    const contestants = queueing.map((name) => ({ name, run: () => apart<number>(program, name, String(waiting)) }));
    const figures = await compare(contestants, { runs, warmups: 0 });
    return [
      {
        what: `${waiting.toLocaleString('en-US')} waiting, their promises kept`,
        unit: 'bytes a task',
        better: 'lower',
        runs,
        figures,
        checks: [below(400, 'bytes', figures)],
        notes: ['heap and external memory after a collection, less what there was before the first of them'],
      },
    ];
  },
};
