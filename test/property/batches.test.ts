/** What holds for small tasks of one batch, and for prefetched ones, on real threads and children, under random endings, resizes and stops. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { setEnvironmentData } from 'node:worker_threads';
import fc from 'fast-check';
import { backgroundTask, type EndReason, type TaskHandle, TaskSupervisor } from 'taskwarden';
import { expect, it } from 'vitest';
import { lengthOf } from '../fixtures/random-runs.ts';

/** Those that are gone in a moment, and those for which their neighbours must not pay. */
const quick = ['number', 'object', 'text', 'nothing', 'bytes', 'throws', 'later', 'reports', 'failsFirst'] as const;
const slow = ['spins', 'waits', 'ignores', 'blocks', 'exits', 'rejects', 'exitsFirst', 'uncloneable'] as const;
type Behaviour = (typeof quick)[number] | (typeof slow)[number];

const memoryKey = 'taskwarden.test.batches';
const fileKey = 'TASKWARDEN_TEST_BATCHES';

/**
 * Counts itself in the memory, or in a child in a file, then does as it is told. Only its first call in a thread has to wait for what it needs:
 * the others end in the turn of the event loop in which they begin.
 */
const act = backgroundTask(function act(behaviour: Behaviour, index: number, ms: number, again?: unknown): unknown {
  const here = globalThis as {
    count?: (index: number) => void;
    currentTask?: typeof import('taskwarden').currentTask;
  };
  const { count, currentTask } = here;
  if (count === undefined || currentTask === undefined) {
    const modules = [import('node:fs'), import('node:worker_threads'), import('taskwarden')] as const;
    return Promise.all(modules).then(([fs, threads, taskwarden]) => {
      const words = threads.getEnvironmentData('taskwarden.test.batches') as Int32Array;
      const file = process.env['TASKWARDEN_TEST_BATCHES'];
      here.count = (n) =>
        void (file === undefined ? Atomics.add(words, n, 1) : fs.appendFileSync(file, Uint8Array.of(n & 255, n >> 8)));
      here.currentTask = taskwarden.currentTask;
      return act(behaviour, index, ms, again);
    });
  }
  if (index >= 0) count(index);
  for (const end = performance.now() + ms; performance.now() < end; );
  switch (behaviour) {
    case 'number':
      return index;
    case 'object':
      return { index, again };
    case 'text':
      return `task ${index}`;
    case 'bytes':
      return Buffer.from([index]);
    case 'throws':
      throw new RangeError(`task ${index}`);
    case 'later':
      return Promise.resolve(index);
    case 'reports':
      currentTask().progress(1, `task ${index}`);
      return index;
    case 'failsFirst':
      if (currentTask().attempt === 1) throw new RangeError(`task ${index}`);
      return index;
    case 'spins':
      for (const end = performance.now() + 4; performance.now() < end && !currentTask().stopped; );
      return index;
    case 'waits':
      return new Promise((resolve) => setTimeout(resolve, 4, index));
    case 'ignores':
      return new Promise(() => {});
    case 'blocks':
      for (;;);
    case 'exits':
      return process.exit(3);
    case 'exitsFirst':
      if (currentTask().attempt === 1) process.exit(4);
      return index;
    case 'rejects':
      void Promise.reject(new TypeError(`left behind by ${index}`));
      return new Promise(() => {});
    case 'uncloneable':
      return { callback: () => {} };
    default:
      return undefined;
  }
});

const allowed: Readonly<Record<Behaviour, readonly EndReason[]>> = {
  number: ['completed'],
  object: ['completed'],
  text: ['completed'],
  nothing: ['completed'],
  bytes: ['completed'],
  throws: ['failed'],
  later: ['completed'],
  reports: ['completed'],
  failsFirst: ['completed', 'failed'],
  spins: ['completed'],
  waits: ['completed'],
  ignores: ['timeout'],
  blocks: ['timeout'],
  exits: ['crashed'],
  rejects: ['crashed'],
  exitsFirst: ['completed', 'crashed'],
  uncloneable: ['failed'],
};

const results: Partial<Record<Behaviour, (index: number, given: unknown) => unknown>> = {
  object: (index, again) => ({ index, again }),
  text: (index) => `task ${index}`,
  nothing: () => undefined,
  bytes: (index) => Buffer.from([index]),
};

/** How a task is given its arguments: primitives travel in one message, objects each in their own, a function in none. */
type Given = 'primitive' | 'object' | 'function';

interface Plan {
  readonly behaviour: Behaviour;
  readonly given: Given;
  readonly again: number;
}

const plan: fc.Arbitrary<Plan> = fc.record({
  behaviour: fc.oneof(
    { weight: 14, arbitrary: fc.constantFrom<Behaviour>(...quick) },
    { weight: 1, arbitrary: fc.constantFrom<Behaviour>(...slow) },
  ),
  given: fc.oneof(
    { weight: 8, arbitrary: fc.constant<Given>('primitive') },
    { weight: 3, arbitrary: fc.constant<Given>('object') },
    { weight: 1, arbitrary: fc.constant<Given>('function') },
  ),
  again: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constant(1) }),
});

type Step =
  | { readonly kind: 'submit'; readonly plans: readonly Plan[] }
  | { readonly kind: 'cancel'; readonly which: readonly number[] }
  | { readonly kind: 'await'; readonly which: number }
  | { readonly kind: 'turn' }
  | { readonly kind: 'resize'; readonly poolSize: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('submit' as const),
      plans: fc.array(plan, { minLength: 1, maxLength: 40, size: 'max' }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('cancel' as const),
      which: fc.array(fc.nat(), { minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('await' as const), which: fc.nat() }) },
  { weight: 2, arbitrary: fc.constant({ kind: 'turn' as const }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('resize' as const), poolSize: fc.integer({ min: 1, max: 3 }) }),
  },
);

const stop = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ wait: true }) },
  { weight: 1, arbitrary: fc.constant({ wait: false }) },
  { weight: 1, arbitrary: fc.record({ wait: fc.integer({ min: 1, max: 60 }) }) },
  { weight: 1, arbitrary: fc.constant({ wait: true, cancelTasks: true }) },
);

const kinds = [
  { what: 'tiny task in threads', type: 'thread', ms: 0 },
  { what: 'task of a millisecond in threads', type: 'thread', ms: 0.8 },
  { what: 'task of a millisecond in children', type: 'process', ms: 0.8 },
] as const;

/** In which a child appends two bytes for each task that has begun. */
class CountFile implements Disposable {
  readonly path: string = join(tmpdir(), `taskwarden-test-${process.pid}-${performance.now()}`);

  constructor() {
    writeFileSync(this.path, '');
  }

  count(index: number): number {
    const bytes = readFileSync(this.path);
    let count = 0;
    for (let at = 0; at < bytes.length; at += 2) if (bytes.readUInt16LE(at) === index) count += 1;
    return count;
  }

  [Symbol.dispose](): void {
    rmSync(this.path);
  }
}

it.each(kinds)(
  'each $what has its own end, runs once, and pays for no neighbour, whatever happens',
  async ({ type, ms }) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), stop, async (steps, stopOptions) => {
        const tasks = steps.reduce((sum, each) => sum + (each.kind === 'submit' ? each.plans.length : 0), 0);
        const words = new Int32Array(new SharedArrayBuffer(4 * (tasks + 1)));
        setEnvironmentData(memoryKey, words);
        using file = new CountFile();
        const pool = { poolSize: ms === 0 ? 1 : 2, reserveNormal: 0, reserveHigh: 0 };
        const supervisor = new TaskSupervisor({
          ...(type === 'thread'
            ? { threads: pool }
            : { processes: { ...pool, env: { ...process.env, [fileKey]: file.path } } }),
          keepFinished: 1_000,
          logger: false,
        });
        const warm = act.with({ supervisor, type });
        for (let left = 20; left > 0; left -= 1) await warm('nothing', -1, ms);

        const starts = new Map<string, number>();
        const ends = new Map<string, number>();
        const lastNotes = new Map<string, string | undefined>();
        const threads = new Set<number>();
        const exited = new Set<number>();
        /** The threads and children whose death ended an attempt of a task. */
        const deaths: (number | undefined)[] = [];
        const problems: string[] = [];
        const isDeath = (error: unknown) =>
          ['TASK_CRASHED', 'TASK_TIMEOUT'].includes((error as { code?: string } | undefined)?.code ?? '');
        for (const info of supervisor.getTasks()) threads.add((info.threadId ?? info.pid) as number);
        const onExited = (id: number) => {
          threads.delete(id);
          exited.add(id);
        };
        supervisor.on('thread:started', ({ threadId }) => threads.add(threadId));
        supervisor.on('thread:exited', ({ threadId }) => onExited(threadId));
        supervisor.on('child:started', ({ pid }) => threads.add(pid));
        supervisor.on('child:exited', ({ pid }) => onExited(pid));
        supervisor.on('task:started', ({ task }) => {
          if (ends.has(task.id)) problems.push(`start of ${task.id} after its end`);
          starts.set(task.id, (starts.get(task.id) ?? 0) + 1);
        });
        supervisor.on('task:progress', ({ task, progress }) => {
          if (ends.has(task.id)) problems.push(`progress of ${task.id} after its end`);
          lastNotes.set(task.id, progress.note);
        });
        supervisor.on('task:retried', ({ task, error }) => {
          if (isDeath(error)) deaths.push(task.threadId ?? task.pid);
        });
        for (const event of ['task:completed', 'task:failed', 'task:canceled'] as const) {
          supervisor.on(event, ({ task }) => {
            ends.set(task.id, (ends.get(task.id) ?? 0) + 1);
            if (event === 'task:failed' && isDeath(task.error)) deaths.push(task.threadId ?? task.pid);
          });
        }

        const submitted: {
          readonly handle: TaskHandle<unknown>;
          readonly plan: Plan;
          canceled: boolean;
        }[] = [];
        for (const each of steps) {
          if (each.kind === 'submit') {
            for (const plan of each.plans) {
              const { behaviour, given, again } = plan;
              const isStuck = behaviour === 'ignores' || behaviour === 'blocks';
              const run = act.with({
                supervisor,
                type,
                ...(isStuck && { timeoutMs: 10 }),
                stopGraceMs: isStuck ? 1 : 100,
                retries: again,
                crashRetries: again,
                retryDelayMs: 1,
              });
              const extra = { primitive: index(), object: { list: [index()] }, function: () => {} }[given];
              submitted.push({ handle: run(behaviour, index(), ms, extra), plan, canceled: false });
            }
          } else if (each.kind === 'cancel') {
            for (const which of each.which) {
              const chosen = submitted[which % Math.max(submitted.length, 1)];
              if (chosen?.handle.cancel('chaos')) chosen.canceled = true;
            }
          } else if (each.kind === 'await') {
            await submitted[each.which % Math.max(submitted.length, 1)]?.handle.catch(() => {});
          } else if (each.kind === 'turn') {
            await nextTurn();
          } else {
            supervisor.configure({ [type === 'thread' ? 'threads' : 'processes']: { poolSize: each.poolSize } });
          }
          const live = supervisor.getTasks().filter(({ timeFinished }) => timeFinished === undefined);
          const pending = submitted.filter(({ handle }) => !handle.done).map(({ handle }) => handle.id);
          expect(live.map(({ id }) => id).toSorted()).toEqual(pending.toSorted());
        }
        const left = submitted.filter(({ handle }) => !handle.done).length;
        const report = await supervisor.stop(stopOptions);

        function index(): number {
          return submitted.length;
        }

        expect(problems).toEqual([]);
        expect(threads.size).toBe(0);
        expect(report.finished + report.canceled + report.terminated).toBe(left);
        expect(new Set(deaths).size).toBe(deaths.length); // a death ends one task
        for (const threadId of deaths) expect(exited).toContain(threadId);
        for (const [index, { handle, plan, canceled }] of submitted.entries()) {
          const { behaviour, given, again } = plan;
          const { endReason, status, attempt, runMs, waitMs, timeStarted, timeQueued, threadId, pid } = handle.info;
          const runs = type === 'thread' ? Atomics.load(words, index) : file.count(index);
          const label = `task ${index}, ${behaviour}, ${given}, ${endReason}`;
          const expected = given === 'function' ? (['failed'] as const) : allowed[behaviour];
          expect(handle.done, label).toBe(true);
          expect(ends.get(handle.id), label).toBe(1);
          expect([...expected, 'shutdown', ...(canceled ? ['canceled'] : [])], label).toContain(endReason);
          expect(runs, label).toBeLessThanOrEqual(attempt); // so one that never began never ran
          expect(attempt, label).toBeLessThanOrEqual(1 + again);
          expect(starts.get(handle.id) ?? 0, label).toBeGreaterThanOrEqual(attempt);
          expect(waitMs, label).toBeGreaterThanOrEqual(0);
          if (attempt > 0) expect(timeStarted, label).toBeGreaterThanOrEqual(timeQueued);
          if (attempt > 0) expect(threadId ?? pid, label).toBeGreaterThan(0);
          if (endReason === 'completed') {
            expect(runs, label).toBe(attempt);
            expect(runMs, label).toBeGreaterThanOrEqual(0);
            const first = behaviour === 'failsFirst' || behaviour === 'exitsFirst';
            expect(attempt, label).toBe(first ? 2 : 1);
            const extra = given === 'object' ? { list: [index] } : index;
            expect(await handle, label).toEqual(
              results[behaviour]?.(index, extra) ?? (behaviour === 'nothing' ? undefined : index),
            );
            if (behaviour === 'bytes') expect(Buffer.isBuffer(await handle), label).toBe(true);
            if (behaviour === 'reports') expect(lastNotes.get(handle.id), label).toBe(`task ${index}`);
          } else {
            await expect(handle, label).rejects.toBe(handle.exception);
            expect(status, label).toBe(endReason === 'canceled' || endReason === 'shutdown' ? 'canceled' : 'failed');
            if (given === 'function') expect(runs, label).toBe(0);
            else if (endReason === 'crashed') expect(runs, label).toBe(1 + again);
            else if (endReason === 'failed') expect(runs, label).toBe(behaviour === 'uncloneable' ? 1 : 1 + again);
          }
        }
      }),
      { numRuns: lengthOf(6, 60), interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
    );
  },
  120_000,
);
