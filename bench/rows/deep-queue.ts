import { atLeast, type Row } from '../measure.ts';
import { peers } from '../peers.ts';
import { allAtOnce, measureTinyTasks } from '../tiny-tasks.ts';

export const deepQueue: Row = {
  number: 1,
  name: 'deep-queue',
  work: '300,000 tiny tasks at once, two threads, TaskInfo and events kept',
  measure: async () => [
    await measureTinyTasks({
      what: '300,000 at once',
      chart: 'Tiny tasks, all at once',
      way: allAtOnce,
      tasks: 300_000,
      fewerTasks: 40_000,
      peers: peers(16, 64),
      checks: (figures) => [atLeast(10, 'piscina', figures), atLeast(1, 'bare postMessage', figures)],
    }),
  ],
};
