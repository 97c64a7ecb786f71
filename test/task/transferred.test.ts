import { expect, it } from 'vitest';
import { takeTransfers, transferred, unwrapTransferred } from '../../src/task/inside/transferred.ts';

it('carries a value with what of it is handed over', () => {
  const buffer = new ArrayBuffer(8);
  const value = { pixels: buffer };
  const carried = transferred(value, [buffer]);
  expect(unwrapTransferred(carried)).toBe(value);
  expect(takeTransfers(carried)).toEqual([buffer]);
});

it('carries any value, undefined and null too', () => {
  for (const value of [undefined, null, 0, 'text', [1]]) expect(unwrapTransferred(transferred(value, []))).toBe(value);
});

it.each([[undefined], [null], [0], ['text'], [{ value: 1 }], [[1, 2]], [() => {}]])(
  'leaves a plain result as it is: %s',
  (value) => {
    expect(unwrapTransferred(value)).toBe(value);
    expect(takeTransfers(value)).toEqual([]);
  },
);

it('is known to another copy of the package', async () => {
  const copy: typeof import('../../src/task/inside/transferred.ts') = await import(
    // @ts-expect-error a query makes it another module
    '../../src/task/inside/transferred.ts?copy'
  );
  const buffer = new ArrayBuffer(8);
  expect(copy.transferred).not.toBe(transferred);
  expect(takeTransfers(copy.transferred('value', [buffer]))).toEqual([buffer]);
});

it.each([[undefined], [new ArrayBuffer(8)], [{ length: 0 }]])(
  'refuses %o in place of an array to transfer',
  (transfers) => {
    expect(() => transferred('value', transfers as unknown as ArrayBuffer[])).toThrow(
      new TypeError('transferred() takes the result and an array of what to transfer'),
    );
  },
);
