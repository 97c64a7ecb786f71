import { atLeast, type Row } from '../measure.ts';
import { peers } from '../peers.ts';
import { inFlight, measureTinyTasks } from '../tiny-tasks.ts';

export const window: Row = {
  number: 2,
  name: 'window',
  work: '300,000 tiny tasks, 64 in flight, two threads',
  measure: async () => [
    await measureTinyTasks({
      what: '300,000, 64 in flight',
      chart: 'Tiny tasks, 64 in flight',
      way: inFlight(64),
      tasks: 300_000,
      fewerTasks: 40_000,
      peers: peers(16, 32),
      checks: (figures) => [atLeast(5, 'piscina', figures)],
    }),
  ],
};
