/** The shared words: of begin() and withdraw() the first wins, and stop flags are seen on both sides. */
import { describe, expect, it } from 'vitest';
import { ControlBlock } from '../../src/lanes/wire/control-block.ts';

/** The block as each side holds it. */
function bothSides(): { lane: ControlBlock; thread: ControlBlock } {
  const lane = new ControlBlock();
  return { lane, thread: new ControlBlock(lane.buffer) };
}

it('an item that began can not be withdrawn', () => {
  const { lane, thread } = bothSides();
  expect(thread.begin(0, 1)).toBe(true);
  expect(lane.withdraw(0)).toBe(false);
  expect(['running', 'finished', 'posted']).toContain(lane.state(0));
});

it('an item that was withdrawn never begins', () => {
  const { lane, thread } = bothSides();
  expect(lane.withdraw(0)).toBe(true);
  expect(thread.begin(0, 1)).toBe(false);
  expect(['waiting', 'withdrawn']).toContain(lane.state(0));
});

it('an item begins once, and is withdrawn once', () => {
  const { lane, thread } = bothSides();
  expect([thread.begin(0, 1), thread.begin(0, 1)]).toEqual([true, false]);
  expect([lane.withdraw(1), lane.withdraw(1)]).toEqual([true, false]);
});

it('an item that is asked to stop still begins, but can not be withdrawn', () => {
  const { lane, thread } = bothSides();
  lane.requestStop(0);
  expect(lane.withdraw(0)).toBe(false);
  expect(thread.begin(0, 1)).toBe(true);
  expect(thread.isStopRequested(0)).toBe(true);
});

it('the other side sees that an item is asked to stop', () => {
  const { lane, thread } = bothSides();
  thread.begin(0, 1);
  expect(thread.isStopRequested(0)).toBe(false);
  lane.requestStop(0);
  lane.requestStop(0);
  expect(thread.isStopRequested(0)).toBe(true);
  expect(['running', 'finished', 'posted']).toContain(lane.state(0));
});

it('begin and withdraw do not ask an item to stop', () => {
  const { lane, thread } = bothSides();
  thread.begin(0, 1);
  lane.withdraw(1);
  expect([thread.isStopRequested(0), thread.isStopRequested(1)]).toEqual([false, false]);
});

it('what happens to one item changes no other', () => {
  const { lane, thread } = bothSides();
  thread.begin(1, 1);
  lane.requestStop(1);
  for (const item of [0, 2, ControlBlock.window - 1]) {
    expect([lane.state(item), thread.isStopRequested(item), thread.begin(item, 1)]).toEqual(['waiting', false, true]);
  }
});

it('an item takes the place of one of an earlier lap, as if nothing had been there', () => {
  const { lane, thread } = bothSides();
  const { window } = ControlBlock;
  for (const item of [0, 1, 2]) {
    thread.begin(item, 1);
    lane.requestStop(item);
  }
  const later = [0, 1].map((item) => window + item) as [number, number];
  expect(later.map((item) => lane.state(item))).toEqual(['waiting', 'waiting']);
  expect(later.map((item) => thread.isStopRequested(item))).toEqual([false, false]);
  expect([thread.begin(later[0], 1), lane.withdraw(later[1])]).toEqual([true, true]);
  expect([lane.state(2), thread.isStopRequested(2)]).toEqual(['running', true]);
});

it('an item never begins once its place is taken by one of a later lap', () => {
  const { lane, thread } = bothSides();
  lane.requestStop(3 * ControlBlock.window);
  expect([thread.begin(0, 1), lane.state(0), lane.withdraw(0)]).toEqual([false, 'withdrawn', false]);
  expect(lane.state(3 * ControlBlock.window)).toBe('waiting');
});

it('laps go on where their count wraps around', () => {
  const { lane, thread } = bothSides();
  const { window } = ControlBlock;
  const last = (2 ** 25 - 1) * window;
  for (const item of [2 ** 24 * window, last - window, last, last + window]) {
    expect([lane.state(item), thread.begin(item, 1), lane.state(item)]).toEqual(['waiting', true, 'running']);
    expect(thread.finish(item, 7, 2)).toBe(true);
  }
});

it('the other side sees that the definition begins to be loaded, until the next batch', () => {
  const { lane, thread } = bothSides();
  expect(lane.hasBegunLoading).toBe(false);
  thread.beginLoading();
  expect([lane.hasBegunLoading, thread.hasBegunLoading]).toEqual([true, true]);
  lane.resetLoading();
  expect([lane.hasBegunLoading, thread.hasBegunLoading]).toEqual([false, false]);
});

it('loading is apart from every item, the last too', () => {
  const { lane, thread } = bothSides();
  const last = ControlBlock.window - 1;
  thread.beginLoading();
  expect([lane.state(0), lane.state(last), lane.withdraw(last)]).toEqual(['waiting', 'waiting', true]);
  lane.resetLoading();
  for (let item = 0; item <= last; item += 1) thread.begin(item, 1);
  expect(lane.hasBegunLoading).toBe(false);
});

describe('what an item came to', () => {
  it.each<[string, unknown]>([
    ['a number', 42.5],
    ['0', 0],
    ['-0', -0],
    ['NaN', Number.NaN],
    ['Infinity', -Infinity],
    ['the largest number', Number.MAX_VALUE],
    ['the smallest number', Number.MIN_VALUE],
    ['undefined', undefined],
    ['null', null],
    ['false', false],
    ['true', true],
  ])('is kept, if it is %s', (_, result) => {
    const { lane, thread } = bothSides();
    thread.begin(3, 10);
    expect(lane.state(3)).toBe('running');
    expect(thread.finish(3, result, 12)).toBe(true);
    expect(lane.state(3)).toBe('finished');
    expect(lane.result(3)).toBe(result);
  });

  it.each<[string, unknown]>([
    ['a text', ''],
    ['a bigint', 0n],
    ['an object', {}],
    ['a Number object', Object(1)],
    ['a symbol', Symbol('s')],
    ['a function', () => {}],
  ])('is not, if it is %s', (_, result) => {
    const { lane, thread } = bothSides();
    thread.begin(0, 1);
    expect(thread.finish(0, result, 2)).toBe(false);
    expect(lane.state(0)).toBe('running');
  });

  it('is for a message to say, if it is told so', () => {
    const { lane, thread } = bothSides();
    thread.begin(0, 1);
    thread.finishByMessage(0, 5);
    expect([lane.state(0), lane.endedAt(0)]).toEqual(['posted', 5]);
  });

  it('is each for itself, to the last', () => {
    const { lane, thread } = bothSides();
    const items = Array.from({ length: ControlBlock.window }, (_, item) => item);
    for (const item of items) {
      thread.begin(item, 1_000 + item);
      if (item % 3 === 0) thread.finishByMessage(item, 2_000 + item);
      else thread.finish(item, item % 3 === 1 ? item : null, 2_000 + item);
    }
    for (const item of items) {
      expect(lane.state(item)).toBe(item % 3 === 0 ? 'posted' : 'finished');
      if (item % 3 !== 0) expect(lane.result(item)).toBe(item % 3 === 1 ? item : null);
      expect([lane.begunAt(item), lane.endedAt(item)]).toEqual([1_000 + item, 2_000 + item]);
    }
    expect(lane.hasBegunLoading).toBe(false);
  });

  it('is not changed by a stop that comes late', () => {
    const { lane, thread } = bothSides();
    thread.begin(0, 1);
    thread.finish(0, true, 2);
    lane.requestStop(0);
    expect([lane.state(0), lane.result(0)]).toEqual(['finished', true]);
    expect(lane.withdraw(0)).toBe(false);
  });
});

it('the other side sees that an item was withdrawn', () => {
  const { lane, thread } = bothSides();
  lane.withdraw(2);
  thread.begin(1, 1);
  expect([1, 2].map((item) => thread.state(item))).toEqual(['running', 'withdrawn']);
});
