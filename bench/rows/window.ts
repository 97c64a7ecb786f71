import type { Row } from '../measure.ts';
import { inFlight, measureTinyTasks } from '../tiny-tasks.ts';

export const window: Row = {
  number: 2,
  name: 'window',
  work: '300,000 tiny tasks, 64 in flight, two threads',
  measure: async () => [
    await measureTinyTasks({
      what: '300,000, 64 in flight',
      way: inFlight(64),
      tasks: 300_000,
      piscinaSettings: [
        { atomics: 'sync', concurrentTasksPerWorker: 1 },
        { atomics: 'disabled', concurrentTasksPerWorker: 1 },
        { atomics: 'sync', concurrentTasksPerWorker: 16 },
        { atomics: 'disabled', concurrentTasksPerWorker: 16 },
        { atomics: 'sync', concurrentTasksPerWorker: 32 },
        { atomics: 'disabled', concurrentTasksPerWorker: 32 },
      ],
      atLeastPiscina: 5,
    }),
  ],
};
