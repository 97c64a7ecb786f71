/** The shared words: of begin() and withdraw() the first wins, and stop flags are seen on both sides. */
import { expect, it } from 'vitest';
import { ControlBlock } from '../../src/lanes/control-block.ts';

/** The block as each side holds it. */
function bothSides(): { lane: ControlBlock; thread: ControlBlock } {
  const lane = new ControlBlock();
  return { lane, thread: new ControlBlock(lane.buffer) };
}

it('an item that began can not be withdrawn', () => {
  const { lane, thread } = bothSides();
  expect(thread.begin(0, 1)).toBe(true);
  expect(lane.withdraw(0)).toBe(false);
  expect(lane.hasBegun(0)).toBe(true);
});

it('an item that was withdrawn never begins', () => {
  const { lane, thread } = bothSides();
  expect(lane.withdraw(0)).toBe(true);
  expect(thread.begin(0, 1)).toBe(false);
  expect(lane.hasBegun(0)).toBe(false);
});

it('an item begins once, and is withdrawn once', () => {
  const { lane, thread } = bothSides();
  expect([thread.begin(0, 1), thread.begin(0, 1)]).toEqual([true, false]);
  expect([lane.withdraw(1), lane.withdraw(1)]).toEqual([true, false]);
});

it('the other side sees that an item is asked to stop', () => {
  const { lane, thread } = bothSides();
  thread.begin(0, 1);
  expect(thread.isStopRequested(0)).toBe(false);
  lane.requestStop(0);
  lane.requestStop(0);
  expect(thread.isStopRequested(0)).toBe(true);
  expect(lane.hasBegun(0)).toBe(true);
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
  for (const item of [0, 2, ControlBlock.capacity - 1]) {
    expect([lane.hasBegun(item), thread.isStopRequested(item), thread.begin(item, 1)]).toEqual([false, false, true]);
  }
});

it('reset makes as many items as it is told fresh for a new batch', () => {
  const { lane, thread } = bothSides();
  for (const item of [0, 1, 2]) {
    thread.begin(item, 1);
    lane.requestStop(item);
  }
  lane.reset(2);
  expect([0, 1, 2].map((item) => lane.hasBegun(item))).toEqual([false, false, true]);
  expect([0, 1, 2].map((item) => thread.isStopRequested(item))).toEqual([false, false, true]);
  expect([thread.begin(0, 1), lane.withdraw(1)]).toEqual([true, true]);
});

it('the other side sees that the definition begins to be loaded, until the next batch', () => {
  const { lane, thread } = bothSides();
  expect(lane.hasBegunLoading).toBe(false);
  thread.beginLoading();
  expect([lane.hasBegunLoading, thread.hasBegunLoading]).toEqual([true, true]);
  lane.reset(1);
  expect([lane.hasBegunLoading, thread.hasBegunLoading]).toEqual([false, false]);
});

it('loading is apart from every item, the last too', () => {
  const { lane, thread } = bothSides();
  const last = ControlBlock.capacity - 1;
  thread.beginLoading();
  expect([lane.hasBegun(0), lane.hasBegun(last), lane.withdraw(last)]).toEqual([false, false, true]);
  lane.reset(ControlBlock.capacity);
  for (let item = 0; item <= last; item += 1) thread.begin(item, 1);
  expect(lane.hasBegunLoading).toBe(false);
});
