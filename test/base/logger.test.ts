/** How an error is shown in a log line: with its causes, and never throwing itself; and loggers that harm nobody. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { inspect } from 'node:util';
import { expect, it, vi } from 'vitest';
import { describe, type Logger, safeLogger } from '../../src/base/logger.ts';

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

function throws(): never {
  throw new RangeError('no');
}

it('shows an error that fails to show itself', () => {
  const error = Object.assign(new Error('m'), { [inspect.custom]: throws });
  expect(describe(error)).toContain('Error: m');
});

it.each([
  ['whose stack throws', () => Object.defineProperty(new Error('m'), 'stack', { get: throws })],
  ['whose name throws', () => Object.defineProperty(new Error('m'), 'name', { get: throws })],
  ['whose message throws', () => Object.defineProperty(new Error('m'), 'message', { get: throws })],
  ['whose cause throws', () => Object.defineProperty(new Error('m'), 'cause', { get: throws })],
  ['whose tag throws', () => Object.defineProperty(new Error('m'), Symbol.toStringTag, { get: throws })],
  ['whose constructor throws', () => Object.defineProperty({}, 'constructor', { get: throws })],
  ['whose traps throw', () => new Proxy(new Error('m'), { ownKeys: throws, get: throws, getPrototypeOf: throws })],
])('does not throw for something %s', (_, thrown) => {
  expect(typeof describe(thrown())).toBe('string');
});

it('a safe logger passes lines on to the logger, as its methods', () => {
  class Lines implements Logger {
    readonly lines: string[] = [];
    warn(line: string): void {
      this.lines.push(`warn ${line}`);
    }
    error(line: string): void {
      this.lines.push(`error ${line}`);
    }
  }
  const logger = new Lines();
  const safe = safeLogger(logger);
  safe.warn('one');
  safe.error('two');
  expect(logger.lines).toEqual(['warn one', 'error two']);
});

it('what a logger throws, or rejects with, harms nobody', async () => {
  const unhandled = vi.fn();
  process.on('unhandledRejection', unhandled);
  const safe = safeLogger({ warn: vi.fn(throws), error: vi.fn(async () => throws()) });
  expect([safe.warn('one'), safe.error('two')]).toEqual([undefined, undefined]);
  await nextTurn();
  await nextTurn();
  process.off('unhandledRejection', unhandled);
  expect(unhandled).not.toHaveBeenCalled();
});

it('without a logger nothing is said', () => {
  const outputs = [vi.spyOn(process.stdout, 'write'), vi.spyOn(process.stderr, 'write')];
  const spoken = (['warn', 'error', 'log'] as const).map((level) => vi.spyOn(console, level));
  const safe = safeLogger(false);
  safe.warn('one');
  safe.error('two');
  const calls = [...outputs, ...spoken].map((each) => each.mock.calls.length);
  vi.restoreAllMocks();
  expect(calls).toEqual([0, 0, 0, 0, 0]);
});
