import type { Row } from '../measure.ts';
import { settingsFor } from '../pools.ts';
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
      piscinaSettings: settingsFor(1, 16, 32),
      atLeastPiscina: 5,
    }),
  ],
};
