/**
 * Small tasks of one definition that wait one behind the other go to their thread in one message and run in one slot.
 * It can't be seen from outside: each has its own result, its own times and its own end.
 */
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import {
  type SupervisorOptions,
  type TaskHandle,
  type TaskInfo,
  type TaskOptions,
  TaskSupervisor,
  type ThreadOptions,
} from 'taskwarden';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { failure, heard } from '../fixtures/listening.ts';
import { SharedSupervisors } from '../fixtures/shared-supervisors.ts';
import { type Act, makeSmall, small, Tally, values } from '../fixtures/tasks/small.ts';

const foreverMs = 2 ** 30;

/** How many tasks a batch has at most. */
const mostTogether = 512;

interface Scene extends AsyncDisposable {
  readonly supervisor: TaskSupervisor;
  readonly tally: Tally;
  /** Submits tasks at once, which are one batch if there is one slot. Their numbers are their positions. */
  submit(...acts: readonly (Act | readonly [Act, TaskOptions])[]): TaskHandle<unknown>[];
}

const shared = new SharedSupervisors();
const tally = Tally.share();

function optionsOf(pool: ThreadOptions, options: SupervisorOptions): SupervisorOptions {
  const threads = { poolSize: 1, reserveNormal: 0, reserveHigh: 0, idleTimeoutMs: Infinity, ...pool };
  return { logger: false, threads, ...options };
}

/**
 * A supervisor whose one slot (or more) is free, and that knows that the tasks are small. Its threads may have run tasks of
 * other tests.
 */
function scene(pool: ThreadOptions = {}, options: SupervisorOptions = {}): Promise<Scene> {
  return sceneWith(shared.take(optionsOf(pool, options)), pool.poolSize);
}

/** The same for a test whose threads die, keep something or are stopped: with a supervisor of its own. */
function sceneAlone(pool: ThreadOptions = {}, options: SupervisorOptions = {}): Promise<Scene> {
  return sceneWith(new TaskSupervisor(optionsOf(pool, options)), pool.poolSize);
}

async function sceneWith(supervisor: TaskSupervisor, poolSize = 1): Promise<Scene> {
  await makeSmall(supervisor, 16 * poolSize, poolSize);
  await until(() => supervisor.getInfo().threads.running === 0);
  tally.clear();
  let n = 0;
  return {
    supervisor,
    tally,
    submit: (...acts) =>
      acts.map((each) => {
        const [act, more] = typeof each === 'string' ? [each, {}] : each;
        n += 1;
        return small.with({ supervisor, ...more })(act, n - 1);
      }),
    [Symbol.asyncDispose]: async () => {
      for (let other = 0; other < n; other += 1) tally.open(other);
      if (supervisor.getInfo().pending > 0) await supervisor.stop({ wait: true, cancelTasks: true });
      await supervisor[Symbol.asyncDispose]();
    },
  };
}

/** Looks again and again, and leaves the processor to the threads meanwhile. */
async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await pause(1);
}

/** How many tasks wait for a slot. */
function waiting(supervisor: TaskSupervisor): number {
  return Object.values(supervisor.getInfo().threads.waiting).reduce((sum, each) => sum + each, 0);
}

/** In the same turn of the event loop, so before anything of them is taken back. */
async function handedOver(): Promise<void> {
  for (let left = 10; left > 0; left -= 1) await null;
}

function infos(handles: readonly TaskHandle<unknown>[]): readonly TaskInfo[] {
  return handles.map(({ info }) => info);
}

function statuses(handles: readonly TaskHandle<unknown>[]): readonly string[] {
  return handles.map(({ status }) => status);
}

function range(count: number, from = 0): readonly number[] {
  return Array.from({ length: count }, (_, index) => from + index);
}

describe('of the tasks of a batch, each has its own', () => {
  it('result, with its type', async () => {
    await using s = await scene();
    const acts = Object.keys(values) as (keyof typeof values)[];
    const results = await Promise.all(s.submit(...acts));
    expect(results).toStrictEqual(acts.map((act, n) => values[act](n)));
    expect(results.filter(Buffer.isBuffer)).toHaveLength(1);
    expect(s.tally.order).toEqual(range(acts.length));
  });

  it('error, and the others have their results', async () => {
    await using s = await scene();
    const handles = s.submit('number', 'throws', 'object', 'rejects', 'later', 'throws', 'nothing');
    const outcomes = await Promise.allSettled(handles);
    expect(outcomes).toEqual([
      { status: 'fulfilled', value: 0 },
      { status: 'rejected', reason: new RangeError('task 1') },
      { status: 'fulfilled', value: values.object(2) },
      { status: 'rejected', reason: new RangeError('task 3') },
      { status: 'fulfilled', value: 4 },
      { status: 'rejected', reason: new RangeError('task 5') },
      { status: 'fulfilled', value: undefined },
    ]);
    for (const n of [1, 3, 5]) expect(handles[n]?.exception).toBeInstanceOf(RangeError);
  });

  it('times, attempt and thread', async () => {
    await using s = await scene();
    const handles = s.submit('number', 'spins', 'object', 'number');
    await Promise.all(handles);
    const [first, spun, ...after] = infos(handles) as [TaskInfo, TaskInfo, ...TaskInfo[]];
    expect(spun.runMs).toBeGreaterThanOrEqual(4);
    for (const { waitMs } of after) expect(waitMs).toBeGreaterThanOrEqual(4); // it had to wait for that
    for (const info of infos(handles)) {
      expect(info).toMatchObject({ status: 'completed', endReason: 'completed', attempt: 1 });
      expect(info.runMs).toBeGreaterThan(0);
      expect(info.threadId).toBe(first.threadId);
      expect(info.timeStarted).toBeGreaterThanOrEqual(info.timeQueued);
      expect(info.timeFinished).toBeGreaterThanOrEqual(info.timeStarted as number);
    }
  });

  it('events, of which the start is the first, in the order in which they ran', async () => {
    await using s = await scene();
    const heardOf: string[] = [];
    s.supervisor.on('task:started', ({ task }) => heardOf.push(`started ${task.id} ${task.status}`));
    s.supervisor.on('task:completed', ({ task }) => heardOf.push(`ended ${task.id} ${task.status}`));
    s.supervisor.on('task:failed', ({ task }) => heardOf.push(`ended ${task.id} ${task.status}`));
    const acts: Act[] = ['number', 'object', 'throws', 'nothing', 'later', 'text'];
    await Promise.allSettled(s.submit(...acts.map((act, n) => [act, { taskId: `${n}` }] as const)));
    expect(heardOf).toEqual(
      acts.flatMap((act, n) => [`started ${n} started`, `ended ${n} ${act === 'throws' ? 'failed' : 'completed'}`]),
    );
  });

  it('callback, with its own result', async () => {
    await using s = await scene();
    const calls: unknown[] = [];
    const called = (n: number) => ({ callback: (result: unknown) => void calls.push([n, result]) });
    const acts: Act[] = ['number', 'object', 'throws', 'text', 'nothing'];
    await Promise.allSettled(s.submit(...acts.map((act, n) => [act, called(n)] as const)));
    expect(calls).toEqual([
      [0, 0],
      [1, values.object(1)],
      [3, 'task 3'],
      [4, undefined],
    ]);
  });

  it('progress, which comes before its end', async () => {
    await using s = await scene();
    const heardOf: string[] = [];
    const handles = s.submit('number', 'reports', 'number', 'reports', 'number');
    for (const [n, handle] of handles.entries()) {
      handle.onProgress(({ fraction, note }) => heardOf.push(`${n}: ${note} (${fraction}), ${handle.status}`));
    }
    await Promise.all(handles);
    expect(heardOf.filter((line) => line.includes('(1)'))).toEqual([
      '1: all of 1 (1), started',
      '3: all of 3 (1), started',
    ]);
    expect(infos(handles).map(({ progress }) => progress?.note)).toEqual([
      undefined,
      'all of 1',
      undefined,
      'all of 3',
      undefined,
    ]);
  });

  it('view of itself, also after an await', async () => {
    await using s = await scene();
    const acts: readonly Act[] = ['seesItself', 'seesItselfLater', 'seesItself', 'seesItselfLater', 'seesItself'];
    const handles = s.submit(...acts.map((act, n) => [act, n % 2 === 0 ? {} : { taskId: `mine ${n}` }] as const));
    const seen = await Promise.all(handles);
    expect(seen).toEqual(
      acts.map((act, n) => ({
        id: n % 2 === 0 ? handles[n]?.id : `mine ${n}`,
        name: 'small',
        args: [act, n],
        attempt: 1,
        stopped: false,
      })),
    );
    expect(new Set(handles.map(({ id }) => id)).size).toBe(5);
  });

  it('retries', async () => {
    await using s = await scene();
    const again = { retries: 2, retryDelayMs: 1 };
    const handles = s.submit('number', ['failsFirst', again], 'object', ['failsFirst', again], ['throws', again]);
    const outcomes = await Promise.allSettled(handles);
    expect(outcomes.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value : outcome.reason))).toEqual([
      0,
      2,
      values.object(2),
      2,
      new RangeError('task 4'),
    ]);
    expect(infos(handles).map(({ attempt }) => attempt)).toEqual([1, 2, 1, 2, 3]);
    expect(range(5).map((n) => s.tally.runs(n))).toEqual([1, 2, 1, 2, 3]);
  });

  it('output, also where the thread dies with the next', async () => {
    const write = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const printed = () => write.mock.calls.map(([text]) => String(text)).join('');
    try {
      await using s = await sceneAlone();
      await Promise.allSettled(s.submit('number', 'prints', 'prints', 'number', 'prints', 'exits'));
      await until(() => printed().includes('printed by 4\n'));
      expect(printed().match(/printed by \d/g)).toEqual(['printed by 1', 'printed by 2', 'printed by 4']);
    } finally {
      write.mockRestore();
    }
  });
});

describe('one task of a batch, canceled', () => {
  it('before it begins is gone at once, and never runs', async () => {
    await using s = await scene();
    const handles = s.submit('number', 'holds', 'number', 'number', 'object');
    await handedOver();
    expect(handles[3]?.cancel('not needed')).toBe(true);
    expect(handles[3]?.info).toMatchObject({
      status: 'canceled',
      endReason: 'canceled',
      attempt: 0,
      threadId: undefined,
    });
    s.tally.open(1);
    expect(await failure(handles[3] as TaskHandle<unknown>)).toMatchObject({
      code: 'TASK_CANCELED',
      cause: 'not needed',
    });
    expect(await Promise.all(handles.filter((_, n) => n !== 3))).toEqual([0, 1, 2, values.object(4)]);
    expect(s.tally.order).toEqual([0, 1, 2, 4]);
  });

  it.each([0, 4])('before any of them begins, at place %d, is gone at once', async (place) => {
    await using s = await scene();
    const handles = s.submit('number', 'number', 'number', 'number', 'number');
    handles[place]?.cancel();
    expect(handles[place]?.status).toBe('canceled');
    await Promise.allSettled(handles);
    expect(s.tally.order).toEqual(range(5).filter((n) => n !== place));
  });

  it('before it begins does not cost its neighbours their thread, however long they take', async () => {
    await using s = await scene();
    const exited = vi.fn();
    s.supervisor.on('thread:exited', exited);
    const handles = s.submit('number', 'holds', ['number', { stopGraceMs: 1 }], 'number');
    await handedOver();
    handles[2]?.cancel();
    await until(() => (handles[1]?.info.runMs ?? 0) > 50); // its grace is over
    s.tally.open(1);
    expect(await Promise.all([handles[0], handles[1], handles[3]])).toEqual([0, 1, 3]);
    expect(exited).not.toHaveBeenCalled();
  });

  it('while it runs is asked to stop, and its neighbours have their results', async () => {
    await using s = await scene();
    const handles = s.submit('object', ['spinsUntilStopped', { stopGraceMs: foreverMs }], 'number', 'text');
    await until(() => s.tally.runs(1) === 1);
    expect(handles[1]?.cancel('enough')).toBe(true);
    expect(await failure(handles[1] as TaskHandle<unknown>)).toMatchObject({ code: 'TASK_CANCELED', cause: 'enough' });
    expect(await Promise.all([handles[0], handles[2], handles[3]])).toEqual([values.object(0), 2, 'task 3']);
    expect(new Set(infos(handles).map(({ threadId }) => threadId)).size).toBe(1);
    expect(s.tally.order).toEqual(range(4));
  });

  it('while it awaits gets that by its signal', async () => {
    await using s = await scene();
    const handles = s.submit('number', ['untilAborted', { stopGraceMs: foreverMs }], 'number');
    await until(() => s.tally.runs(1) === 1);
    handles[1]?.cancel('enough');
    expect(await failure(handles[1] as TaskHandle<unknown>)).toMatchObject({ code: 'TASK_CANCELED', cause: 'enough' });
    expect(await handles[2]).toBe(2);
    expect(s.tally.order).toEqual(range(3));
  });

  it('and ended with its thread harms no neighbour: those before keep their results, those behind run once', async () => {
    await using s = await sceneAlone();
    const exited = heard(s.supervisor, 'thread:exited');
    const handles = s.submit('object', 'text', ['spinsOn', { stopGraceMs: 5 }], 'number', 'buffer', 'number');
    await until(() => s.tally.runs(2) === 1);
    handles[2]?.cancel();
    const later = s.submit('number', 'number');
    expect(await failure(handles[2] as TaskHandle<unknown>)).toMatchObject({ code: 'TASK_CANCELED' });
    expect((await exited).threadId).toBe(handles[2]?.info.threadId);
    expect(await Promise.all(handles.filter((_, n) => n !== 2))).toEqual([
      values.object(0),
      'task 1',
      3,
      values.buffer(4),
      5,
    ]);
    await Promise.all(later);
    expect(s.tally.order).toEqual(range(8)); // before those that came later
    expect(infos(handles).map(({ attempt }) => attempt)).toEqual(new Array(6).fill(1));
    for (const n of [3, 4, 5]) expect(handles[n]?.info.threadId).not.toBe(handles[2]?.info.threadId);
  });

  it('by a signal that they share: those that have finished stay so, and none that waits runs', async () => {
    await using s = await scene();
    const controller = new AbortController();
    const options = { signal: controller.signal, stopGraceMs: foreverMs };
    const acts: readonly Act[] = ['object', 'number', 'holds', 'number', 'number'];
    const handles = s.submit(...acts.map((act) => [act, options] as const));
    await Promise.all([handles[0], handles[1], until(() => s.tally.runs(2) === 1)]);
    controller.abort('over');
    expect(statuses(handles)).toEqual(['completed', 'completed', 'started', 'canceled', 'canceled']);
    s.tally.open(2);
    const errors = await Promise.all(handles.slice(2).map(failure));
    expect(errors).toMatchObject(new Array(3).fill({ code: 'TASK_CANCELED', cause: 'over' }));
    await Promise.all(s.submit('number'));
    expect(s.tally.order).toEqual([0, 1, 2, 5]);
  });
});

describe('one task of a batch, out of time', () => {
  it('is asked to stop, and its neighbours keep their thread', async () => {
    await using s = await scene();
    const limited = { timeoutMs: 10, stopGraceMs: foreverMs };
    const handles = s.submit('number', ['stopsLate', limited], 'number', ['untilAborted', limited], 'object');
    for (const n of [1, 3]) {
      const error = await failure(handles[n] as TaskHandle<unknown>);
      expect(error).toMatchObject({ code: 'TASK_TIMEOUT', timeoutMs: 10 });
      expect(handles[n]?.info).toMatchObject({ status: 'failed', endReason: 'timeout', attempt: 1 });
    }
    expect(await Promise.all([handles[0], handles[2], handles[4]])).toEqual([0, 2, values.object(4)]);
    expect(new Set(infos(handles).map(({ threadId }) => threadId)).size).toBe(1);
  });

  it('and ended with its thread harms no neighbour', async () => {
    await using s = await sceneAlone();
    const exits: number[] = [];
    s.supervisor.on('thread:exited', ({ threadId }) => exits.push(threadId));
    const limited = { timeoutMs: 100, stopGraceMs: 1 };
    const handles = s.submit('object', ['spinsOn', limited], 'number', ['never', limited], 'text');
    const errors = await Promise.all([handles[1], handles[3]].map((handle) => failure(handle as TaskHandle<unknown>)));
    expect(errors).toMatchObject([{ code: 'TASK_TIMEOUT' }, { code: 'TASK_TIMEOUT' }]);
    expect(await Promise.all([handles[0], handles[2], handles[4]])).toEqual([values.object(0), 2, 'task 4']);
    expect(s.tally.order).toEqual(range(5));
    expect(exits).toEqual([handles[1]?.info.threadId, handles[3]?.info.threadId]);
  });

  it('is tried again, if it wants that', async () => {
    await using s = await sceneAlone();
    const handles = s.submit(
      'number',
      ['never', { timeoutMs: 100, stopGraceMs: 1, retries: 1, retryDelayMs: 1 }],
      'text',
    );
    expect(await failure(handles[1] as TaskHandle<unknown>)).toMatchObject({ code: 'TASK_TIMEOUT' });
    expect(await handles[2]).toBe('task 2');
    expect(infos(handles).map(({ attempt }) => attempt)).toEqual([1, 2, 1]);
    expect(range(3).map((n) => s.tally.runs(n))).toEqual([1, 2, 1]);
  });

  it('takes no time from those behind it: their time begins when they begin', async () => {
    await using s = await scene();
    const limited = { timeoutMs: 1_000 };
    const handles = s.submit(['number', limited], 'holds', ['number', limited], ['object', limited]);
    await until(() => s.tally.runs(1) === 1);
    await until(() => ((handles[1] as TaskHandle<unknown>).info.runMs as number) >= 1_100);
    s.tally.open(1);
    expect(await Promise.all(handles)).toEqual([0, 1, 2, values.object(3)]);
  });

  it('while it waits expires, and never runs', async () => {
    await using s = await scene();
    const handles = s.submit(
      'number',
      'holds',
      ['number', { queueTimeoutMs: 15 }],
      ['object', { queueTimeoutMs: foreverMs }],
    );
    const error = await failure(handles[2] as TaskHandle<unknown>);
    expect(error).toMatchObject({ code: 'TASK_EXPIRED', timeoutMs: 15 });
    expect(handles[2]?.info).toMatchObject({ status: 'failed', endReason: 'expired', attempt: 0 });
    expect(handles[1]?.status).toBe('started');
    s.tally.open(1);
    expect(await handles[3]).toEqual(values.object(3));
    expect(s.tally.order).toEqual([0, 1, 3]);
  });
});

describe('a thread that dies takes along the one that ran, and no other', () => {
  const before: readonly Act[] = ['object', 'text', 'buffer', 'transferred', 'number', 'throws', 'nothing'];
  const after: readonly Act[] = ['number', 'object', 'throws', 'later'];

  it.each<[Act, object]>([
    ['exits', { exitCode: 3 }],
    ['rejectsUnhandled', { exitCode: 1, cause: new TypeError('left behind by 7') }],
    ['throwsUncaught', { exitCode: 1, cause: new TypeError('left behind by 7') }],
    ['exhaustsMemory', { cause: { code: 'ERR_WORKER_OUT_OF_MEMORY' } }],
  ])('%s', async (act, error) => {
    await using s = await sceneAlone({ resourceLimits: { maxOldGenerationSizeMb: 64 } });
    const exits: number[] = [];
    s.supervisor.on('thread:exited', ({ threadId }) => exits.push(threadId));
    const handles = s.submit(...before, act, ...after);
    const outcomes = await Promise.allSettled(handles);
    expect(outcomes[7]).toMatchObject({ status: 'rejected', reason: { code: 'TASK_CRASHED', ...error } });
    expect(handles[7]?.info.endReason).toBe('crashed');
    expect(outcomes.slice(0, 7)).toEqual([
      { status: 'fulfilled', value: values.object(0) },
      { status: 'fulfilled', value: 'task 1' },
      { status: 'fulfilled', value: values.buffer(2) },
      { status: 'fulfilled', value: { bytes: new Uint8Array(1_000).fill(3) } },
      { status: 'fulfilled', value: 4 },
      { status: 'rejected', reason: new RangeError('task 5') },
      { status: 'fulfilled', value: undefined },
    ]);
    expect(outcomes.slice(8)).toEqual([
      { status: 'fulfilled', value: 8 },
      { status: 'fulfilled', value: values.object(9) },
      { status: 'rejected', reason: new RangeError('task 10') },
      { status: 'fulfilled', value: 11 },
    ]);
    expect(s.tally.order).toEqual(range(12));
    expect(infos(handles).map(({ attempt }) => attempt)).toEqual(new Array(12).fill(1));
    expect(exits).toEqual([handles[7]?.info.threadId]);
    for (const { threadId } of infos(handles.slice(8))) expect(exits).not.toContain(threadId);
  });

  it('though several die one after the other', async () => {
    await using s = await sceneAlone();
    const acts: readonly Act[] = ['object', 'exits', 'number', 'exits', 'exits', 'text'];
    const handles = s.submit(...acts);
    await Promise.allSettled(handles);
    expect(infos(handles).map(({ endReason }) => endReason)).toEqual(
      acts.map((act) => (act === 'exits' ? 'crashed' : 'completed')),
    );
    expect(s.tally.order).toEqual(range(6));
  });

  it('and only that one is run again, where crashRetries say so', async () => {
    await using s = await sceneAlone();
    const again = { crashRetries: 1 };
    const handles = s.submit('object', ['number', again], ['exitsFirst', again], ['number', again], ['object', again]);
    expect(await Promise.all(handles)).toEqual([values.object(0), 1, 2, 3, values.object(4)]);
    expect(infos(handles).map(({ attempt }) => attempt)).toEqual([1, 1, 2, 1, 1]);
    expect(range(5).map((n) => s.tally.runs(n))).toEqual([1, 1, 2, 1, 1]);
  });
});

describe('one that takes long after short ones', () => {
  const acts: readonly Act[] = ['object', 'number', 'holds', 'number', 'object', 'text', 'number'];

  it.each(['holds', 'holdsLightly'] as const)('does not keep those behind it from other threads: %s', async (act) => {
    await using s = await scene({ poolSize: 2, minSize: 2 });
    const handles = s.submit(...acts.map((each) => (each === 'holds' ? act : each)));
    const long = handles[2] as TaskHandle<unknown>;
    const others = await Promise.all(handles.filter((handle) => handle !== long));
    expect(others).toEqual([values.object(0), 1, 3, values.object(4), 'task 5', 6]);
    expect([long.status, s.tally.runs(2), s.tally.isOpen(2)]).toEqual(['started', 1, false]);
    s.tally.open(2);
    expect(await long).toBe(2);
    expect(range(7).map((n) => s.tally.runs(n))).toEqual(new Array(7).fill(1));
  });

  it.each(['holds', 'holdsLightly'] as const)('lets them wait where there is no other thread: %s', async (act) => {
    await using s = await scene();
    const handles = s.submit(...acts.map((each) => (each === 'holds' ? act : each)));
    await until(() => s.tally.runs(2) === 1);
    await until(() => waiting(s.supervisor) === 4);
    expect(statuses(handles)).toEqual(['completed', 'completed', 'started', 'queued', 'queued', 'queued', 'queued']);
    expect(infos(handles.slice(3))).toMatchObject(new Array(4).fill({ attempt: 0, timeStarted: undefined }));
    s.tally.open(2);
    expect(await Promise.all(handles)).toEqual([values.object(0), 1, 2, 3, values.object(4), 'task 5', 6]);
    expect(s.tally.order).toEqual(range(7));
  });

  it('lets those of a higher priority go before those that come back', async () => {
    await using s = await scene();
    s.submit('number', 'holds', 'number', 'number');
    await until(() => waiting(s.supervisor) === 2);
    const later = s.submit('number', ['number', { priority: 'high' }], 'number');
    s.tally.open(1);
    await Promise.all(later);
    expect(s.tally.order).toEqual([0, 1, 5, 2, 3, 4, 6]);
  });

  it('counts as one that waits, in maxQueued and capacity(), each that comes back', async () => {
    await using s = await sceneAlone({}, { maxQueued: 40 });
    s.supervisor.configure({ maxQueued: 4 });
    const handles = s.submit('holds', 'number', 'number', 'number', 'number');
    await handedOver();
    await until(() => waiting(s.supervisor) === 4);
    expect(await failure(s.submit('number')[0] as TaskHandle<unknown>)).toMatchObject({ code: 'QUEUE_FULL' });
    const hasRoom = vi.fn();
    const capacity = s.supervisor.capacity().then(hasRoom);
    await nextTurn();
    expect(hasRoom).not.toHaveBeenCalled();
    handles[4]?.cancel();
    await capacity;
    s.tally.open(0);
    expect(await Promise.all([...handles.slice(0, 4), ...s.submit('number')])).toEqual([0, 1, 2, 3, 6]);
    await until(() => s.supervisor.getInfo().threads.running === 0);
    expect([s.supervisor.getInfo().pending, waiting(s.supervisor)]).toEqual([0, 0]);
  });
});

describe('what can not be copied', () => {
  const takesAny = small as unknown as typeof small & {
    with(options: TaskOptions): (...args: unknown[]) => TaskHandle<unknown>;
  };

  it.each([
    ['first', [0]],
    ['in the middle', [2]],
    ['last', [5]],
    ['some', [0, 1, 4]],
    ['all', range(6)],
  ])('among the arguments fails that task alone: %s', async (_, places) => {
    await using s = await scene();
    const run = takesAny.with({ supervisor: s.supervisor });
    const handles = range(6).map((n) => run('gives', n, places.includes(n) ? () => n : { n }));
    const outcomes = await Promise.allSettled(handles);
    const good = range(6).filter((n) => !places.includes(n));
    expect(s.tally.order).toEqual(good);
    for (const n of good) expect(outcomes[n]).toEqual({ status: 'fulfilled', value: { n } });
    for (const n of places) {
      expect(outcomes[n]).toMatchObject({ reason: { code: 'ARGUMENT_NOT_CLONEABLE', taskId: handles[n]?.id } });
      expect(handles[n]?.info).toMatchObject({ status: 'failed', endReason: 'failed' });
    }
    expect(await Promise.all(s.submit('number', 'object'))).toEqual([0, values.object(1)]);
  });

  it('as a result fails that task alone, beside one that is handed over', async () => {
    await using s = await scene();
    const handles = s.submit('number', 'transferred', 'uncloneable', 'transferred', 'object', 'uncloneable');
    const outcomes = await Promise.allSettled(handles);
    const uncopied = { status: 'rejected', reason: { code: 'RESULT_NOT_CLONEABLE' } };
    expect(outcomes).toMatchObject([
      { status: 'fulfilled', value: 0 },
      { status: 'fulfilled', value: { bytes: new Uint8Array(1_000).fill(1) } },
      uncopied,
      { status: 'fulfilled', value: { bytes: new Uint8Array(1_000).fill(3) } },
      { status: 'fulfilled', value: values.object(4) },
      uncopied,
    ]);
    expect(s.tally.order).toEqual(range(6));
  });

  it('because it was handed over before fails that task alone', async () => {
    await using s = await sceneAlone();
    const handles = s.submit('number', 'handsOverAgain', 'object', 'handsOverAgain', 'text', 'handsOverAgain');
    const outcomes = await Promise.allSettled(handles);
    const late = { status: 'rejected', reason: { code: 'RESULT_NOT_CLONEABLE' } };
    expect(outcomes).toMatchObject([
      { status: 'fulfilled', value: 0 },
      { status: 'fulfilled', value: new Uint8Array([7, 7]) },
      { status: 'fulfilled', value: values.object(2) },
      late,
      { status: 'fulfilled', value: 'task 4' },
      late,
    ]);
    expect(await Promise.all(s.submit('number'))).toEqual([6]);
  });
});

describe('the tasks of a batch share no object', () => {
  it.each([
    ['it', (given: object) => given],
    ['what is in it', (given: object) => ({ ...given, nested: [given] })],
  ])('though all were given the same: %s', async (_, wrap) => {
    await using s = await scene();
    const given = { marks: [] as number[] };
    const run = small.with({ supervisor: s.supervisor });
    const marks = await Promise.all(range(6).map((n) => run('marks', n, wrap(given))));
    expect(marks).toEqual(range(6).map((n) => [n]));
    expect(given.marks).toEqual([]);
  });

  it('though all return the same', async () => {
    await using s = await sceneAlone();
    const results = (await Promise.all(s.submit(...new Array<Act>(5).fill('cached')))) as {
      times: number;
      list: number[];
    }[];
    expect(results.map(({ times }) => times)).toEqual([1, 2, 3, 4, 5]); // each as it was then
    expect(new Set(results).size).toBe(5);
    expect(new Set(results.map(({ list }) => list)).size).toBe(5);
  });

  it('but for memory that is shared', async () => {
    await using s = await scene();
    const words = new Int32Array(new SharedArrayBuffer(4));
    const run = small.with({ supervisor: s.supervisor });
    const results = (await Promise.all(range(3).map((n) => run('gives', n, words)))) as Int32Array[];
    words[0] = 5;
    expect(results.map(([word]) => word)).toEqual([5, 5, 5]);
  });

  it('nor what is handed over to one', async () => {
    await using s = await scene();
    const transfer = ([, , bytes]: readonly unknown[]) => [(bytes as Uint8Array<ArrayBuffer>).buffer];
    const run = small.with({ supervisor: s.supervisor, transfer });
    const given = range(5).map((n) => new Uint8Array(n + 1));
    expect(await Promise.all(given.map((bytes, n) => run('length', n, bytes)))).toEqual([1, 2, 3, 4, 5]);
    expect(given.map(({ byteLength }) => byteLength)).toEqual([0, 0, 0, 0, 0]);
  });
});

describe('travelling together keeps nobody waiting', () => {
  it('who is alone', async () => {
    await using s = await scene();
    const [alone] = s.submit('holds');
    await handedOver();
    expect(alone?.status).toBe('started');
  });

  it('who is more urgent: what runs before it is at most one load', async () => {
    await using s = await scene();
    const low = s.submit(...new Array<readonly [Act, TaskOptions]>(900).fill(['number', { priority: 'low' }]));
    await until(() => s.tally.runs(300) === 1);
    const begun = s.tally.order.length;
    const [high] = s.submit(['number', { priority: 'high' }]);
    expect(await high).toBe(900);
    const place = s.tally.order.indexOf(900);
    expect(place - begun).toBeLessThanOrEqual(mostTogether);
    await Promise.all(low);
    expect(s.tally.order.filter((n) => n !== 900)).toEqual(range(900));
  });
});

describe('getTasks()', () => {
  it('lists each once, at any time', async () => {
    await using s = await sceneAlone({}, { keepFinished: 0 });
    const problems: string[] = [];
    let handles: readonly TaskHandle<unknown>[] = [];
    const check = (when: string) => {
      const listed = s.supervisor.getTasks().map(({ id }) => id);
      const live = handles.filter(({ done }) => !done).map(({ id }) => id);
      if (listed.toSorted().join() !== live.toSorted().join())
        problems.push(`${when}: ${listed.length} of ${live.length}`);
    };
    for (const event of ['task:started', 'task:completed', 'task:retried', 'task:failed', 'task:progress'] as const) {
      s.supervisor.on(event, () => check(event));
    }
    const again = { retries: 1, retryDelayMs: 1 };
    handles = s.submit('number', 'object', ['failsFirst', again], 'reports', 'throws', 'holds', 'number', 'later');
    check('submitted');
    await handedOver();
    check('handed over');
    await until(() => waiting(s.supervisor) === 3); // with the one that is tried again
    check('given back');
    s.tally.open(5);
    await Promise.allSettled(handles);
    check('ended');
    expect(problems).toEqual([]);
  });
});

describe('stop()', () => {
  const acts: readonly Act[] = ['object', 'number', 'untilAborted', 'number', 'object', 'number'];

  afterEach(() => {
    vi.restoreAllMocks();
  });

  it.each([
    ['{ wait: false }', { wait: false }],
    ['{ wait: 0 }', { wait: 0 }],
    ['{ wait: 40 }', { wait: 40 }],
    ['{ cancelTasks: true }', { cancelTasks: true }],
    ['{ cancelTasks: true, wait: 40 }', { cancelTasks: true, wait: 40 }],
  ])('%s settles each once, and lets none that waits begin', async (_, options) => {
    await using s = await sceneAlone();
    const ends = new Map<string, number>();
    for (const event of ['task:completed', 'task:failed', 'task:canceled'] as const) {
      s.supervisor.on(event, ({ task }) => ends.set(task.id, (ends.get(task.id) ?? 0) + 1));
    }
    const handles = s.submit(...acts);
    await Promise.all([handles[0], handles[1], until(() => s.tally.runs(2) === 1)]);
    const report = await s.supervisor.stop(options);
    expect([report.finished, report.canceled + report.terminated]).toEqual([0, 4]);
    expect(handles.map(({ id }) => ends.get(id))).toEqual(new Array(6).fill(1));
    expect(infos(handles).map(({ endReason }) => endReason)).toEqual([
      'completed',
      'completed',
      ...new Array(4).fill('shutdown'),
    ]);
    expect(await Promise.all(handles.slice(0, 2))).toEqual([values.object(0), 1]);
    expect(s.tally.order).toEqual(range(3));
    expect(s.supervisor.getInfo()).toMatchObject({ pending: 0, threads: { running: 0, size: 0 } });
  });

  it('before they begin, without wait, lets none begin', async () => {
    await using s = await sceneAlone();
    const handles = s.submit('number', 'number', 'object', 'number');
    const report = await s.supervisor.stop({ wait: false });
    expect(report).toEqual({ finished: 0, canceled: 4, terminated: 0 });
    expect(statuses(handles)).toEqual(new Array(4).fill('canceled'));
    expect(s.tally.order).toEqual([]);
  });

  it('waits for all that were submitted', async () => {
    await using s = await sceneAlone();
    const handles = s.submit('number', 'throws', 'holds', 'object', 'exits', 'number', ['failsFirst', { retries: 1 }]);
    await until(() => s.tally.runs(2) === 1);
    const stopped = s.supervisor.stop();
    s.tally.open(2);
    const report = await stopped;
    expect(report.canceled + report.terminated).toBe(0);
    expect(infos(handles).map(({ endReason }) => endReason)).toEqual([
      'completed',
      'failed',
      'completed',
      'completed',
      'crashed',
      'completed',
      'completed',
    ]);
    expect(range(7).map((n) => s.tally.runs(n))).toEqual([1, 1, 1, 1, 1, 1, 2]);
  });
});
