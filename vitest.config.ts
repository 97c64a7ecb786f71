import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { ForksPoolWorker, type PoolRunnerInitializer } from 'vitest/node';
import { compiledTasks } from './test/compiled-tasks.ts';
import { LongestFirst } from './test/longest-first.ts';
import { newerNode, nodeWithSqlite } from './test/servers/newer-node.ts';

// Where it is set, Node 20 reads all certificates as each process starts, which takes as long as all else that it does then.
// No test needs them.
delete process.env['NODE_EXTRA_CA_CERTS'];

/**
 * Calls of plain functions and classes, which take less than the start of a process: these files share one. They start
 * nothing, replace nothing, no timer either, and none of their promises is left unsettled.
 */
const plain = [
  'test/base/{backoff,errors,options}.test.ts',
  'test/bench/{arguments,chart,deep-queue,measure}.test.ts',
  'test/cli/{inputs,output,summary}.test.ts',
  'test/couriers/outage.test.ts',
  'test/dispatch/{batcher,bulk-results,finding-children}.test.ts',
  'test/integrations/{peers,result-waits}.test.ts',
  'test/lanes/{buffers,columns,control-block,frames,host-connection,run-message}.test.ts',
  'test/platform/on-abort.test.ts',
  'test/queue/{capacity,fifo,free-capacity,priority-pool,run-time-estimate}.test.ts',
  'test/schedules/timetable.test.ts',
  'test/supervisor/supervisor-options.test.ts',
  'test/task/{channel,map-tasks,program-object,task-*,transferred}.test.ts',
  'test/workers/write-all.test.ts',
];

/**
 * Tests of supervisors and couriers of their own, which end with each test. A process, and all that a file imports, cost up to
 * a third of a second of processor time, more than most of these tests: these files share a few processes. They count no
 * threads, children, listeners or memory of the whole process, do not make it a host, put back all that they replace, and fake no
 * time.
 */
const sharing = [
  'test/conformance/{loop,thread,process,shared-thread,shared-process}-*.test.ts',
  'test/conformance/memory-courier.test.ts',
  'test/couriers/{kept-work,prefetch,typed-queue,waiting-tasks}.test.ts',
  'test/dispatch/{batching,chunk-recall,task-counters}.test.ts',
  'test/supervisor/{events-in-listeners,keys,limits,unique}.test.ts',
  'test/task/{definition,handle}.test.ts',
];

const plugins = [compiledTasks()];

const common: TestProjectInlineConfiguration['test'] = {
  // What is built is imported as users do.
  server: { deps: { external: [/\/dist\//] } },
  pool: 'forks',
  maxWorkers: 4, // on two cores: many tests wait for timers, and for processes that start
  testTimeout: 30_000,
  hookTimeout: 30_000,
  expect: { poll: { timeout: 20_000 } }, // what comes, comes later on a busy machine
};

/** Of all other files. Threads, children and heaps are counted in tests: each file has a process of its own. */
export const isolated: TestProjectInlineConfiguration['test'] = { ...common, setupFiles: 'test/follow-globals.ts' };

/** Its processes run the Node that has SQLite. */
class SqliteWorker extends ForksPoolWorker {
  override async start(): Promise<void> {
    await newerNode();
    const own = process.execPath;
    process.execPath = nodeWithSqlite; // what `fork()` starts
    const started = super.start();
    process.execPath = own;
    return started;
  }
}

const sqlitePool: PoolRunnerInitializer = {
  name: 'forks-with-sqlite',
  createPoolWorker: (options) => new SqliteWorker(options),
};

const onSqlite = ['test/**/*sqlite*.test.ts'];

export default defineConfig({
  test: {
    projects: [
      { plugins, test: { ...common, name: 'plain', include: plain, isolate: false } },
      { plugins, test: { ...common, name: 'sharing', include: sharing, isolate: false } },
      {
        plugins,
        test: {
          ...isolated,
          name: 'isolated',
          include: ['test/**/*.test.ts'],
          exclude: ['test/soak/**', ...plain, ...sharing, ...onSqlite],
        },
      },
      {
        plugins,
        test: { ...isolated, name: 'sqlite', pool: sqlitePool, include: onSqlite, exclude: ['test/soak/**'] },
      },
    ],
    sequence: { sequencer: LongestFirst },
    globalSetup: ['test/servers/install.ts', 'test/servers/newer-node.ts'],
    coverage: { include: ['src/**', 'workers/**'], provider: 'v8' },
  },
});
