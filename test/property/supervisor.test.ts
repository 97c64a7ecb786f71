/** The invariants of the supervisor, on real threads, under random submits, cancels, crashes, resizes and stops. */
import fc from 'fast-check';
import { backgroundTask, type EndReason, type Priority, type TaskHandle, TaskSupervisor } from 'taskwarden';
import { expect, it } from 'vitest';
import { randomRuns } from '../fixtures/random-runs.ts';

const behaviours = ['returns', 'throws', 'waits', 'spins', 'ignores', 'exits', 'rejects'] as const;
type Behaviour = (typeof behaviours)[number];

/** Words of the shared memory: first one for all, then one for each task. */
const executing = 0;
const mostExecuting = 1;
const firstTask = 2;

/** Counts itself, reports progress, then does what its plan says. A task that dies stays counted as executing. */
const act = backgroundTask(async function act(behaviour: Behaviour, words: Int32Array, index: number) {
  const { currentTask } = await import('taskwarden');
  const task = currentTask();
  Atomics.add(words, 2 + index, 1);
  const now = Atomics.add(words, 0, 1) + 1;
  for (let most = Atomics.load(words, 1); now > most; most = Atomics.load(words, 1)) {
    if (Atomics.compareExchange(words, 1, most, now) === most) break;
  }
  task.progress(0.5, 'half');
  task.progress(1, 'all');
  const leave = () => Atomics.sub(words, 0, 1);
  switch (behaviour) {
    case 'returns':
      leave();
      return index;
    case 'throws':
      leave();
      throw new RangeError(`task ${index}`);
    case 'waits':
      await new Promise((resolve) => {
        if (task.signal.aborted) resolve(undefined);
        task.signal.addEventListener('abort', resolve);
        setTimeout(resolve, 5);
      });
      leave();
      return index;
    case 'spins':
      for (const end = Date.now() + 5; Date.now() < end && !task.stopped; );
      leave();
      return index;
    case 'ignores':
      await new Promise(() => {});
      return index;
    case 'exits':
      return process.exit(3);
    case 'rejects':
      void Promise.reject(new TypeError(`left behind by ${index}`));
      await new Promise(() => {});
      return index;
  }
});

const allowed: Readonly<Record<Behaviour, readonly EndReason[]>> = {
  returns: ['completed'],
  throws: ['failed'],
  waits: ['completed'],
  spins: ['completed'],
  ignores: ['timeout'],
  exits: ['crashed'],
  rejects: ['crashed'],
};

type Step =
  | {
      readonly kind: 'submit';
      readonly behaviour: Behaviour;
      readonly priority: Priority;
      readonly delayMs: number;
      readonly again: number;
    }
  | { readonly kind: 'cancel'; readonly which: number }
  | { readonly kind: 'resize'; readonly poolSize: number; readonly reserveNormal: number; readonly reserveHigh: number }
  | { readonly kind: 'await'; readonly which: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('submit' as const),
      behaviour: fc.oneof(
        { weight: 6, arbitrary: fc.constantFrom('returns', 'throws', 'waits', 'spins') },
        { weight: 1, arbitrary: fc.constantFrom('ignores', 'exits', 'rejects') },
      ) as fc.Arbitrary<Behaviour>,
      priority: fc.constantFrom<Priority>('low', 'normal', 'high', 'critical'),
      again: fc.oneof(
        { weight: 3, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 2 }) },
      ),
      delayMs: fc.oneof(
        { weight: 4, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ max: 10, min: 1 }) },
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('await' as const), which: fc.nat() }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('resize' as const),
      poolSize: fc.integer({ min: 1, max: 3 }),
      reserveNormal: fc.integer({ min: 0, max: 1 }),
      reserveHigh: fc.integer({ min: 0, max: 1 }),
    }),
  },
);

const stop = fc.oneof(
  fc.constant({ wait: true }),
  fc.constant({ wait: false }),
  fc.record({ wait: fc.integer({ min: 1, max: 60 }) }),
  fc.constant({ wait: true, cancelTasks: true }),
);

it('settles every task once, runs none twice and leaves no thread, whatever happens', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), stop, async (steps, stopOptions) => {
      const words = new Int32Array(new SharedArrayBuffer(4 * (firstTask + steps.length)));
      const supervisor = new TaskSupervisor({
        threads: { poolSize: 2, reserveNormal: 1, reserveHigh: 1 },
        keepFinished: 100,
        logger: false,
      });
      const ends = new Map<string, number>();
      const lastFractions = new Map<string, number>();
      const threads = new Set<number>();
      const problems: string[] = [];
      let largestLimit = 4;
      supervisor.on('thread:started', ({ threadId }) => threads.add(threadId));
      supervisor.on('thread:exited', ({ threadId }) => threads.delete(threadId));
      supervisor.on('task:progress', ({ task, progress }) => {
        if (ends.has(task.id)) problems.push(`progress of ${task.id} after its end`);
        lastFractions.set(task.id, progress.fraction);
      });
      for (const event of ['task:completed', 'task:failed', 'task:canceled'] as const) {
        supervisor.on(event, ({ task }) => ends.set(task.id, (ends.get(task.id) ?? 0) + 1));
      }

      const submitted: {
        readonly handle: TaskHandle<unknown>;
        readonly behaviour: Behaviour;
        readonly again: number;
        canceled: boolean;
      }[] = [];
      let critical = 0;
      for (const each of steps) {
        if (each.kind === 'submit') {
          const { behaviour, priority, delayMs, again } = each;
          if (priority === 'critical') critical += 1;
          const timeout = behaviour === 'ignores' ? { timeoutMs: 10, stopGraceMs: 1 } : { stopGraceMs: 20 };
          const retry = { retries: again, crashRetries: again, retryDelayMs: 2 };
          const run = act.with({ supervisor, priority, delayMs, ...timeout, ...retry });
          submitted.push({ handle: run(behaviour, words, submitted.length), behaviour, again, canceled: false });
        } else if (each.kind === 'resize') {
          const { poolSize, reserveNormal, reserveHigh } = each;
          largestLimit = Math.max(largestLimit, poolSize + reserveNormal + reserveHigh);
          supervisor.configure({ threads: { poolSize, reserveNormal, reserveHigh } });
        } else {
          const chosen = submitted[each.which % Math.max(submitted.length, 1)];
          if (chosen === undefined) continue;
          if (each.kind === 'await') await chosen.handle.catch(() => {});
          else if (chosen.handle.cancel('chaos')) chosen.canceled = true;
        }
      }
      const left = submitted.length - ends.size;
      const stopsAt = Date.now();
      const report = await supervisor.stop(stopOptions);

      expect(problems).toEqual([]);
      expect(threads.size).toBe(0);
      expect(report.finished + report.canceled + report.terminated).toBe(left);
      let dead = 0;
      for (const [index, { handle, behaviour, again, canceled }] of submitted.entries()) {
        const { endReason, status, attempt, timeFinished = 0 } = handle.info;
        const runs = Atomics.load(words, firstTask + index);
        expect(handle.done).toBe(true);
        expect(ends.get(handle.id)).toBe(1);
        expect([...allowed[behaviour], 'shutdown', ...(canceled ? ['canceled'] : [])]).toContain(endReason);
        expect(runs).toBeLessThanOrEqual(1 + again);
        if (['failed', 'crashed'].includes(endReason as string)) expect(runs).toBe(1 + again);
        // Its thread may end before it counts itself. While the supervisor stops, no attempt follows another.
        if (endReason === 'timeout' && timeFinished < stopsAt) expect(attempt).toBe(1 + again);
        if (endReason === 'timeout') expect(attempt).toBeLessThanOrEqual(1 + again);
        if (endReason === 'completed') {
          expect(runs).toBe(1);
          expect(await handle).toBe(index);
          expect(lastFractions.get(handle.id)).toBe(1);
        } else {
          await expect(handle).rejects.toBe(handle.exception);
          expect(status).toBe(endReason === 'canceled' || endReason === 'shutdown' ? 'canceled' : 'failed');
        }
        if (!['completed', 'failed'].includes(endReason as string)) dead += runs;
      }
      // Those that died while they executed are still counted, and no more than those.
      expect(Atomics.load(words, executing)).toBeLessThanOrEqual(dead);
      expect(Atomics.load(words, mostExecuting)).toBeLessThanOrEqual(largestLimit + critical + dead);
    }),
    { numRuns: randomRuns(100), interruptAfterTimeLimit: 90_000, markInterruptAsFailure: false },
  );
}, 120_000);

const mark = backgroundTask(function mark(words: Int32Array, index: number) {
  words[1 + Atomics.add(words, 0, 1)] = index;
});

it('starts tasks of one priority in their order, and those of a higher one first', async () => {
  await using supervisor = new TaskSupervisor({ threads: { poolSize: 1, reserveNormal: 0, reserveHigh: 0 } });
  const hold = backgroundTask(
    function hold(gate: Int32Array) {
      Atomics.store(gate, 1, 1);
      Atomics.notify(gate, 1);
      Atomics.wait(gate, 0, 0);
    },
    { supervisor },
  );
  const ranks: Readonly<Record<string, number>> = { high: 0, normal: 1, low: 2 };
  const urgency = fc.array(fc.constantFrom<Priority>('low', 'normal', 'high'), { minLength: 1, maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(urgency, fc.array(fc.nat()), async (order, canceled) => {
      const words = new Int32Array(new SharedArrayBuffer(4 * (order.length + 1)));
      const gate = new Int32Array(new SharedArrayBuffer(8));
      const held = hold(gate);
      const handles = order.map((priority, index) => mark.with({ supervisor, priority })(words, index));
      const gone = new Set(canceled.map((which) => which % order.length));
      for (const index of gone) handles[index]?.cancel();
      Atomics.store(gate, 0, 1);
      Atomics.notify(gate, 0);
      await Promise.allSettled([held, ...handles]);
      const expected = order
        .map((priority, index) => ({ index, rank: ranks[priority] as number }))
        .filter(({ index }) => !gone.has(index))
        .sort((a, b) => a.rank - b.rank || a.index - b.index)
        .map(({ index }) => index);
      expect([...words.subarray(1, 1 + (words[0] as number))]).toEqual(expected);
    }),
    { numRuns: 50 },
  );
});
