import { defineConfig } from 'vitest/config';
import { compiledTasks } from './test/compiled-tasks.ts';

// Where it is set, Node 20 reads all certificates as each process starts, which takes as long as all else that it does then.
// No test needs them.
delete process.env['NODE_EXTRA_CA_CERTS'];

export default defineConfig({
  plugins: [compiledTasks()],
  test: {
    // What is built is imported as users do.
    server: { deps: { external: [/\/dist\//] } },
    include: ['test/**/*.test.ts'],
    exclude: ['test/soak/**'],
    globalSetup: 'test/servers/install.ts',
    setupFiles: 'test/follow-globals.ts',
    // Threads, children and heaps are counted in tests: each file has a process of its own.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    typecheck: { enabled: true, include: ['test/types/**/*.test-d.ts'], tsconfig: './test/types/tsconfig.json' },
    coverage: { include: ['src/**', 'workers/**'], provider: 'v8' },
  },
});
