/** Buffers are Buffers again on the other side. */
import { expect, it } from 'vitest';
import { findBuffers, restoreBuffers } from '../../src/lanes/wire/buffers.ts';

it('finds the places of Buffers in a list', () => {
  expect(findBuffers([Buffer.from('a'), 1, undefined, Buffer.alloc(0)])).toEqual([0, 3]);
});

it.each([
  [[]],
  [[1, 'a', null]],
  [[new Uint8Array(2), new ArrayBuffer(2)]],
  [[{ deep: Buffer.from('a') }, [Buffer.from('a')]]],
])('finds none in %o', (values) => {
  expect(findBuffers(values)).toBeUndefined();
});

it('makes Buffers of what has crossed, and leaves the rest', () => {
  const sent = [Buffer.from('from the pool'), 5, new Uint8Array([1]), Buffer.alloc(0)];
  const arrived: unknown[] = structuredClone(sent);
  expect(Buffer.isBuffer(arrived[0])).toBe(false);
  restoreBuffers(arrived, findBuffers(sent) ?? []);
  expect(arrived.map((value) => Buffer.isBuffer(value))).toEqual([true, false, false, true]);
  expect(arrived).toEqual(sent);
});

it('copies nothing: a part of a larger memory stays that part', () => {
  const bytes = new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 4);
  const values: unknown[] = [bytes];
  restoreBuffers(values, [0]);
  expect(values).toEqual([Buffer.from([2, 3, 4])]);
  bytes[0] = 9;
  expect(values).toEqual([Buffer.from([9, 3, 4])]);
});
