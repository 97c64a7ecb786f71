/** A supervisor that has nothing to do does nothing: of its work no timer is left, which would wake the process. */
import { createHook } from 'node:async_hooks';
import { fileURLToPath } from 'node:url';
import { TaskSupervisor } from 'taskwarden';
import { expect, it } from 'vitest';
import { echo } from '../fixtures/tasks/echo.ts';

const dist = fileURLToPath(new URL('../../dist/', import.meta.url));

/**
 * The timers that taskwarden has started and that still run, by where they were started; without the one that keeps the
 * process alive while tasks are pending, and fires after 24 days.
 */
function watchTimers(): { readonly running: Map<number, string>; stop(): void } {
  const running = new Map<number, string>();
  const hook = createHook({
    init: (id, type) => {
      const { stack = '' } = new Error();
      if (type === 'Timeout' && stack.includes(dist) && !stack.includes('KeepAlive')) running.set(id, stack);
    },
    destroy: (id) => void running.delete(id),
  }).enable();
  return { running, stop: () => hook.disable() };
}

it.each(['thread', 'process'] as const)('has no timer left when the tasks of a %s have ended', async (type) => {
  const timers = watchTimers();
  try {
    const pool = { poolSize: 2, idleTimeoutMs: Infinity };
    const supervisor = new TaskSupervisor({ logger: false, threads: pool, processes: pool });
    await Promise.all([1, 2, 3].map((n) => echo.with({ type, supervisor })(n)));
    await new Promise((resolve) => setImmediate(resolve)); // destroyed timers are told of in the next turn
    expect([...timers.running.values()]).toEqual([]);
    await supervisor.stop();
  } finally {
    timers.stop();
  }
});
