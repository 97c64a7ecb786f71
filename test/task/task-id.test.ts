import fc from 'fast-check';
import { expect, it } from 'vitest';
import { newIdPrefix, taskId } from '../../src/task/record/task-id.ts';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

it('is a UUID of version 4, whatever the number', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 48 - 1 }), (sequence) => {
      expect(taskId(newIdPrefix(), sequence)).toMatch(uuid);
    }),
  );
});

it('ends with the number, so that both sides make the same of it', () => {
  expect(taskId('p-', 1)).toBe('p-000000000001');
  expect(taskId('p-', 255)).toBe('p-0000000000ff');
  expect(taskId('p-', 2 ** 48 - 1)).toBe('p-ffffffffffff');
});

it('differs from number to number and from supervisor to supervisor', () => {
  const ids = [newIdPrefix(), newIdPrefix()].flatMap((prefix) => [1, 2, 3].map((sequence) => taskId(prefix, sequence)));
  expect(new Set(ids).size).toBe(6);
});
