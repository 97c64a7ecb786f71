/** Interval workers on the event loop, by a clock that the test moves. */
import {
  type BackgroundIntervalWorker,
  backgroundWorker,
  type IntervalWorkerOptions,
  TaskSupervisor,
} from 'taskwarden';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const startedAt = Date.parse('2026-03-01T00:00:00Z');
const neverEnds = () => new Promise<void>(() => {});

let supervisor: TaskSupervisor;

beforeEach(() => {
  vi.useFakeTimers({ now: startedAt });
  supervisor = new TaskSupervisor({ logger: false });
});
afterEach(async () => {
  const stopped = supervisor.stop({ wait: false });
  await vi.advanceTimersByTimeAsync(5_000);
  await stopped;
  vi.useRealTimers();
});

/** When its runs began, in milliseconds since the start; `run` says how long the n-th takes. */
function timed(
  options: IntervalWorkerOptions,
  runMs: (n: number) => number = () => 0,
): { readonly runs: number[]; readonly worker: BackgroundIntervalWorker<[]> } {
  const runs: number[] = [];
  const run = async () => {
    const ms = runMs(runs.length);
    runs.push(Date.now() - startedAt);
    if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
  };
  const given = { name: 'timed', type: 'loop', supervisor, ...options } as IntervalWorkerOptions & {
    intervalMs: number;
  };
  return { runs, worker: backgroundWorker(run, given) };
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe('intervalMs', () => {
  it('has its n-th run at the start + n times the interval, for 1,000 runs that take now less, now more', async () => {
    const { runs, worker } = timed({ intervalMs: 70 }, (n) => (n * 37) % 69);
    worker.start();
    await pass(70 * 999);
    expect(runs).toEqual(Array.from({ length: 1_000 }, (_, n) => n * 70));
  });

  it('leaves out what comes due during a run that takes longer, and goes back to the grid', async () => {
    const { runs, worker } = timed({ intervalMs: 100 }, (n) => (n === 1 ? 250 : 10));
    worker.start();
    await pass(500);
    expect(runs).toEqual([0, 100, 400, 500]);
  });

  it('says when it comes due next, while it works', async () => {
    const { worker } = timed({ intervalMs: 100 }, () => 30);
    expect(worker.nextRun).toBeUndefined();
    worker.start();
    await pass(0);
    expect(worker.nextRun).toBe(startedAt + 100);
    await pass(110);
    expect(worker.nextRun).toBe(startedAt + 200);
    const stopped = worker.stop();
    expect(worker.nextRun).toBeUndefined(); // though a run goes on
    await pass(30);
    expect(await stopped).toBe(true);
    expect(worker.nextRun).toBeUndefined();
  });

  it('begins a grid of its own with each start', async () => {
    const { runs, worker } = timed({ intervalMs: 100 });
    worker.start();
    await pass(130);
    await worker.stop();
    await pass(500);
    worker.start();
    await pass(100);
    expect(runs).toEqual([0, 100, 630, 730]);
  });

  it('puts each run off by delayBeforeMs, from when it is due', async () => {
    const { runs, worker } = timed({ intervalMs: 100, delayBeforeMs: 40 });
    worker.start();
    await pass(250);
    expect(runs).toEqual([40, 140, 240]);
  });

  it('begins no run that was put off when it is stopped', async () => {
    const { runs, worker } = timed({ intervalMs: 100, delayBeforeMs: 40 });
    worker.start();
    await pass(120);
    expect(await worker.stop()).toBe(true);
    expect(vi.getTimerCount()).toBeLessThanOrEqual(1); // that of the supervisor, which runs
    await pass(200);
    worker.start();
    await pass(0);
    expect(runs).toEqual([40]); // nor is it made up for
  });

  it('waits for longer than a timer of Node can', async () => {
    const day = 86_400_000;
    const { runs, worker } = timed({ intervalMs: 30 * day, delayBeforeMs: 29 * day });
    worker.start();
    await pass(28 * day);
    expect(runs).toEqual([]);
    await pass(31 * day);
    expect(runs).toEqual([29 * day, 59 * day]);
  });

  it('goes on after a run that fails', async () => {
    const errors: unknown[] = [];
    const fails = () => Promise.reject(new Error('no'));
    const onError = (error: unknown) => errors.push(error);
    const worker = backgroundWorker(fails, { name: 'fails', type: 'loop', supervisor, intervalMs: 100, onError });
    worker.start();
    await pass(300);
    expect(errors).toHaveLength(4);
  });
});

describe('delayMs', () => {
  it('is the pause from the end of a run to the next, the first at the start', async () => {
    const { runs, worker } = timed({ delayMs: 100 }, (n) => n * 50);
    worker.start();
    await pass(0);
    expect(runs).toEqual([0]);
    expect(worker.nextRun).toBe(startedAt + 100);
    await pass(110);
    expect(worker.nextRun).toBeUndefined(); // the run has to end first
    await pass(390);
    expect(runs).toEqual([0, 100, 250, 450]);
  });

  it('begins with the end of a run that was triggered, if it came due meanwhile', async () => {
    const { runs, worker } = timed({ delayMs: 100 }, (n) => (n === 1 ? 50 : 0));
    worker.start();
    await pass(80);
    worker.trigger();
    await pass(200);
    expect(runs).toEqual([0, 80, 230]);
  });
});

describe('cron', () => {
  it('runs by a pattern in a time zone, and not at the start', async () => {
    vi.setSystemTime(Date.parse('2026-03-28T00:00:00Z'));
    const { runs, worker } = timed({ cron: '0 3 * * *', timezone: 'Europe/Lisbon' });
    worker.start();
    await pass(0);
    expect(worker.nextRun).toBe(Date.parse('2026-03-28T03:00:00Z'));
    await pass(48 * 3_600_000);
    // The clocks go forward there on the 29th.
    expect(runs.map((ms) => new Date(startedAt + ms).toISOString())).toEqual([
      '2026-03-28T03:00:00.000Z',
      '2026-03-29T02:00:00.000Z',
    ]);
    expect(worker.nextRun).toBe(Date.parse('2026-03-30T02:00:00Z'));
  });
});

describe('trigger()', () => {
  it('runs at once, and does not move the grid', async () => {
    const { runs, worker } = timed({ intervalMs: 100 });
    worker.start();
    await pass(130);
    expect(worker.trigger()).toBe(true);
    await pass(0);
    expect(worker.nextRun).toBe(startedAt + 200);
    await pass(100);
    expect(runs).toEqual([0, 100, 130, 200]);
  });

  it('folds what comes during a run into one more', async () => {
    const { runs, worker } = timed({ intervalMs: 100 }, () => 30);
    worker.start();
    await pass(110);
    for (let n = 0; n < 5; n += 1) expect(worker.trigger()).toBe(true);
    await pass(95);
    expect(runs).toEqual([0, 100, 130, 200]);
  });

  it('has what comes due during its run left out', async () => {
    const { runs, worker } = timed({ intervalMs: 100 }, (n) => (n === 1 ? 40 : 0));
    worker.start();
    await pass(80);
    worker.trigger();
    await pass(220);
    expect(runs).toEqual([0, 80, 200, 300]);
  });

  it('does nothing when it is not started', async () => {
    const { runs, worker } = timed({ intervalMs: 100 });
    expect(worker.trigger()).toBe(false);
    worker.start();
    await pass(10);
    await worker.stop();
    expect(worker.trigger()).toBe(false);
    worker.start();
    await pass(10);
    expect(runs).toEqual([0, 10]);
  });
});

describe('a failing endless worker', () => {
  it('makes its pauses longer, up to a second', async () => {
    let runs = 0;
    const fails = () => {
      runs += 1;
      throw new Error('no');
    };
    const worker = backgroundWorker(fails, { name: 'fails', type: 'loop', supervisor, onError: () => {} });
    worker.start();
    await pass(2_000);
    const early = runs;
    await pass(10_000);
    expect(early).toBeLessThan(12);
    expect(runs - early).toBeGreaterThan(7);
    expect(runs - early).toBeLessThan(13);
    const stopped = worker.stop();
    await pass(0);
    expect(await stopped).toBe(true);
  });
});

describe('options of interval workers', () => {
  const make = (options: object) => () => backgroundWorker(neverEnds, { name: 'bad', ...options } as never);

  it.each([
    [{ intervalMs: 1, delayMs: 1 }, /takes one of "intervalMs", "delayMs" and "cron"; got "intervalMs" and "delayMs"/],
    [{ intervalMs: 1, cron: '* * * * *' }, /got "intervalMs" and "cron"/],
    [{ delayBeforeMs: 1 }, /takes one of "intervalMs", "delayMs" and "cron"; got none/],
    [{ timezone: 'UTC' }, /takes one of "intervalMs", "delayMs" and "cron"; got none/],
    [{ intervalMs: 1, timezone: 'UTC' }, /option "timezone" of .* belongs to "cron", and there is none/],
    [{ intervalMs: '1' }, /option "intervalMs" of .* must be a number of milliseconds above 0; got '1'/],
    [{ cron: 'often' }, /option "cron" of .* must be a cron pattern such as/],
    [{ cron: '* * * * *', timezone: 'Atlantis' }, /option "timezone" of .* must be a time zone/],
    [{ intervalMs: 1, intervallMs: 2 }, /has no option "intervallMs": did you mean "intervalMs"\? It takes/],
    [{ intervalMs: 1, taskId: 'mine' }, /has no option "taskId"/],
    [{ intervalMs: 1, queue: true }, /options "queue" and "intervalMs" of backgroundWorker\(\) exclude each other/],
    [{ event: true, cron: '* * * * *' }, /options "event" and "cron" of backgroundWorker\(\) exclude each other/],
    [{ event: false }, /option "event" of .* must be true; got false/],
    [{ queue: { concurrency: 1, size: 2 } }, /queue has no option "size"/],
    [{ queue: { courier: {} } }, /option "courier" of queue must be a courier/],
    [{ delayMs: 1, afterStop: 'no' }, /option "afterStop" of .* must be a function/],
  ])('%o are a TypeError that says what is wrong', (options, message) => {
    expect(make(options)).toThrow(TypeError);
    expect(make(options)).toThrow(message);
  });

  it.each([
    [{ intervalMs: 0 }, /option "intervalMs" of .* above 0; got 0/],
    [{ intervalMs: 0.001 }, /option "intervalMs" of .* must be 1 or more, .*; got 0\.001/],
    [{ intervalMs: 5e-324 }, /option "intervalMs" of .* must be 1 or more, .*; got 5e-324/],
    [{ delayMs: 0.5 }, /option "delayMs" of .* must be 1 or more, .*; got 0\.5/],
    [{ intervalMs: Number.NaN }, /option "intervalMs" of .* got NaN/],
    [{ delayMs: -1 }, /option "delayMs" of .* got -1/],
    [{ cron: '0 0 30 2 *' }, /option "cron" of .* must be a pattern whose time will come/],
    [{ queue: { batchSize: 0 } }, /option "batchSize" of queue must be a whole number, 1 or more; got 0/],
  ])('%o are a RangeError that says what is wrong', (options, message) => {
    expect(make(options)).toThrow(RangeError);
    expect(make(options)).toThrow(message);
  });
});
