import { defineConfig } from 'vitest/config';
import { compiledTasks } from './test/compiled-tasks.ts';
import { isolated } from './vitest.config.ts';

/** What takes minutes: run by itself, with `npm run test:soak`. */
export default defineConfig({
  plugins: [compiledTasks()],
  test: {
    ...isolated,
    globalSetup: ['test/servers/install.ts', 'test/servers/better-sqlite.ts'],
    // Properties, and others, run shorter among the tests; see lengthOf(). There the SQLite of Node is used, and here, on Node
    // 20, that of better-sqlite3.
    include: [
      'test/soak/**/*.test.ts',
      'test/property/{batches,bullmq-courier,sqlite-courier,supervisor,task-trees}.test.ts',
      'test/integrations/celery-thousand.test.ts',
      'test/{conformance/sqlite-courier,examples-sqlite}.test.ts',
    ],
    env: { TASKWARDEN_SOAK: 'yes' },
    testTimeout: 30 * 60_000,
    maxWorkers: 1,
  },
});
