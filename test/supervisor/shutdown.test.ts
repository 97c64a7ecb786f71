/** stop() resolves whatever the counters say: pending tasks that can't be found, or can't be ended, are given up at last. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { WorkerRegistry } from '../../src/background-workers/worker-registry.ts';
import type { Admission } from '../../src/dispatch/admission.ts';
import type { Backlog } from '../../src/dispatch/backlog.ts';
import type { PendingTasks } from '../../src/dispatch/ending/pending-tasks.ts';
import type { LaneRegistry } from '../../src/dispatch/lane-registry.ts';
import { TaskCounters } from '../../src/dispatch/task-counters.ts';
import { KeepAlive } from '../../src/platform/keep-alive.ts';
import type { Schedules } from '../../src/schedules/schedules.ts';
import { Shutdown, type StopOptions } from '../../src/supervisor/shutdown.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** Stops a supervisor with so many tasks that are counted and not found, and so many that are found and never end. */
async function stop(options: StopOptions, lost: number, found = 0, close: () => Promise<void> = async () => {}) {
  const keepAlive = new KeepAlive();
  const counters = new TaskCounters(keepAlive);
  const workers = new WorkerRegistry(keepAlive);
  let deaf = found;
  const pending = {
    dropDelayed() {},
    dropPaused() {},
    dropWaiting() {},
    stopStarted() {},
    killStarted() {},
    get hasSome() {
      return deaf > 0;
    },
    abandon() {
      for (; deaf > 0; deaf -= 1) counters.countEnded('shutdown');
    },
  } as unknown as PendingTasks;
  const schedules = { whenEnded: async () => {}, giveUp() {} } as unknown as Schedules;
  const shutdown = new Shutdown({
    admission: { takesRuns: false } as Admission,
    backlog: { isStopping: false } as Backlog,
    pending,
    counters,
    lanes: { close } as unknown as LaneRegistry,
    workers,
    schedules,
  });
  shutdown.begin();
  for (let n = 0; n < lost + found; n += 1) counters.countSubmitted();
  const report = shutdown.run(true);
  shutdown.bringForward(options);
  await vi.advanceTimersByTimeAsync(20_000);
  return await Promise.race([report, 'hangs']);
}

it.each<StopOptions>([{}, { wait: false }, { wait: 100 }, { cancelTasks: true }])(
  'with %o the report says how many tasks are lost',
  async (options) => {
    expect(await stop(options, 14)).toEqual({ finished: 0, canceled: 0, terminated: 0, missing: 14 });
  },
);

it.each<StopOptions>([{ wait: false }, { wait: 100 }])('with %o it gives up what can not be ended', async (options) => {
  expect(await stop(options, 0, 2)).toEqual({ finished: 0, canceled: 2, terminated: 0 });
  expect(await stop(options, 1, 2)).toEqual({ finished: 0, canceled: 2, terminated: 0, missing: 1 });
});

it('waits for what runs, for as long as that takes', async () => {
  expect(await stop({}, 0, 1)).toBe('hangs');
});

it('gives up threads that do not exit', async () => {
  expect(await stop({}, 0, 0, () => new Promise(() => {}))).toEqual({ finished: 0, canceled: 0, terminated: 0 });
});
