import { type TaskHandle, type TaskInfo, TaskSupervisor } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { failure, heard } from '../fixtures/listening.ts';
import { runProgram } from '../fixtures/program.ts';
import { add, echo } from '../fixtures/tasks/echo.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';
import { seesItself, tellsItsId } from '../fixtures/tasks/sees-itself.ts';
import { throwsAtOnce } from '../fixtures/tasks/throws.ts';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

describe('a handle', () => {
  it('is a native promise', async () => {
    await using supervisor = new TaskSupervisor();
    const handle = add.with({ supervisor })(1, 2);
    expect(handle).toBeInstanceOf(Promise);
    expect(Object.prototype.toString.call(handle)).toBe('[object Promise]');
    expect(await handle).toBe(3);
    expect(await handle).toBe(3);
    expect(await handle.then((sum) => sum * 2)).toBe(6);
    expect(await Promise.all([handle, 4])).toEqual([3, 4]);
    expect(await Promise.race([handle])).toBe(3);
    const order: string[] = [];
    await handle.finally(() => order.push('finally'));
    expect(order).toEqual(['finally']);
  });

  it('can be caught', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const handle = throwsAtOnce.with({ supervisor })('bad');
    expect(await handle.catch((error: Error) => error.message)).toBe('bad');
  });

  it('tells synchronously of a task that completes', async () => {
    await using supervisor = new TaskSupervisor();
    const handle = add.with({ supervisor, priority: 'high' })(1, 2);
    const { id, name, priority, type, status, done, result, exception } = handle;
    expect({ name, priority, type, status, done, result, exception }).toEqual({
      name: 'add',
      priority: 'high',
      type: 'thread',
      status: 'queued',
      done: false,
      result: undefined,
      exception: undefined,
    });
    expect(id).toMatch(uuid);
    await handle;
    expect(handle.id).toBe(id);
    expect({ status: handle.status, done: handle.done, result: handle.result, exception: handle.exception }).toEqual({
      status: 'completed',
      done: true,
      result: 3,
      exception: undefined,
    });
  });

  it('tells synchronously of a task that fails', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const handle = throwsAtOnce.with({ supervisor })('bad');
    const error = await failure(handle);
    expect({ status: handle.status, done: handle.done, result: handle.result }).toEqual({
      status: 'failed',
      done: true,
      result: undefined,
    });
    expect(handle.exception).toBe(error);
  });

  it('has done, result and status set before a listener or a callback hears of the end', async () => {
    await using supervisor = new TaskSupervisor();
    const seen: unknown[] = [];
    const look = (): void => void seen.push([handle.done, handle.result, handle.status]);
    const handle: TaskHandle<number> = add.with({ supervisor, callback: look })(1, 1);
    supervisor.on('task:completed', look);
    await handle;
    expect(seen).toEqual([
      [true, 2, 'completed'],
      [true, 2, 'completed'],
    ]);
  });

  it('has an id that no other task has', async () => {
    await using supervisor = new TaskSupervisor();
    await using other = new TaskSupervisor();
    const handles = [supervisor, other].flatMap((each) =>
      Array.from({ length: 100 }, () => add.with({ supervisor: each, type: 'loop' })(1, 1)),
    );
    expect(new Set(handles.map(({ id }) => id)).size).toBe(200);
    await Promise.all(handles);
  });
});

describe('TaskInfo', () => {
  it('follows a task through its life, each snapshot frozen and left as it was', async () => {
    await using supervisor = new TaskSupervisor();
    await using gate = await Gate.create();
    const before = Date.now();
    const handle = holds.with({ supervisor, delayMs: 20, priority: 'low' })(gate.port, 'x');
    const delayed = handle.info;
    const { task: queued } = await heard(supervisor, 'task:queued');
    await gate.arrived(1);
    const started = handle.info;
    gate.open();
    await handle;
    const completed = handle.info;

    const fixed = { id: handle.id, name: 'holds', type: 'thread', priority: 'low' };
    for (const info of [delayed, queued, started, completed]) {
      expect(info).toMatchObject(fixed);
      expect(info.timeQueued).toBe(delayed.timeQueued);
      expect(Object.isFrozen(info)).toBe(true);
      expect(Object.getPrototypeOf(info)).toBe(Object.prototype);
    }
    const nothing = { timeStarted: undefined, timeFinished: undefined, runMs: undefined, threadId: undefined };
    expect(delayed).toMatchObject({
      ...nothing,
      status: 'delayed',
      attempt: 0,
      endReason: undefined,
      error: undefined,
    });
    expect(queued).toMatchObject({ ...nothing, status: 'queued', attempt: 0 });
    expect(started).toMatchObject({ status: 'started', attempt: 1, timeFinished: undefined, endReason: undefined });
    expect(completed).toMatchObject({
      status: 'completed',
      attempt: 1,
      endReason: 'completed',
      error: undefined,
      threadId: started.threadId,
      timeStarted: started.timeStarted,
    });
    expect(started.threadId).toBeGreaterThan(0);
    const { timeQueued, timeStarted = 0, timeFinished = 0, waitMs, runMs = -1 } = completed;
    expect(timeQueued).toBeGreaterThanOrEqual(before);
    expect(timeStarted).toBeGreaterThanOrEqual(timeQueued);
    expect(timeFinished).toBeGreaterThanOrEqual(timeStarted);
    expect(waitMs).toBeGreaterThanOrEqual(0);
    expect(runMs).toBeGreaterThanOrEqual(0);
  });

  it('tells of the thread that the task runs in', async () => {
    await using supervisor = new TaskSupervisor();
    const whereAmI = supervisor.putTask(async function whereAmI() {
      return (await import('node:worker_threads')).threadId;
    });
    expect(await whereAmI).toBe(whereAmI.info.threadId);
    const onLoop = add.with({ supervisor, type: 'loop' })(1, 1);
    await onLoop;
    expect(onLoop.info).toMatchObject({ type: 'loop', threadId: undefined });
  });

  it('is found by the id of a live task, and of the last keepFinished that ended', async () => {
    await using supervisor = new TaskSupervisor({ keepFinished: 3 });
    await using gate = await Gate.create();
    const live = holds.with({ supervisor })(gate.port, 'live');
    const ended: TaskInfo[] = [];
    for (let n = 0; n < 5; n += 1) {
      const handle = add.with({ supervisor })(n, n);
      await handle;
      ended.push(handle.info);
    }
    expect(ended.map(({ id }) => supervisor.getTaskInfo(id)?.id)).toEqual([
      undefined,
      undefined,
      ...ended.slice(2).map(({ id }) => id),
    ]);
    expect(supervisor.getTaskInfo(live.id)?.status).toMatch(/queued|started/);
    expect(supervisor.getTaskInfo('unknown')).toBeUndefined();
    supervisor.configure({ keepFinished: 1 });
    expect(ended.map(({ id }) => supervisor.getTaskInfo(id)?.id)).toEqual([
      ...new Array(4).fill(undefined),
      ended[4]?.id,
    ]);
    gate.open();
    await live;
    expect(supervisor.getTaskInfo(live.id)?.status).toBe('completed');
    expect(supervisor.getTaskInfo(ended[4]?.id ?? '')).toBeUndefined();
  });

  it('keeps nothing where keepFinished is 0', async () => {
    await using supervisor = new TaskSupervisor({ keepFinished: 0 });
    const handle = add.with({ supervisor })(1, 1);
    expect(supervisor.getTaskInfo(handle.id)?.status).toBe('queued');
    await handle;
    expect(supervisor.getTaskInfo(handle.id)).toBeUndefined();
    expect(supervisor.getTasks()).toEqual([]);
    expect(handle.info.status).toBe('completed');
  });

  it('is found by an id that only the task itself has seen, while it runs and after', async () => {
    await using supervisor = new TaskSupervisor();
    let whileRunning: TaskInfo | undefined;
    supervisor.on('task:progress', ({ progress }) => {
      whileRunning = supervisor.getTaskInfo(progress.note ?? '');
    });
    const id = await tellsItsId.with({ supervisor })();
    expect(whileRunning).toMatchObject({ id, status: 'started' });
    expect(supervisor.getTaskInfo(id)).toMatchObject({ id, status: 'completed', name: 'tellsItsId' });
    const { first } = await seesItself.with({ supervisor })();
    expect(supervisor.getTaskInfo(first.id)).toMatchObject({ id: first.id, status: 'completed' });
  });

  it('tells of the cause of a failure', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const handle = throwsAtOnce.with({ supervisor })('bad');
    const error = await failure(handle);
    expect(supervisor.getTaskInfo(handle.id)).toMatchObject({ status: 'failed', endReason: 'failed', error });
  });
});

describe('callbacks', () => {
  it('are called with the result, one or many, in order', async () => {
    await using supervisor = new TaskSupervisor();
    const calls: [string, number][] = [];
    const call = (name: string) => (sum: number) => {
      calls.push([name, sum]);
    };
    await add.with({ supervisor, callback: call('only') })(1, 2);
    await add.with({ supervisor, callback: [call('first'), call('second')] })(2, 2);
    expect(calls).toEqual([
      ['only', 3],
      ['first', 4],
      ['second', 4],
    ]);
  });

  it('are not called on failure or cancel', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    let calls = 0;
    const callback = () => {
      calls += 1;
    };
    const canceled = echo.with({ supervisor, callback, delayMs: 60_000 })(1);
    canceled.cancel();
    await Promise.allSettled([throwsAtOnce.with({ supervisor, callback })('no'), canceled]);
    expect(calls).toBe(0);
  });

  it('that throw or reject are logged, and harm neither the result nor the next callback', async () => {
    const lines: string[] = [];
    const logger = { warn() {}, error: (line: string) => void lines.push(line) };
    await using supervisor = new TaskSupervisor({ logger });
    let isCalled = false;
    const callback = [
      () => {
        throw new Error('a bad callback');
      },
      () => Promise.reject(new Error('a late callback')),
      () => {
        isCalled = true;
      },
    ];
    const handle = add.with({ supervisor, callback })(1, 2);
    expect(await handle).toBe(3);
    expect(isCalled).toBe(true);
    await supervisor.stop();
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain('a bad callback');
    expect(lines[1]).toContain('a late callback');
    expect(lines.every((line) => line.includes(handle.id))).toBe(true);
  });
});

describe('a program', () => {
  it('that does not await a failure gets a log line, no unhandled rejection, and exit code 0', async () => {
    const { code, lines, stderr } = await runProgram('failure-unawaited.mjs');
    expect({ code, lines }).toEqual({ code: 0, lines: ['exit 0'] });
    for (const where of ['a thread', 'the loop']) {
      expect(stderr.split(`RangeError: too much for ${where}`)).toHaveLength(2);
    }
    expect(stderr).toContain('"fails"');
  });

  it('that awaits a failure gets no log line', async () => {
    expect(await runProgram('failure-awaited.mjs')).toEqual({ code: 0, signal: null, lines: ['done'], stderr: '' });
  });

  it('that never awaits has its tasks finished, delayed ones too', async () => {
    const { code, lines, stderr } = await runProgram('never-awaits.mjs');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(lines.map(Number).sort((a, b) => a - b)).toEqual([...Array.from({ length: 50 }, (_, n) => n * 2), 2_000]);
  });

  it('that gives one signal to many tasks is not warned of a leak', async () => {
    expect(await runProgram('one-signal.mjs')).toEqual({ code: 0, signal: null, lines: ['100'], stderr: '' });
  });
});
