/** The lines of tasks that wait for workers: their order, and what it costs to keep it. */
import { describe, expect, it } from 'vitest';
import { WaitingTasks } from '../../src/couriers/memory/waiting-tasks.ts';
import type { Priority } from '../../src/queue/priority.ts';

let comparisons = 0;

class Item {
  next: Item | undefined;
  previous: Item | undefined;
  sequence = 0;
  readonly n: number;
  readonly priority: Priority;

  constructor(n: number, priority: Priority = 'normal') {
    this.n = n;
    this.priority = priority;
  }

  isBefore(other: Item): boolean {
    comparisons += 1;
    return this.sequence < other.sequence;
  }
}

function fill(count: number): { readonly tasks: WaitingTasks<Item>; readonly items: Item[] } {
  const tasks = new WaitingTasks<Item>();
  const items = Array.from({ length: count }, (_, n) => new Item(n));
  for (const item of items) tasks.push(item);
  return { tasks, items };
}

function drain(tasks: WaitingTasks<Item>, minPriority: Priority = 'low'): number[] {
  const order: number[] = [];
  for (let item = tasks.first(minPriority); item !== undefined; item = tasks.first(minPriority)) {
    tasks.remove(item);
    order.push(item.n);
  }
  return order;
}

describe('tasks that wait', () => {
  it('come by priority, and first in, first out', () => {
    const tasks = new WaitingTasks<Item>();
    for (const [n, priority] of (['low', 'high', 'normal', 'high', 'critical'] as const).entries()) {
      tasks.push(new Item(n, priority));
    }
    expect(tasks.count('high')).toBe(2);
    expect(drain(tasks, 'high')).toEqual([4, 1, 3]);
    expect(tasks.size).toBe(2);
    expect(drain(tasks)).toEqual([2, 0]);
  });

  it.each([
    ['in their order', [0, 1, 2]],
    ['in reverse', [2, 1, 0]],
    ['mixed', [1, 0, 2]],
  ])('go back to their places %s', (_, order) => {
    const { tasks, items } = fill(5);
    for (let n = 0; n < 3; n += 1) tasks.remove(tasks.first('low') as Item);
    for (const n of order) tasks.putBack(items[n] as Item);
    expect(drain(tasks)).toEqual([0, 1, 2, 3, 4]);
  });

  it('go back in their order at the cost of a look at each, though nothing else waits', () => {
    const count = 1_000;
    const { tasks, items } = fill(count);
    drain(tasks);
    comparisons = 0;
    for (const item of items) tasks.putBack(item);
    expect(comparisons).toBeLessThan(4 * count);
    expect(drain(tasks)).toEqual(items.map(({ n }) => n));
  });
});
