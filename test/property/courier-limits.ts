/**
 * The limits of a courier against a model that looks at every task each time: never more than allowed, nobody waits who could
 * start, and all in their order.
 */
import fc from 'fast-check';
import type { ClientWorkerTaskCourier, CourierTask, Priority, QueueLimits } from 'taskwarden';
import { expect } from 'vitest';

const urgency: readonly Priority[] = ['critical', 'high', 'normal', 'low'];

/** Rates are of milliseconds that are so many times as long. What is between two starts has no rounded digits, on any clock. */
export function limitsOf(times = 1): fc.Arbitrary<QueueLimits> {
  return fc.record(
    {
      maxPerKey: fc.integer({ min: 1, max: 2 }),
      rate: fc.record(
        {
          max: fc.constantFrom(1, 2, 4),
          perMs: fc.constantFrom(128 * times, 512 * times),
          perKey: fc.boolean(),
          burst: fc.integer({ min: 1, max: 3 }),
        },
        { requiredKeys: ['max', 'perMs'] },
      ),
    },
    { requiredKeys: [] },
  ) as fc.Arbitrary<QueueLimits>;
}

/** Of what happens to a queue, at random. */
export function limitSteps(times = 1): fc.Arbitrary<LimitStep[]> {
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
    fc.record({ kind: fc.constant('limit' as const), limits: limitsOf(times) }),
  );
  return fc.array(step, { minLength: 1, maxLength: 80 });
}

type LimitStep =
  | { readonly kind: 'add'; readonly key: string | undefined; readonly priority: Priority }
  | { readonly kind: 'get'; readonly max: number; readonly minPriority: Priority }
  | { readonly kind: 'return' | 'release' | 'cancel'; readonly pick: number }
  | { readonly kind: 'pass'; readonly ms: number }
  | { readonly kind: 'limit'; readonly limits: QueueLimits };

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

/**
 * @param queue Nothing has been in it yet.
 * @param pass Lets so many milliseconds go by, for the courier and for `performance.now()`.
 */
export async function tryLimits(
  courier: ClientWorkerTaskCourier,
  queue: string,
  first: QueueLimits,
  steps: readonly LimitStep[],
  pass: (ms: number) => Promise<void>,
): Promise<void> {
  const model = new Model();
  const take = async (each: LimitStep): Promise<void> => {
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
        await pass(each.ms);
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
}
