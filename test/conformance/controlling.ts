/** What holds for tasks that are controlled while they run, wherever that is. Every lane runs this suite. */
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { chain, controller, type PoolOptions, Task, type TaskContext, TaskSupervisor, waitUntilDone } from 'taskwarden';
import { describe, expect, it } from 'vitest';
import { begun, failure } from '../fixtures/listening.ts';
import { SharedSupervisors } from '../fixtures/shared-supervisors.ts';
import {
  doubles,
  endsAtOnce,
  failsAtStop,
  failsAtThree,
  failsWith,
  gathers,
  passesDoubles,
  passesNext,
  seesArgs,
  sends,
  sums,
  takes,
  takesThree,
  takesUntilGate,
  waitsAtGate,
} from '../fixtures/tasks/controls.ts';
import { Gate } from '../fixtures/tasks/holds.ts';
import type { LaneUnderTest } from './lane.ts';

/** At most so many may be on their way before a sender waits. */
const windowSize = 64;

const numbersBelow = (count: number) => Array.from({ length: count }, (_, n) => n);

async function gather<T>(values: AsyncIterable<T>): Promise<T[]> {
  const gathered: T[] = [];
  for await (const value of values) gathered.push(value);
  return gathered;
}

/** The numbers from 0; it knows how many it has given, and whether it was told to end. */
class Feed {
  given = 0;
  isClosed = false;

  *endless(): Generator<number> {
    try {
      for (;;) {
        yield this.given;
        this.given += 1;
      }
    } finally {
      this.isClosed = true;
    }
  }

  /** Each in a turn of its own. */
  async *byTurns(): AsyncGenerator<number> {
    for (const n of this.endless()) {
      await nextTurn();
      yield n;
    }
  }

  /** Each a while after the other, in which the processor is free. */
  async *slow(): AsyncGenerator<number> {
    for (const n of this.endless()) {
      await pause(1);
      yield n;
    }
  }
}

export function testControlling({ type, pool, options }: LaneUnderTest): void {
  const shared = new SharedSupervisors();

  function supervise(limits: PoolOptions = {}): TaskSupervisor {
    return shared.take({ [pool]: { ...limits, ...options }, logger: false });
  }

  function superviseAlone(limits: PoolOptions = {}): TaskSupervisor {
    return new TaskSupervisor({ [pool]: { ...limits, ...options }, logger: false });
  }

  /** Room for one task that is not critical, and no more. */
  const one: PoolOptions = { poolSize: 1, reserveNormal: 0, reserveHigh: 0 };

  describe(`the ${type} lane: a Task`, () => {
    it('tells who wants to know whether a message was taken', async () => {
      await using supervisor = supervise();
      const task = new Task(takes.with({ type, supervisor }), 2).start();
      const given = ['a', 'b', 'c'].map((data) => task.send(data, { untilTaken: true }));
      expect(await Promise.all(given)).toEqual([true, true, false]);
      expect(await task.send('d', { untilTaken: true })).toBe(false);
      expect(() => task.send('e', { untilGiven: true } as never)).toThrow('send() has no option "untilGiven"');
    });

    it('gives its result when what its controller holds has settled, in whatever way', async () => {
      await using supervisor = supervise();
      const steps: string[] = [];
      const holding = controller(
        (_task, signal, hold) => {
          signal.addEventListener('abort', () => steps.push('ended'));
          const work = new Promise<never>((_, reject) => {
            signal.addEventListener('abort', () => setImmediate(() => reject(new Error(`${steps.push('held')}`))));
          });
          hold?.(work);
          return work;
        },
        endsAtOnce,
        { type, supervisor },
      );
      expect(await holding()).toBe('over');
      expect(steps).toEqual(['ended', 'held']);
    });

    it('gives its function what it sees of itself, and then its arguments', async () => {
      await using supervisor = supervise();
      const task = new Task(seesArgs.with({ type, supervisor }), 'a', 1).start();
      expect(task.args).toEqual(['a', 1]);
      await task.handle;
      expect(task.result).toEqual({ seen: ['a', 1], given: ['a', 1], name: 'seesArgs' });
    });

    it('is no task of the supervisor before it is started', async () => {
      await using supervisor = superviseAlone();
      const task = new Task(seesArgs.with({ type, supervisor }));
      expect(task.handle).toBeUndefined();
      expect(task).toMatchObject({ done: false, result: undefined, exception: undefined });
      expect(supervisor.getTasks()).toEqual([]);
    });

    it('runs once, however often it is started', async () => {
      await using supervisor = superviseAlone();
      const task = new Task(seesArgs.with({ type, supervisor }));
      expect(task.start()).toBe(task);
      const { handle } = task;
      expect(task.start().handle).toBe(handle);
      await handle;
      task.start();
      expect(supervisor.getTasks()).toHaveLength(1);
    });

    it('finishes when it is stopped, and what it then returns is its result', async () => {
      await using supervisor = supervise();
      const task = new Task(gathers.with({ type, supervisor }), 'hello').start();
      if (task.handle !== undefined) await begun(task.handle);
      expect(task.done).toBe(false);
      expect(task.result).toBeUndefined();
      await task.stop();
      expect(task).toMatchObject({ done: true, result: ['hello'], exception: undefined });
      expect(task.handle?.status).toBe('completed');
    });

    it('gets what it was sent, before its start and after', async () => {
      await using supervisor = supervise();
      const task = new Task(gathers.with({ type, supervisor }), 'hello');
      const early = [task.send(1), task.send(2)];
      task.start();
      expect(await Promise.all([...early, task.send(3)])).toEqual([true, true, true]);
      await task.stop();
      expect(task.result).toEqual(['hello', 1, 2, 3]);
    });

    it('refuses at once, before its start, what can not be copied', async () => {
      const task = new Task(async (t: TaskContext) => t.recv());
      expect(await failure(task.send(() => {}))).toMatchObject({ code: 'MESSAGE_NOT_CLONEABLE' });
    });

    it('does not start where it is stopped before', async () => {
      await using supervisor = supervise();
      const task = new Task(gathers.with({ type, supervisor }), 'hello');
      await task.stop();
      expect(task.done).toBe(false);
      expect(task.handle).toBeUndefined();
      task.start();
      await task.stop();
      expect(task.result).toEqual(['hello']);
    });

    it('that waits is asked to finish as soon as it begins', async () => {
      await using supervisor = supervise(one);
      await using gate = await Gate.create();
      const first = new Task(waitsAtGate.with({ type, supervisor }), gate.port, 'first').start();
      await gate.arrived(1);
      const task = new Task(gathers.with({ type, supervisor }), 'hello').start();
      const stopped = task.stop();
      expect(task.handle?.status).toBe('queued');
      gate.open();
      await stopped;
      expect(task.result).toEqual(['hello']);
      await first.handle;
    });

    it('has an exception where its function fails, also when that is stopped', async () => {
      await using supervisor = supervise();
      const task = new Task(failsWith.with({ type, supervisor }), 'no').start();
      await task.stop();
      expect(task).toMatchObject({ done: true, result: undefined });
      expect(task.exception).toEqual(new RangeError('no'));
      const stopped = new Task(failsAtStop.with({ type, supervisor })).start();
      await stopped.stop();
      expect(stopped.exception).toEqual(new RangeError('stopped in the middle'));
    });

    it('is stopped any number of times', async () => {
      await using supervisor = supervise();
      const task = new Task(gathers.with({ type, supervisor }), 'hello').start();
      await Promise.all([task.stop(), task.stop()]);
      await task.stop();
      expect(task.result).toEqual(['hello']);
    });

    it('starts when its messages are read', async () => {
      await using supervisor = supervise();
      const task = new Task(sends.with({ type, supervisor }), 200);
      expect(await gather(task.messages<number>())).toEqual(numbersBelow(200));
      await task.handle;
      expect(task.result).toBe(200);
    });

    it('has sent nothing that was sent to it after its end', async () => {
      await using supervisor = supervise();
      const task = new Task(doubles.with({ type, supervisor }), 21).start();
      expect(await task.handle).toBe(42);
      expect(await task.send('late')).toBe(false);
    });

    it('takes the options of its background task', async () => {
      await using supervisor = supervise();
      const task = new Task(doubles.with({ type, supervisor, priority: 'high', taskId: 'mine', name: 'named' }), 1);
      await task.start().handle;
      expect(task.handle?.info).toMatchObject({ id: 'mine', name: 'named', type, priority: 'high' });
    });

    it('leaves its background task as it is', async () => {
      await using supervisor = supervise();
      const plain = seesArgs.with({ type, supervisor });
      await new Task(plain, 1).start().handle;
      const { given } = await plain('context' as never, 2);
      expect(given).toEqual([2]);
    });

    if (type === 'thread')
      it('takes a function alone, by its source', async () => {
        const task = new Task((t: TaskContext, n: number) => `${t.name} ${n} ${t.args.length}`, 7).start();
        expect(await task.handle).toMatch(/^task 7 1$/);
        function named(_t: TaskContext) {
          return 'named';
        }
        const other = new Task(named).start();
        expect(await other.handle).toBe('named');
        expect(other.handle?.name).toBe('named');
      });

    it.each([undefined, 'text', {}])('refuses %j as its function', (target) => {
      expect(() => new Task(target as never)).toThrow(TypeError);
    });
  });

  describe(`the ${type} lane: controller()`, () => {
    it('stops the task when the controller resolves, and gives its result', async () => {
      await using supervisor = supervise();
      const run = controller(async (task) => void (await task.send('go')), gathers.with({ type, supervisor }));
      expect(await run('hello')).toEqual(['hello', 'go']);
    });

    it('takes a controller that is no async function', async () => {
      await using supervisor = supervise();
      const run = controller((task) => void task.send('go'), gathers.with({ type, supervisor }));
      expect(await run('hello')).toEqual(['hello', 'go']);
    });

    it('throws what the task fails with', async () => {
      await using supervisor = supervise();
      const run = controller(waitUntilDone(), failsWith.with({ type, supervisor }));
      expect(await failure(run('no'))).toEqual(new RangeError('no'));
    });

    it('throws what the controller throws, when the task has finished', async () => {
      await using supervisor = supervise();
      let task: Task | undefined;
      const run = controller(async (started) => {
        task = started;
        throw new TypeError('lost control');
      }, gathers.with({ type, supervisor }));
      expect(await failure(run('hello'))).toEqual(new TypeError('lost control'));
      expect(task).toMatchObject({ done: true, result: ['hello'] });
    });

    it('throws what a controller throws that is no async function', async () => {
      await using supervisor = supervise();
      const run = controller(() => {
        throw new TypeError('lost control');
      }, gathers.with({ type, supervisor }));
      expect(await failure(run('hello'))).toEqual(new TypeError('lost control'));
      expect(supervisor.getInfo().pending).toBe(0);
    });

    it('tells the controller by its signal that the task has ended first, and does not wait for it', async () => {
      await using supervisor = supervise();
      const aborted: boolean[] = [];
      const run = controller((_task, signal) => {
        aborted.push(signal.aborted);
        signal.addEventListener('abort', () => aborted.push(signal.aborted));
        return new Promise(() => {});
      }, doubles.with({ type, supervisor }));
      expect(await run(21)).toBe(42);
      expect(aborted).toEqual([false, true]);
    });

    it('gives the result where the controller fails after the end of the task', async () => {
      await using supervisor = supervise();
      const run = controller(async (task) => {
        await task.handle;
        throw new Error('too late');
      }, doubles.with({ type, supervisor }));
      expect(await run(21)).toBe(42);
    });

    it('takes options for the task', async () => {
      await using supervisor = superviseAlone();
      const run = controller(waitUntilDone(), doubles, { type, supervisor, name: 'controlled' });
      expect(await run(21)).toBe(42);
      expect(supervisor.getTasks().map(({ name, type: where }) => [name, where])).toEqual([['controlled', type]]);
    });

    it('takes a function alone, by its source', async () => {
      await using supervisor = supervise();
      const run = controller(waitUntilDone(), (task: TaskContext, n: number) => [task.args, n * 2], {
        type,
        supervisor,
      });
      expect(await run(21)).toEqual([[21], 42]);
    });

    it('can be called again, also before it has ended', async () => {
      await using supervisor = supervise({ poolSize: 4 });
      const run = controller(waitUntilDone(), doubles.with({ type, supervisor }));
      expect(await Promise.all([run(1), run(2), run(3)])).toEqual([2, 4, 6]);
    });

    it('ends with the cancel of its task', async () => {
      await using supervisor = supervise();
      const abort = new AbortController();
      const run = controller(
        async (task) => {
          if (task.handle !== undefined) await begun(task.handle);
          abort.abort('enough');
          await new Promise(() => {});
        },
        gathers.with({ type, supervisor, signal: abort.signal, stopGraceMs: 0 }),
      );
      expect(await failure(run('hello'))).toMatchObject({ code: 'TASK_CANCELED', cause: 'enough' });
    });

    it('refuses what is no function', () => {
      expect(() => controller('control' as never, doubles)).toThrow(TypeError);
      expect(() => controller(waitUntilDone(), {} as never)).toThrow(TypeError);
    });

    it('refuses an option that it does not know', () => {
      expect(() => controller(waitUntilDone(), doubles, { patience: 1 } as never)).toThrow(TypeError);
    });
  });

  describe(`the ${type} lane: waitUntilDone()`, () => {
    it('leaves the task alone until it has ended', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const run = controller(waitUntilDone(), waitsAtGate.with({ type, supervisor }));
      const stopped = run(gate.port, 'held');
      await gate.arrived(1);
      gate.open();
      expect(await stopped).toBe(false);
    });

    it('resolves where the task has ended before', async () => {
      const wait = waitUntilDone();
      expect(await wait(new Task(doubles, 1) as never, AbortSignal.abort())).toBeUndefined();
    });
  });

  describe(`the ${type} lane: chain()`, () => {
    it('hands each what the one before it sends, in order', async () => {
      await using supervisor = supervise({ poolSize: 4 });
      const stages = [passesDoubles, passesNext, passesDoubles].map((stage) => stage.with({ type, supervisor }));
      const stream = chain(numbersBelow(500), ...stages);
      expect(await gather(stream)).toEqual(numbersBelow(500).map((n) => (n * 2 + 1) * 2));
      await stream;
    });

    it('passes the end of the feed along, and gives what each has returned', async () => {
      await using supervisor = supervise({ poolSize: 4 });
      const stages = [passesDoubles, passesNext, sums].map((stage) => stage.with({ type, supervisor }));
      expect(await chain([1, 2, 3], ...stages)).toEqual([3, 'all', 15]);
    });

    it('takes an empty feed', async () => {
      await using supervisor = supervise({ poolSize: 4 });
      expect(await chain([], passesDoubles.with({ type, supervisor }), sums.with({ type, supervisor }))).toEqual([
        0, 0,
      ]);
    });

    it('takes an async feed', async () => {
      await using supervisor = supervise({ poolSize: 4 });
      async function* feed() {
        for (const n of numbersBelow(100)) {
          await nextTurn();
          yield n;
        }
      }
      expect(await chain(feed(), passesDoubles.with({ type, supervisor }), sums.with({ type, supervisor }))).toEqual([
        100, 9900,
      ]);
    });

    it('takes one function', async () => {
      await using supervisor = supervise();
      expect(await chain([1, 2, 3], sums.with({ type, supervisor }))).toEqual([6]);
    });

    it('waits for a stage that is slow: its feed is no further ahead than a window', async () => {
      await using supervisor = supervise();
      await using gate = await Gate.create();
      const feed = new Feed();
      async function* portThenNumbers() {
        yield gate.port;
        await gate.arrived(1);
        yield* feed.byTurns();
      }
      const results = chain(portThenNumbers(), takesUntilGate.with({ type, supervisor }));
      while (feed.given < windowSize - 2) await nextTurn();
      for (let turns = 0; turns < 500; turns += 1) await nextTurn();
      expect(feed.given).toBeLessThanOrEqual(windowSize);
      gate.open();
      expect(await results).toEqual(['went on']);
      expect(feed.isClosed).toBe(true);
    });

    it('lets the program go on while a feed without end waits for the first stage to start', async () => {
      await using supervisor = supervise({ poolSize: 4 });
      const feed = new Feed();
      expect(await chain(feed.endless(), takesThree.with({ type, supervisor }))).toEqual([[0, 1, 2]]);
      expect(feed.isClosed).toBe(true);
    });

    it('rejects with the failure of a stage, and cancels the others', async () => {
      await using supervisor = superviseAlone({ poolSize: 4 });
      const feed = new Feed();
      const stages = [passesNext, failsAtThree, sums].map((stage) => stage.with({ type, supervisor, stopGraceMs: 0 }));
      expect(await failure(chain(feed.slow(), ...stages))).toEqual(new RangeError('no third'));
      while (supervisor.getInfo().pending > 0) await pause(1);
      expect(Object.fromEntries(supervisor.getTasks().map(({ name, status }) => [name, status]))).toEqual({
        passesNext: 'canceled',
        failsAtThree: 'failed',
        sums: 'canceled',
      });
      while (!feed.isClosed) await pause(1);
    });

    it('ends those before a stage that ends early, and closes the feed', async () => {
      await using supervisor = supervise({ poolSize: 4 });
      const feed = new Feed();
      const stages = [passesDoubles, passesNext, takesThree].map((stage) => stage.with({ type, supervisor }));
      const [count, , taken] = await chain(feed.slow(), ...stages);
      expect(taken).toEqual([1, 3, 5]);
      expect(count).toBeGreaterThanOrEqual(3);
      expect(feed.isClosed).toBe(true);
    });

    it('ends those before a stage that ends early, though they send it nothing', async () => {
      await using supervisor = supervise({ poolSize: 4 });
      const feed = new Feed();
      const stages = [sums, endsAtOnce].map((stage) => stage.with({ type, supervisor }));
      const [, last] = await chain(feed.slow(), ...stages);
      expect(last).toBe('over');
      expect(feed.isClosed).toBe(true);
    });

    it('rejects with what the feed throws, and cancels all', async () => {
      await using supervisor = superviseAlone({ poolSize: 4 });
      function* feed() {
        yield 1;
        throw new TypeError('fed up');
      }
      const stages = [passesDoubles, sums].map((stage) => stage.with({ type, supervisor, stopGraceMs: 0 }));
      expect(await failure(chain(feed(), ...stages))).toEqual(new TypeError('fed up'));
      while (supervisor.getInfo().pending > 0) await pause(1);
      expect(supervisor.getTasks().map(({ status }) => status)).toEqual(['canceled', 'canceled']);
    });

    it('does not lock up with more stages than slots', async () => {
      await using supervisor = supervise(one);
      const stages = [passesNext, passesNext, passesNext, sums].map((stage) => stage.with({ type, supervisor }));
      expect(await chain(numbersBelow(1_000), ...stages)).toEqual(['all', 'all', 'all', 499_500 + 3_000]);
    });

    it('does not lock up where its feed comes from a task that has the only slot', async () => {
      await using supervisor = supervise(one);
      const source = new Task(sends.with({ type, supervisor }), 1_000);
      expect(await chain(source.messages(), sums.with({ type, supervisor }))).toEqual([499_500]);
    });

    if (type !== 'loop')
      it('fails where what the feed gives can not be copied', async () => {
        await using supervisor = supervise();
        const results = chain([() => {}], sums.with({ type, supervisor, stopGraceMs: 0 }));
        expect(await failure(results)).toMatchObject({ code: 'MESSAGE_NOT_CLONEABLE' });
      });

    it('is no unhandled rejection where only what the last one sends is read', async () => {
      await using supervisor = supervise({ poolSize: 4 });
      const stream = chain(numbersBelow(10), failsAtThree.with({ type, supervisor }));
      expect(await gather(stream)).toEqual([0, 1, 2]);
      await nextTurn();
    });

    it.each([undefined, 7, {}])('refuses the feed %j', (feed) => {
      expect(() => chain(feed as never, sums)).toThrow(TypeError);
    });

    it('refuses to be without a function, or with what is none', () => {
      expect(() => chain([1])).toThrow(TypeError);
      expect(() => chain([1], 'sums' as never)).toThrow(TypeError);
    });
  });
}
