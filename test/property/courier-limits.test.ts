/**
 * The limits of a memory courier against a model that looks at every task each time: never more than allowed, nobody waits
 * who could start, and all in their order.
 */
import fc from 'fast-check';
import { type CourierTask, MemoryTaskCourier, type Priority, type QueueLimits } from 'taskwarden';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

const urgency: readonly Priority[] = ['critical', 'high', 'normal', 'low'];
const queue = 'limited';

const limits = fc.record(
  {
    maxPerKey: fc.integer({ min: 1, max: 2 }),
    rate: fc.record(
      {
        max: fc.integer({ min: 1, max: 4 }),
        perMs: fc.constantFrom(100, 400),
        perKey: fc.boolean(),
        burst: fc.integer({ min: 1, max: 3 }),
      },
      { requiredKeys: ['max', 'perMs'] },
    ),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<QueueLimits>;

const step = fc.oneof(
  fc.record({
    kind: fc.constant('add' as const),
    key: fc.constantFrom('a', 'b', 'c', undefined),
    priority: fc.constantFrom(...urgency, 'normal' as const, 'normal' as const),
  }),
  fc.record({
    kind: fc.constant('get' as const),
    max: fc.integer({ min: 1, max: 4 }),
    minPriority: fc.constantFrom('low' as const, 'low' as const, 'high' as const),
  }),
  fc.record({ kind: fc.constantFrom('return' as const, 'release' as const, 'cancel' as const), pick: fc.nat(1_000) }),
  fc.record({ kind: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 150 }) }),
  fc.record({ kind: fc.constant('limit' as const), limits }),
);

type Step = (typeof step extends fc.Arbitrary<infer S> ? S : never) & { readonly kind: string };

interface ModelTask {
  readonly id: string;
  readonly key: string | undefined;
  readonly priority: Priority;
  readonly place: number;
  delivered: CourierTask | undefined;
  /** Whether it was delivered while there were limits by key. */
  counts: boolean;
  state: 'waiting' | 'leased' | 'ended';
}

class Model {
  readonly tasks: ModelTask[] = [];
  #limits: QueueLimits = {};
  /** The theoretical arrival time of each key, and of the queue. */
  readonly #arrivals = new Map<string | undefined, number>();

  in(state: ModelTask['state']): ModelTask[] {
    return this.tasks.filter((task) => task.state === state);
  }

  setLimits(limits: QueueLimits): void {
    this.#limits = limits;
  }

  get #interval(): number {
    const { rate } = this.#limits;
    return rate === undefined ? 0 : rate.perMs / rate.max;
  }

  get #hasKeyLimits(): boolean {
    return this.#limits.maxPerKey !== undefined || this.#limits.rate?.perKey === true;
  }

  #rateOf(task: ModelTask): { readonly name: string | undefined } | undefined {
    const { rate } = this.#limits;
    if (rate === undefined) return undefined;
    if (!rate.perKey) return { name: undefined };
    return task.key === undefined ? undefined : { name: task.key };
  }

  mayStart(task: ModelTask): boolean {
    const { maxPerKey = Infinity, rate } = this.#limits;
    const running = this.in('leased').filter(({ key, counts }) => counts && key === task.key).length;
    if (task.key !== undefined && running >= maxPerKey) return false;
    const by = this.#rateOf(task);
    if (by === undefined) return true;
    const opensAt = (this.#arrivals.get(by.name) ?? -Infinity) - ((rate?.burst ?? 1) - 1) * this.#interval;
    return opensAt <= performance.now();
  }

  /** What a worker is to get now. */
  take(max: number, minPriority: Priority): ModelTask[] {
    const taken: ModelTask[] = [];
    while (taken.length < max) {
      const [next] = this.in('waiting')
        .filter(({ priority }) => urgency.indexOf(priority) <= urgency.indexOf(minPriority))
        .sort((a, b) => urgency.indexOf(a.priority) - urgency.indexOf(b.priority) || a.place - b.place)
        .filter((task) => this.mayStart(task));
      if (next === undefined) break;
      const by = this.#rateOf(next);
      if (by !== undefined) {
        const arrival = Math.max(this.#arrivals.get(by.name) ?? -Infinity, performance.now());
        this.#arrivals.set(by.name, arrival + this.#interval);
      }
      next.state = 'leased';
      next.counts = this.#hasKeyLimits;
      taken.push(next);
    }
    return taken;
  }
}

it('keeps to the limits, and starts all that they allow, in order', async () => {
  await fc.assert(
    fc.asyncProperty(limits, fc.array(step, { minLength: 1, maxLength: 80 }), async (first, steps) => {
      const courier = new MemoryTaskCourier({ leaseMs: 1_000_000, resultTtlMs: 1_000 });
      const model = new Model();
      const take = async (each: Step): Promise<void> => {
        switch (each.kind) {
          case 'add': {
            const { key, priority } = each;
            const id = await courier.addTaskToQueue(queue, 1, { priority, ...(key !== undefined && { key }) });
            const place = model.tasks.length;
            model.tasks.push({ id, key, priority, place, delivered: undefined, counts: false, state: 'waiting' });
            return;
          }
          case 'get': {
            const expected = model.take(each.max, each.minPriority);
            const got = await courier.bulkGetTasks(queue, each.max, { minPriority: each.minPriority });
            expect(got.map(({ id }) => id)).toEqual(expected.map(({ id }) => id));
            for (const [n, task] of expected.entries()) task.delivered = got[n];
            return;
          }
          case 'pass':
            await vi.advanceTimersByTimeAsync(each.ms);
            return;
          case 'limit':
            await courier.setLimits(queue, each.limits);
            model.setLimits(each.limits);
            return;
          case 'cancel': {
            const [task] = model.tasks.slice(each.pick % Math.max(model.tasks.length, 1));
            if (task === undefined || task.state === 'ended') return;
            await courier.cancelTask(queue, task.id);
            task.state = 'ended';
            return;
          }
          default: {
            const leased = model.in('leased');
            const task = leased[each.pick % Math.max(leased.length, 1)];
            if (task?.delivered === undefined) return;
            if (each.kind === 'return') await courier.returnTaskResult(queue, task.delivered, 1);
            else await courier.releaseTask(queue, task.delivered);
            task.state = each.kind === 'return' ? 'ended' : 'waiting';
          }
        }
      };
      await take({ kind: 'limit', limits: first });
      for (const each of steps) {
        await take(each);
        const waiting = model.in('waiting').length;
        const info = await courier.getQueueInfo(queue);
        expect(Object.values(info.waiting).reduce((sum, count) => sum + count, 0)).toBe(waiting);
        expect(info.leased).toBe(model.in('leased').length);
      }
      await courier.setLimits(queue, {});
      model.setLimits({});
      await take({ kind: 'get', max: 1_000, minPriority: 'low' });
      for (const { delivered } of model.in('leased')) {
        await courier.returnTaskResult(queue, delivered as CourierTask, 1);
      }
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
    fc.asyncProperty(limits, arrivals, async (given, all) => {
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
