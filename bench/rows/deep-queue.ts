import type { Row } from '../measure.ts';
import { settingsFor } from '../pools.ts';
import { allAtOnce, measureTinyTasks } from '../tiny-tasks.ts';

export const deepQueue: Row = {
  number: 1,
  name: 'deep-queue',
  work: '300,000 tiny tasks at once, two threads, TaskInfo and events kept',
  measure: async () => [
    await measureTinyTasks({
      what: '300,000 at once',
      way: allAtOnce,
      tasks: 300_000,
      piscinaSettings: settingsFor(1, 16, 64),
      atLeastPiscina: 10,
      atLeastBare: 1,
    }),
  ],
};
