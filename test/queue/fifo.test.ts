/** The queue does what an array would do, and its bookmarks stay at the first item that was not passed. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Fifo, type FifoItem } from '../../src/queue/order/fifo.ts';

class Item implements FifoItem<Item> {
  next: Item | undefined;
  previous: Item | undefined;
  readonly id: number;
  /** Items are as old as each other, unless a test says otherwise. */
  cameAt = 0;

  constructor(id: number) {
    this.id = id;
  }

  isBefore(other: Item): boolean {
    return this.cameAt < other.cameAt;
  }
}

function filled(count: number, bookmarks = 0): { fifo: Fifo<Item>; items: Item[] } {
  const fifo = new Fifo<Item>(bookmarks);
  const items = Array.from({ length: count }, (_, id) => new Item(id));
  for (const item of items) fifo.push(item);
  return { fifo, items };
}

const idsOf = (items: Iterable<Item>) => [...items].map(({ id }) => id);

it('gives items in the order in which they came', () => {
  const { fifo } = filled(3);
  expect([fifo.shift()?.id, fifo.shift()?.id, fifo.shift()?.id, fifo.shift()]).toEqual([0, 1, 2, undefined]);
});

it('is empty at first, and again when all were taken', () => {
  const { fifo } = filled(1);
  fifo.shift();
  for (const empty of [fifo, new Fifo<Item>()]) {
    expect([empty.size, idsOf(empty)]).toEqual([0, []]);
  }
});

it.each([
  ['the head', 0, [1, 2]],
  ['the middle', 1, [0, 2]],
  ['the tail', 2, [0, 1]],
])('removes an item from %s, and goes on after it', (_, index, left) => {
  const { fifo, items } = filled(3);
  fifo.remove(items[index] as Item);
  fifo.push(new Item(9));
  expect(idsOf(fifo)).toEqual([...left, 9]);
});

it('has its items, wherever they are in it, and no longer when they are out', () => {
  const { fifo, items } = filled(3);
  expect(items.map((item) => fifo.has(item))).toEqual([true, true, true]);
  for (const item of items) {
    fifo.remove(item);
    expect(fifo.has(item)).toBe(false);
  }
  expect(fifo.has(new Item(3))).toBe(false);
});

it('leaves no link in an item that is out, so that it holds no other', () => {
  const { fifo, items } = filled(3);
  fifo.shift();
  fifo.remove(items[1] as Item);
  for (const item of items.slice(0, 2)) expect([item.next, item.previous]).toEqual([undefined, undefined]);
});

it('takes an item that was removed again, at the end or before all others', () => {
  const { fifo, items } = filled(3);
  const [first, second] = items as [Item, Item];
  fifo.remove(first);
  fifo.remove(second);
  fifo.push(first);
  fifo.putBack(second);
  expect(idsOf(fifo)).toEqual([1, 2, 0]);
});

it('puts items back in the order in which they came, in whatever order that is done', () => {
  const { fifo, items } = filled(6);
  items.forEach((item, n) => {
    item.cameAt = n;
  });
  for (const item of items.slice(0, 5)) fifo.remove(item);
  for (const n of [1, 3, 0, 4, 2]) fifo.putBack(items[n] as Item);
  expect(idsOf(fifo)).toEqual([0, 1, 2, 3, 4, 5]);
  for (let item = fifo.shift(); item !== undefined; item = fifo.shift()) expect(item.previous).toBeUndefined();
  fifo.putBack(items[2] as Item);
  fifo.putBack(items[4] as Item);
  expect(idsOf(fifo)).toEqual([2, 4]);
  fifo.push(items[5] as Item);
  expect(idsOf(fifo)).toEqual([2, 4, 5]);
});

it('moves a bookmark past one item after the other, and then waits for the next to come', () => {
  const { fifo } = filled(2, 1);
  expect([fifo.pass(0)?.id, fifo.pass(0)?.id, fifo.pass(0)]).toEqual([0, 1, undefined]);
  fifo.push(new Item(2));
  expect(fifo.bookmark(0)?.id).toBe(2);
});

it('moves its bookmarks apart from each other', () => {
  const { fifo } = filled(3, 2);
  fifo.pass(1);
  fifo.pass(1);
  expect([fifo.bookmark(0)?.id, fifo.bookmark(1)?.id]).toEqual([0, 2]);
});

it('puts the bookmark of a removed item on the one behind it', () => {
  const { fifo, items } = filled(3, 1);
  fifo.pass(0);
  fifo.remove(items[1] as Item);
  expect(fifo.bookmark(0)?.id).toBe(2);
});

it('brings all bookmarks back to an item that is put before the others', () => {
  const { fifo } = filled(2, 2);
  fifo.pass(0);
  fifo.pass(0);
  fifo.putBack(new Item(7));
  expect([fifo.bookmark(0)?.id, fifo.bookmark(1)?.id]).toEqual([7, 7]);
});

/** The same by an array, with how many items from the front each bookmark has passed. */
class Model {
  items: Item[] = [];
  readonly passed: number[];

  constructor(bookmarks: number) {
    this.passed = new Array(bookmarks).fill(0);
  }

  removeAt(index: number): Item {
    this.passed.forEach((count, bookmark) => {
      if (index < count) this.passed[bookmark] = count - 1;
    });
    return this.items.splice(index, 1)[0] as Item;
  }
}

it('behaves as an array under any order of operations', () => {
  const operation = fc.record({
    kind: fc.constantFrom('push', 'push', 'unshift', 'shift', 'remove', 'pass', 'again'),
    pick: fc.nat(1_000),
  });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 3 }), fc.array(operation, { maxLength: 80 }), (bookmarks, operations) => {
      const fifo = new Fifo<Item>(bookmarks);
      const model = new Model(bookmarks);
      const out: Item[] = [];
      operations.forEach(({ kind, pick }, id) => {
        const at = pick % Math.max(model.items.length, 1);
        switch (kind) {
          case 'push':
          case 'again': {
            const item = (kind === 'again' ? out.pop() : undefined) ?? new Item(id);
            fifo.push(item);
            model.items.push(item);
            break;
          }
          case 'unshift': {
            const item = out.pop() ?? new Item(id);
            fifo.putBack(item);
            model.items.unshift(item);
            model.passed.fill(0);
            break;
          }
          case 'shift': {
            const expected = model.items.length > 0 ? model.removeAt(0) : undefined;
            expect(fifo.shift()).toBe(expected);
            if (expected !== undefined) out.push(expected);
            break;
          }
          case 'remove':
            if (model.items.length > 0) {
              const item = model.removeAt(at);
              fifo.remove(item);
              out.push(item);
            }
            break;
          case 'pass':
            if (bookmarks > 0) {
              const bookmark = pick % bookmarks;
              const passed = model.passed[bookmark] as number;
              expect(fifo.pass(bookmark)).toBe(model.items[passed]);
              model.passed[bookmark] = Math.min(passed + 1, model.items.length);
            }
        }
        expect(idsOf(fifo)).toEqual(idsOf(model.items));
        expect(fifo.size).toBe(model.items.length);
        model.passed.forEach((count, bookmark) => {
          expect(fifo.bookmark(bookmark)).toBe(model.items[count]);
        });
      });
    }),
    { numRuns: 500 },
  );
});

it('keeps its order as items are sorted in and removed', () => {
  const step = fc.record({ cameAt: fc.nat(50), removes: fc.option(fc.nat(20), { nil: undefined }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const fifo = new Fifo<Item>();
      const model: Item[] = [];
      steps.forEach(({ cameAt, removes }, id) => {
        const item = new Item(id);
        item.cameAt = cameAt + id / 100;
        fifo.sortIn(item);
        model.push(item);
        model.sort((a, b) => a.cameAt - b.cameAt);
        const [removed] = removes === undefined ? [] : model.splice(removes, 1);
        if (removed !== undefined) fifo.remove(removed);
        expect(idsOf(fifo)).toEqual(idsOf(model));
        expect(fifo.last).toBe(model.at(-1));
      });
    }),
  );
});

it('looks at few items to sort in many before a last one', () => {
  let looks = 0;
  class Counted extends Item {
    override isBefore(other: Item): boolean {
      looks += 1;
      return super.isBefore(other);
    }
  }
  const fifo = new Fifo<Item>();
  const items = Array.from({ length: 1_000 }, (_, id) => new Counted(id));
  items.forEach((item, index) => {
    item.cameAt = index === 0 ? Infinity : index;
    fifo.sortIn(item);
  });
  expect(looks).toBeLessThan(5_000);
});
