/** What is sent as JSON arrives exactly as it was. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromJson, jsonOf, jsonOfRun, runFromJson } from '../../src/lanes/wire/json-text.ts';
import type { RunMessage } from '../../src/lanes/wire/protocol.ts';

const primitive = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.double(),
  fc.integer(),
  fc.boolean(),
  fc.bigInt(),
  fc.constantFrom(null, undefined, -0, Number.NaN, Infinity, -Infinity, '\ud800', '"\\\u2028', 'é'.repeat(499)),
);

const single: RunMessage = { kind: 'run', definition: 3, name: 'it', first: 7, items: 1, ids: 5, args: [[1, 'a']] };

describe('JSON of a primitive', () => {
  it('is the same value again, or there is none', () => {
    fc.assert(
      fc.property(primitive, (value) => {
        const text = jsonOf(value);
        if (text !== undefined) expect(fromJson(text)).toBe(value);
      }),
    );
  });

  it.each([0, -1.5, 1e300, 'text', '', 'lone \ud800', true, false, null])('is there: %j', (value) => {
    expect(fromJson(jsonOf(value) as string)).toBe(value);
  });

  it.each([
    [-0],
    [Number.NaN],
    [Infinity],
    [undefined],
    [1n],
    [Symbol.iterator],
    [{}],
    [[]],
    [() => 1],
    ['x'.repeat(501)],
  ])('is not there for what would not be the same, or is long: %o', (value) => {
    expect(jsonOf(value)).toBeUndefined();
  });
});

describe('JSON of a batch', () => {
  it('is the same batch again, or there is none', () => {
    const list = fc.array(primitive, { maxLength: 3 });
    const args = fc.oneof(
      fc.array(fc.option(list), { maxLength: 3 }),
      fc.record({ arity: fc.nat({ max: 3 }), values: list }, { noNullPrototype: true }),
    );
    const ids = fc.oneof(fc.nat(), fc.array(fc.oneof(fc.nat(), fc.string()), { maxLength: 3 }));
    fc.assert(
      fc.property(args, ids, fc.string(), fc.constantFrom({}, { isAhead: true }), (args, ids, name, when) => {
        const message: RunMessage = { ...single, args, ids, name, ...when };
        const text = jsonOfRun(message);
        if (text !== undefined) expect(runFromJson(text)).toStrictEqual(message);
      }),
    );
  });

  it('is there for one of primitives, and needs no code of objects', () => {
    expect(runFromJson(jsonOfRun(single) as string)).toStrictEqual(single);
    const hooks = { toJSON: () => 'hooked' };
    for (const type of [Array, Object, String, Number]) Object.assign(type.prototype, hooks);
    try {
      expect(runFromJson(jsonOfRun(single) as string)).toStrictEqual(single);
    } finally {
      for (const type of [Array, Object, String, Number]) Reflect.deleteProperty(type.prototype, 'toJSON');
    }
  });

  it.each<[string, Partial<RunMessage>]>([
    ['an object', { args: [[{}]] }],
    ['a definition', { define: { index: 3, name: 'it', moduleUrl: 'file:///it.js', exportName: 'it' } as never }],
    ['Buffers', { buffers: [0] }],
    ['attempts', { attempts: [2] }],
    ['keys', { keys: ['key'] }],
    ['kept work', { kept: [undefined] }],
    ['a context', { carried: { definition: {}, value: 1 } as never }],
  ])('is not there with %s', (_, more) => {
    expect(jsonOfRun({ ...single, ...more })).toBeUndefined();
  });
});
