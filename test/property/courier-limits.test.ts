/** The limits of a memory courier against the model of limits, and under workers that wait. */
import fc from 'fast-check';
import { MemoryTaskCourier } from 'taskwarden';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { limitSteps, limitsOf, tryLimits } from './courier-limits.ts';

const queue = 'limited';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

it('keeps to the limits, and starts all that they allow, in order', async () => {
  await fc.assert(
    fc.asyncProperty(limitsOf(), limitSteps(), async (first, steps) => {
      const courier = new MemoryTaskCourier({ leaseMs: 1_000_000, resultTtlMs: 1_000 });
      await tryLimits(courier, queue, first, steps, async (ms) => void (await vi.advanceTimersByTimeAsync(ms)));
      await vi.advanceTimersByTimeAsync(2_000);
      expect(vi.getTimerCount()).toBe(0); // nothing is kept
      await courier.close();
    }),
    { numRuns: 300 },
  );
});

it('gives each task to a worker that waits as soon as the limits allow it', async () => {
  const arrivals = fc.array(
    fc.record({
      key: fc.constantFrom('a', 'b'),
      ms: fc.integer({ min: 0, max: 50 }),
      runMs: fc.integer({ max: 120, min: 1 }),
    }),
    { minLength: 1, maxLength: 25 },
  );
  await fc.assert(
    fc.asyncProperty(limitsOf(), arrivals, async (given, all) => {
      const courier = new MemoryTaskCourier({ leaseMs: 1_000_000 });
      await courier.setLimits(queue, given);
      const starts: { readonly key: string; readonly at: number }[] = [];
      const running = new Map<string, number>();
      let done = 0;
      const work = async () => {
        for (;;) {
          const task = await courier.waitForTask(queue).catch(() => undefined);
          if (task === undefined) return;
          const key = task.key as string;
          starts.push({ key, at: performance.now() });
          running.set(key, (running.get(key) ?? 0) + 1);
          expect(running.get(key)).toBeLessThanOrEqual(given.maxPerKey ?? Infinity);
          await new Promise((resolve) => setTimeout(resolve, task.data as number));
          running.set(key, (running.get(key) as number) - 1);
          done += 1;
          await courier.returnTaskResult(queue, task, 1);
        }
      };
      const workers = Array.from({ length: 30 }, work);
      for (const { key, ms, runMs } of all) {
        await courier.addTaskToQueue(queue, runMs, { key });
        await vi.advanceTimersByTimeAsync(ms);
      }
      // One after the other in all, with the longest run and pause for each.
      const { rate } = given;
      const pauseMs = rate === undefined ? 0 : rate.perMs / rate.max;
      await vi.advanceTimersByTimeAsync(all.length * (120 + pauseMs + 2));
      expect(done).toBe(all.length);
      if (rate !== undefined) {
        const most = rate.max + (rate.burst ?? 1) - 1;
        for (const { at, key } of starts) {
          const span = starts.filter(
            (other) => other.at >= at && other.at < at + rate.perMs - 0.001 && (!rate.perKey || other.key === key),
          );
          expect(span.length).toBeLessThanOrEqual(most);
        }
      }
      await courier.close();
      await Promise.all(workers);
    }),
    { numRuns: 100 },
  );
});
