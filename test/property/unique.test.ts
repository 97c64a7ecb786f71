/**
 * Tasks of which there is one of a key at a time, against a model, with a clock that moves when told: what becomes of each call,
 * whoever of those who share a task cancels it or waits no longer; what runs, and how often; and that nothing is kept afterwards.
 */
import assert from 'node:assert/strict'; // for what is looked at after each action: expect() takes longer than all the rest
import fc from 'fast-check';
import { backgroundTask, currentTask, type TaskHandle, type TaskModule, TaskSupervisor } from 'taskwarden';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { lengthOf } from '../fixtures/random-runs.ts';

const keys = ['a', 'b'] as const;
type Key = (typeof keys)[number];

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** A run of the function that has not ended. */
interface Run {
  readonly id: string;
  readonly key: Key;
  end(outcome: { readonly value: string } | { readonly error: Error }): void;
}

const begun = new Set<string>();
const runs = new Map<string, Run>();
let starts = 0;

const shared = backgroundTask(
  (key: Key) =>
    new Promise<string>((resolve, reject) => {
      const { id, signal } = currentTask();
      starts += 1;
      begun.add(id);
      const leave = () => runs.delete(id);
      runs.set(id, {
        id,
        key,
        end: (outcome) => {
          leave();
          if ('value' in outcome) resolve(outcome.value);
          else reject(outcome.error);
        },
      });
      signal.addEventListener('abort', () => {
        leave();
        reject(signal.reason);
      });
    }),
  { name: 'shared', type: 'loop', key: (key) => key },
);

/** What the model expects of a task: those who wait for it, and what they asked for. */
interface Shared {
  readonly id: string;
  readonly key: Key;
  readonly callers: Set<Caller>;
  readonly uniqueForMs: number;
  readonly uniqueWhile: 'waiting' | 'pending';
}

interface Caller {
  readonly handle: TaskHandle<string>;
  task: Shared | undefined;
  readonly deadline: number;
  /** What it comes to: a value, or the codes of errors. */
  expected: { readonly value: string } | { readonly codes: readonly string[]; readonly taskId?: string } | undefined;
}

type Entry = { readonly task: Shared } | { readonly kept: string; readonly until: number };

class Model {
  readonly callers: Caller[] = [];
  readonly #entries = new Map<Key, Entry>();

  #entry(key: Key): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || !('kept' in entry) || Date.now() < entry.until) return entry;
    this.#entries.delete(key);
    return undefined;
  }

  add(handle: TaskHandle<string>, { key, unique, uniqueForMs, uniqueWhile, deadlineMs }: Call): void {
    const entry = this.#entry(key);
    const deadline = Date.now() + (deadlineMs ?? Infinity);
    const caller: Caller = { handle, task: undefined, deadline, expected: undefined };
    this.callers.push(caller);
    if (entry !== undefined && unique === 'join') {
      if ('kept' in entry) caller.expected = { value: entry.kept };
      else this.#share(caller, entry.task);
      return;
    }
    if (entry !== undefined && unique === 'refuse') {
      caller.expected = { codes: ['TASK_EXISTS'], ...('task' in entry && { taskId: entry.task.id }) };
      return;
    }
    if (entry !== undefined && 'task' in entry && !begun.has(entry.task.id)) this.#fail(entry.task, ['TASK_REPLACED']);
    const task = { id: handle.id, key, callers: new Set<Caller>(), uniqueForMs, uniqueWhile };
    this.#share(caller, task);
    this.#entries.set(key, { task });
  }

  #share(caller: Caller, task: Shared): void {
    caller.task = task;
    task.callers.add(caller);
  }

  #fail(task: Shared, codes: readonly string[]): void {
    for (const caller of task.callers) caller.expected = { codes };
    this.#ended(task);
  }

  #ended(task: Shared): void {
    for (const caller of task.callers) caller.task = undefined;
    task.callers.clear();
    this.#forget(task);
  }

  #forget(task: Shared): void {
    const entry = this.#entries.get(task.key);
    if (entry !== undefined && 'task' in entry && entry.task === task) this.#entries.delete(task.key);
  }

  /** What has begun is not the one of its key any more, if that was so only while it waited. */
  observe(): void {
    for (const { task } of this.callers) {
      if (task !== undefined && task.uniqueWhile === 'waiting' && begun.has(task.id)) this.#forget(task);
    }
  }

  leave(caller: Caller, codes: readonly string[]): void {
    const { task } = caller;
    if (task === undefined) return;
    caller.expected = { codes };
    caller.task = undefined;
    task.callers.delete(caller);
    if (task.callers.size === 0) this.#forget(task);
  }

  pass(): void {
    for (const caller of this.callers) {
      if (caller.deadline <= Date.now()) this.leave(caller, ['TASK_EXPIRED', 'TASK_TIMEOUT']);
    }
  }

  end(id: string, outcome: { readonly value: string } | { readonly error: Error }): void {
    const task = this.callers.find((caller) => caller.task?.id === id)?.task;
    if (task === undefined) throw new Error('it runs, though nobody waits for it');
    const entry = this.#entries.get(task.key);
    const isOne = entry !== undefined && 'task' in entry && entry.task === task;
    for (const caller of task.callers) caller.expected = 'value' in outcome ? outcome : { codes: ['OUT'] };
    this.#ended(task);
    if (isOne && 'value' in outcome && task.uniqueForMs > 0) {
      this.#entries.set(task.key, { kept: outcome.value, until: Date.now() + task.uniqueForMs });
    }
  }

  /** The tasks that somebody waits for. */
  get pending(): ReadonlySet<string> {
    return new Set(this.callers.flatMap(({ task }) => (task === undefined ? [] : [task.id])));
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn += 1) await vi.advanceTimersByTimeAsync(0);
}

function check({ callers, pending }: Model): void {
  for (const { handle, expected } of callers) {
    if (expected === undefined) {
      assert.equal(handle.done, false);
    } else if ('value' in expected) {
      assert.deepEqual([handle.status, handle.result], ['completed', expected.value]);
    } else {
      assert.equal(handle.done, true);
      const { code, taskId } = handle.exception as { readonly code: string; readonly taskId?: string };
      assert.ok(expected.codes.includes(code), `${code} is none of ${expected.codes}`);
      if (expected.taskId !== undefined) assert.equal(taskId, expected.taskId);
    }
  }
  for (const { id } of runs.values()) assert.ok(pending.has(id), `nobody waits for ${id}`);
}

const call = fc.record({
  kind: fc.constant('call' as const),
  key: fc.constantFrom(...keys, 'a' as const),
  unique: fc.constantFrom('join', 'join', 'refuse', 'replace'),
  uniqueForMs: fc.constantFrom(0, 0, 55),
  uniqueWhile: fc.constantFrom('pending', 'pending', 'waiting'),
  delayMs: fc.constantFrom(0, 0, 15),
  deadlineMs: fc.constantFrom(undefined, undefined, 25, 65),
});
type Call = typeof call extends fc.Arbitrary<infer C> ? C : never;

const action = fc.oneof(
  { weight: 8, arbitrary: call },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('end' as const), which: fc.nat(), fails: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('pass' as const), steps: fc.integer({ min: 1, max: 6 }) }) },
);

function submit(module: TaskModule, { key, unique, uniqueForMs, uniqueWhile, delayMs, deadlineMs }: Call) {
  const keeps = uniqueForMs > 0 && unique !== 'replace' && uniqueWhile === 'pending';
  const options = {
    module,
    unique,
    uniqueWhile,
    delayMs,
    ...(keeps && { uniqueForMs }),
    ...(deadlineMs !== undefined && { deadlineMs }),
  };
  return { handle: shared.with(options)(key), uniqueForMs: keeps ? uniqueForMs : 0 };
}

it('each call comes to what its option says, and one task runs for all who share it', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(1, 2, Infinity),
      fc.array(action, { minLength: 20, maxLength: 60, size: 'max' }),
      async (maxWorkers, actions) => {
        begun.clear();
        runs.clear();
        starts = 0;
        const supervisor = new TaskSupervisor({ logger: false });
        const module = supervisor.module('limited', { maxWorkers });
        const model = new Model();
        let outcomes = 0;
        try {
          for (const each of actions) {
            if (each.kind === 'call') {
              const { handle, uniqueForMs } = submit(module, each);
              handle.catch(() => {});
              model.add(handle, { ...each, uniqueForMs });
            } else if (each.kind === 'end') {
              const run = [...runs.values()].at(each.which % Math.max(runs.size, 1));
              outcomes += 1;
              const outcome = each.fails
                ? { error: Object.assign(new Error('out'), { code: 'OUT' }) }
                : { value: `value ${outcomes}` };
              if (run !== undefined) model.end(run.id, outcome);
              run?.end(outcome);
            } else if (each.kind === 'cancel') {
              const caller = model.callers.at(each.which % Math.max(model.callers.length, 1));
              if (caller !== undefined) model.leave(caller, ['TASK_CANCELED']);
              caller?.handle.cancel();
            }
            for (let step = each.kind === 'pass' ? each.steps : 0; step > 0; step -= 1) {
              await vi.advanceTimersByTimeAsync(10);
              await settle();
              model.observe();
              model.pass();
            }
            await settle();
            model.observe();
            check(model);
          }
          for (const { handle } of model.callers) handle.cancel();
          await vi.advanceTimersByTimeAsync(100);
          expect(starts).toBe(begun.size); // none ran twice
          expect(runs.size).toBe(0);
          // Nothing is kept of a key: a call of each begins anew, alone.
          for (const key of keys) {
            const handle = shared.with({ supervisor, unique: 'refuse' })(key);
            await settle();
            expect(runs.get(handle.id)).toBeDefined();
            runs.get(handle.id)?.end({ value: 'last' });
            expect(await handle).toBe('last');
          }
        } finally {
          const stopped = supervisor.stop({ wait: false });
          await vi.advanceTimersByTimeAsync(10_000);
          await stopped;
        }
        expect(vi.getTimerCount()).toBe(0);
      },
    ),
    { numRuns: lengthOf(100, 300) },
  );
});
