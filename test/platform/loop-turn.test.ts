/**
 * While work follows work on the event loop, the loop turns: timers fire, sockets and signals are heard. Each consumer
 * has work here that would go on for half a second and ends as soon as a timer has ticked a few times.
 */
import {
  BaseWorker,
  backgroundTask,
  backgroundWorker,
  ClassicWorker,
  type CourierTask,
  currentTask,
  MemoryTaskCourier,
  TaskSupervisor,
} from 'taskwarden';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Schedule } from '../../src/schedules/schedule.ts';
import { interval } from '../../src/schedules/timetable.ts';
import { failure } from '../fixtures/listening.ts';

/** Pieces of work of a millisecond each, as many as that; and as many tasks, so that one finds that no piece is left. */
const mostPieces = 500;
const tasks = mostPieces + 10;
const wantedTicks = 3;

let pieces: number;
let ticks: number;
let timer: NodeJS.Timeout;

beforeEach(() => {
  pieces = 0;
  ticks = 0;
  timer = setInterval(() => {
    ticks += 1;
  }, 1);
});
afterEach(() => clearInterval(timer));

function spin(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

/** One piece, unless there is no more to do. Gives whether there may be more. */
function work(ms = 1): boolean {
  if (ticks >= wantedTicks || pieces >= mostPieces) return false;
  pieces += ms;
  spin(ms);
  return true;
}

function expectTurns(): void {
  expect(ticks).toBeGreaterThanOrEqual(wantedTicks);
  expect(pieces).toBeLessThan(mostPieces);
}

function supervise(): TaskSupervisor {
  return new TaskSupervisor({ logger: false });
}

describe('timers fire while a worker works on the event loop', () => {
  it.each([
    ['whose runs take longer than its interval', { intervalMs: 1 }],
    ['that pauses for 0 ms', { delayMs: 0 }],
    ['that runs again and again', {}],
  ])('%s', async (_, options) => {
    await using supervisor = supervise();
    const worker = backgroundWorker(() => work(2), { name: 'busy', type: 'loop', supervisor, ...options });
    worker.start();
    await worker.ended;
    expectTurns();
  });

  it('that triggers itself', async () => {
    await using supervisor = supervise();
    const again = () => work() && worker.trigger();
    const worker = backgroundWorker(again, { name: 'again', type: 'loop', supervisor, event: true });
    worker.start();
    worker.trigger();
    await worker.ended;
    expectTurns();
  });

  it('whose hooks take the time, and not its runs', async () => {
    await using supervisor = supervise();
    const options = { name: 'hooked', type: 'loop', supervisor, intervalMs: 1 } as const;
    const worker = backgroundWorker(() => {}, { ...options, processResult: () => void (work(2) || worker.stop()) });
    worker.start();
    await worker.ended;
    expectTurns();
  });

  it('of a queue', async () => {
    await using supervisor = supervise();
    const worker = backgroundWorker((_: number) => work(), { name: 'items', type: 'loop', supervisor, queue: true });
    for (let n = 0; n < tasks; n += 1) await worker.put(n);
    worker.start();
    await worker.ended;
    expectTurns();
  });
});

describe('timers fire while a schedule runs', () => {
  it.each(['skip', 'queue'] as const)(
    'tasks on the event loop that take longer than its interval: %s',
    async (overlap) => {
      await using supervisor = supervise();
      await new Promise<void>((resolve) => {
        const task = () => {
          if (work(2)) return;
          schedule.cancel();
          resolve();
        };
        const times = { delayMs: 1, recurring: true, overlap } as const;
        const schedule = supervisor.scheduleTask(backgroundTask(task, { name: 'late', type: 'loop' }), times);
      });
      expectTurns();
    },
  );

  it('what goes through no lane', async () => {
    await new Promise<void>((resolve) => {
      const run = async () => {
        if (work(2)) return;
        schedule.cancel();
        resolve();
      };
      const schedule = new Schedule({ name: 'bare', timetable: interval(1), run }).start();
    });
    expectTurns();
  });
});

describe('timers fire while a courier worker works through a queue in memory', () => {
  async function filled(data: unknown): Promise<MemoryTaskCourier> {
    const courier = new MemoryTaskCourier();
    await courier.bulkAddTasksToQueue(
      'q',
      Array.from({ length: tasks }, () => data),
    );
    return courier;
  }

  it.each([
    ['one at a time', {}],
    ['in bulks', { maxTasksPerIteration: tasks }],
    ['side by side', { maxTasksPerIteration: 2, maxSimultaneousTasks: 8 }],
  ])('%s', async (_, options) => {
    class Worker extends BaseWorker {
      override performSingleTask(): void {
        if (!work()) this.stop();
      }
    }
    await new Worker({ courier: await filled(null), queueName: 'q', ...options }).perform();
    expectTurns();
  });

  it('in bulks of its own', async () => {
    class Worker extends BaseWorker {
      override performTasks(bulk: readonly CourierTask[]): boolean[] {
        const results = bulk.map(() => work());
        if (results.includes(false)) this.stop();
        return results;
      }
    }
    await new Worker({ courier: await filled(null), queueName: 'q', maxTasksPerIteration: 2 }).perform();
    expectTurns();
  });

  it('whose functions run on the event loop', async () => {
    await using supervisor = supervise();
    const functions = { work: backgroundTask(() => work() || worker.stop(), { name: 'work', type: 'loop' }) };
    const courier = await filled({ function: 'work' });
    const worker = new ClassicWorker({ courier, queueName: 'q', supervisor, functions });
    await worker.perform();
    expectTurns();
  });
});

describe('timers fire while tasks run on the event loop', () => {
  it('all at once', async () => {
    await using supervisor = supervise();
    const task = backgroundTask(() => work(), { name: 'work', type: 'loop', supervisor });
    await Promise.all(Array.from({ length: mostPieces }, () => task()));
    expectTurns();
  });

  it('one after the other', async () => {
    await using supervisor = supervise();
    const task = backgroundTask(() => work(), { name: 'work', type: 'loop', supervisor });
    while (await task());
    expectTurns();
  });

  it('each called by the one before', async () => {
    await using supervisor = supervise();
    const next = (): unknown => work() && task();
    const task = backgroundTask(next, { name: 'next', type: 'loop', supervisor });
    await task();
    expectTurns();
  });

  it('that receives what has been sent', async () => {
    await using supervisor = supervise();
    const receive = async () => {
      while (work()) await currentTask().recv();
    };
    const handle = backgroundTask(receive, { name: 'receive', type: 'loop', supervisor })();
    for (let n = 0; n < tasks; n += 1) void handle.send(n);
    await handle;
    expectTurns();
  });

  it('whose messages are read', async () => {
    await using supervisor = supervise();
    const send = async () => {
      for (let n = 0; n < 60; n += 1) await currentTask().send(n);
    };
    const handle = backgroundTask(send, { name: 'send', type: 'loop', supervisor })();
    await handle;
    for await (const _ of handle.messages()) if (!work(8)) break;
    expectTurns();
  });

  it('that is a generator', async () => {
    await using supervisor = supervise();
    function* generate() {
      while (work()) yield pieces;
    }
    const handle = backgroundTask(generate, { name: 'generate', type: 'loop', supervisor })();
    for await (const _ of handle);
    expectTurns();
  });

  const inputs = Array.from({ length: mostPieces }, (): [] => []);

  it('of map()', async () => {
    await using supervisor = supervise();
    const task = backgroundTask(() => work(), { name: 'work', type: 'loop', supervisor });
    for await (const goesOn of task.map(inputs)) if (!goesOn) break;
    expectTurns();
  });

  it('of map() whose reader takes the time', async () => {
    await using supervisor = supervise();
    const task = backgroundTask(() => {}, { name: 'nothing', type: 'loop', supervisor });
    for await (const _ of task.map(inputs, { concurrency: mostPieces })) if (!work()) break;
    expectTurns();
  });

  it('of map() whose source takes the time', async () => {
    await using supervisor = supervise();
    const task = backgroundTask(() => {}, { name: 'nothing', type: 'loop', supervisor });
    function* source(): Generator<[], void, undefined> {
      while (work()) yield [];
    }
    for await (const _ of task.map(source(), { concurrency: mostPieces }));
    expectTurns();
  });
});

describe('tasks that this turn of the event loop has no time for', () => {
  it('begin later, in the order in which they came', async () => {
    await using supervisor = supervise();
    const begun: number[] = [];
    const note = (n: number) => {
      begun.push(n);
      spin(1);
    };
    const task = backgroundTask(note, { name: 'note', type: 'loop', supervisor });
    const numbers = Array.from({ length: 30 }, (_, n) => n);
    await Promise.all(numbers.map((n) => task(n)));
    expect(begun).toEqual(numbers);
  });

  it('begin later than more urgent ones that come meanwhile', async () => {
    await using supervisor = supervise();
    const begun: string[] = [];
    const note = (name: string, ms = 0) => {
      begun.push(name);
      spin(ms);
    };
    const task = backgroundTask(note, { name: 'note', type: 'loop', supervisor });
    const first = task('first', 20); // the others wait for a later turn
    const low = task.with({ priority: 'low' })('low');
    const normal = task('normal');
    const urgent = first.then(() => task.with({ priority: 'critical' })('critical'));
    const high = first.then(() => task.with({ priority: 'high' })('high'));
    await Promise.all([low, normal, urgent, high]);
    expect(begun).toEqual(['first', 'critical', 'high', 'normal', 'low']);
  });

  it('are canceled and expire as others that wait', async () => {
    await using supervisor = supervise();
    const begun: string[] = [];
    const note = (name: string, ms = 0) => {
      begun.push(name);
      spin(ms);
    };
    const task = backgroundTask(note, { name: 'note', type: 'loop', supervisor });
    const first = task('first', 20);
    const canceled = task('canceled');
    const expired = task.with({ queueTimeoutMs: 1 })('expired', 0);
    const last = task('last');
    await first;
    expect(canceled.status).toBe('queued');
    expect(canceled.cancel()).toBe(true);
    expect(canceled.status).toBe('canceled');
    expect(await failure(canceled)).toMatchObject({ code: 'TASK_CANCELED' });
    await Promise.allSettled([expired, last]);
    expect(begun).not.toContain('canceled');
    expect(begun.at(-1)).toBe('last');
  });

  it('are ended with their supervisor', async () => {
    const supervisor = supervise();
    const task = backgroundTask((ms: number) => spin(ms), { name: 'spin', type: 'loop', supervisor });
    const first = task(20);
    const others = [task(0), task(0)];
    await first;
    const report = await supervisor.stop({ wait: false });
    expect(report).toMatchObject({ canceled: 2 });
    for (const other of others) expect(await failure(other)).toMatchObject({ code: 'TASK_CANCELED' });
  });

  it('see their own task, and not that of another', async () => {
    await using supervisor = supervise();
    const spinning = () => {
      spin(3);
      return currentTask().id;
    };
    const task = backgroundTask(spinning, { name: 'spinning', type: 'loop', supervisor });
    const handles = Array.from({ length: 5 }, () => task());
    expect(await Promise.all(handles)).toEqual(handles.map(({ id }) => id));
  });
});
