/** What could start at once: slots by priority, places in modules, and what was promised to others. */
import { beforeEach, describe, expect, it } from 'vitest';
import { Bulkhead } from '../../src/queue/bulkhead.ts';
import { type Demand, FreeCapacity } from '../../src/queue/free-capacity.ts';
import { type Priority, priorities } from '../../src/queue/priority.ts';
import { PriorityPool } from '../../src/queue/priority-pool.ts';
import { startNext } from '../fixtures/start-next.ts';

class Item {
  next: Item | undefined = undefined;
  previous: Item | undefined = undefined;
  readonly priority: Priority;
  readonly bulkhead: Bulkhead<Item> | undefined;
  readonly lender = undefined;
  readonly queuedAt = 0;
  readonly sequence = 0;
  place = undefined;
  readonly depth = 0;
  isHeld = false;

  constructor(priority: Priority, bulkhead?: Bulkhead<Item>) {
    this.priority = priority;
    this.bulkhead = bulkhead;
  }

  isBefore(): boolean {
    return false;
  }
}

type Lane = 'wide' | 'narrow';

let pools: Record<Lane, PriorityPool<Item>>;
let freeCapacity: FreeCapacity<Lane>;
const wide: Demand<Lane>[] = [{ type: 'wide' }];

beforeEach(() => {
  pools = {
    wide: new PriorityPool<Item>({ poolSize: 2, reserveNormal: 1, reserveHigh: 1 }),
    narrow: new PriorityPool<Item>({ poolSize: 1, reserveNormal: 0, reserveHigh: 0 }),
  };
  freeCapacity = new FreeCapacity((lane) => pools[lane]);
});

function run(lane: Lane, priority: Priority, bulkhead?: Bulkhead<Item>): void {
  pools[lane].put(new Item(priority, bulkhead));
  startNext(pools[lane]);
}

const counts = (demands: readonly Demand<Lane>[]) =>
  priorities.map((priority) => freeCapacity.count(priority, demands));

describe('what could start', () => {
  it('is as many for each slot as are given it together, as far as the module has places', () => {
    const shared = new FreeCapacity<Lane>(
      (lane) => pools[lane],
      ({ type }) => (type === 'wide' ? 3 : 5),
    );
    const countShared = (demands: readonly Demand<Lane>[]) =>
      priorities.map((priority) => shared.count(priority, demands));
    expect(countShared(wide)).toEqual([Infinity, 12, 9, 6]);
    expect(countShared([...wide, { type: 'narrow' }])).toEqual([Infinity, 5, 5, 5]);
    expect(countShared([{ type: 'wide', module: { bulkhead: new Bulkhead<Item>(4) } }])).toEqual([4, 4, 4, 4]);
    for (let n = 0; n < 2; n += 1) run('wide', 'low');
    expect(countShared(wide)).toEqual([Infinity, 6, 3, 0]);
  });

  it('is less by the shares of slots that are promised, and by no more when they are not any more', () => {
    let perSlot = 3;
    const shared = new FreeCapacity<Lane>(
      (lane) => pools[lane],
      () => perSlot,
    );
    const ends = Array.from({ length: 4 }, () => shared.reserve(wide));
    expect(shared.count('low', wide)).toBe(2);
    perSlot = 1; // they are found to take longer
    expect(shared.count('low', wide)).toBe(0);
    for (const end of ends) end();
    expect(shared.count('low', wide)).toBe(2);
  });

  it('is what the reserves leave to each priority, and any critical task', () => {
    expect(counts(wide)).toEqual([Infinity, 4, 3, 2]);
    run('wide', 'low');
    run('wide', 'low');
    expect(counts(wide)).toEqual([Infinity, 2, 1, 0]);
    run('wide', 'normal');
    run('wide', 'high');
    expect(counts(wide)).toEqual([Infinity, 0, 0, 0]);
  });

  it('is less by those that wait and are as urgent', () => {
    for (let n = 0; n < 3; n += 1) pools.wide.put(new Item('low'));
    expect(counts(wide)).toEqual([Infinity, 4, 3, 0]);
    pools.wide.put(new Item('normal'));
    expect(counts(wide)).toEqual([Infinity, 4, 2, 0]);
  });

  it('is what a full module leaves, even to critical tasks', () => {
    const bulkhead = new Bulkhead<Item>(2);
    const capped: Demand<Lane>[] = [{ type: 'wide', module: { bulkhead } }];
    expect(counts(capped)).toEqual([2, 2, 2, 2]);
    run('wide', 'normal', bulkhead);
    expect(counts(capped)).toEqual([1, 1, 1, 1]);
    run('wide', 'normal', bulkhead);
    expect(counts(capped)).toEqual([0, 0, 0, 0]);
    expect(counts(wide)).toEqual([Infinity, 2, 1, 0]);
  });

  it('is the least of what tasks may need', () => {
    expect(counts([{ type: 'narrow' }, ...wide])).toEqual([Infinity, 1, 1, 1]);
  });
});

describe('a promise', () => {
  it('takes a slot and a place of each need once, until it is kept', () => {
    const bulkhead = new Bulkhead<Item>(3);
    const demands: Demand<Lane>[] = [...wide, { type: 'wide', module: { bulkhead } }, { type: 'narrow' }];
    const keep = freeCapacity.reserve(demands);
    expect(counts(wide)).toEqual([Infinity, 3, 2, 1]);
    expect(counts([{ type: 'narrow' }])).toEqual([Infinity, 0, 0, 0]);
    expect(freeCapacity.count('critical', [{ type: 'wide', module: { bulkhead } }])).toBe(2);
    keep();
    keep();
    expect(counts(wide)).toEqual([Infinity, 4, 3, 2]);
  });
});

describe('who watches', () => {
  it('calls listeners on reservations and changes, until they unsubscribe', () => {
    let heard = 0;
    const unwatch = freeCapacity.subscribe(() => {
      heard += 1;
    });
    freeCapacity.reserve(wide)();
    freeCapacity.changed();
    unwatch();
    freeCapacity.changed();
    expect(heard).toBe(3);
  });
});
