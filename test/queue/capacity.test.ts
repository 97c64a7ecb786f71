/** Waiting for room in the queue: the most urgent first, and no more go on than there is room for. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, expect, it } from 'vitest';
import { Capacity } from '../../src/queue/capacity.ts';
import type { Priority } from '../../src/queue/priority.ts';

let room: number;
let capacity: Capacity;
let went: string[];

beforeEach(() => {
  room = 0;
  capacity = new Capacity(() => room);
  went = [];
});

/** Waits, and then uses the room, as one who submits does. */
async function submitter(name: string, priority: Priority = 'normal'): Promise<void> {
  await capacity.wait(priority);
  went.push(name);
  room -= 1;
}

it('lets one go on at once while there is room', async () => {
  room = 1;
  await capacity.wait('low');
});

it('holds all while there is none', async () => {
  void submitter('critical', 'critical');
  capacity.offer();
  await nextTurn();
  expect(went).toEqual([]);
});

it('lets the most urgent go first, and those of one priority as they came', async () => {
  const all = [
    submitter('low', 'low'),
    submitter('normal 1', 'normal'),
    submitter('normal 2', 'normal'),
    submitter('critical', 'critical'),
    submitter('high', 'high'),
  ];
  room = 5;
  capacity.offer();
  await Promise.all(all);
  expect(went).toEqual(['critical', 'high', 'normal 1', 'normal 2', 'low']);
});

it('lets no more go than there is room for, though those it let go have not used it yet', async () => {
  for (const name of ['1', '2', '3']) void submitter(name);
  room = 2;
  capacity.offer();
  capacity.offer();
  await nextTurn();
  await nextTurn();
  expect(went).toEqual(['1', '2']);
});

it('does not let a newcomer take the room of one who was just let go', async () => {
  void submitter('first');
  room = 1;
  capacity.offer();
  void submitter('second');
  await nextTurn();
  await nextTurn();
  expect(went).toEqual(['first']);
});

it('offers room that was not used to the next, by itself', async () => {
  const unused = capacity.wait('high');
  const next = submitter('next');
  room = 1;
  capacity.offer();
  await unused;
  await next;
  expect(went).toEqual(['next']);
});

it('without a limit nobody waits', async () => {
  capacity = new Capacity(() => Infinity);
  await Promise.all(Array.from({ length: 100 }, () => capacity.wait('low')));
});

it('lets all go when it is closed, also those that come later', async () => {
  const waiting = [capacity.wait('low'), capacity.wait('critical')];
  capacity.close();
  await Promise.all([...waiting, capacity.wait('normal')]);
});
