/** What holds for all() wherever its inputs run. Every lane runs this suite. */
import { type PoolOptions, type SupervisorOptions, TaskSupervisor, TaskwardenError } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { failure, heard } from '../fixtures/listening.ts';
import { newDiary } from '../fixtures/new-diary.ts';
import { SharedSupervisors } from '../fixtures/shared-supervisors.ts';
import { Diary, type InputAct, inputs } from '../fixtures/tasks/inputs.ts';
import type { LaneUnderTest } from './lane.ts';

type Given = [act: InputAct, index: number, path: string, extra?: unknown];

/** Enough that most of them go in chunks. */
const many = 1_500;

export function testBulk({ type, pool }: LaneUnderTest): void {
  const shared = new SharedSupervisors();
  const two: PoolOptions = { poolSize: 2, reserveNormal: 0, reserveHigh: 0 };

  const supervise = (limits: PoolOptions = two) => shared.take({ [pool]: limits, logger: false });
  const superviseAlone = (options: SupervisorOptions = {}) =>
    new TaskSupervisor({ [pool]: two, logger: false, ...options });

  /** Inputs that all do the same, apart from some. */
  function given(count: number, act: InputAct, others: Record<number, InputAct> = {}, path = ''): Given[] {
    return Array.from({ length: count }, (_, index) => [others[index] ?? act, index, path]);
  }

  describe(`all() in the ${type} lane: results`, () => {
    it.each<[InputAct, (index: number) => unknown]>([
      ['number', (index) => index / 2],
      ['nothing', () => undefined],
      ['text', (index) => `input ${index}`],
      ['object', (index) => ({ index, extra: undefined })],
      ['bytes', (index) => Buffer.from([index % 256])],
      ['later', (index) => index],
      ['yields', (index) => index],
    ])('gives them in the order of the inputs: %s', async (act, expected) => {
      await using supervisor = supervise();
      const results = await inputs.with({ type, supervisor }).all(given(many, act));
      expect(results).toEqual(Array.from({ length: many }, (_, index) => expected(index)));
    });

    it('keeps Buffers among the arguments', async () => {
      await using supervisor = supervise();
      const items = Array.from({ length: 300 }, (_, index): Given => ['knowsBuffer', index, '', Buffer.from('x')]);
      expect(new Set(await inputs.with({ type, supervisor }).all(items))).toEqual(new Set([true]));
    });

    it('gives each input its id, its arguments and its attempt, as currentTask() shows them', async () => {
      await using supervisor = supervise();
      const run = inputs.with({ type, supervisor }).all(given(300, 'sees'));
      const seen = await run;
      expect(seen).toEqual(
        given(300, 'sees').map((args, index) => {
          return { id: `${run.id}:${index}`, name: 'inputs', args, attempt: 1, stopped: false };
        }),
      );
    });

    it('runs each input once', async () => {
      await using supervisor = supervise();
      const { path } = newDiary();
      await inputs.with({ type, supervisor }).all(given(many, 'number', {}, path));
      expect(new Diary(path).all('ends').sort((a, b) => a - b)).toEqual(Array.from({ length: many }, (_, n) => n));
    });

    it('takes an iterable, an async one, and none at all', async () => {
      await using supervisor = supervise();
      const task = inputs.with({ type, supervisor });
      const expected = Array.from({ length: 400 }, (_, index) => index / 2);
      expect(await task.all(new Set(given(400, 'number')))).toEqual(expected);
      const later = async function* () {
        for (const each of given(400, 'number')) yield await Promise.resolve(each);
      };
      expect(await task.all(later())).toEqual(expected);
      expect(await task.all([])).toEqual([]);
      expect(await task.all([], { settle: true })).toEqual([]);
    });

    it('calls the callback with each result', async () => {
      await using supervisor = supervise();
      const seen = new Set<unknown>();
      await inputs.with({ type, supervisor, callback: (result) => seen.add(result) }).all(given(500, 'number'));
      expect(seen.size).toBe(500);
    });

    it('an input may wait for one behind it, which was sent together with it', async () => {
      await using supervisor = supervise();
      const { path } = newDiary();
      const items = given(many, 'number', { 700: 'waitsForNext' });
      for (const index of [700, 701]) items[index] = [items[index]?.[0] as InputAct, index, path];
      const results = await inputs.with({ type, supervisor }).all(items);
      expect(results).toEqual(Array.from({ length: many }, (_, index) => (index === 700 ? 700 : index / 2)));
      expect(new Diary(path).all('begins')).toEqual([700, 701]);
      expect(supervisor.getInfo().pending).toBe(0);
    });

    it('runs no more of them at a time than concurrency allows', async () => {
      await using supervisor = supervise({ poolSize: 4, reserveNormal: 0, reserveHigh: 0 });
      const { path } = newDiary();
      const items = given(6, 'waits', {}, path);
      const run = inputs.with({ type, supervisor }).all(items, { concurrency: 2 });
      await expect.poll(() => new Diary(path).count('begins'), { timeout: 20_000 }).toBe(2);
      run.cancel();
      await failure(run);
      expect(new Diary(path).count('begins')).toBe(2);
    });
  });

  describe(`all() in the ${type} lane: failures`, () => {
    it.each([1, 700, many - 1])('rejects with the error of input %i, its index and arguments', async (bad) => {
      await using supervisor = supervise();
      const items = given(many, 'number', { [bad]: 'throws' });
      const error = await failure(inputs.with({ type, supervisor }).all(items));
      expect(error).toBeInstanceOf(RangeError);
      expect(error).toMatchObject({ message: `input ${bad} is bad`, code: 'BAD', index: bad, input: items[bad] });
      expect(supervisor.getInfo().pending).toBe(0);
    });

    it('wraps what was thrown and is no error', async () => {
      await using supervisor = supervise();
      const error = await failure(inputs.with({ type, supervisor }).all(given(many, 'number', { 900: 'throwsText' })));
      expect(error).toBeInstanceOf(TaskwardenError);
      expect(error).toMatchObject({ code: 'INPUT_FAILED', index: 900, cause: 'text 900' });
    });

    it.each([1, 700])('an input that throws as it is read fails alone: input %i', async (bad) => {
      await using supervisor = supervise();
      const items = given(many, 'number');
      const unreadable = () => {
        throw new RangeError('not to be read');
      };
      items[bad] = new Proxy(['number', bad, ''], { get: unreadable });
      const outcomes = await inputs.with({ type, supervisor }).all(items, { settle: true });
      expect(outcomes.flatMap((each, index) => (each.status === 'rejected' ? [[index, each.reason]] : []))).toEqual([
        [bad, new RangeError('not to be read')],
      ]);
      expect(supervisor.getInfo().pending).toBe(0);
    });

    it('stops what runs, and begins nothing more', async () => {
      await using supervisor = supervise();
      const { path } = newDiary();
      const items = given(50, 'waits', { 1: 'throws' }, path);
      await failure(inputs.with({ type, supervisor }).all(items, { concurrency: 2 }));
      const diary = new Diary(path);
      expect(diary.all('ends')).toEqual(diary.all('begins').filter((index) => index !== 1));
      expect(diary.count('begins')).toBeLessThan(4);
      await expect.poll(() => supervisor.getInfo()).toMatchObject({ pending: 0, [pool]: { running: 0 } });
    });

    it('settled, gives the outcome of each input, and goes on', async () => {
      await using supervisor = supervise();
      const items = given(many, 'number', { 3: 'throws', 800: 'throwsText', 1000: 'throws' });
      const outcomes = await inputs.with({ type, supervisor }).all(items, { settle: true });
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(many - 3);
      expect(outcomes[4]).toEqual({ status: 'fulfilled', value: 2 });
      expect(outcomes[800]).toEqual({ status: 'rejected', reason: 'text 800' });
      expect(outcomes[1_000]).toMatchObject({ status: 'rejected', reason: { message: 'input 1000 is bad' } });
    });

    it('refuses an input that is no list of arguments', async () => {
      await using supervisor = supervise();
      const items = [...given(3, 'number'), 'text' as unknown as Given];
      const error = await failure(inputs.with({ type, supervisor }).all(items));
      expect(error).toMatchObject({ name: 'TypeError', message: expect.stringContaining("input 3 is 'text'") });
    });

    it('rejects with what its source throws', async () => {
      await using supervisor = supervise();
      const source = function* () {
        yield* given(900, 'number');
        throw new RangeError('no more');
      };
      expect(await failure(inputs.with({ type, supervisor }).all(source()))).toEqual(new RangeError('no more'));
      expect(supervisor.getInfo().pending).toBe(0);
    });

    it('tries each input again as its options say', async () => {
      await using supervisor = supervise();
      const task = inputs.with({ type, supervisor, retries: 1, retryDelayMs: 1 });
      const results = await task.all(given(100, 'number', { 10: 'failsFirst', 99: 'failsFirst' }));
      expect([results[9], results[10], results[99]]).toEqual([4.5, 10, 99]);
    });

    it('ends an input after its timeoutMs, and no other', async () => {
      await using supervisor = supervise();
      const task = inputs.with({ type, supervisor, timeoutMs: 300, stopGraceMs: 1 });
      const outcomes = await task.all(given(20, 'number', { 7: 'ignores' }), { settle: true });
      expect(outcomes[7]).toMatchObject({ status: 'rejected', reason: { code: 'TASK_TIMEOUT' } });
      expect(outcomes.filter(({ status }) => status === 'rejected')).toHaveLength(1);
      const error = await failure(task.all(given(20, 'number', { 7: 'ignores' })));
      expect(error).toMatchObject({ code: 'TASK_TIMEOUT', index: 7, input: ['ignores', 7, ''] });
    });
  });

  describe(`all() in the ${type} lane: its end`, () => {
    it('cancel() leaves nothing running, and rejects then', async () => {
      await using supervisor = supervise();
      const { path } = newDiary();
      const run = inputs.with({ type, supervisor }).all(given(100, 'waits', {}, path));
      await expect.poll(() => new Diary(path).count('begins'), { timeout: 20_000 }).toBeGreaterThan(0);
      expect(run.cancel('enough')).toBe(true);
      const error = await failure(run);
      expect(error).toMatchObject({ code: 'TASK_CANCELED', cause: 'enough', taskId: run.id });
      expect(run.cancel()).toBe(false);
      const diary = new Diary(path);
      expect(diary.count('ends')).toBe(diary.count('begins'));
      await expect.poll(() => supervisor.getInfo()).toMatchObject({ pending: 0, [pool]: { running: 0 } });
    });

    it('a signal cancels it, that of the task and that of the call, before and after the start', async () => {
      await using supervisor = supervise();
      const task = inputs.with({ type, supervisor });
      for (const isBefore of [true, false]) {
        for (const start of [
          (signal: AbortSignal) => task.all(given(10, 'waits'), { signal }),
          (signal: AbortSignal) => task.with({ signal }).all(given(10, 'waits')),
        ]) {
          const controller = new AbortController();
          if (isBefore) controller.abort('enough');
          const run = start(controller.signal);
          if (!isBefore) await heard(supervisor, 'task:started', ({ task: { id } }) => id === run.id);
          controller.abort('enough');
          expect(await failure(run)).toMatchObject({ code: 'TASK_CANCELED', cause: 'enough' });
        }
      }
      expect(supervisor.getInfo().pending).toBe(0);
    });

    it('stop() of the supervisor waits for all inputs, or cancels them', async () => {
      const patient = superviseAlone();
      const results = inputs.with({ type, supervisor: patient }).all(given(many, 'number'));
      expect(await patient.stop()).toMatchObject({ finished: many, canceled: 0 });
      expect(await results).toHaveLength(many);
      const hasty = superviseAlone();
      const run = inputs.with({ type, supervisor: hasty }).all(given(20, 'waits'));
      await heard(hasty, 'task:started');
      await hasty.stop({ cancelTasks: true });
      expect(await failure(run)).toMatchObject({ code: 'TASK_CANCELED' });
      expect(run.info.endReason).toBe('shutdown');
    });
  });

  describe(`all() in the ${type} lane: what is seen of it`, () => {
    it('is one task, with its progress, and its inputs are counted', async () => {
      await using supervisor = superviseAlone();
      const events: string[] = [];
      for (const name of ['task:queued', 'task:started', 'task:completed', 'task:failed'] as const) {
        supervisor.on(name, ({ task }) => events.push(`${name} ${task.id}`));
      }
      const run = inputs.with({ type, supervisor }).all(given(many, 'number', { 7: 'throws' }), { settle: true });
      expect(run.progress).toEqual({ done: 0, failed: 0, total: many });
      expect(supervisor.getInfo()).toMatchObject({ submitted: many, pending: many });
      const reports: unknown[] = [];
      expect(run.onProgress((progress) => reports.push(progress))).toBe(run);
      expect(supervisor.getTasks().map(({ id }) => id)).toEqual([run.id]);
      await run;
      expect(run.progress).toEqual({ done: many, failed: 1, total: many });
      expect(reports.at(-1)).toEqual(run.progress);
      expect(supervisor.getTaskInfo(run.id)).toMatchObject({
        name: 'inputs',
        type,
        status: 'completed',
        progress: { fraction: 1, done: many, failed: 1, total: many },
      });
      expect(supervisor.getInfo()).toMatchObject({ submitted: many, ended: { completed: many - 1, failed: 1 } });
      expect(events).toEqual(['task:queued', 'task:started', 'task:completed'].map((name) => `${name} ${run.id}`));
      expect([run.done, run.status, run.name, run.type, run.priority]).toEqual([
        true,
        'completed',
        'inputs',
        type,
        'normal',
      ]);
    });

    it('waiting inputs are counted as waiting', async () => {
      await using supervisor = superviseAlone();
      const run = inputs.with({ type, supervisor, priority: 'low' }).all(given(50, 'waits'), { concurrency: 2 });
      await heard(supervisor, 'task:started');
      await expect.poll(() => supervisor.getInfo()[pool]).toMatchObject({ running: 2, waiting: { low: 48 } });
      run.cancel();
      await failure(run);
      await expect.poll(() => supervisor.getInfo()[pool]).toMatchObject({ running: 0, waiting: { low: 0 } });
    });

    it('takes an own id, and refuses one that is live', async () => {
      await using supervisor = supervise();
      const task = inputs.with({ type, supervisor, taskId: 'mine' });
      const run = task.all(given(2, 'waits'));
      expect(run.id).toBe('mine');
      expect(await failure(task.all(given(1, 'number')))).toMatchObject({ code: 'DUPLICATE_TASK_ID' });
      run.cancel();
      await failure(run);
    });

    it('never has more of a module run than its cap', async () => {
      await using supervisor = superviseAlone();
      const module = supervisor.module('capped', { maxWorkers: 1 });
      const results = await inputs.with({ type, module }).all(given(500, 'number'));
      expect(results).toHaveLength(500);
      expect(module.running).toBe(0);
    });
  });

  describe(`all() in the ${type} lane: inside a task`, () => {
    it.each(['thread', 'process', 'loop'] as const)('gives its results there: inputs of type %s', async (inner) => {
      await using supervisor = supervise();
      const caller = inputs.with({ type, supervisor });
      expect(await caller('calls', 0, '', inner)).toEqual([1, 'input 3']);
      expect(await caller.all([['calls', 0, '', inner]])).toEqual([[1, 'input 3']]);
    });
  });
}
