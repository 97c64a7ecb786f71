/** How background workers end: by their own stop, by a run, and by the end of their supervisor. On the event loop. */
import {
  type BackgroundQueueWorker,
  BackgroundWorker,
  backgroundWorker,
  MemoryTaskCourier,
  TaskSupervisor,
  type WorkerOptions,
} from 'taskwarden';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const never = () => new Promise<void>(() => {});
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Something that a test lets happen. */
function door(): { readonly passed: Promise<void>; readonly open: () => void } {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

let supervisor: TaskSupervisor;
let loop: { readonly type: 'loop'; readonly supervisor: TaskSupervisor };
const rejections: unknown[] = [];
const onRejection = (reason: unknown) => rejections.push(reason);

beforeEach(() => {
  supervisor = new TaskSupervisor({ logger: false });
  loop = { type: 'loop', supervisor };
  rejections.length = 0;
  process.on('unhandledRejection', onRejection);
});
afterEach(async () => {
  await supervisor.stop({ wait: false });
  await turn();
  process.off('unhandledRejection', onRejection);
  expect(rejections).toEqual([]);
});

async function waiting({ courier, queueName }: BackgroundQueueWorker): Promise<number> {
  const { waiting: each, leased, delayed } = await courier.getQueueInfo(queueName);
  return each.critical + each.high + each.normal + each.low + leased + delayed;
}

/** Notes each item, and how many waits it has had. */
function noting(seen: unknown[], options: WorkerOptions & { readonly queue?: object } = {}) {
  const note = (item: unknown) => {
    seen.push(item);
  };
  return backgroundWorker(note, { name: 'notes', ...loop, queue: true, ...options });
}

describe('a worker that waits for room at its supervisor', () => {
  it('begins no run after its stop, and does not wait for that room', async () => {
    supervisor.configure({ maxQueued: 1, loop: { poolSize: 1, reserveNormal: 0, reserveHigh: 0 } });
    const gate = door();
    const busy = supervisor.putTask(() => gate.passed, { type: 'loop', name: 'busy' });
    const queued = supervisor.putTask(() => 'queued', { type: 'loop', name: 'queued' });
    let runs = 0;
    const worker = backgroundWorker(
      () => {
        runs += 1;
      },
      { name: 'late', ...loop },
    );
    worker.start();
    await turn();
    expect(await worker.stop()).toBe(true);
    gate.open();
    await Promise.all([busy, queued]);
    await turn();
    expect(runs).toBe(0);
  });

  it('gives the item back that it has taken', async () => {
    supervisor.configure({ maxQueued: 1, loop: { poolSize: 1, reserveNormal: 0, reserveHigh: 0 } });
    const gate = door();
    supervisor.putTask(() => gate.passed, { type: 'loop', name: 'busy' });
    const queued = supervisor.putTask(() => 'queued', { type: 'loop', name: 'queued' });
    const seen: unknown[] = [];
    const worker = noting(seen);
    worker.start();
    await worker.put('a');
    await turn();
    await worker.stop({ wait: false });
    expect(await waiting(worker)).toBe(1);
    gate.open();
    await queued;
    worker.start();
    await worker.stop();
    expect(seen).toEqual(['a']);
  });
});

describe('a queue worker drains a queue of its own', () => {
  it('though an item was canceled that waited', async () => {
    const gate = door();
    const seen: unknown[] = [];
    const worker = backgroundWorker(
      async (item: string) => {
        await gate.passed;
        seen.push(item);
      },
      { name: 'waits', ...loop, queue: true },
    );
    worker.start();
    const [, second] = [await worker.put('a'), await worker.put('b'), await worker.put('c')];
    await worker.courier.cancelTask(worker.queueName, second as string);
    const stopped = worker.stop();
    gate.open();
    await stopped;
    expect(seen).toEqual(['a', 'c']);
  });

  it('also of what came by the courier', async () => {
    const seen: unknown[] = [];
    const worker = noting(seen);
    for (const item of ['a', 'b']) await worker.courier.addTaskToQueue(worker.queueName, item);
    await worker.put('c');
    worker.start();
    while (!worker.isStarted) await turn();
    await worker.stop();
    expect(seen).toEqual(['a', 'b', 'c']);
    expect(await waiting(worker)).toBe(0);
  });

  it('also of what is to be tried again, and tries that again', async () => {
    const seen: string[] = [];
    const worker = backgroundWorker(
      (item: string) => {
        seen.push(item);
        if (seen.filter((each) => each === 'bad').length < 3 && item === 'bad') throw new Error('not yet');
        return item;
      },
      { name: 'retries', ...loop, queue: true, onError: () => {} },
    );
    worker.start();
    const id = await worker.put('bad', { retries: 5, retryDelayMs: 10 });
    await worker.put('good');
    await worker.stop();
    expect(seen.filter((each) => each === 'bad')).toHaveLength(3);
    expect(await worker.courier.getTaskResult(worker.queueName, id)).toBe('bad');
  });

  it('and forgets what was canceled before it was tried again', async () => {
    const failed = door();
    const worker = backgroundWorker(
      (_item: string) => {
        throw new Error('not yet');
      },
      { name: 'retries', ...loop, queue: true, onError: failed.open },
    );
    worker.start();
    const id = await worker.put('bad', { retries: 5, retryDelayMs: 3_600_000 });
    await failed.passed;
    const stopped = worker.stop();
    await turn();
    await worker.courier.cancelTask(worker.queueName, id);
    expect(await stopped).toBe(true);
  });

  it('but leaves what is delayed, and was never begun', async () => {
    const seen: unknown[] = [];
    const worker = noting(seen);
    worker.start();
    await worker.put('later', { delayMs: 3_600_000 });
    await worker.put('now');
    await worker.stop();
    expect(seen).toEqual(['now']);
    expect(await waiting(worker)).toBe(1);
  });

  it('also of what its runs put, and of what waits for room', async () => {
    const seen: number[] = [];
    const worker: BackgroundQueueWorker<number> = backgroundWorker(
      async (item: number) => {
        seen.push(item);
        if (item > 0) void worker.put(item - 1);
      },
      { name: 'crawls', ...loop, queue: { concurrency: 2, maxQueued: 1 } },
    );
    worker.start();
    void Promise.all([3, 3, 3].map((item) => worker.put(item)));
    await turn();
    await worker.stop();
    expect(seen.sort()).toEqual([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
  });

  it('when a run has given false, while others go on', async () => {
    const gate = door();
    const seen: string[] = [];
    const worker = backgroundWorker(
      async (item: string) => {
        if (item !== 'last') await gate.passed;
        seen.push(item);
        return item !== 'last';
      },
      { name: 'ends', ...loop, queue: { concurrency: 3 } },
    );
    worker.start();
    for (const item of ['a', 'b', 'last', 'c']) await worker.put(item);
    while (worker.state !== 'stopping') await turn();
    expect(worker.isActive).toBe(true);
    gate.open();
    await worker.stop();
    expect(seen.sort()).toEqual(['a', 'b', 'c', 'last']);
  });
});

describe('the stop of a worker', () => {
  it('may be asked for by its run, and comes when that has ended', async () => {
    const stops: Promise<boolean>[] = [];
    let runs = 0;
    const worker = backgroundWorker(
      () => {
        runs += 1;
        stops.push(worker.stop());
      },
      { name: 'stopsItself', ...loop },
    );
    worker.start();
    while (stops.length === 0) await turn();
    expect(await stops[0]).toBe(true);
    expect([runs, worker.isStopped]).toEqual([1, true]);
  });

  it('waits for beforeStart, and calls neither afterStart nor beforeStop then', async () => {
    const calls: string[] = [];
    const gate = door();
    const note = (what: string) => () => void calls.push(what);
    const worker = backgroundWorker(note('run'), {
      name: 'starts',
      ...loop,
      beforeStart: async () => {
        await gate.passed;
        calls.push('beforeStart');
      },
      afterStart: note('afterStart'),
      beforeStop: note('beforeStop'),
      afterStop: note('afterStop'),
    });
    worker.start();
    const stopped = worker.stop();
    await turn();
    expect(calls).toEqual([]);
    gate.open();
    expect(await stopped).toBe(true);
    expect(calls).toEqual(['beforeStart', 'afterStop']);
  });

  it.each(['beforeStart', 'afterStart', 'beforeStop', 'processResult'] as const)(
    'at once does not wait for a %s that never ends, but for afterStop',
    async (hook) => {
      const calls: string[] = [];
      const worker = backgroundWorker(() => 'done', {
        name: 'hangs',
        ...loop,
        [hook]: never,
        afterStop: async () => {
          await turn();
          calls.push('afterStop');
        },
      });
      worker.start();
      for (let n = 0; n < 5; n += 1) await turn();
      const patient = worker.stop();
      await turn();
      expect(worker.isActive).toBe(true);
      expect(await worker.stop({ wait: false })).toBe(true);
      expect(await patient).toBe(true);
      expect(calls).toEqual(['afterStop']);
    },
  );

  it.each(['processResult', 'onError'] as const)(
    'with a number does not wait for a %s that never ends',
    async (hook) => {
      const called = door();
      const worker = backgroundWorker(
        () => {
          if (hook === 'onError') throw new Error('no');
        },
        {
          name: 'hangs',
          ...loop,
          [hook]: () => {
            called.open();
            return never();
          },
        },
      );
      worker.start();
      await called.passed;
      expect(await worker.stop({ wait: 10 })).toBe(true);
    },
  );

  it('is refused with an unknown option, at the call', () => {
    const worker = backgroundWorker(() => {}, { name: 'typo', ...loop });
    expect(() => worker.stop({ wiat: true } as never)).toThrow(/stop\(\) of worker "typo" has no option "wiat"/);
  });

  it('in its afterStop starts nothing, and a restart comes after it', async () => {
    const started: boolean[] = [];
    let again: Promise<boolean> | undefined;
    const worker: BackgroundWorker = backgroundWorker(() => 1, {
      name: 'restarts',
      ...loop,
      afterStop: () => {
        started.push(worker.start());
        again ??= worker.restart();
      },
    });
    worker.start();
    await worker.stop();
    expect(await again).toBe(true);
    expect(started).toEqual([false]);
    expect(worker.isActive).toBe(true);
    await worker.stop();
  });

  it('is kept to when it comes while the worker restarts', async () => {
    const worker = backgroundWorker(() => turn(), { name: 'restarts', ...loop });
    worker.start();
    await turn();
    const restarted = worker.restart();
    await turn();
    expect(await worker.stop()).toBe(true);
    expect(await restarted).toBe(false);
    expect(worker.isStopped).toBe(true);
    worker.start();
    const [first, second] = await Promise.all([worker.restart(), worker.restart()]);
    expect([first, second]).toEqual([false, true]);
    await worker.stop();
  });

  it('is not taken for what a run fails with that calls a stopped supervisor', async () => {
    const other = new TaskSupervisor({ logger: false });
    await other.stop();
    const errors: unknown[] = [];
    const worker = backgroundWorker((_item: string) => other.putTask(() => 1, { type: 'loop', name: 'refused' }), {
      name: 'asks',
      ...loop,
      queue: true,
      onError: (error) => errors.push(error),
    });
    worker.start();
    await worker.put('a');
    await worker.put('b');
    while (errors.length < 2) await turn();
    expect(worker.isStarted).toBe(true);
    expect(errors).toEqual([
      expect.objectContaining({ code: 'SUPERVISOR_STOPPED' }),
      expect.objectContaining({ code: 'SUPERVISOR_STOPPED' }),
    ]);
    await worker.stop();
  });

  it('comes by itself when its courier is closed, which onError hears, and may reject', async () => {
    const courier = new MemoryTaskCourier();
    const errors: unknown[] = [];
    const worker = noting([], {
      queue: { courier },
      onError: async (error) => {
        errors.push(error);
        throw new Error('and so did onError');
      },
    });
    worker.start();
    await turn();
    await courier.close();
    while (worker.isActive) await turn();
    expect(errors).toEqual([expect.objectContaining({ code: 'COURIER_CLOSED' })]);
    worker.start();
    while (worker.isActive) await turn();
    expect(errors).toHaveLength(2);
  });

  it('does not come of a lease that is lost, of which onError hears, and may reject', async () => {
    class Losing extends MemoryTaskCourier {
      override async subscribeToClient(
        ...[, , hear]: Parameters<MemoryTaskCourier['subscribeToClient']>
      ): Promise<() => void> {
        hear({ kind: 'lost' });
        return () => {};
      }
    }
    const heard = door();
    const errors: unknown[] = [];
    const worker = noting([], {
      queue: { courier: new Losing() },
      onError: async (error) => {
        errors.push(error);
        heard.open();
        throw new Error('and so did onError');
      },
    });
    worker.start();
    await worker.put('a');
    await heard.passed;
    await turn();
    expect(errors).toEqual([expect.objectContaining({ code: 'LEASE_LOST' })]);
    expect(worker.isStarted).toBe(true);
    await worker.stop();
  });

  it('drops a trigger that came before the start was given up', async () => {
    let runs = 0;
    const gate = door();
    let isReady = false;
    const worker = backgroundWorker(
      () => {
        runs += 1;
      },
      { name: 'rings', ...loop, event: true, beforeStart: () => (isReady ? undefined : gate.passed) },
    );
    worker.start();
    expect(worker.trigger()).toBe(true);
    await worker.stop({ wait: false });
    isReady = true;
    worker.start();
    for (let n = 0; n < 5; n += 1) await turn();
    expect(runs).toBe(0);
    expect(worker.trigger()).toBe(true);
    while (runs === 0) await turn();
    await worker.stop();
    expect(runs).toBe(1);
  });
});

describe('an endless worker', () => {
  it('that does nothing lets timers fire', async () => {
    let runs = 0;
    const worker = backgroundWorker(
      () => {
        runs += 1;
      },
      { name: 'idles', ...loop },
    );
    worker.start();
    await new Promise((resolve) => setTimeout(resolve, 1));
    while (runs < 100) await turn();
    await new Promise((resolve) => setTimeout(resolve, 1));
    await worker.stop();
    const { submitted, pending } = supervisor.getInfo();
    expect([submitted, pending]).toEqual([runs, 0]);
  });
});

describe('the end of a supervisor', () => {
  it.each(['beforeStart', 'afterStart', 'beforeStop', 'afterStop', 'processResult'] as const)(
    'keeps its deadline with a %s that never ends',
    async (hook) => {
      const worker = backgroundWorker(() => 'done', { name: 'hangs', ...loop, [hook]: never });
      worker.start();
      await turn();
      await supervisor.stop({ wait: 100 });
      expect(supervisor.state).toBe('stopped');
    },
  );

  it('keeps its deadline with a long queue, and with a run that ignores its stop', async () => {
    const courier = new MemoryTaskCourier();
    const begun = door();
    let ignoring = 0;
    const long = backgroundWorker((_item: number) => turn(), { name: 'long', ...loop, queue: true });
    const stubborn = backgroundWorker(
      (_item: string) => {
        ignoring += 1;
        begun.open();
        return never();
      },
      { name: 'stubborn', ...loop, queue: { courier } },
    );
    long.start();
    stubborn.start();
    for (let n = 0; n < 50_000; n += 1) void long.put(n);
    await stubborn.put('a');
    await stubborn.put('b');
    await begun.passed;
    const report = await supervisor.stop({ wait: 200 });
    expect(report.canceled + report.terminated).toBeGreaterThanOrEqual(1);
    expect(ignoring).toBe(1);
    while (long.isActive || stubborn.isActive) await turn();
    expect(await waiting(stubborn)).toBe(2);
    expect(await waiting(long)).toBeGreaterThan(0);
  });

  it('ends a worker whose courier never answers a fetch', async () => {
    class Deaf extends MemoryTaskCourier {
      override bulkWaitForTasks(): Promise<never> {
        return new Promise(() => {});
      }
    }
    const worker = noting([], { queue: { courier: new Deaf() } });
    worker.start();
    await turn();
    expect(await supervisor.stop({ wait: 100 })).toEqual({ finished: 0, canceled: 0, terminated: 0 });
    expect(worker.isActive).toBe(false);
  });

  it('keeps its deadline with a worker whose courier never takes anything back', async () => {
    class Deaf extends MemoryTaskCourier {
      override releaseTask(): Promise<never> {
        return never() as Promise<never>;
      }
    }
    const begun = door();
    const errors: unknown[] = [];
    const work = (_item: unknown) => {
      begun.open();
      return never();
    };
    const onError = (error: unknown) => errors.push(error);
    const worker = backgroundWorker(work, { name: 'w', ...loop, queue: { courier: new Deaf() }, onError });
    worker.start();
    await worker.put('a');
    await begun.passed;
    await supervisor.stop({ wait: 100 });
    expect(worker.isActive).toBe(true); // it was given up
    await worker.ended; // for it gives up its courier
    expect(errors).toEqual([expect.objectContaining({ code: 'COURIER_UNREACHABLE' })]);
  });

  it('waits for the items that go back to their courier, when it is at once', async () => {
    class Slow extends MemoryTaskCourier {
      override async releaseTask(...args: Parameters<MemoryTaskCourier['releaseTask']>): Promise<void> {
        for (let n = 0; n < 20; n += 1) await turn();
        await super.releaseTask(...args);
      }
    }
    const begun = door();
    const courier = new Slow();
    const worker = backgroundWorker(
      (_item: string) => {
        begun.open();
        return never();
      },
      { name: 'hangs', ...loop, queue: { courier } },
    );
    worker.start();
    const ids = [await worker.put('a'), await worker.put('b')];
    await begun.passed;
    await supervisor.stop({ wait: false });
    expect(worker.isStopped).toBe(true);
    expect((await courier.bulkGetTasks(worker.queueName, 10)).map(({ id, attempt }) => [id, attempt])).toEqual(
      ids.map((id) => [id, 1]),
    );
  });

  it('with stopWorkers: false ends workers of all kinds, and gives items back that were not run', async () => {
    const courier = new MemoryTaskCourier();
    const gate = door();
    const begun = door();
    const seen: unknown[] = [];
    const queue = backgroundWorker(
      async (item: string) => {
        begun.open();
        await gate.passed;
        seen.push(item);
      },
      { name: 'queue', ...loop, queue: { courier } },
    );
    const endless = backgroundWorker(() => {}, { name: 'endless', ...loop });
    const event = backgroundWorker(() => {}, { name: 'event', ...loop, event: true });
    const timed = backgroundWorker(() => {}, { name: 'timed', ...loop, intervalMs: 3_600_000 });
    const workers: BackgroundWorker[] = [queue, endless, event, timed];
    for (const worker of workers) worker.start();
    for (const item of ['a', 'b', 'c']) await queue.put(item);
    await begun.passed;
    const stopped = supervisor.stop({ stopWorkers: false });
    gate.open();
    const { canceled, terminated } = await stopped;
    expect([canceled, terminated]).toEqual([0, 0]);
    expect(workers.map(({ state }) => state)).toEqual(['stopped', 'stopped', 'stopped', 'stopped']);
    expect(seen).toEqual(['a']);
    expect((await courier.bulkGetTasks('queue', 9)).map(({ data }) => data)).toEqual(['b', 'c']);
  });

  it('drains own queues, ends the others, and reports their runs', async () => {
    const gate = door();
    const seen: unknown[] = [];
    const queue = backgroundWorker(
      async (item: number) => {
        await gate.passed;
        seen.push(item);
      },
      { name: 'queue', ...loop, queue: { concurrency: 2 } },
    );
    const event = backgroundWorker(() => {}, { name: 'event', ...loop, event: true });
    const timed = backgroundWorker(() => {}, { name: 'timed', ...loop, cron: '0 0 1 1 *' });
    for (const worker of [queue, event, timed]) (worker as BackgroundWorker).start();
    for (let item = 0; item < 10; item += 1) await queue.put(item);
    while (supervisor.getInfo().loop.running < 2) await turn();
    const stopped = supervisor.stop();
    expect(() => timed.start()).not.toThrow(); // it is active
    gate.open();
    expect(await stopped).toEqual({ finished: 10, canceled: 0, terminated: 0 });
    expect(seen).toHaveLength(10);
    expect(() => queue.start()).toThrow(expect.objectContaining({ code: 'SUPERVISOR_STOPPED' }));
    expect(queue.isStopped).toBe(true);
    await expect(queue.restart()).rejects.toMatchObject({ code: 'SUPERVISOR_STOPPED' });
  });

  it('leaves no timer behind', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const before = timers();
    const workers: BackgroundWorker[] = [
      backgroundWorker(() => {}, { name: 'timed', ...loop, intervalMs: 1, delayBeforeMs: 3_600_000 }),
      backgroundWorker(() => {}, { name: 'cron', ...loop, cron: '0 0 1 1 *' }),
      backgroundWorker(() => Promise.reject(new Error('no')), { name: 'fails', ...loop, onError: () => {} }),
      backgroundWorker(() => {}, { name: 'event', ...loop, event: true }),
    ];
    const queue = backgroundWorker((_item: string) => never(), { name: 'queue', ...loop, queue: true, stopGraceMs: 1 });
    for (const worker of [...workers, queue]) (worker as BackgroundWorker).start();
    await queue.put('a');
    for (let n = 0; n < 20; n += 1) await turn();
    await Promise.all([...workers.map((worker) => worker.stop()), queue.stop({ wait: false })]);
    await supervisor.stop();
    // What the courier keeps of the item goes with the courier.
    await queue.courier.close();
    expect(timers()).toBeLessThanOrEqual(before); // one of a test before this may have fired meanwhile
  });
});

it('a worker whose runs can not be submitted stops, and keeps no clock', async () => {
  class Refusing extends TaskSupervisor {
    override submit(): never {
      throw new TypeError('no');
    }
  }
  await using refusing = new Refusing({ logger: false });
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  const options = { name: 'refused', type: 'loop', supervisor: refusing, intervalMs: 1, onError } as const;
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
  const before = timers();
  const worker = backgroundWorker(() => {}, options);
  worker.start();
  while (worker.isActive) await turn();
  expect(errors).toEqual([new TypeError('no')]);
  expect(timers() - before).toBeLessThanOrEqual(1); // that which keeps the process alive is kept for the next start
});

it('a class that has no run() says so', async () => {
  const errors: unknown[] = [];
  class Idle extends BackgroundWorker {}
  const worker = new Idle({ ...loop, onError: (error) => errors.push(error) });
  worker.start();
  while (errors.length === 0) await turn();
  await worker.stop();
  expect(String(errors[0])).toBe('TypeError: Idle has to override run()');
});

it('a worker that is a function without a name has that of its kind', async () => {
  const worker = backgroundWorker(() => {}, { event: true, ...loop });
  worker.start();
  expect(worker.name).toBe('BackgroundEventWorker');
  await worker.stop();
  expect(() => backgroundWorker(() => {}, { event: true, supervisor })).toThrow('needs a name');
});
