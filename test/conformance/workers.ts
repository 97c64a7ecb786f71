/** What holds for background workers, wherever their runs are. Every lane runs this suite. */
import { setTimeout as pause } from 'node:timers/promises';
import {
  type BackgroundWorker,
  type FailedRun,
  type TaskInfo,
  TaskSupervisor,
  type TaskType,
  type WorkerOptions,
} from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { heard } from '../fixtures/listening.ts';
import { SharedSupervisors } from '../fixtures/shared-supervisors.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';
import {
  adder,
  counter,
  doubles,
  doublesMany,
  echoes,
  fails,
  givesFalse,
  onEvent,
  onTime,
  passes,
  passesItems,
  seesContext,
  tells,
} from '../fixtures/tasks/works.ts';

/** Notes what comes, and lets a test wait for so many. */
class Notes<T> {
  readonly all: T[] = [];
  #wake = () => {};

  readonly add = (value: T): void => {
    this.all.push(value);
    this.#wake();
  };

  async atLeast(count: number): Promise<T[]> {
    while (this.all.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.all;
  }
}

/** Resolves when the worker has ended by itself. */
async function ended(worker: BackgroundWorker): Promise<void> {
  while (worker.isActive) await pause(1);
}

export function testWorkers(type: TaskType): void {
  const shared = new SharedSupervisors();

  function supervise(): TaskSupervisor {
    return shared.take({ threads: { poolSize: 3 }, processes: { poolSize: 3 }, logger: false });
  }

  function superviseAlone(): TaskSupervisor {
    return new TaskSupervisor({ threads: { poolSize: 3 }, processes: { poolSize: 3 }, logger: false });
  }

  describe(`background workers on the ${type} lane: every kind`, () => {
    it('runs again and again until it is stopped, with what it was started with', async () => {
      await using supervisor = supervise();
      const results = new Notes<unknown>();
      const worker = echoes({ type, supervisor, processResult: results.add });
      expect(worker.start('a', 1)).toBe(true);
      expect((await results.atLeast(3)).slice(0, 3)).toEqual([
        ['a', 1],
        ['a', 1],
        ['a', 1],
      ]);
      expect(await worker.stop()).toBe(true);
      const { submitted, pending } = supervisor.getInfo();
      expect([submitted >= 3, pending]).toEqual([true, 0]);
    });

    it('is refused a second start, politely', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const worker = passes({ type, supervisor });
      expect([worker.isActive, worker.isStarted, worker.isStopped, worker.lastExecuted]).toEqual([
        false,
        false,
        true,
        undefined,
      ]);
      expect(worker.start(gate.port, 'a')).toBe(true);
      expect(worker.start(gate.port, 'b')).toBe(false);
      await gate.arrived(1);
      expect([worker.isActive, worker.isStarted, worker.isStopped]).toEqual([true, true, false]);
      expect(worker.lastExecuted).toBeLessThanOrEqual(Date.now());
      expect(supervisor.getWorkers()).toEqual([worker]);
      const stopped = worker.stop();
      expect([worker.isActive, worker.isStarted, worker.isStopped]).toEqual([true, false, false]);
      gate.open();
      await stopped;
      expect([worker.isActive, worker.isStarted, worker.isStopped]).toEqual([false, false, true]);
      expect(gate.arrivals).toEqual(['a']);
      expect(supervisor.getWorkers()).toEqual([]);
      expect(await worker.stop()).toBe(false);
    });

    it('makes each run a task, which TaskInfo shows with its worker', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const worker = passes({
        type,
        supervisor,
        priority: 'high',
        module: supervisor.module('slow', { maxWorkers: 1 }),
      });
      worker.start(gate.port, 'a');
      await gate.arrived(1);
      const [task] = supervisor.getTasks({ status: 'started' }) as [TaskInfo];
      expect(task).toMatchObject({ name: 'passes', worker: 'passes', type, priority: 'high', module: 'slow' });
      gate.open();
      await worker.stop();
    });

    it('stops when a run gives false', async () => {
      await using supervisor = supervise();
      const results = new Notes<unknown>();
      const worker = givesFalse({ type, supervisor, processResult: results.add });
      worker.start();
      await ended(worker);
      expect(supervisor.getInfo().submitted).toBe(1);
      expect(results.all).toEqual([]);
    });

    it('goes on after an error, which onError gets with its task', async () => {
      await using supervisor = supervise();
      const errors = new Notes<[unknown, FailedRun | undefined]>();
      const worker = fails({ type, supervisor, onError: (error, run) => errors.add([error, run]) });
      worker.start('again');
      const [first, second, third] = await errors.atLeast(3);
      await worker.stop();
      expect(first?.[0]).toBeInstanceOf(RangeError);
      expect(first?.[0]).toMatchObject({ message: 'again' });
      expect(first?.[1]).toMatchObject({ args: ['again'], task: { worker: 'fails', status: 'failed' } });
      expect(new Set([first, second, third].map((each) => each?.[1]?.task.id)).size).toBe(3);
    });

    it('logs an error that it has no onError for, and what onError throws', async () => {
      const lines = new Notes<string>();
      const logger = { warn: lines.add, error: lines.add };
      await using supervisor = new TaskSupervisor({ logger });
      const worker = fails({ type, supervisor });
      worker.start('unheard');
      expect((await lines.atLeast(1))[0]).toMatch(/worker "fails": a run failed \(task .*\): RangeError: unheard/);
      await worker.stop();
      const other = fails({
        type,
        supervisor,
        onError: () => {
          throw new Error('and so did onError');
        },
      });
      const before = lines.all.length;
      other.start('heard');
      await lines.atLeast(before + 1);
      expect(lines.all.at(-1)).toMatch(/worker "fails": onError failed: Error: and so did onError/);
      await other.stop();
    });

    it('sees its context beside its arguments', async () => {
      await using supervisor = supervise();
      const results = new Notes<unknown>();
      const worker = seesContext({ type, supervisor, context: { colour: 'red' }, processResult: results.add });
      worker.start('a');
      expect((await results.atLeast(1))[0]).toEqual({ context: { colour: 'red' }, args: ['a'], own: ['a'] });
      await worker.stop();
    });

    it('calls its hooks in order', async () => {
      await using supervisor = supervise();
      const calls: string[] = [];
      const results = new Notes<unknown>();
      const note = (what: string) => async () => {
        await Promise.resolve();
        calls.push(what);
      };
      const hooks: WorkerOptions = {
        beforeStart: note('beforeStart'),
        afterStart: note('afterStart'),
        beforeStop: note('beforeStop'),
        afterStop: note('afterStop'),
        processResult: (result: unknown) => {
          if (results.all.length === 0) calls.push('processResult');
          results.add(result);
        },
      };
      const worker = echoes({ type, supervisor, ...hooks });
      worker.start();
      await results.atLeast(2);
      await worker.stop();
      expect(calls).toEqual(['beforeStart', 'afterStart', 'processResult', 'beforeStop', 'afterStop']);
      expect(supervisor.getInfo().pending).toBe(0);
    });

    it.each(['throws', 'rejects'])('does not start if beforeStart %s', async (how) => {
      await using supervisor = superviseAlone();
      const errors = new Notes<unknown>();
      const beforeStart = () => {
        if (how === 'throws') throw new Error('not today');
        return Promise.reject(new Error('not today'));
      };
      const worker = echoes({ type, supervisor, beforeStart, onError: errors.add });
      worker.start();
      await ended(worker);
      expect(errors.all).toEqual([new Error('not today')]);
      expect(supervisor.getInfo().submitted).toBe(0);
    });

    it('stops at once, when asked to, and cancels what runs', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const errors = new Notes<unknown>();
      const worker = passes({ type, supervisor, stopGraceMs: 1, onError: errors.add });
      worker.start(gate.port, 'a');
      await gate.arrived(1);
      const canceled = heard(supervisor, 'task:canceled');
      expect(await worker.stop({ wait: false })).toBe(true);
      expect((await canceled).task.worker).toBe('passes');
      expect(errors.all).toEqual([]); // that was no failure
    });

    it('waits for what runs no longer than it is told', async () => {
      await using supervisor = superviseAlone();
      await using gate = await Gate.create();
      const worker = passes({ type, supervisor, stopGraceMs: 1 });
      worker.start(gate.port, 'a');
      await gate.arrived(1);
      expect(await worker.stop({ wait: 20 })).toBe(true);
      expect(supervisor.getInfo().ended).toMatchObject({ canceled: 1, completed: 0 });
    });

    it('can be restarted, with the same arguments', async () => {
      await using supervisor = supervise();
      const results = new Notes<unknown>();
      const worker = echoes({ type, supervisor, processResult: results.add });
      worker.start('again');
      await results.atLeast(1);
      expect(await worker.restart()).toBe(true);
      const before = results.all.length;
      expect((await results.atLeast(before + 1)).at(-1)).toEqual(['again']);
      await worker.stop();
    });

    it('is stopped by a signal', async () => {
      await using supervisor = superviseAlone();
      await using gate = await Gate.create();
      const control = new AbortController();
      const worker = passes({ type, supervisor, stopGraceMs: 1, signal: control.signal });
      worker.start(gate.port, 'a');
      await gate.arrived(1);
      control.abort();
      await ended(worker);
      expect(supervisor.getInfo().ended).toMatchObject({ canceled: 1, completed: 0 });
    });

    it('is extended by a class, whose run has the instance where it runs', async () => {
      await using supervisor = supervise();
      const results = new Notes<number>();
      const worker = counter({ type, supervisor, processResult: results.add });
      worker.start(2);
      const seen = await results.atLeast(3);
      await worker.stop();
      expect(seen.every((count) => count % 2 === 0)).toBe(true);
      expect(worker.count > 0).toBe(type === 'loop');
    });

    it('keeps the cap of its module, and waits for room in the queue of the supervisor', async () => {
      await using supervisor = new TaskSupervisor({
        maxQueued: 1,
        logger: false,
        [`${type === 'thread' ? 'threads' : type === 'process' ? 'processes' : 'loop'}`]: {
          poolSize: 1,
          reserveNormal: 0,
        },
      });
      await using gate = await Gate.create();
      const first = passes({ type, supervisor, name: 'passes' });
      first.start(gate.port, 'a');
      await gate.arrived(1);
      const results = new Notes<unknown>();
      const others = [1, 2, 3].map(() => echoes({ type, supervisor, processResult: results.add }));
      for (const each of others) each.start();
      gate.open();
      await results.atLeast(3);
      await Promise.all([first, ...others].map((worker) => worker.stop()));
      expect(supervisor.getInfo().ended.failed).toBe(0);
    });
  });

  describe(`background workers on the ${type} lane: queues`, () => {
    it('runs for each item, and gives its result to who waits for it', async () => {
      await using supervisor = supervise();
      const worker = doubles(true, { type, supervisor });
      const early = await worker.put(1); // before the start
      worker.start();
      const late = await worker.put(2);
      expect(await worker.courier.waitForTaskResult(worker.queueName, early)).toBe(2);
      expect(await worker.courier.waitForTaskResult(worker.queueName, late)).toBe(4);
      await worker.stop();
    });

    it('takes the most urgent first, then those that came first', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const worker = passesItems(true, { type, supervisor });
      for (const [item, priority] of [
        ['low', 'low'],
        ['normal 1', 'normal'],
        ['high', 'high'],
        ['normal 2', 'normal'],
      ] as const) {
        await worker.put(item, { priority });
      }
      gate.open();
      worker.start(gate.port);
      await gate.arrived(4);
      await worker.stop();
      expect(gate.arrivals).toEqual(['high', 'normal 1', 'normal 2', 'low']);
    });

    it('runs so many at a time as it may', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const worker = passesItems({ concurrency: 2 }, { type, supervisor });
      worker.start(gate.port);
      for (const item of ['a', 'b', 'c', 'd']) await worker.put(item);
      await gate.arrived(2);
      expect(supervisor.getTasks({ status: 'started' })).toHaveLength(2);
      expect(supervisor.getTasks({ status: 'queued' })).toEqual([]);
      gate.pass('a');
      await gate.arrived(3);
      expect(supervisor.getTasks({ status: 'started' })).toHaveLength(2);
      gate.open();
      await worker.stop();
      expect([...gate.arrivals].sort()).toEqual(['a', 'b', 'c', 'd']);
    });

    it('tells who follows an item of the progress of its run, and nobody of that of a batch', async () => {
      await using supervisor = supervise();
      for (const [queue, expected] of [
        [{}, [{ fraction: 0.5, note: 'half' }]],
        [{ batchSize: 2 }, []],
      ] as const) {
        const worker = tells(queue, { type, supervisor });
        const heard: unknown[] = [];
        await worker.courier.subscribeToTask(worker.queueName, 'mine', (news) => {
          if (news.kind === 'progress') heard.push(news.progress);
        });
        await worker.put('other');
        await worker.put('mine', { id: 'mine' });
        worker.start();
        await worker.courier.waitForTaskResult(worker.queueName, 'mine');
        await worker.stop();
        expect(heard).toEqual(expected);
      }
    });

    it('gives batches to a run that wants them, and each item its own result', async () => {
      await using supervisor = supervise();
      const sizes = new Notes<number>();
      const worker = doublesMany(
        { batchSize: 3 },
        { type, supervisor, processResult: (result: number[]) => sizes.add(result.length) },
      );
      const ids = await Promise.all([1, 2, 3, 4, 5].map((item) => worker.put(item)));
      worker.start();
      const results = ids.map((id) => worker.courier.waitForTaskResult(worker.queueName, id));
      expect(await Promise.all(results)).toEqual([2, 4, 6, 8, 10]);
      await worker.stop();
      expect(sizes.all).toEqual([3, 2]);
    });

    it('goes on after an item that fails; who waits for it hears why', async () => {
      await using supervisor = supervise();
      const errors = new Notes<[unknown, FailedRun | undefined]>();
      const worker = doubles(true, { type, supervisor, onError: (error, run) => errors.add([error, run]) });
      worker.start();
      const ids = await Promise.all([1, -1, 2].map((item) => worker.put(item)));
      const wait = (n: number) => worker.courier.waitForTaskResult(worker.queueName, ids[n] as string);
      expect(await wait(0)).toBe(2);
      await expect(wait(1)).rejects.toThrow('-1 is negative');
      expect(await wait(2)).toBe(4);
      expect(errors.all.map(([error, run]) => [(error as Error).message, run?.args])).toEqual([
        ['-1 is negative', [-1]],
      ]);
      await worker.stop();
    });

    it('lets put wait while the queue is full', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const worker = passesItems({ maxQueued: 1 }, { type, supervisor });
      worker.start(gate.port);
      await worker.put('runs');
      await gate.arrived(1);
      await worker.put('waits');
      let hasRoom = false;
      const third = worker.put('third').then(() => {
        hasRoom = true;
      });
      await new Promise((resolve) => setImmediate(resolve));
      expect(hasRoom).toBe(false);
      gate.pass('runs');
      await third;
      gate.open();
      await worker.stop();
      expect(gate.arrivals).toEqual(['runs', 'waits', 'third']);
    });

    it('runs for all that waits before it stops, and for the rest after the next start if it may not', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const worker = passesItems(true, { type, supervisor, stopGraceMs: 1 });
      worker.start(gate.port);
      const ids: string[] = [];
      for (const item of ['a', 'b', 'c']) ids.push(await worker.put(item));
      await gate.arrived(1);
      await worker.stop({ wait: false });
      expect(await worker.courier.getQueueInfo(worker.queueName)).toMatchObject({ waiting: { normal: 3 }, leased: 0 });
      gate.open();
      worker.start(gate.port);
      await worker.stop();
      expect(gate.arrivals).toEqual(['a', 'a', 'b', 'c']);
      const results = ids.map((id) => worker.courier.getTaskResult(worker.queueName, id));
      expect(await Promise.all(results)).toEqual(['a', 'b', 'c']);
    });

    it('stops though an item that waited for it was canceled', async () => {
      await using supervisor = supervise();
      const worker = doubles(true, { type, supervisor });
      await worker.put(1);
      const id = await worker.put(2);
      await worker.courier.cancelTask(worker.queueName, id);
      worker.start();
      expect(await worker.stop()).toBe(true);
    });

    it('gives the run of an item its id, and cancels it with the item', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const errors = new Notes<unknown>();
      const worker = passesItems(true, { type, supervisor, stopGraceMs: 1, onError: errors.add });
      worker.start(gate.port);
      const id = await worker.put('a');
      await gate.arrived(1);
      expect(supervisor.getTaskInfo(id)).toMatchObject({ status: 'started', worker: 'passesItems' });
      const canceled = heard(supervisor, 'task:canceled', ({ task }) => task.id === id);
      expect(await worker.courier.cancelTask(worker.queueName, id, 'not needed')).toBe(true);
      await canceled;
      await expect(worker.courier.waitForTaskResult(worker.queueName, id)).rejects.toMatchObject({
        code: 'TASK_CANCELED',
      });
      gate.open();
      await worker.put('b');
      await gate.arrived(2);
      await worker.stop();
      expect(errors.all).toEqual([]);
    });

    it('runs for an item though a live task has its id', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const other = holds.with({ supervisor, taskId: 'mine' })(gate.port, 'other');
      await gate.arrived(1);
      const worker = doubles(true, { type, supervisor });
      worker.start();
      await worker.put(21, { id: 'mine' });
      expect(await worker.courier.waitForTaskResult(worker.queueName, 'mine')).toBe(42);
      gate.open();
      await other;
      await worker.stop();
    });

    it('is extended by a class', async () => {
      await using supervisor = supervise();
      const worker = adder({ type, supervisor, queue: { concurrency: 2 } });
      worker.start();
      const ids = await Promise.all([1, 2, 3].map((item) => worker.put(item)));
      const results = ids.map((id) => worker.courier.waitForTaskResult(worker.queueName, id));
      expect(await Promise.all(results)).toEqual([2, 3, 4]);
      await worker.stop();
    });

    it('has done all that was put in when its supervisor stops', async () => {
      const supervisor = supervise();
      const results = new Notes<unknown>();
      const worker = doubles({ concurrency: 2 }, { type, supervisor, processResult: results.add });
      worker.start();
      for (let item = 0; item < 100; item += 1) await worker.put(item);
      const { canceled, terminated } = await supervisor.stop();
      expect([canceled, terminated]).toEqual([0, 0]);
      expect(results.all).toHaveLength(100);
      expect(worker.isStopped).toBe(true);
    });
  });

  describe(`background workers on the ${type} lane: intervals`, () => {
    it('runs at its start and by the clock, and in between when it is triggered', async () => {
      await using supervisor = supervise();
      const results = new Notes<unknown>();
      const worker = onTime({ type, supervisor, intervalMs: 3_600_000, processResult: results.add });
      worker.start('a');
      await results.atLeast(1);
      expect(worker.trigger()).toBe(true);
      expect((await results.atLeast(2)).slice(0, 2)).toEqual([['a'], ['a']]);
      await worker.stop();
      expect(worker.nextRun).toBeUndefined();
      expect(supervisor.getInfo().submitted).toBe(2);
    });

    it('goes on by the clock', async () => {
      await using supervisor = supervise();
      const results = new Notes<unknown>();
      const worker = onTime({ type, supervisor, intervalMs: 5, processResult: results.add });
      worker.start();
      await results.atLeast(5);
      await worker.stop();
    });
  });

  describe(`background workers on the ${type} lane: events`, () => {
    it('runs when it is triggered, and folds what comes meanwhile into one more run', async () => {
      await using supervisor = superviseAlone();
      await using gate = await Gate.create();
      const results = new Notes<unknown>();
      const worker = onEvent({ type, supervisor, processResult: results.add });
      expect(worker.trigger()).toBe(false);
      worker.start(gate.port, 'x');
      expect(worker.trigger()).toBe(true);
      await gate.arrived(1);
      for (let n = 0; n < 10; n += 1) expect(worker.trigger()).toBe(true);
      gate.pass('x');
      await gate.arrived(2);
      gate.open();
      await results.atLeast(2);
      expect(worker.trigger()).toBe(true); // it has not gone to sleep
      await results.atLeast(3);
      expect(await worker.stop()).toBe(true);
      expect(worker.trigger()).toBe(false);
      expect(gate.arrivals).toHaveLength(3);
      expect(supervisor.getInfo().submitted).toBe(3);
    });
  });
}
