/** A line is said where tasks wait and none starts, once, and none where tasks flow. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { now } from '../../src/platform/clock.ts';
import { type Priority, priorities } from '../../src/queue/priority.ts';
import { StallWatch } from '../../src/queue/watch/stall-watch.ts';

interface Item {
  readonly name: string;
  readonly queuedAt: number;
  readonly isSubmittedAhead: boolean;
  readonly isPaused?: boolean;
}

class Pool {
  readonly waiting: Record<Priority, Item[]> = { critical: [], high: [], normal: [], low: [] };
  readonly started: Record<Priority, number> = { critical: 0, high: 0, normal: 0, low: 0 };

  starts(priority: Priority): number {
    return this.started[priority];
  }

  queues(priority: Priority): readonly Item[][] {
    return [this.waiting[priority]];
  }

  isPaused({ isPaused = false }: Item): boolean {
    return isPaused;
  }
}

let pool: Pool;
let watch: StallWatch<Item, Pool>;
let notices: string[];
let begun: number;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
  pool = new Pool();
  notices = [];
  begun = performance.now();
  watch = watchWith([100, 250]);
});

afterEach(() => {
  watch.stop();
  vi.useRealTimers();
});

function watchWith(levelsMs: readonly number[]): StallWatch<Item, Pool> {
  return new StallWatch<Item, Pool>(
    () => [pool],
    levelsMs,
    (level, late) => {
      notices.push(`${Math.round(performance.now() - begun)}: level ${level} ${late.map(({ name }) => name)}`);
    },
  );
}

function put(name: string, priority: Priority = 'normal', isSubmittedAhead = false): void {
  pool.waiting[priority].push({ name, queuedAt: now(), isSubmittedAhead });
  watch.watch();
}

function start(priority: Priority = 'normal'): void {
  pool.waiting[priority].shift();
  pool.started[priority] += 1;
}

it('notices where none starts, once at each level', () => {
  put('a');
  put('b');
  vi.advanceTimersByTime(2_000);
  expect(notices).toEqual(['100: level 0 a,b', '250: level 1 a,b']);
});

it('is silent where tasks flow, however long each waits', () => {
  for (let n = 0; n < 40; n += 1) put(`${n}`);
  for (let n = 0; n < 30; n += 1) {
    vi.advanceTimersByTime(90);
    start();
  }
  expect(notices).toEqual([]);
});

it('is loud when the flow has ended, and again when it ends again', () => {
  for (let n = 0; n < 40; n += 1) put(`${n}`);
  for (let n = 0; n < 38; n += 1) {
    vi.advanceTimersByTime(50);
    start();
  }
  vi.advanceTimersByTime(1_000);
  expect(notices.map((notice) => notice.replace(/^\d+/, ''))).toEqual([': level 0 38,39', ': level 1 38,39']);
  start();
  vi.advanceTimersByTime(1_000);
  expect(notices.map((notice) => notice.replace(/^\d+/, '')).slice(2)).toEqual([': level 0 39', ': level 1 39']);
});

it('takes each priority by itself', () => {
  put('low', 'low');
  for (let n = 0; n < 20; n += 1) put(`${n}`);
  for (let n = 0; n < 10; n += 1) {
    vi.advanceTimersByTime(50);
    start();
  }
  expect(notices).toEqual(['100: level 0 low', '250: level 1 low']);
});

it('says nothing of those that were submitted ahead', () => {
  put('ahead', 'normal', true);
  vi.advanceTimersByTime(1_000);
  expect([notices, vi.getTimerCount()]).toEqual([[], 0]);
});

it.each([...priorities])('has a timer only while %s tasks wait', (priority) => {
  put('a', priority);
  expect(vi.getTimerCount()).toBe(1);
  start(priority);
  vi.advanceTimersByTime(1_000);
  expect(vi.getTimerCount()).toBe(0);
});

it('has none where no level is finite', () => {
  watch = watchWith([Infinity, Infinity]);
  put('a');
  expect(vi.getTimerCount()).toBe(0);
});
