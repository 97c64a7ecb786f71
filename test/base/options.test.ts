/** How options are checked: every rule with good and bad values, and what a bad one says. */
import { expect, it } from 'vitest';
import { arrayOf, checkOptions, either, is, oneOf, optionsBy, type Rule, rules, show } from '../../src/base/options.ts';

const signal = new AbortController().signal;
const anyFunction = () => {};
class Shape {}

const ms = 'a number of milliseconds';
const goodAndBad: [keyof typeof rules, string, unknown[], [unknown, string][], [unknown, string][]][] = [
  // rule, what it says it must be, good, bad type, out of range
  [
    'durationMs',
    `${ms}, 0 or more`,
    [0, 0.5, 1e12],
    [
      ['5', `'5'`],
      [null, 'null'],
      [5n, '5'],
    ],
    [
      [-1, '-1'],
      [Number.NaN, 'NaN'],
      [Infinity, 'Infinity'],
    ],
  ],
  [
    'durationMsOrInfinity',
    `${ms}, 0 or more, or Infinity`,
    [0, 7.5, Infinity],
    [[true, 'true']],
    [
      [-0.1, '-0.1'],
      [Number.NaN, 'NaN'],
      [-Infinity, '-Infinity'],
    ],
  ],
  [
    'positiveMs',
    `${ms} above 0`,
    [0.001, 5],
    [[[5], 'an array']],
    [
      [0, '0'],
      [-1, '-1'],
      [Infinity, 'Infinity'],
      [Number.NaN, 'NaN'],
    ],
  ],
  [
    'positiveMb',
    'a number of megabytes above 0',
    [0.5, 64],
    [['64', `'64'`]],
    [
      [0, '0'],
      [-1, '-1'],
      [Infinity, 'Infinity'],
      [Number.NaN, 'NaN'],
    ],
  ],
  [
    'count',
    'a whole number, 0 or more',
    [0, 3],
    [['3', `'3'`]],
    [
      [-1, '-1'],
      [1.5, '1.5'],
      [Infinity, 'Infinity'],
      [Number.NaN, 'NaN'],
    ],
  ],
  [
    'positiveCount',
    'a whole number, 1 or more',
    [1, 30],
    [[{}, 'an object']],
    [
      [0, '0'],
      [1.5, '1.5'],
      [Infinity, 'Infinity'],
    ],
  ],
  [
    'countOrInfinity',
    'a whole number, 0 or more, or Infinity',
    [0, 3, Infinity],
    [['Infinity', `'Infinity'`]],
    [
      [-1, '-1'],
      [0.5, '0.5'],
      [-Infinity, '-Infinity'],
      [Number.NaN, 'NaN'],
    ],
  ],
  [
    'positiveCountOrInfinity',
    'a whole number, 1 or more, or Infinity',
    [1, Infinity],
    [[false, 'false']],
    [
      [0, '0'],
      [1.5, '1.5'],
      [Number.NaN, 'NaN'],
    ],
  ],
  [
    'tasksPerHost',
    'a whole number from 1 to 1,000',
    [1, 1_000],
    [['2', `'2'`]],
    [
      [0, '0'],
      [1_001, '1001'],
      [1.5, '1.5'],
      [Number.NaN, 'NaN'],
    ],
  ],
  [
    'nice',
    'a whole number from 0 to 19',
    [0, 1, 19],
    [['1', `'1'`]],
    [
      [-1, '-1'],
      [20, '20'],
      [0.5, '0.5'],
      [Number.NaN, 'NaN'],
    ],
  ],
  [
    'fraction',
    'a number from 0 to 1',
    [0, 0.5, 1],
    [['0.5', `'0.5'`]],
    [
      [-0.01, '-0.01'],
      [1.01, '1.01'],
      [Number.NaN, 'NaN'],
    ],
  ],
  [
    'factor',
    'a number, 1 or more',
    [1, 1.5, 100],
    [['2', `'2'`]],
    [
      [0.99, '0.99'],
      [Infinity, 'Infinity'],
      [Number.NaN, 'NaN'],
    ],
  ],
  ['text', 'a string', ['', 'a'], [[5, '5']], []],
  [
    'string',
    'a string that is not empty',
    ['a'],
    [
      ['', `''`],
      [Symbol('s'), 'Symbol(s)'],
    ],
    [],
  ],
  [
    'function',
    'a function',
    [anyFunction, Shape],
    [
      ['f', `'f'`],
      [{}, 'an object'],
    ],
    [],
  ],
  [
    'boolean',
    'true or false',
    [true, false],
    [
      [0, '0'],
      ['true', `'true'`],
      [null, 'null'],
    ],
    [],
  ],
  [
    'object',
    'an object',
    [{}, new Shape(), Object.create(null)],
    [
      [[], 'an array'],
      [null, 'null'],
      [anyFunction, 'function anyFunction'],
    ],
    [],
  ],
  [
    'signal',
    'an AbortSignal',
    [signal],
    [
      [new AbortController(), 'an object'],
      ['abort', `'abort'`],
    ],
    [],
  ],
];

it('has a row for each rule', () => {
  expect(goodAndBad.map(([name]) => name).sort()).toEqual(Object.keys(rules).sort());
});

it.each(goodAndBad)('%s takes %s, and refuses all else', (name, what, good, badTypes, outOfRange) => {
  const rule = rules[name];
  for (const value of good) expect(rule(value, 'it')).toBeUndefined();
  for (const [value, shown] of badTypes) {
    expect(() => rule(value, 'it')).toThrow(new TypeError(`it must be ${what}; got ${shown}`));
    expect(() => rule(value, 'it')).toThrow(TypeError);
  }
  for (const [value, shown] of outOfRange) {
    expect(() => rule(value, 'it')).toThrow(new RangeError(`it must be ${what}; got ${shown}`));
    expect(() => rule(value, 'it')).toThrow(RangeError);
  }
});

it('is: takes what its predicate takes', () => {
  const even = is('an even number', (value) => typeof value === 'number' && value % 2 === 0);
  expect(even(2, 'it')).toBeUndefined();
  expect(() => even(3, 'it')).toThrow(new TypeError('it must be an even number; got 3'));
});

it('oneOf: names the choices', () => {
  const color = oneOf(['red', 'blue']);
  expect(color('blue', 'it')).toBeUndefined();
  for (const [value, shown] of [
    ['green', `'green'`],
    ['Red', `'Red'`],
    [0, '0'],
    [['red'], 'an array'],
  ] as const) {
    expect(() => color(value, 'it')).toThrow(new TypeError(`it must be one of 'red', 'blue'; got ${shown}`));
  }
});

it('arrayOf: looks at each entry', () => {
  const texts = arrayOf('an array of strings', (value) => typeof value === 'string');
  expect(texts([], 'it')).toBeUndefined();
  expect(texts(['a', 'b'], 'it')).toBeUndefined();
  for (const [value, shown] of [
    [['a', 1], 'an array'],
    ['a', `'a'`],
    [{ 0: 'a', length: 1 }, 'an object'],
  ] as const) {
    expect(() => texts(value, 'it')).toThrow(new TypeError(`it must be an array of strings; got ${shown}`));
  }
});

it('either: takes what one of its rules takes, and reports the one that accepts the type', () => {
  const rule = either(rules.boolean, rules.durationMs);
  for (const value of [true, false, 0, 5]) expect(rule(value, 'it')).toBeUndefined();
  expect(() => rule(-1, 'it')).toThrow(new RangeError(`it must be ${ms}, 0 or more; got -1`));
  expect(() => rule(-1, 'it')).toThrow(RangeError);
  expect(() => rule('yes', 'it')).toThrow(new TypeError(`it must be true or false; got 'yes'`));
});

const table: Record<string, Rule> = { size: rules.count, name: rules.string };

it('checks each option by the rule of its name', () => {
  expect(checkOptions({}, table, 'make()')).toBeUndefined();
  expect(checkOptions({ size: 1, name: 'a' }, table, 'make()')).toBeUndefined();
  expect(() => checkOptions({ size: 1, name: '' }, table, 'make()')).toThrow(
    new TypeError(`option "name" of make() must be a string that is not empty; got ''`),
  );
});

it('takes undefined for any option: it means the default', () => {
  expect(checkOptions({ size: undefined, name: undefined }, table, 'make()')).toBeUndefined();
});

it.each(['dimension', 'toString', 'constructor', '__proto__'])(
  'refuses the unknown option %s, and names those there are',
  (key) => {
    for (const value of [1, undefined]) {
      const options = Object.defineProperty({}, key, { value, enumerable: true });
      expect(() => checkOptions(options, table, 'make()')).toThrow(
        new TypeError(`make() has no option "${key}"; it takes size, name`),
      );
    }
  },
);

it.each([
  ['Size', '"size"'],
  ['sizes', '"size"'],
  ['szie', '"size"'],
  ['timeout', '"timeoutMs"'],
  ['delay', '"delayMs"'],
  ['heap', '"heapMb"'],
  ['timoutMs', '"timeoutMs"'],
  ['batchSize', '"queue.batchSize"'],
  ['maxItems', '"queue.maxItems" or "stack.maxItems"'],
  ['maxitem', '"queue.maxItems" or "stack.maxItems"'],
])('asks for the unknown option %s whether it meant %s', (key, meant) => {
  const inner = { batchSize: rules.count, maxItems: rules.count };
  const deep: Record<string, Rule> = {
    size: rules.count,
    timeoutMs: rules.positiveMs,
    delayMs: rules.durationMs,
    heapMb: rules.positiveMb,
    queue: either(
      optionsBy(inner, 'queue'),
      is('true', (value) => value === true),
    ),
    stack: optionsBy({ maxItems: rules.count }, 'stack'),
  };
  expect(() => checkOptions({ [key]: 1 }, deep, 'make()')).toThrow(
    new TypeError(
      `make() has no option "${key}": did you mean ${meant}? It takes size, timeoutMs, delayMs, heapMb, queue, stack`,
    ),
  );
});

it.each([
  [undefined, 'undefined'],
  [null, 'null'],
  ['size', `'size'`],
  [5, '5'],
  [[], 'an array'],
  [anyFunction, 'function anyFunction'],
])('refuses %s in place of options', (options, shown) => {
  expect(() => checkOptions(options, table, 'make()')).toThrow(
    new TypeError(`make() takes an object of options; got ${shown}`),
  );
});

it('reads a frozen object, and so can not have changed it', () => {
  expect(checkOptions(Object.freeze({ size: 1 }), table, 'make()')).toBeUndefined();
});

it.each([
  ['a'.repeat(60), `'${'a'.repeat(60)}'`],
  ['a'.repeat(61), `'${'a'.repeat(60)}…'`],
  [() => {}, 'function (anonymous)'],
  [undefined, 'undefined'],
  [-0, '0'],
  [10n, '10'],
  [Symbol.iterator, 'Symbol(Symbol.iterator)'],
  [Object.create(null), 'an object'],
])('shows a value in short: %o', (value, shown) => {
  expect(show(value)).toBe(shown);
});

it('shows a function whose name is no string', () => {
  const named = Object.defineProperty(() => {}, 'name', { value: Symbol('name') });
  expect(show(named)).toMatch(/^function /);
});
