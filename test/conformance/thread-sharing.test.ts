import { setTimeout as pause } from 'node:timers/promises';
import { backgroundTask, TaskSupervisor } from 'taskwarden';
import { expect, it } from 'vitest';
import { failure, heard } from '../fixtures/listening.ts';
import { echo } from '../fixtures/tasks/echo.ts';
import { testSharing } from './sharing.ts';

testSharing({ type: 'thread', pool: 'threads' });

it('the end of a task that has not begun, behind one that blocks the thread, harms none', async () => {
  await using supervisor = new TaskSupervisor({
    threads: { poolSize: 1, reserveNormal: 0, reserveHigh: 0, concurrentTasks: 2 },
    logger: false,
  });
  const words = new Int32Array(new SharedArrayBuffer(4));
  const blocks = backgroundTask((shared: Int32Array) => void Atomics.wait(shared, 0, 0), { name: 'blocks' });
  await blocks.with({ supervisor })(new Int32Array(new SharedArrayBuffer(4)).fill(1));
  const busy = blocks.with({ supervisor })(words);
  await heard(supervisor, 'task:started', ({ task }) => task.id === busy.id);
  const waits = echo.with({ supervisor, stopGraceMs: 0 })('too late');
  while (supervisor.getInfo().threads.running < 2) await pause(1);
  waits.cancel();
  expect(await failure(waits)).toMatchObject({ code: 'TASK_CANCELED' });
  const exited: number[] = [];
  supervisor.on('thread:exited', ({ threadId }) => exited.push(threadId));
  Atomics.store(words, 0, 1);
  Atomics.notify(words, 0);
  expect(await busy).toBe(undefined);
  expect(await echo.with({ supervisor })('next')).toBe('next');
  expect(exited).toEqual([]);
});

it('the loop takes no such option', () => {
  expect(() => new TaskSupervisor({ loop: { concurrentTasks: 2 } as never })).toThrow('concurrentTasks');
});
