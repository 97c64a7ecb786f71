/** Who may start: limits and reserves, order of priorities, and the same as a naive model under any operations. */
import assert from 'node:assert/strict'; // for what is looked at after each operation: expect() takes longer than all the rest
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PoolLimits } from '../../src/queue/priority.ts';
import { type Priority, priorities } from '../../src/queue/priority.ts';
import { PriorityPool } from '../../src/queue/priority-pool.ts';
import { startNext } from '../fixtures/start-next.ts';

class Item {
  next: Item | undefined;
  previous: Item | undefined;
  readonly priority: Priority;
  readonly id: number;
  readonly depth: number;

  constructor(priority: Priority, id = 0, depth = 0) {
    this.priority = priority;
    this.id = id;
    this.depth = depth;
  }

  readonly bulkhead = undefined;
  readonly lender = undefined;
  readonly queuedAt = 0;
  readonly sequence = 0;
  place = undefined;
  isHeld = false;

  isBefore(): boolean {
    return false;
  }
}

function putMany(pool: PriorityPool<Item>, priority: Priority, count: number): Item[] {
  const items = Array.from({ length: count }, (_, id) => new Item(priority, id));
  for (const item of items) pool.put(item);
  return items;
}

/** Takes all that may start. */
function takeAll(pool: PriorityPool<Item>): Item[] {
  const taken: Item[] = [];
  for (let item = startNext(pool); item !== undefined; item = startNext(pool)) taken.push(item);
  return taken;
}

const seed: PoolLimits = { poolSize: 20, reserveNormal: 5, reserveHigh: 5 };

describe('limits', () => {
  it.each([
    ['low', 20],
    ['normal', 25],
    ['high', 30],
    ['critical', 500],
  ] as const)('with 20/5/5, of many %s tasks %d start', (priority, count) => {
    const pool = new PriorityPool<Item>(seed);
    putMany(pool, priority, 500);
    expect(takeAll(pool)).toHaveLength(count);
    expect([pool.running, pool.waiting]).toEqual([count, 500 - count]);
  });

  it('counts what runs of every priority against each limit', () => {
    const pool = new PriorityPool<Item>(seed);
    putMany(pool, 'critical', 22);
    takeAll(pool);
    putMany(pool, 'low', 1);
    expect(takeAll(pool)).toHaveLength(0);
    putMany(pool, 'normal', 10);
    expect(takeAll(pool)).toHaveLength(3);
    putMany(pool, 'high', 10);
    expect(takeAll(pool)).toHaveLength(5);
    putMany(pool, 'critical', 10);
    expect(takeAll(pool)).toHaveLength(10);
    expect(pool.running).toBe(40);
  });

  it.each(priorities)('with a poolSize of 0 there is no limit for %s tasks', (priority) => {
    const pool = new PriorityPool<Item>({ poolSize: 0, reserveNormal: 0, reserveHigh: 0 });
    putMany(pool, priority, 1_000);
    expect(takeAll(pool)).toHaveLength(1_000);
  });

  it.each([
    ['low', 7],
    ['normal', 7],
    ['high', 7],
    ['critical', 7],
  ] as const)('a ceiling of 7 lets %s tasks come to %d', (priority, count) => {
    for (const poolSize of [0, 20]) {
      const pool = new PriorityPool<Item>({ ...seed, poolSize, maxSize: 7 });
      putMany(pool, priority, 40);
      expect(takeAll(pool)).toHaveLength(count);
    }
  });

  it('a ceiling above a limit changes it not', () => {
    const pool = new PriorityPool<Item>({ ...seed, maxSize: 26 });
    expect(priorities.map((priority) => pool.limit(priority))).toEqual([26, 26, 25, 20]);
  });

  it('a slot that is given back is for the next one', () => {
    const pool = new PriorityPool<Item>({ poolSize: 1, reserveNormal: 0, reserveHigh: 0 });
    putMany(pool, 'low', 2);
    expect(takeAll(pool).map(({ id }) => id)).toEqual([0]);
    pool.release();
    expect(takeAll(pool).map(({ id }) => id)).toEqual([1]);
  });
});

describe('order', () => {
  it('takes the higher priority first, whenever it came', () => {
    const pool = new PriorityPool<Item>({ ...seed, poolSize: 0 });
    for (const priority of ['low', 'normal', 'critical', 'high'] as const) putMany(pool, priority, 2);
    expect(takeAll(pool).map(({ priority, id }) => `${priority} ${id}`)).toEqual([
      'critical 0',
      'critical 1',
      'high 0',
      'high 1',
      'normal 0',
      'normal 1',
      'low 0',
      'low 1',
    ]);
  });

  it('holds a low one back while a higher one that came later waits', () => {
    const pool = new PriorityPool<Item>({ poolSize: 1, reserveNormal: 0, reserveHigh: 0 });
    putMany(pool, 'normal', 1);
    takeAll(pool);
    putMany(pool, 'low', 1);
    putMany(pool, 'high', 1);
    expect(startNext(pool)).toBeUndefined();
    pool.configure({ poolSize: 2, reserveNormal: 0, reserveHigh: 0 });
    expect(startNext(pool)?.priority).toBe('high');
    expect(startNext(pool)).toBeUndefined();
    pool.release();
    expect(startNext(pool)?.priority).toBe('low');
  });

  it('puts one that was taken back before the others of its priority, and frees its slot', () => {
    const pool = new PriorityPool<Item>({ poolSize: 1, reserveNormal: 0, reserveHigh: 0 });
    const [first] = putMany(pool, 'low', 3) as [Item];
    expect(startNext(pool)).toBe(first);
    pool.putBack(first);
    expect([pool.running, pool.waiting]).toEqual([1, 3]);
    pool.release();
    expect([pool.running, pool.waiting]).toEqual([0, 3]);
    expect(startNext(pool)).toBe(first);
  });

  it('takes a waiting one out, so that it never starts', () => {
    const pool = new PriorityPool<Item>(seed);
    const items = putMany(pool, 'normal', 3) as [Item, Item, Item];
    pool.remove(items[1]);
    expect(pool.waiting).toBe(2);
    expect(takeAll(pool)).toEqual([items[0], items[2]]);
  });

  it('shows those that wait from the most urgent to the least', () => {
    const pool = new PriorityPool<Item>(seed);
    for (const priority of ['normal', 'low', 'critical', 'high'] as const) putMany(pool, priority, 2);
    expect([...pool].map(({ priority, id }) => `${priority} ${id}`)).toEqual(
      priorities.flatMap((priority) => [`${priority} 0`, `${priority} 1`]),
    );
  });

  it('keeps as many bookmarks in each queue as it was made with', () => {
    const pool = new PriorityPool<Item>(seed, 2);
    const [item] = putMany(pool, 'high', 1) as [Item];
    expect([pool.queues('high')[0].bookmark(0), pool.queues('high')[0].bookmark(1)]).toEqual([item, item]);
    expect(pool.queues('low')[0].bookmark(0)).toBeUndefined();
  });
});

describe('room', () => {
  it('there is room for a task that would start at once, and only then', () => {
    const pool = new PriorityPool<Item>({ poolSize: 1, reserveNormal: 1, reserveHigh: 1 });
    const room = () => priorities.filter((priority) => pool.hasRoom(priority));
    expect(room()).toEqual(['critical', 'high', 'normal', 'low']);
    putMany(pool, 'low', 1);
    takeAll(pool);
    expect(room()).toEqual(['critical', 'high', 'normal']);
    putMany(pool, 'normal', 2);
    takeAll(pool);
    expect(room()).toEqual(['critical', 'high']);
  });

  it('there is none behind one that waits, of its own priority or a higher one', () => {
    const pool = new PriorityPool<Item>({ poolSize: 0, reserveNormal: 0, reserveHigh: 0 });
    putMany(pool, 'high', 1);
    expect(priorities.filter((priority) => pool.hasRoom(priority))).toEqual(['critical']);
  });
});

describe('configure', () => {
  it('lets more start when it grows', () => {
    const pool = new PriorityPool<Item>({ poolSize: 2, reserveNormal: 0, reserveHigh: 0 });
    putMany(pool, 'low', 10);
    expect(takeAll(pool)).toHaveLength(2);
    pool.configure({ poolSize: 5, reserveNormal: 0, reserveHigh: 0 });
    expect(takeAll(pool)).toHaveLength(3);
    pool.configure({ poolSize: 0, reserveNormal: 0, reserveHigh: 0 });
    expect(takeAll(pool)).toHaveLength(5);
  });

  it('leaves what runs above a smaller limit, and starts nothing until enough has ended', () => {
    const pool = new PriorityPool<Item>({ poolSize: 4, reserveNormal: 0, reserveHigh: 0 });
    putMany(pool, 'low', 10);
    takeAll(pool);
    pool.configure({ poolSize: 2, reserveNormal: 0, reserveHigh: 0 });
    expect([pool.running, pool.waiting]).toEqual([4, 6]);
    for (const starts of [0, 0, 1]) {
      pool.release();
      expect(takeAll(pool)).toHaveLength(starts);
    }
    expect(pool.running).toBe(2);
  });
});

/** The rule, said as plainly as can be: one list, searched from its start. */
class Model {
  waiting: Item[] = [];
  running: Item[] = [];
  limits: PoolLimits;

  constructor(limits: PoolLimits) {
    this.limits = limits;
  }

  mayStart(priority: Priority): boolean {
    const { poolSize, reserveNormal, reserveHigh, maxSize } = this.limits;
    if (maxSize !== undefined && this.running.length >= maxSize) return false;
    if (priority === 'critical') return true;
    if (poolSize === 0) return true;
    let slots = poolSize;
    if (priority !== 'low') slots += reserveNormal;
    if (priority === 'high') slots += reserveHigh;
    return this.running.length < slots;
  }

  /** From the most urgent to the least, each in the order of the list. */
  get order(): Item[] {
    return priorities.flatMap((priority) => this.waiting.filter((item) => item.priority === priority));
  }

  take(): Item | undefined {
    const [first] = this.order;
    if (first === undefined || !this.mayStart(first.priority)) return undefined;
    this.waiting = this.waiting.filter((item) => item !== first);
    this.running.push(first);
    return first;
  }

  hasRoom(priority: Priority): boolean {
    const newcomer = new Item(priority);
    const copy = new Model(this.limits);
    copy.waiting = [...this.waiting, newcomer];
    copy.running = [...this.running];
    return copy.take() === newcomer;
  }
}

it('behaves as the naive model under any order of operations', () => {
  const size = fc.integer({ min: 0, max: 4 });
  const limits: fc.Arbitrary<PoolLimits> = fc.record(
    { poolSize: size, reserveNormal: size, reserveHigh: size, maxSize: fc.integer({ min: 1, max: 10 }) },
    { requiredKeys: ['poolSize', 'reserveNormal', 'reserveHigh'] },
  );
  const operation = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant('put' as const), priority: fc.constantFrom(...priorities) }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('take' as const) }) },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constantFrom('release', 'putBack', 'remove'), pick: fc.nat(1_000) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('configure' as const), limits }) },
  );
  fc.assert(
    fc.property(limits, fc.array(operation, { maxLength: 120 }), (initial, operations) => {
      const pool = new PriorityPool<Item>(initial);
      const model = new Model(initial);
      operations.forEach((each, id) => {
        if ('priority' in each) {
          const item = new Item(each.priority, id);
          pool.put(item);
          model.waiting.push(item);
        } else if ('limits' in each) {
          pool.configure(each.limits);
          model.limits = each.limits;
        } else if ('pick' in each) {
          const from = each.kind === 'remove' ? model.waiting : model.running;
          const [item] = from.splice(each.pick % Math.max(from.length, 1), 1);
          if (item === undefined) return;
          if (each.kind === 'release') pool.release();
          else if (each.kind === 'remove') pool.remove(item);
          else {
            pool.putBack(item);
            pool.release();
            model.waiting.unshift(item);
          }
        } else {
          assert.equal(startNext(pool), model.take());
        }
        assert.deepEqual([...pool], model.order);
        assert.deepEqual([pool.running, pool.waiting], [model.running.length, model.waiting.length]);
        for (const priority of priorities) assert.equal(pool.hasRoom(priority), model.hasRoom(priority));
      });
    }),
    { numRuns: 500 },
  );
});

describe('sharing a slot', () => {
  const always = () => true;

  it.each(priorities)('those of the same priority can, as many as wait: %s', (priority) => {
    const pool = new PriorityPool<Item>({ poolSize: 1, reserveNormal: 0, reserveHigh: 0 });
    expect(pool.batchCandidates(priority)).toBe(0);
    putMany(pool, priority, 3);
    expect(pool.batchCandidates(priority)).toBe(3);
  });

  it.each([
    ['high', 'critical'],
    ['normal', 'high'],
    ['low', 'normal'],
  ] as const)('none of %s can while one of %s waits', (priority, higher) => {
    const pool = new PriorityPool<Item>({ poolSize: 1, reserveNormal: 0, reserveHigh: 0 });
    putMany(pool, priority, 3);
    const [urgent] = putMany(pool, higher, 1) as [Item];
    expect([pool.batchCandidates(priority), pool.batchCandidates(higher)]).toEqual([0, 1]);
    pool.remove(urgent);
    expect(pool.batchCandidates(priority)).toBe(3);
  });

  it('those of a lower priority do not count', () => {
    const pool = new PriorityPool<Item>({ poolSize: 1, reserveNormal: 0, reserveHigh: 0 });
    putMany(pool, 'low', 5);
    expect(pool.batchCandidates('normal')).toBe(0);
    expect(pool.dequeueBatch('normal', always)).toBeUndefined();
  });

  it('takes them along in their order, waiting no more, and takes no slot for them', () => {
    const pool = new PriorityPool<Item>({ poolSize: 1, reserveNormal: 0, reserveHigh: 0 });
    const items = putMany(pool, 'normal', 4);
    expect(startNext(pool)).toBe(items[0]);
    expect([pool.dequeueBatch('normal', always), pool.dequeueBatch('normal', always)]).toEqual([items[1], items[2]]);
    expect([pool.running, pool.waiting]).toEqual([1, 1]);
    pool.release();
    expect(startNext(pool)).toBe(items[3]);
  });

  it('stops at the first that does not fit, and leaves it where it is', () => {
    const pool = new PriorityPool<Item>({ poolSize: 1, reserveNormal: 0, reserveHigh: 0 });
    const items = putMany(pool, 'normal', 4);
    const fits = (item: Item) => item.id !== 2;
    startNext(pool);
    expect(pool.dequeueBatch('normal', fits)).toBe(items[1]);
    expect(pool.dequeueBatch('normal', fits)).toBeUndefined();
    expect(pool.waiting).toBe(2);
    expect([...pool]).toEqual(items.slice(2));
  });
});
