/** Who has waited for too long is noticed once a level, at its time, by one timer that is there only while needed. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { now } from '../../src/platform/clock.ts';
import { Fifo } from '../../src/queue/order/fifo.ts';
import { type WaitItem, WaitWatch } from '../../src/queue/watch/wait-watch.ts';

class Item implements WaitItem<Item> {
  next: Item | undefined;
  previous: Item | undefined;
  warnings = 0;
  readonly queuedAt = now();
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  isBefore(): boolean {
    return false;
  }
}

let queues: [Fifo<Item>, Fifo<Item>];
let watch: WaitWatch<Item>;
let notices: string[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  queues = [new Fifo(2), new Fifo(2)];
  notices = [];
  watch = watchWith([100, 250]);
});

afterEach(() => {
  vi.useRealTimers();
});

function watchWith(levelsMs: readonly number[]): WaitWatch<Item> {
  return new WaitWatch(
    () => queues,
    levelsMs,
    (level, late) => {
      notices.push(`${Math.round(performance.now() - start)}: level ${level} ${late.map(({ name }) => name)}`);
    },
  );
}

let start: number;
beforeEach(() => {
  start = performance.now();
});

function put(name: string, queue = 0): Item {
  const item = new Item(name);
  queues[queue as 0 | 1].push(item);
  watch.watch(item.queuedAt);
  return item;
}

it('notices one that waits at each level, once, and when its time has come', () => {
  put('a');
  vi.advanceTimersByTime(99);
  expect(notices).toEqual([]);
  vi.advanceTimersByTime(10_000);
  expect(notices).toEqual(['100: level 0 a', '250: level 1 a']);
});

it('reports all that are late at one moment together, from all queues', () => {
  put('a', 1);
  put('b', 0);
  put('c', 1);
  vi.advanceTimersByTime(100);
  expect(notices).toEqual(['100: level 0 b,a,c']);
});

it('notices each at its own time', () => {
  put('a');
  vi.advanceTimersByTime(60);
  put('b', 1);
  vi.advanceTimersByTime(140);
  expect(notices).toEqual(['100: level 0 a', '160: level 0 b']);
});

it('does not notice one that is gone in time', () => {
  const item = put('a');
  put('b');
  vi.advanceTimersByTime(99);
  queues[0].remove(item);
  vi.advanceTimersByTime(1_000);
  expect(notices).toEqual(['100: level 0 b', '250: level 1 b']);
});

it('has one timer for however many wait, and none once nothing can be late any more', () => {
  expect(vi.getTimerCount()).toBe(0);
  watch.watch(now());
  expect(vi.getTimerCount()).toBe(0);
  for (let i = 0; i < 50; i += 1) put(`item ${i}`, i % 2);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(100);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(150);
  expect(vi.getTimerCount()).toBe(0);
});

it('has no timer for a level of Infinity', () => {
  watch = watchWith([Infinity, Infinity]);
  put('a');
  expect(vi.getTimerCount()).toBe(0);
  watch = watchWith([100, Infinity]);
  watch.watch(now());
  vi.advanceTimersByTime(100_000);
  expect(notices).toEqual(['100: level 0 a']);
  expect(vi.getTimerCount()).toBe(0);
});

it('does not notice one again that is put back after it was', () => {
  const item = put('a');
  vi.advanceTimersByTime(100);
  queues[0].remove(item);
  queues[0].putBack(item);
  watch.watch(now());
  vi.advanceTimersByTime(1_000);
  expect(notices).toEqual(['100: level 0 a', '250: level 1 a']);
});

it('does not notice those behind one that was put back again', () => {
  const item = put('a');
  put('b');
  vi.advanceTimersByTime(100);
  queues[0].remove(item);
  queues[0].putBack(item);
  watch.watch(now());
  vi.advanceTimersByTime(1_000);
  expect(notices).toEqual(['100: level 0 a,b', '250: level 1 a,b']);
});

it('notices one that is put back overdue without waiting for the time of those behind it', () => {
  const item = put('a');
  queues[0].remove(item);
  vi.advanceTimersByTime(90);
  put('b');
  vi.advanceTimersByTime(30);
  queues[0].putBack(item);
  watch.rearm();
  vi.advanceTimersByTime(2);
  expect(notices).toEqual([expect.stringMatching(/^12\d: level 0 a$/)]);
});

it('goes by new levels from the moment it is given them', () => {
  put('a');
  vi.advanceTimersByTime(10);
  watch.configure([50, 60]);
  vi.advanceTimersByTime(1_000);
  expect(notices).toEqual(['50: level 0 a', '60: level 1 a']);
});

it('notices at once who is late by new levels', () => {
  put('a');
  vi.advanceTimersByTime(80);
  watch.configure([50, 250]);
  vi.advanceTimersByTime(2);
  expect(notices).toEqual([expect.stringMatching(/^8\d: level 0 a$/)]);
});

it('may be given new levels while it reports late ones', () => {
  watch = new WaitWatch(
    () => queues,
    [100, 250],
    (level, late) => {
      notices.push(`level ${level} ${late.map(({ name }) => name)}`);
      if (level === 0) watch.configure([100, 150]);
    },
  );
  put('a');
  vi.advanceTimersByTime(150);
  expect(notices).toEqual(['level 0 a', 'level 1 a']);
  expect(vi.getTimerCount()).toBe(0);
});

it('stopped, it notices nothing and leaves no timer; it can watch again', () => {
  put('a');
  watch.stop();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(500);
  expect(notices).toEqual([]);
  watch.watch(now());
  vi.advanceTimersByTime(2);
  expect(notices).toHaveLength(2);
});

it('notices a new one in its time while its timer is set for an old one that is due later', () => {
  put('a');
  vi.advanceTimersByTime(110);
  put('b', 1);
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(1_000);
  expect(notices).toEqual(['100: level 0 a', '210: level 0 b', '250: level 1 a', '360: level 1 b']);
});

it('leaves its timer alone while nothing is due before it', () => {
  put('a');
  const set = vi.spyOn(globalThis, 'setTimeout');
  for (let i = 0; i < 50; i += 1) {
    put(`item ${i}`, i % 2);
    vi.advanceTimersByTime(1);
  }
  expect(set).not.toHaveBeenCalled();
  set.mockRestore();
});

it('gives both warnings where the second level comes before the first', () => {
  watch = watchWith([250, 100]);
  const item = put('a');
  vi.advanceTimersByTime(100);
  expect([notices, item.warnings]).toEqual([['100: level 1 a'], 2]);
  vi.advanceTimersByTime(1_000);
  expect([notices, item.warnings]).toEqual([['100: level 1 a', '250: level 0 a'], 3]);
});

it('writes each warning into the item as a bit', () => {
  const item = put('a');
  vi.advanceTimersByTime(100);
  expect(item.warnings).toBe(1);
  vi.advanceTimersByTime(150);
  expect(item.warnings).toBe(3);
});

it('gives one that is put back only the warning that it has not had, in either order of the levels', () => {
  watch = watchWith([250, 100]);
  const item = put('a');
  vi.advanceTimersByTime(100);
  queues[0].remove(item);
  queues[0].putBack(item);
  watch.rearm();
  vi.advanceTimersByTime(1_000);
  expect(notices).toEqual(['100: level 1 a', '250: level 0 a']);
});

it('looks at no queue where nothing is ever late', () => {
  let looks = 0;
  const idle = new WaitWatch<Item>(
    () => {
      looks += 1;
      return queues;
    },
    [Infinity, Infinity],
    () => {},
  );
  queues[0].push(new Item('a'));
  idle.watch(now());
  idle.rearm();
  expect([looks, vi.getTimerCount()]).toEqual([0, 0]);
});
