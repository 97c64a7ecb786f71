/** How an error is shown in a log line: with its causes, and never throwing itself. */
import { expect, it } from 'vitest';
import { describe, silent } from '../../src/logger.ts';

it('shows the stack of an error', () => {
  const error = new TypeError('no');
  expect(describe(error)).toBe(error.stack);
});

it('shows name and message of an error without a stack', () => {
  const error = new TypeError('no');
  delete (error as { stack?: string }).stack;
  expect(describe(error)).toContain('TypeError: no');
});

it('shows the causes below it', () => {
  const inner = new Error('inner', { cause: 'deep' });
  const outer = new Error('outer', { cause: inner });
  const [first, second, third] = [
    describe(outer).indexOf('outer'),
    describe(outer).indexOf('inner'),
    describe(outer).indexOf('deep'),
  ];
  expect([first, second, third].toSorted((a, b) => a - b)).toEqual([first, second, third]);
  expect(first).toBeGreaterThanOrEqual(0);
});

it.each([
  ['text', 'text'],
  [undefined, 'undefined'],
  [null, 'null'],
  [5, '5'],
  [Symbol('s'), 'Symbol(s)'],
])('shows %s, which is no error, as a text', (value, shown) => {
  expect(describe(value)).toBe(shown);
});

it('shows an error that is its own cause, and comes to an end', () => {
  const error = new Error('circle');
  error.cause = new Error('around', { cause: error });
  expect(describe(error)).toContain('around');
});

it('shows an object that has no text of its own', () => {
  expect(typeof describe(Object.create(null))).toBe('string');
});

it('the silent logger says nothing', () => {
  expect([silent.warn('x'), silent.error('x')]).toEqual([undefined, undefined]);
});
