/** Paused workers: a run goes on, none starts, and what waits is kept. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type BackgroundWorker, backgroundWorker, TaskSupervisor } from 'taskwarden';
import { describe, expect, it, vi } from 'vitest';

async function turns(): Promise<void> {
  for (let n = 0; n < 20; n += 1) await nextTurn();
}

/** Runs that end when the test lets them. */
class Runs {
  readonly begun: unknown[] = [];
  readonly #ends: (() => void)[] = [];

  readonly run = async (item?: unknown): Promise<void> => {
    this.begun.push(item);
    await new Promise<void>((resolve) => this.#ends.push(resolve));
  };

  end(): void {
    for (const end of this.#ends.splice(0)) end();
  }
}

it.each<[string, object]>([
  ['an endless worker', {}],
  ['an event worker', { event: true }],
  ['a queue worker', { queue: true }],
  ['an interval worker', { delayMs: 0 }],
])('%s lets its run go on, starts none while it is paused, and is shown so', async (_kind, options) => {
  await using supervisor = new TaskSupervisor({ logger: false });
  const events: unknown[] = [];
  for (const event of ['worker:paused', 'worker:resumed'] as const) {
    supervisor.on(event, ({ name }) => events.push([event, name]));
  }
  const runs = new Runs();
  const worker = backgroundWorker(runs.run, { name: 'w', type: 'loop', supervisor, ...options }) as BackgroundWorker & {
    trigger?(): boolean;
    put?(item: unknown): Promise<string>;
  };
  const ask = () => ('queue' in options ? worker.put?.('item') : worker.trigger?.());
  worker.start();
  void ask();
  await vi.waitFor(() => expect(runs.begun).toHaveLength(1));
  worker.pause();
  worker.pause();
  void ask();
  runs.end();
  await turns();
  expect(runs.begun).toHaveLength(1);
  expect([worker.isPaused, worker.state]).toEqual([true, 'started']);
  expect(supervisor.getInfo().workers).toMatchObject([{ name: 'w', isPaused: true }]);
  worker.resume();
  await vi.waitFor(() => expect(runs.begun).toHaveLength(2));
  expect(worker.isPaused).toBe(false);
  expect(events).toEqual([
    ['worker:paused', 'w'],
    ['worker:resumed', 'w'],
  ]);
  const stopped = worker.stop();
  runs.end();
  const ending = setInterval(() => runs.end());
  await stopped;
  clearInterval(ending);
});

describe('a paused worker', () => {
  it.each(['worker', 'supervisor'])('is stopped without what waits, with its %s', async (what) => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const runs = new Runs();
    const worker = backgroundWorker(runs.run, { name: 'w', type: 'loop', supervisor, queue: true });
    worker.pause();
    worker.start();
    await worker.put('kept');
    await turns();
    await (what === 'worker' ? worker.stop() : supervisor.stop());
    expect(runs.begun).toEqual([]);
    expect(await worker.courier.getQueueInfo(worker.queueName)).toMatchObject({ waiting: { normal: 1 }, leased: 0 });
  });

  it('keeps the order of its items', async () => {
    await using supervisor = new TaskSupervisor({ logger: false });
    const order: unknown[] = [];
    const worker = backgroundWorker((item: number) => order.push(item), {
      name: 'w',
      type: 'loop',
      supervisor,
      queue: true,
    });
    worker.start();
    for (let n = 0; n < 20; n += 1) {
      await worker.put(n);
      if (n % 5 === 2) worker.pause();
      if (n % 5 === 4) worker.resume();
    }
    await vi.waitFor(() => expect(order).toHaveLength(20));
    expect(order).toEqual(Array.from({ length: 20 }, (_, n) => n));
  });

  it('ends where its supervisor is paused, and stops', async () => {
    const supervisor = new TaskSupervisor({ logger: false });
    const runs = new Runs();
    const worker = backgroundWorker(runs.run, { name: 'w', type: 'loop', supervisor, queue: true });
    supervisor.pause();
    worker.start();
    await worker.put('kept');
    await turns();
    await supervisor.stop();
    expect(runs.begun).toEqual([]);
    expect(worker.isStopped).toBe(true);
  });
});

it('an interval worker leaves out the runs that come due while it is paused', async () => {
  vi.useFakeTimers({ now: 0 });
  const supervisor = new TaskSupervisor({ logger: false });
  const runs: number[] = [];
  const worker = backgroundWorker(() => void runs.push(Date.now()), {
    name: 'w',
    type: 'loop',
    supervisor,
    intervalMs: 100,
  });
  worker.start();
  await vi.advanceTimersByTimeAsync(150);
  worker.pause();
  await vi.advanceTimersByTimeAsync(300);
  worker.resume();
  await vi.advanceTimersByTimeAsync(100);
  expect(runs).toEqual([0, 100, 500]);
  const stopped = supervisor.stop({ wait: false });
  await vi.advanceTimersByTimeAsync(5_000);
  await stopped;
  vi.useRealTimers();
});
