/** What holds for tasks that are called inside of tasks, wherever these run. Every lane runs this suite. */
import {
  type PoolOptions,
  type SupervisorOptions,
  type TaskInfo,
  TaskSupervisor,
  type TaskType,
  TaskwardenError,
} from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { failure, heard } from '../fixtures/listening.ts';
import { SharedSupervisors } from '../fixtures/shared-supervisors.ts';
import { type CallingAct, calls } from '../fixtures/tasks/calls.ts';
import { add } from '../fixtures/tasks/echo.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';
import { mergeSort } from '../fixtures/tasks/merge-sort.ts';
import type { LaneUnderTest } from './lane.ts';

export function testCalling({ type, pool }: LaneUnderTest): void {
  const shared = new SharedSupervisors();

  function supervise(limits: PoolOptions = {}, options: SupervisorOptions = {}): TaskSupervisor {
    return shared.take({ [pool]: limits, logger: false, ...options });
  }

  function superviseAlone(limits: PoolOptions = {}, options: SupervisorOptions = {}): TaskSupervisor {
    return new TaskSupervisor({ [pool]: limits, logger: false, ...options });
  }

  /** Room for so many tasks that are not critical, and no more. */
  const roomFor = (poolSize: number): PoolOptions => ({ poolSize, reserveNormal: 0, reserveHigh: 0 });
  const one = roomFor(1);

  function call(supervisor: TaskSupervisor, act: CallingAct, ...given: unknown[]) {
    return calls.with({ type, supervisor })(act, type, ...given);
  }

  function infoOf(supervisor: TaskSupervisor, name: string): TaskInfo | undefined {
    return supervisor.getTasks({ name })[0];
  }

  /** Each start and each end of a task, in order. */
  function courseOf(supervisor: TaskSupervisor): string[] {
    const course: string[] = [];
    supervisor.on('task:started', ({ task }) => course.push(`${task.name} started`));
    for (const event of ['task:completed', 'task:failed', 'task:canceled'] as const) {
      supervisor.on(event, ({ task }) => course.push(`${task.name} ${task.endReason}`));
    }
    return course;
  }

  /** Fails unless the pool is empty, and takes a task. */
  async function expectFree(supervisor: TaskSupervisor): Promise<void> {
    expect(supervisor.getInfo()).toMatchObject({
      pending: 0,
      delayed: 0,
      [pool]: { running: 0, waiting: { critical: 0, high: 0, normal: 0, low: 0 } },
    });
    expect(await add.with({ type, supervisor })(1, 1)).toBe(2);
  }

  describe(`tasks called in the ${type} lane: results and errors`, () => {
    it('gives the result, with its type', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'adds')).toBe(5);
    });

    it('keeps the classes of what the result holds', async () => {
      await using supervisor = supervise();
      const [big, isDate, isMap, isBuffer, values] = (await call(supervisor, 'lookAtResult')) as unknown[];
      expect([big, isDate, isMap, isBuffer]).toEqual(['bigint', true, true, true]);
      expect((values as unknown[]).slice(0, 3)).toEqual([2n ** 70n, new Date(0), new Map([[1, new Set(['x'])]])]);
    });

    it('rejects inside with the error, of its built-in class, with name, message, code, fields and cause', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'catches')).toEqual({
        name: 'OutOfStock',
        message: 'no tea left',
        code: 'OUT_OF_STOCK',
        item: { sku: 'tea', left: 0 },
        isTypeError: true,
        reason: 'a strike',
      });
    });

    it.each([
      ['string', 'just text'],
      ['nothing', undefined],
      ['object', { status: 503 }],
    ])('lets what a child threw through, if it is no error: %s', async (kind, thrown) => {
      await using supervisor = supervise();
      expect(await failure(call(supervisor, 'fails', kind))).toEqual(thrown);
    });

    it('lets the error of a child through to whoever called the parent', async () => {
      await using supervisor = supervise();
      const error = await failure(call(supervisor, 'fails', 'subclass'));
      expect(error).toBeInstanceOf(RangeError);
      expect(error).toMatchObject({
        name: 'OutOfStock',
        code: 'OUT_OF_STOCK',
        cause: { message: 'the shelf is empty' },
      });
    });
  });

  describe(`tasks called in the ${type} lane: what the supervisor sees`, () => {
    it('lists the child with the id of its parent, and its own id, name and priority', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const parent = call(supervisor, 'holdsNamed', gate.port, 'child', 'high', 'my own id');
      await gate.arrived(1);
      expect(parent.info.parentId).toBeUndefined();
      expect(supervisor.getTaskInfo('my own id')).toMatchObject({
        id: 'my own id',
        parentId: parent.id,
        name: 'child',
        priority: 'high',
        type,
      });
      expect(infoOf(supervisor, 'child')?.id).toBe('my own id');
      gate.open();
      await parent;
    });

    it('gives a grandchild the id of the child', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const parent = call(supervisor, 'deeper', gate.port);
      await gate.arrived(1);
      expect(supervisor.getTaskInfo('the child')?.parentId).toBe(parent.id);
      expect(infoOf(supervisor, 'holds')?.parentId).toBe('the child');
      gate.open();
      expect(await parent).toBe('grandchild');
    });

    it('knows the child by the id that its handle has inside', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const parent = call(supervisor, 'tellsId', gate.port);
      await gate.arrived(1);
      const { value: id } = await parent.messages<string>().next();
      expect(supervisor.getTaskInfo(id as string)).toMatchObject({ name: 'holds', parentId: parent.id });
      gate.open();
      await parent;
    });

    it('counts children as tasks', async () => {
      await using supervisor = superviseAlone();
      await call(supervisor, 'all');
      expect(supervisor.getInfo()).toMatchObject({ submitted: 31, pending: 0, ended: { completed: 31 } });
    });
  });

  describe(`tasks called in the ${type} lane: the handle inside`, () => {
    it('knows status, info and result, before and after the end', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'looksAtHandle')).toEqual({
        before: ['queued', false, undefined, 0],
        during: ['started', { fraction: 1, note: 'at 1' }],
        after: ['completed', true, 1, undefined, 'completed', 1, 'mine', 'high', type],
      });
    });

    it('knows what it failed with', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'looksAtFailure')).toEqual(['failed', true, undefined, true, 'failed', true]);
    });

    it('hears progress', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'hearsProgress')).toEqual([{ fraction: 0.5, note: 'at 0.5' }]);
    });

    it('sends to the child, and reads what it answers', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'sends')).toEqual([{ n: 1 }, 'over']);
    });

    it('reads all messages to the end', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'reads')).toEqual([0, 1, 2]);
    });

    it('iterates over what a generator yields', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'iterates')).toEqual([40, 39, '40 in all']);
    });

    it('asks the child to finish with stop()', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'stops')).toEqual(['completed', 'TASK_STOPPED']);
    });

    it('cancels the child with cancel(), with its reason', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'cancels')).toEqual([true, 'TASK_CANCELED', 'enough', 'canceled', false]);
    });

    it('is canceled by a signal of the parent', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'aborts')).toMatchObject({ code: 'TASK_CANCELED', cause: 'over' });
    });

    it('never runs where the signal was aborted before', async () => {
      await using supervisor = supervise();
      const course = courseOf(supervisor);
      expect(await call(supervisor, 'isAborted')).toMatchObject({ code: 'TASK_CANCELED', cause: 'long ago' });
      expect(course).not.toContain('echo started');
    });

    it('is canceled, and never runs, also for a reason or with arguments that can not be copied', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'cancelsForSharedMemory')).toEqual([true, 'TASK_CANCELED']);
      const course = courseOf(supervisor);
      expect(await call(supervisor, 'isAbortedForSharedMemory')).toMatchObject({ code: 'TASK_CANCELED' });
      expect(course).not.toContain('echo started');
    });

    it('runs callbacks inside the parent', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'callsBack')).toEqual([[3, 3], true]);
    });

    it('sees retries', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'retries')).toEqual([3, 3]);
    });

    it('rejects with TASK_TIMEOUT after the timeoutMs of the child', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      expect(await call(supervisor, 'timesOut', gate.port)).toMatchObject({ code: 'TASK_TIMEOUT' });
    });

    it('waits out delayMs', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'delays')).toEqual(['delayed', 3]);
    });

    it('maps', async () => {
      await using supervisor = supervise(one);
      expect(await call(supervisor, 'maps')).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
    });

    it('works with Promise.all', async () => {
      await using supervisor = supervise(one);
      expect(await call(supervisor, 'all')).toEqual(Array.from({ length: 30 }, (_, n) => n + 1));
    });

    it('calls tasks of other types, which call others, there and back', async () => {
      await using supervisor = supervise();
      const path: TaskType[] = ['thread', 'process', 'loop', 'process', 'thread', 'loop', 'thread'];
      expect(await call(supervisor, 'travels', path)).toEqual([...path, 'arrived']);
    });
  });

  describe(`tasks called in the ${type} lane: what can't be`, () => {
    it.each(['thread', 'process'] as const)('refuses an argument that can not be copied to a %s', async (other) => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'givesFunction', other)).toMatchObject({ code: 'ARGUMENT_NOT_CLONEABLE' });
    });

    it.each(['thread', 'process'] as const)('refuses a result that can not be copied from a %s', async (other) => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'getsFunction', other)).toBe('RESULT_NOT_CLONEABLE');
    });

    it('says that the result of a task on the event loop can not be copied, unless it stays there', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'getsFunction', 'loop')).toBe(
        type === 'loop' ? 'function' : 'RESULT_NOT_CLONEABLE',
      );
    });

    it('tells a task on the event loop that its message can not be copied, unless it stays there', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'hearsFunction')).toBe(type === 'loop' ? 'sent' : 'MESSAGE_NOT_CLONEABLE');
    });

    it('refuses shared memory as a message to a child process', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'sendsMemory')).toBe('MESSAGE_NOT_CLONEABLE');
    });

    it('says that a module can not be loaded', async () => {
      await using supervisor = supervise();
      const { code, message } = (await call(supervisor, 'callsUnknown')) as Record<string, string>;
      expect(code).toBe('MODULE_LOAD_FAILED');
      expect(message).toContain('missing.js');
    });

    it('refuses retryIf, and says what to do, where functions do not cross', async () => {
      await using supervisor = supervise();
      const given = await call(supervisor, 'asksForRetryIf');
      if (type === 'loop') expect(given).toBe(2);
      else expect(given).toEqual([true, expect.stringContaining('call it with { retryIf: undefined }'), 2]);
    });

    it('refuses a taskId that another child has, and does not harm that', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const parent = call(supervisor, 'takesIdTwice', gate.port);
      expect((await parent.messages().next()).value).toBe('DUPLICATE_TASK_ID');
      gate.open();
      expect(await parent).toBe('first');
    });

    it('says that a function without source can not be sent, unless it stays there', async () => {
      await using supervisor = supervise();
      const given = await call(supervisor, 'callsNative');
      if (type === 'loop') expect(given).toBe('reached');
      else expect(given).toEqual([true, expect.stringContaining('has no source')]);
    });

    it('refuses a child that would wait beyond maxQueued', async () => {
      await using supervisor = supervise(one, { maxQueued: 1 });
      expect(await call(supervisor, 'overfills')).toEqual(['QUEUE_FULL', 'waited']);
    });

    it('refuses what the code of an ended task calls, where that is not on the event loop', async () => {
      await using supervisor = superviseAlone(type === 'loop' ? {} : one); // what was late is known where it was called
      await call(supervisor, 'callsLater');
      const became = await call(supervisor, 'seesWhatWasLate');
      if (type === 'loop') expect(became).toEqual({ gave: 2 });
      else expect(became).toMatchObject({ code: 'NOT_IN_TASK', message: expect.stringContaining('has ended') });
    });
  });

  describe(`tasks called in the ${type} lane: slots`, () => {
    it.each(['reads', 'iterates'] as const)('lends that of a task that reads what another says: %s', async (act) => {
      await using supervisor = supervise(one);
      expect(await call(supervisor, act)).toEqual(act === 'reads' ? [0, 1, 2] : [40, 39, '40 in all']);
      await expectFree(supervisor);
    });

    it('gives it back to a canceled parent that cleans up', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const started = heard(supervisor, 'task:progress', ({ task }) => task.name === 'yields');
      const parent = calls.with({ type, supervisor, stopGraceMs: 2 ** 30 })('cleansUpAfterChild', type, gate.port);
      await started;
      expect(supervisor.getInfo()[pool].running).toBe(1); // the child
      parent.cancel();
      await gate.arrived(1);
      const next = add.with({ type, supervisor })(1, 1);
      expect(supervisor.getInfo()[pool].running).toBe(1); // the parent
      expect(next.status).toBe('queued');
      gate.open();
      expect(await failure(parent)).toMatchObject({ code: 'TASK_CANCELED' });
      expect(await next).toBe(2);
    });

    it('sorts by merging, ten levels deep, on a pool of one', async () => {
      await using supervisor = superviseAlone(one);
      const depth = 10;
      let [hosts, most] = [0, 0];
      supervisor.on('task:started', () => {
        const info = supervisor.getInfo();
        most = Math.max(most, info[pool].running);
        if (pool !== 'loop') hosts = Math.max(hosts, info[pool].size);
      });
      // Parts of 89 and 55, and so on: 287 tasks; by halves, 2,047 would be no deeper.
      const numbers = Array.from({ length: 144 }, (_, n) => (n * 7_919) % 144);
      const sorted = await mergeSort.with({ type, supervisor })(type, numbers, 0.618);
      expect(sorted).toEqual(numbers.toSorted((a, b) => a - b));
      expect(hosts).toBeLessThanOrEqual(depth + 4);
      expect(most).toBeLessThanOrEqual(depth + 1);
      await expectFree(supervisor);
    });

    it('sorts no deeper than maxDepth allows', async () => {
      await using supervisor = supervise(one, { maxDepth: 3 });
      const sort = mergeSort.with({ type, supervisor });
      const error = await failure(
        sort(
          type,
          Array.from({ length: 16 }, (_, n) => n),
        ),
      );
      expect(error).toMatchObject({ code: 'TASK_TOO_DEEP', name: 'TaskwardenError' });
      expect(await sort(type, [3, 1, 8, 5, 2, 7, 4, 6])).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    });

    it('holds no more than maxSize and its depth, on pools that are full of tasks that wait', async () => {
      await using supervisor = superviseAlone(
        { ...roomFor(2), ...(pool !== 'loop' && { maxSize: 2 }) },
        { maxDepth: 4 },
      );
      let [size, most] = [0, 0];
      const count = (by: number) => () => {
        size += by;
        most = Math.max(most, size);
      };
      supervisor.on('thread:started', count(1)).on('child:started', count(1));
      supervisor.on('thread:exited', count(-1)).on('child:exited', count(-1));
      const priorities = ['low', 'critical', 'normal', 'high'] as const;
      const sorts = priorities.map((priority) =>
        mergeSort.with({ type, supervisor, priority })(type, [4, 2, 3, 1, 8, 7, 6, 5]),
      );
      for (const sorted of await Promise.all(sorts)) expect(sorted).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      expect(most).toBeLessThanOrEqual(2 + 3);
      await expectFree(supervisor);
    });

    it('lends the slot of a task that waits for a child', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const parent = call(supervisor, 'holds', gate.port, 'child');
      await gate.arrived(1);
      expect(parent.status).toBe('started');
      expect(supervisor.getInfo()[pool].running).toBe(1); // the child
      gate.open();
      expect(await parent).toBe('child');
      await expectFree(supervisor);
    });

    it('runs others while a task waits for a delayed child', async () => {
      await using supervisor = supervise(one);
      const parent = call(supervisor, 'waitsForDelayed');
      await heard(supervisor, 'task:started', ({ task }) => task.id === parent.id);
      expect(await add.with({ type, supervisor })(1, 1)).toBe(2);
      expect(parent.status).toBe('started');
      expect(supervisor.getInfo()).toMatchObject({ delayed: 1, [pool]: { running: 0 } });
      await parent.send('cancel it');
      expect(await parent).toMatchObject({ code: 'TASK_CANCELED', cause: 'it was told' });
      await expectFree(supervisor);
    });

    it('has its slot back before others of its priority start', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const course = courseOf(supervisor);
      const parent = call(supervisor, 'goesOn', gate.port, 'parent');
      await gate.arrived(1);
      const other = add.with({ type, supervisor })(1, 1);
      gate.pass('child');
      await gate.arrived(2);
      expect(gate.arrivals).toEqual(['child', 'parent']);
      expect(other.status).toBe('queued');
      expect(supervisor.getInfo()[pool].running).toBe(1);
      gate.open();
      await Promise.all([parent, other]);
      expect(course).toEqual([
        'calls started',
        'holds started',
        'holds completed',
        'calls completed',
        'add started',
        'add completed',
      ]);
    });

    it('lends nothing where a task does not wait for its child', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const course = courseOf(supervisor);
      const queued = heard(supervisor, 'task:queued', ({ task }) => task.name === 'holds');
      const parent = call(supervisor, 'leavesWaiting', gate.port);
      await gate.arrived(1);
      await queued;
      expect(gate.arrivals).toEqual(['parent']);
      expect(infoOf(supervisor, 'holds')?.status).toBe('queued');
      expect(supervisor.getInfo()[pool].running).toBe(1);
      gate.pass('parent');
      await parent;
      await gate.arrived(2);
      gate.open();
      await supervisor.stop();
      expect(course).toEqual(['calls started', 'calls completed', 'holds started', 'holds completed']);
    });

    it('lends the slots of two parents at once', async () => {
      await using supervisor = supervise(roomFor(2));
      await using gate = await Gate.create();
      const parents = ['first', 'second'].map((label) => call(supervisor, 'holds', gate.port, label));
      await gate.arrived(2);
      expect(supervisor.getInfo()[pool].running).toBe(2);
      const other = add.with({ type, supervisor })(1, 1);
      expect(other.status).toBe('queued');
      gate.open();
      expect(await Promise.all(parents)).toEqual(['first', 'second']);
      await other;
      await expectFree(supervisor);
    });
  });

  describe(`tasks called in the ${type} lane: order`, () => {
    it('starts children before those that waited before, in the order of the calls', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const parent = call(supervisor, 'callsTwo', gate.port);
      await gate.arrived(1);
      const others = ['other 1', 'other 2'].map((label) => holds.with({ type, supervisor })(gate.port, label));
      gate.open();
      await Promise.all([parent, ...others]);
      expect(gate.arrivals).toEqual(['parent', 'child 1', 'child 2', 'other 1', 'other 2']);
    });

    it('starts what has a higher priority before children', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const parent = call(supervisor, 'callsTwo', gate.port);
      await gate.arrived(1);
      const urgent = holds.with({ type, supervisor, priority: 'high' })(gate.port, 'urgent');
      gate.open();
      await Promise.all([parent, urgent]);
      expect(gate.arrivals).toEqual(['parent', 'urgent', 'child 1', 'child 2']);
    });
  });

  describe(`tasks called in the ${type} lane: the end of a parent`, () => {
    /** The child that runs, when it runs, and was asked to stop. */
    async function asked(supervisor: TaskSupervisor): Promise<TaskInfo> {
      return (await heard(supervisor, 'task:canceled', ({ task }) => task.name === 'cleansUp')).task;
    }

    it('cancels the children when the parent is canceled, and names the parent in the cause', async () => {
      await using supervisor = superviseAlone(one);
      await using gate = await Gate.create();
      const began = heard(supervisor, 'task:progress');
      const stopped = asked(supervisor);
      const parent = call(supervisor, 'hasOneOfEach', gate.port);
      await began;
      expect(infoOf(supervisor, 'holds')?.status).toBe('queued');
      parent.cancel('not needed');
      expect(infoOf(supervisor, 'holds')).toMatchObject({ status: 'canceled', attempt: 0 });
      await gate.arrived(1);
      gate.open();
      const { error } = await stopped;
      expect(error).toMatchObject({
        code: 'TASK_CANCELED',
        cause: { code: 'TASK_CANCELED', taskId: parent.id, cause: { code: 'TASK_CANCELED', cause: 'not needed' } },
      });
      expect(((error as Error).cause as Error).message).toContain('"calls"');
      expect(await failure(parent)).toMatchObject({ code: 'TASK_CANCELED', cause: 'not needed' });
      expect(gate.arrivals).toEqual(['stopped']);
      await expectFree(supervisor);
    });

    it('lets those run to their end that speak to a parent that has left', async () => {
      await using supervisor = supervise();
      expect(await call(supervisor, 'leavesTalking')).toBe('left');
      await supervisor.stop();
      expect([infoOf(supervisor, 'tells')?.endReason, infoOf(supervisor, 'yieldsNumbers')?.endReason]).toEqual([
        'completed',
        'completed',
      ]);
    });

    it('cancels the children when the parent runs out of time', async () => {
      await using supervisor = superviseAlone(one);
      await using gate = await Gate.create();
      const stopped = asked(supervisor);
      gate.open();
      const parent = calls.with({ type, supervisor, timeoutMs: 2_000 })('hasOneOfEach', type, gate.port);
      expect(await failure(parent)).toMatchObject({ code: 'TASK_TIMEOUT' });
      const { error } = await stopped;
      expect(error).toMatchObject({ cause: { taskId: parent.id, cause: { code: 'TASK_TIMEOUT' } } });
      expect(infoOf(supervisor, 'holds')).toMatchObject({ status: 'canceled', attempt: 0 });
      expect(gate.arrivals).toEqual(['stopped']);
      await expectFree(supervisor);
    });

    if (type !== 'loop')
      it('cancels the children when the parent dies', async () => {
        await using supervisor = superviseAlone(roomFor(2));
        await using gate = await Gate.create();
        const began = heard(supervisor, 'task:progress');
        const stopped = asked(supervisor);
        const parent = call(supervisor, 'diesWithOneOfEach', gate.port);
        await began;
        gate.open();
        await parent.send('die');
        const crash = await failure(parent);
        expect(crash).toMatchObject({ code: 'TASK_CRASHED', exitCode: 3 });
        expect((await stopped).error).toMatchObject({ cause: { taskId: parent.id, cause: crash } });
        expect(infoOf(supervisor, 'holds')).toMatchObject({ status: 'canceled', attempt: 0 });
        expect(gate.arrivals).toEqual(['stopped']);
        await expectFree(supervisor);
      });

    it('leaves its children running when the parent completes', async () => {
      await using supervisor = superviseAlone();
      await using gate = await Gate.create();
      const done = heard(supervisor, 'task:completed', ({ task }) => task.name === 'holds');
      expect(await call(supervisor, 'leaves', gate.port)).toBe('left');
      await gate.arrived(1);
      expect(infoOf(supervisor, 'holds')?.status).toBe('started');
      gate.open();
      expect((await done).result).toBe('child');
    });

    it('leaves its children running when the parent fails', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const done = heard(supervisor, 'task:completed', ({ task }) => task.name === 'holds');
      expect(await failure(call(supervisor, 'leavesFailing', gate.port))).toEqual(new Error('the parent failed'));
      await gate.arrived(1);
      gate.open();
      expect((await done).result).toBe('child');
    });

    function log() {
      const lines: string[] = [];
      let wake = () => {};
      const first = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const write = (line: string) => {
        lines.push(line);
        wake();
      };
      return { lines, first, logger: { warn: write, error: write } };
    }

    it('logs the failure of a child that nobody awaits', async () => {
      const { lines, first, logger } = log();
      await using supervisor = supervise({}, { logger });
      await call(supervisor, 'ignoresFailure');
      await first;
      expect(lines).toEqual([expect.stringMatching(/task "throwsAtOnce".*nobody awaits it.*ignored/)]);
    });

    it('does not log the failure of a child that is awaited', async () => {
      const { lines, logger } = log();
      await using supervisor = supervise({}, { logger });
      await call(supervisor, 'catches');
      await new Promise((resolve) => setImmediate(resolve)); // failures are logged in the turn after them
      expect(lines).toEqual([]);
    });
  });

  describe(`tasks called in the ${type} lane: the end of the supervisor`, () => {
    it('lets parents finish with the children that they call meanwhile', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const parent = call(supervisor, 'callsAfterGate', gate.port);
      await gate.arrived(1);
      const end = supervisor.stop({ wait: true });
      const tooLate = add.with({ type, supervisor })(1, 1);
      expect(await failure(tooLate)).toMatchObject({ code: 'SUPERVISOR_STOPPED' });
      gate.open();
      expect(await parent).toBe(3);
      expect(await end).toEqual({ finished: 3, canceled: 0, terminated: 0 });
    });

    it('settles parents and children alike when it does not wait', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const began = heard(supervisor, 'task:progress');
      const ended: string[] = [];
      supervisor.on('task:canceled', ({ task }) => ended.push(task.name));
      const parent = call(supervisor, 'hasOneOfEach', gate.port);
      await began;
      await supervisor.stop({ wait: false });
      const error = await failure(parent);
      expect(error).toBeInstanceOf(TaskwardenError);
      expect(error).toMatchObject({ code: 'TASK_CANCELED' });
      expect(ended.toSorted()).toEqual(['calls', 'cleansUp', 'holds']);
      const info = supervisor.getInfo();
      expect(info).toMatchObject({ pending: 0, delayed: 0, [pool]: { running: 0, waiting: { normal: 0 } } });
      if (pool !== 'loop') expect(info[pool].size).toBe(0);
    });
  });
}
