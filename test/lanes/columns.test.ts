/** The columns of a batch: what one side packs, the other unpacks, and no object is among those of other tasks. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { packArgs, packIds, unpackArgs, unpackId } from '../../src/lanes/wire/columns.ts';

const task = (args: readonly unknown[], sequence = 0, taskId?: string) => ({
  args,
  sequence,
  options: taskId === undefined ? {} : { taskId },
});

const primitive = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.string(),
  fc.boolean(),
  fc.bigInt(),
  fc.constantFrom(null, undefined),
);
const object = fc.constantFrom<unknown>({ n: 1 }, [1], new Date(0), () => {}, Symbol('s'));
const argsOfOne = fc.array(fc.oneof({ weight: 5, arbitrary: primitive }, { weight: 1, arbitrary: object }));

function isPrimitive(value: unknown): boolean {
  return value === null || !['object', 'function', 'symbol'].includes(typeof value);
}

describe('arguments', () => {
  it('arrive as they were; those with an object in them follow, if the task is not alone', () => {
    fc.assert(
      fc.property(fc.array(argsOfOne, { minLength: 1, maxLength: 8 }), (batch) => {
        const column = packArgs(batch.map((args) => task(args)));
        const isAlone = batch.length === 1;
        const expected = batch.map((args) => (isAlone || args.every(isPrimitive) ? args : null));
        expect(batch.map((_, item) => unpackArgs(column, item))).toEqual(expected);
      }),
    );
  });

  it('are one list where all tasks have as many, and no object', () => {
    expect(packArgs([task([1, 'a']), task([2, 'b'])])).toEqual({ arity: 2, values: [1, 'a', 2, 'b'] });
    expect(packArgs([task([]), task([])])).toEqual({ arity: 0, values: [] });
  });
});

describe('ids', () => {
  it('arrive as they were', () => {
    const id = fc.record({
      sequence: fc.nat(),
      taskId: fc.option(fc.string({ minLength: 1 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(id, { minLength: 1, maxLength: 8 }), (batch) => {
        const column = packIds(batch.map(({ sequence, taskId }) => task([], sequence, taskId)));
        const expected = batch.map(({ sequence, taskId }) => taskId ?? sequence);
        expect(batch.map((_, item) => unpackId(column, item))).toEqual(expected);
      }),
    );
  });

  it('are one number where the tasks follow each other', () => {
    const column = packIds([task([], 7), task([], 8), task([], 9)]);
    expect(column).toBe(7);
    expect([0, 1, 2].map((item) => unpackId(column, item))).toEqual([7, 8, 9]);
  });
});
