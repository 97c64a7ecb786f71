/** What holds for tasks that share threads, on real threads, whatever one of them does to its thread, and whatever is canceled. */
import fc from 'fast-check';
import { backgroundTask, type EndReason, type TaskHandle, TaskSupervisor } from 'taskwarden';
import { expect, it } from 'vitest';
import { randomRuns } from '../fixtures/random-runs.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';

const behaviours = ['returns', 'throws', 'waits', 'tells', 'ignores', 'blocks', 'exits', 'rejects'] as const;
type Behaviour = (typeof behaviours)[number];

/** Counts its runs in the shared memory, then does what its plan says. */
const act = backgroundTask(async function act(behaviour: Behaviour, words: Int32Array, index: number) {
  const { currentTask } = await import('taskwarden');
  const task = currentTask();
  const { id } = task;
  Atomics.add(words, index, 1);
  const pause = () => new Promise((resolve) => setTimeout(resolve, 2));
  switch (behaviour) {
    case 'returns':
      return index;
    case 'throws':
      await pause();
      throw new RangeError(`task ${index}`);
    case 'waits':
      await pause();
      if (currentTask().id !== id) throw new Error('it has become another');
      return index;
    case 'tells':
      for (const fraction of [0.5, 1]) {
        await pause();
        currentTask().progress(fraction, `task ${index}`);
      }
      return index;
    case 'ignores':
      await new Promise(() => {});
      return index;
    case 'blocks':
      for (;;);
    case 'exits':
      return process.exit(3);
    case 'rejects':
      void Promise.reject(new TypeError(`left behind by ${index}`));
      await new Promise(() => {});
      return index;
  }
});

const own: Readonly<Record<Behaviour, EndReason>> = {
  returns: 'completed',
  throws: 'failed',
  waits: 'completed',
  tells: 'completed',
  ignores: 'timeout',
  blocks: 'timeout',
  exits: 'crashed',
  rejects: 'crashed',
};
/** They take others along. */
const fatal: readonly Behaviour[] = ['ignores', 'blocks', 'exits', 'rejects'];

const step = fc.record({
  behaviour: fc.oneof(
    { weight: 5, arbitrary: fc.constantFrom<Behaviour>('returns', 'throws', 'waits', 'tells') },
    { weight: 1, arbitrary: fc.constantFrom<Behaviour>(...fatal) },
  ),
  crashRetries: fc.integer({ min: 0, max: 2 }),
  isCanceled: fc.oneof({ weight: 5, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
  isAwaited: fc.boolean(),
});

const scene = fc.record({
  steps: fc.array(step, { minLength: 1, maxLength: 30 }),
  concurrentTasks: fc.integer({ min: 2, max: 4 }),
  poolSize: fc.integer({ min: 1, max: 2 }),
});

it('each ends once, in its own way or with its thread, and all slots are free in the end', async () => {
  await fc.assert(
    fc.asyncProperty(scene, async ({ steps, concurrentTasks, poolSize }) => {
      const words = new Int32Array(new SharedArrayBuffer(4 * steps.length));
      const limit = poolSize * concurrentTasks;
      await using supervisor = new TaskSupervisor({
        threads: { poolSize, reserveNormal: 0, reserveHigh: 0, concurrentTasks },
        logger: false,
      });
      const ends = new Map<string, number>();
      const problems: string[] = [];
      supervisor.on('task:started', () => {
        const { running, size } = supervisor.getInfo().threads;
        if (running > limit) problems.push(`${running} tasks run`);
        if (size > poolSize) problems.push(`there are ${size} threads`);
      });
      for (const event of ['task:completed', 'task:failed', 'task:canceled'] as const) {
        supervisor.on(event, ({ task }) => ends.set(task.id, (ends.get(task.id) ?? 0) + 1));
      }
      const handles: TaskHandle<unknown>[] = [];
      const notes: (string | undefined)[] = [];
      const canceled = new Set<number>();
      for (const [index, { behaviour, crashRetries, isCanceled, isAwaited }] of steps.entries()) {
        const timeoutMs = behaviour === 'ignores' || behaviour === 'blocks' ? 20 : 60_000;
        const handle = act.with({ supervisor, crashRetries, timeoutMs, stopGraceMs: 10 })(behaviour, words, index);
        handle.onProgress(({ note }) => {
          notes[index] = note;
        });
        handles.push(handle);
        if (isAwaited) await handle.catch(() => {});
        if (isCanceled && handles[index >> 1]?.cancel('enough')) canceled.add(index >> 1);
      }
      await Promise.allSettled(handles);

      expect(problems).toEqual([]);
      const isCalm = steps.every(({ behaviour }, index) => !fatal.includes(behaviour) && !canceled.has(index));
      for (const [index, { behaviour, crashRetries }] of steps.entries()) {
        const { id, info } = handles[index] as TaskHandle<unknown>;
        const runs = Atomics.load(words, index);
        const shared: readonly EndReason[] = isCalm ? [] : ['crashed'];
        expect([own[behaviour], ...shared, ...(canceled.has(index) ? ['canceled'] : [])]).toContain(info.endReason);
        expect(ends.get(id)).toBe(1);
        expect(runs).toBeLessThanOrEqual(1 + crashRetries);
        expect(info.attempt).toBeLessThanOrEqual(1 + crashRetries);
        if (info.endReason === 'crashed') expect(info.attempt).toBe(1 + crashRetries);
        if (info.endReason !== 'completed') continue;
        expect(await handles[index]).toBe(index);
        if (behaviour === 'tells') expect(notes[index]).toBe(`task ${index}`);
      }
      await using gate = await Gate.create();
      const fresh = Array.from({ length: limit + 1 }, (_, n) => holds.with({ supervisor })(gate.port, `fresh ${n}`));
      await gate.arrived(limit);
      expect(supervisor.getInfo().threads).toMatchObject({ running: limit, size: poolSize, waiting: { normal: 1 } });
      gate.open();
      await Promise.all(fresh);
    }),
    { numRuns: randomRuns(25), interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
  );
}, 90_000);
