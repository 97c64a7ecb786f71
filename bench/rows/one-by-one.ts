import { atLeast, type Row } from '../measure.ts';
import { peers } from '../peers.ts';
import { inFlight, measureTinyTasks } from '../tiny-tasks.ts';

export const oneByOne: Row = {
  number: 3,
  name: 'one-by-one',
  work: 'tiny tasks one by one: the time there and back',
  measure: async () => [
    await measureTinyTasks({
      what: '4,000, each after the one before',
      chart: 'Tiny tasks, one by one',
      way: inFlight(1),
      tasks: 4_000,
      runs: 9,
      peers: peers(1),
      checks: (figures) => [atLeast(0.95, 'piscina', figures)],
    }),
  ],
};
