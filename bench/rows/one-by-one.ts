import type { Row } from '../measure.ts';
import { inFlight, measureTinyTasks } from '../tiny-tasks.ts';

export const oneByOne: Row = {
  number: 3,
  name: 'one-by-one',
  work: 'tiny tasks one by one: the time there and back',
  measure: async () => [
    await measureTinyTasks({
      what: '10,000, each after the one before',
      way: inFlight(1),
      tasks: 10_000,
      runs: 9,
      piscinaSettings: [
        { atomics: 'sync', concurrentTasksPerWorker: 1 },
        { atomics: 'async', concurrentTasksPerWorker: 1 },
        { atomics: 'disabled', concurrentTasksPerWorker: 1 },
      ],
      atLeastPiscina: 0.95,
    }),
  ],
};
