/** The options of a task: each checked, defaults, and what `.with()` keeps. */
import { expect, it } from 'vitest';
import { Bulkhead } from '../../src/queue/bulkhead.ts';
import { resolveTaskOptions, type TaskOptions, taskRules } from '../../src/task/call/task-options.ts';
import { taskTypes } from '../../src/task/record/task-type.ts';

const noop = () => {};
const signal = new AbortController().signal;
const module = { bulkhead: new Bulkhead(1) } as unknown as NonNullable<TaskOptions['module']>;
const supervisor = { submit: noop } as unknown as NonNullable<TaskOptions['supervisor']>;

const cases: Record<keyof TaskOptions, { good: unknown[]; bad: [unknown, RegExp][] }> = {
  name: { good: ['resize'], bad: [['', /must be a string that is not empty; got ''$/]] },
  priority: {
    good: ['critical', 'high', 'normal', 'low'],
    bad: [
      ['urgent', /must be one of 'critical', 'high', 'normal', 'low'; got 'urgent'$/],
      [1, /got 1$/],
    ],
  },
  type: {
    good: ['thread', 'process', 'loop'],
    bad: [['worker', /must be one of 'thread', 'process', 'loop'; got 'worker'$/]],
  },
  delayMs: {
    good: [0, 5],
    bad: [
      [-1, /must be a number of milliseconds, 0 or more; got -1$/],
      [Infinity, /got Infinity$/],
    ],
  },
  timeoutMs: {
    good: [1],
    bad: [
      [0, /must be a number of milliseconds above 0; got 0$/],
      ['1', /got '1'$/],
    ],
  },
  deadlineMs: { good: [0.5, 5], bad: [[0, /must be a number of milliseconds above 0; got 0$/]] },
  queueTimeoutMs: { good: [0, 5], bad: [[-1, /must be a number of milliseconds, 0 or more; got -1$/]] },
  signal: { good: [signal], bad: [[{}, /must be an AbortSignal; got an object$/]] },
  stopGraceMs: { good: [0, 5], bad: [[Number.NaN, /must be a number of milliseconds, 0 or more; got NaN$/]] },
  retries: {
    good: [0, 3, Infinity],
    bad: [[1.5, /must be a whole number, 0 or more, or Infinity; got 1.5$/]],
  },
  retryDelayMs: {
    good: [0, 5, noop, { minMs: 5, maxMs: 10, factor: 3, jitter: 1 }],
    bad: [
      [Infinity, /must be a number of milliseconds, 0 or more; got Infinity$/],
      [true, /must be a number of milliseconds, or \{ minMs, maxMs, factor, jitter \}; got true$/],
      [{ minMs: 2, maxMs: 1 }, /has a "minMs" of 2, above its "maxMs" of 1$/],
    ],
  },
  retryIf: { good: [noop], bad: [[true, /must be a function; got true$/]] },
  crashRetries: {
    good: [0, 3, Infinity],
    bad: [[-1, /must be a whole number, 0 or more, or Infinity; got -1$/]],
  },
  callback: {
    good: [noop, [], [noop, noop]],
    bad: [
      ['log', /must be a function; got 'log'$/],
      [[noop, 1], /must be a function.*; got an array$/],
    ],
  },
  transfer: { good: [noop], bad: [[[], /must be a function; got an array$/]] },
  key: {
    good: ['tenant 7', noop],
    bad: [
      ['', /must be a string that is not empty; got ''$/],
      [7, /must be a string that is not empty; got 7$/],
    ],
  },
  unique: {
    good: ['join', 'refuse', 'replace'],
    bad: [['share', /must be one of 'join', 'refuse', 'replace'; got 'share'$/]],
  },
  uniqueWhile: { good: ['waiting', 'pending'], bad: [['ever', /must be one of 'waiting', 'pending'; got 'ever'$/]] },
  uniqueForMs: { good: [0, 5], bad: [[-1, /must be a number of milliseconds, 0 or more; got -1$/]] },
  module: { good: [module], bad: [['images', /must be a TaskModule; got 'images'$/]] },
  idempotencyKey: { good: ['order 7'], bad: [['', /must be a string that is not empty; got ''$/]] },
  taskId: {
    good: ['job-1'],
    bad: [
      ['', /must be a string that is not empty; got ''$/],
      [1, /got 1$/],
    ],
  },
  supervisor: {
    good: [supervisor],
    bad: [
      [{}, /must be a TaskSupervisor; got an object$/],
      [null, /must be a TaskSupervisor; got null$/],
    ],
  },
};

it('has a case for each option', () => {
  expect(Object.keys(cases).sort()).toEqual(Object.keys(taskRules).sort());
});

it.each(Object.entries(cases))('takes a good %s, and names it in the error for a bad one', (key, { good, bad }) => {
  for (const value of good) {
    const needed = key.startsWith('unique') && { key: 'all', ...(key !== 'unique' && { unique: 'join' as const }) };
    expect(resolveTaskOptions({ ...needed, [key]: value }, 'resize.with()')).toHaveProperty(key, value);
  }
  for (const [value, message] of bad) {
    const resolve = () => resolveTaskOptions({ [key]: value }, 'resize.with()');
    expect(resolve).toThrow(message);
    expect(resolve).toThrow(new RegExp(`^option "${key}" of resize\\.with\\(\\) `));
  }
});

it.each<[TaskOptions, RegExp]>([
  [{ unique: 'join' }, /^option "unique" of it needs option "key"/],
  [{ key: 'a', uniqueForMs: 5 }, /^option "uniqueForMs" of it needs option "unique"$/],
  [{ key: 'a', uniqueWhile: 'waiting' }, /^option "uniqueWhile" of it needs option "unique"$/],
  [{ key: 'a', unique: 'replace', uniqueForMs: 5 }, /^option "uniqueForMs" of it keeps what has completed/],
  [{ key: 'a', unique: 'join', uniqueWhile: 'waiting', uniqueForMs: 5 }, /^option "uniqueForMs" of it keeps/],
])('refuses what does not go together: %j', (options, message) => {
  expect(() => resolveTaskOptions(options, 'it')).toThrow(message);
});

it('has the defaults that are documented', () => {
  expect(resolveTaskOptions({}, 'it')).toEqual({ priority: 'normal', type: 'thread', stopGraceMs: 1_000 });
  expect(taskTypes).toEqual(['thread', 'process', 'loop']);
});

it('keeps what the base says where the options say nothing, and what they say goes before it', () => {
  const base = resolveTaskOptions({ priority: 'high', timeoutMs: 5, retries: 2 }, 'it');
  expect(resolveTaskOptions({ timeoutMs: 10, ...{ retries: undefined as never } }, 'it', base)).toEqual({
    priority: 'high',
    type: 'thread',
    stopGraceMs: 1_000,
    timeoutMs: 10,
    retries: 2,
  });
});

it('is frozen, and changes neither the options nor the base', () => {
  const base = resolveTaskOptions({ priority: 'high' }, 'it');
  const options = Object.freeze({ timeoutMs: 5 });
  const resolved = resolveTaskOptions(options, 'it', base);
  expect(Object.isFrozen(resolved)).toBe(true);
  expect(options).toEqual({ timeoutMs: 5 });
  expect(base).toEqual({ priority: 'high', type: 'thread', stopGraceMs: 1_000 });
});

it('does not see what the caller changes in its object later', () => {
  const options: { -readonly [K in keyof TaskOptions]: TaskOptions[K] } = { priority: 'low' };
  const resolved = resolveTaskOptions(options, 'it');
  options.priority = 'critical';
  expect(resolved.priority).toBe('low');
});

it('refuses an unknown option', () => {
  expect(() => resolveTaskOptions({ prority: 'high' } as TaskOptions, 'resize.with()')).toThrow(
    new TypeError(
      `resize.with() has no option "prority": did you mean "priority"? It takes ${Object.keys(taskRules).join(', ')}`,
    ),
  );
});
