import { defineConfig, type UserWorkspaceConfig } from 'vitest/config';
import { compiledTasks } from './test/compiled-tasks.ts';

// Where it is set, Node 20 reads all certificates as each process starts, which takes as long as all else that it does then.
// No test needs them.
delete process.env['NODE_EXTRA_CA_CERTS'];

/**
 * Files that share a process, and the modules that it has loaded, for to start and load them takes longer than their tests:
 * they start no hosts or programs, count nothing that belongs to the process, and leave it as it was.
 */
const together = [
  'test/{base,queue}/*.test.ts',
  'test/background-workers/interval-worker.test.ts',
  'test/bench/{arguments,chart,deep-queue,measure,report}.test.ts',
  'test/cli/{inputs,output,summary}.test.ts',
  'test/conformance/loop-{bulk,calling,controlling,lane,talking}.test.ts',
  'test/couriers/{base-worker,memory-courier,outage,waiting-tasks}.test.ts',
  'test/dispatch/{backoff,batcher,finding-children,task-counters}.test.ts',
  'test/hostile/{loop,memory-courier}-doors.test.ts',
  'test/integrations/{event-order,peers,result-waits}.test.ts',
  'test/lanes/{buffers,columns,control-block,error-codec,host-connection,restart-budget,run-message}.test.ts',
  'test/platform/{clock,on-abort,stack-traces}.test.ts',
  'test/property/{courier,schedules,task-trees}.test.ts',
  'test/schedules/{shared-schedules,timetable}.test.ts',
  'test/supervisor/{events-in-listeners,shutdown,supervisor-events,supervisor-options}.test.ts',
  'test/task/{channel,context,definition,handle,load-function,map-tasks,sub-task,task,task-*,transferred}.test.ts',
  'test/workers/*.test.ts',
];

const plugins = [compiledTasks()];

/** How all files run. */
export const files: UserWorkspaceConfig['test'] = {
  // What is built is imported as users do.
  server: { deps: { external: [/\/dist\//] } },
  setupFiles: 'test/follow-globals.ts',
  pool: 'forks',
  maxWorkers: 2,
  testTimeout: 30_000,
  hookTimeout: 30_000,
};

export default defineConfig({
  test: {
    projects: [
      {
        plugins,
        test: { ...files, name: 'together', include: together, isolate: false, sequence: { groupOrder: 1 } },
      },
      {
        plugins,
        test: {
          ...files,
          name: 'alone',
          include: ['test/**/*.test.ts'],
          exclude: ['test/soak/**', ...together],
          sequence: { groupOrder: 2 },
          typecheck: { enabled: true, include: ['test/types/**/*.test-d.ts'], tsconfig: './test/types/tsconfig.json' },
        },
      },
    ],
    globalSetup: 'test/servers/install.ts',
    coverage: { include: ['src/**', 'workers/**'], provider: 'v8' },
  },
});
