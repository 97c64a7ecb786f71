/** The memory courier against the model, and under workers that come and go. */
import fc from 'fast-check';
import { type CourierTask, MemoryTaskCourier, type Priority } from 'taskwarden';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { courierSteps, tryCourier } from './courier.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

it('loses nothing, settles nothing twice, and delivers in order', async () => {
  await fc.assert(
    fc.asyncProperty(courierSteps, fc.integer({ min: 1, max: 3 }), async (steps, maxStalls) => {
      const courier = new MemoryTaskCourier({ leaseMs: 1_000_000, resultTtlMs: Infinity, maxStalls });
      const tried = {
        courier,
        maxStalls,
        loseLeases: async () => void vi.advanceTimersByTime(1_000_000),
        letRetry: async () => void vi.advanceTimersByTime(1),
      };
      await tryCourier(tried, steps);
      await courier.close();
      expect(vi.getTimerCount()).toBe(0);
    }),
    { numRuns: 500 },
  );
});

const urgency: readonly Priority[] = ['critical', 'high', 'normal', 'low'];
const priority = fc.constantFrom(...urgency);

it('gives each task to the worker that has waited longest of those who want it, however many give up', async () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('wait' as const), priority }),
      fc.record({ kind: fc.constant('leave' as const), pick: fc.nat(100) }),
      fc.record({ kind: fc.constant('add' as const), priority }),
    ),
    { maxLength: 60 },
  );
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const courier = new MemoryTaskCourier();
      const waiting: { minPriority: Priority; leave: AbortController; got: Promise<CourierTask | undefined> }[] = [];
      const left: Promise<unknown>[] = [];
      const kept: { id: string; priority: Priority }[] = [];
      const wants = (minPriority: Priority, offered: Priority) =>
        urgency.indexOf(offered) <= urgency.indexOf(minPriority);
      for (const step of all) {
        if (step.kind === 'wait') {
          const leave = new AbortController();
          const got = courier.waitForTask('q', { minPriority: step.priority, signal: leave.signal });
          const best = urgency.find(
            (each) => wants(step.priority, each) && kept.some((task) => task.priority === each),
          );
          const place = kept.findIndex((task) => task.priority === best);
          if (place < 0) waiting.push({ minPriority: step.priority, leave, got });
          else expect((await got)?.id).toBe(kept.splice(place, 1)[0]?.id);
        } else if (step.kind === 'leave') {
          const [leaver] = waiting.splice(step.pick % Math.max(waiting.length, 1), 1);
          leaver?.leave.abort('leaves');
          if (leaver !== undefined) left.push(leaver.got.catch((reason) => reason));
        } else {
          const id = await courier.addTaskToQueue('q', 1, { priority: step.priority });
          const place = waiting.findIndex(({ minPriority }) => wants(minPriority, step.priority));
          if (place < 0) kept.push({ id, priority: step.priority });
          else expect((await waiting.splice(place, 1)[0]?.got)?.id).toBe(id);
        }
      }
      expect(await Promise.all(left)).toEqual(left.map(() => 'leaves'));
      const rest = await courier.bulkGetTasks('q', 100);
      expect(rest.map(({ id }) => id).sort()).toEqual(kept.map(({ id }) => id).sort());
      const ended = waiting.map(({ got }) => got.catch(({ code }) => code));
      await courier.close();
      expect(await Promise.all(ended)).toEqual(ended.map(() => 'COURIER_CLOSED'));
    }),
    { numRuns: 300 },
  );
});
