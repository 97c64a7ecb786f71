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
const flat = fc.constantFrom<unknown>({ n: 1 }, { text: 'a', list: null });
const other = fc.constantFrom<unknown>({ n: {} }, [1], new Date(0), () => {}, Symbol('s'));
const argsOfOne = fc.array(
  fc.oneof({ weight: 9, arbitrary: primitive }, { weight: 2, arbitrary: flat }, { weight: 1, arbitrary: other }),
);

function isPrimitive(value: unknown): boolean {
  return value === null || !['object', 'function', 'symbol'].includes(typeof value);
}

/** Those of a task that follow in a message of their own, by the objects of the tasks before that do not. */
function mustFollow(args: readonly unknown[], before: Set<unknown>): boolean {
  const objects = args.filter((value) => !isPrimitive(value));
  const isPlain = (value: unknown) => typeof value === 'object' && value !== null && ('text' in value || 'n' in value);
  const isNested = (value: unknown) => typeof (value as { n?: unknown }).n === 'object';
  if (objects.some((value) => !isPlain(value) || isNested(value) || before.has(value))) return true;
  for (const value of objects) before.add(value);
  return false;
}

describe('arguments', () => {
  it('arrive as they were; those with an object in them that is not flat, or is there already, follow if the task is not alone', () => {
    fc.assert(
      fc.property(fc.array(argsOfOne, { minLength: 1, maxLength: 8 }), (batch) => {
        const column = packArgs(batch.map((args) => task(args)));
        const isAlone = batch.length === 1;
        const before = new Set();
        const expected = batch.map((args) => (isAlone || !mustFollow(args, before) ? args : null));
        expect(batch.map((_, item) => unpackArgs(column, item))).toEqual(expected);
      }),
    );
  });

  it('are one list where all tasks have as many, and no object', () => {
    expect(packArgs([task([1, 'a']), task([2, 'b'])])).toEqual({ arity: 2, values: [1, 'a', 2, 'b'] });
    expect(packArgs([task([]), task([])])).toEqual({ arity: 0, values: [] });
    expect(packArgs([task([{ n: 1 }]), task([2])])).toEqual({ arity: 1, values: [{ n: 1 }, 2] });
  });

  it('of two tasks have nothing in common where they arrive', () => {
    const one = { n: 1 };
    const column = packArgs([task([one, one]), task([one, 2]), task([{ ...one }, 2])]);
    const [first, second, third] = [0, 1, 2].map((item) => unpackArgs(structuredClone(column), item));
    expect(first).toEqual([one, one]);
    expect(first?.[0]).toBe(first?.[1]);
    expect(second).toBeNull();
    expect(third).toEqual([one, 2]);
  });

  it.each<[string, object]>([
    ['nested', { inner: {} }],
    ['of a class', new (class {})()],
    ['without a prototype', Object.create(null)],
    ['with a function', { call: () => 1 }],
    ['with a symbol', { symbol: Symbol('s') }],
    ['of many fields', Object.fromEntries(Array.from({ length: 101 }, (_, n) => [n, n]))],
    ['with a long text', { text: 'x'.repeat(4_097) }],
    ['a list', [1]],
    [
      'a record whose getter throws',
      {
        get field() {
          throw new Error('not yet');
        },
      },
    ],
  ])('follow if they are %s', (_, value) => {
    expect(packArgs([task([value]), task([1])])).toEqual([null, [1]]);
  });

  it('follow if they are a proxy, of which no trap is called', () => {
    const touched = () => {
      throw new Error('touched');
    };
    const proxy = new Proxy({}, { get: touched, ownKeys: touched, getPrototypeOf: touched });
    const [first, second] = packArgs([task([proxy]), task([1])]) as unknown[];
    expect(first).toBeNull();
    expect(second).toEqual([1]);
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
