/** What is thrown in a thread arrives as it was: a table of all kinds, through encode, clone and decode. */
import { AssertionError, deepStrictEqual } from 'node:assert';
import { readFileSync } from 'node:fs';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { isCloneable } from '../../src/base/cloneable.ts';
import { TaskwardenError } from '../../src/base/errors.ts';
import { decodeThrown, encodeThrown } from '../../src/lanes/wire/error-codec.ts';

/** As it arrives on the other side. */
function cross(thrown: unknown): unknown {
  return decodeThrown(structuredClone(encodeThrown(thrown)));
}

function crossError<E extends Error>(error: E): E {
  const arrived = cross(error);
  if (!(arrived instanceof Error)) throw new Error(`arrived as ${String(arrived)}`);
  if (arrived === error) throw new Error('it did not cross');
  return arrived as E;
}

function caught(fn: () => unknown): Error {
  try {
    fn();
  } catch (error) {
    return error as Error;
  }
  throw new Error('nothing was thrown');
}

function refuse(): never {
  throw new RangeError('no');
}

describe('built-in classes', () => {
  const builtIn = [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError];
  it.each(builtIn.map((type) => [type.name, type] as const))(
    '%s keeps class, name, message and stack',
    (name, type) => {
      const error = new type('went wrong');
      const arrived = crossError(error);
      expect(Object.getPrototypeOf(arrived)).toBe(type.prototype);
      expect([arrived.name, arrived.message, arrived.stack]).toEqual([name, 'went wrong', error.stack]);
      expect(Object.keys(arrived)).toEqual([]);
      expect(Object.hasOwn(arrived, 'cause')).toBe(false);
      expect(Object.hasOwn(arrived, 'name')).toBe(false);
    },
  );

  it('one that the engine throws arrives as one of its class', () => {
    const error = caught(() => (undefined as unknown as { x: number }).x);
    const arrived = crossError(error);
    expect(arrived).toBeInstanceOf(TypeError);
    expect([arrived.message, arrived.stack]).toEqual([error.message, error.stack]);
  });

  it('AggregateError keeps its errors, those that are no errors too', () => {
    const inner = new AggregateError([new RangeError('deep')], 'inner');
    const arrived = crossError(new AggregateError([new TypeError('one'), inner, 'text', undefined], 'all failed'));
    expect(arrived).toBeInstanceOf(AggregateError);
    expect(arrived.message).toBe('all failed');
    const [one, two, ...rest] = arrived.errors;
    expect([one.constructor, one.message, rest]).toEqual([TypeError, 'one', ['text', undefined]]);
    expect([two.constructor, two.errors[0].constructor, two.errors[0].message]).toEqual([
      AggregateError,
      RangeError,
      'deep',
    ]);
    expect(Object.keys(arrived)).toEqual([]);
  });
});

describe('subclasses', () => {
  class HttpError extends RangeError {
    override name = 'HttpError';
    readonly status: number;

    constructor(status: number) {
      super(`status ${status}`);
      this.status = status;
    }
  }

  it('arrives as the built-in class that it extends, under its own name, with its fields', () => {
    const error = new HttpError(404);
    const arrived = crossError(error);
    expect(Object.getPrototypeOf(arrived)).toBe(RangeError.prototype);
    expect([arrived.name, arrived.message, arrived.status, arrived.stack]).toEqual([
      'HttpError',
      'status 404',
      404,
      error.stack,
    ]);
    expect(Object.keys(arrived)).toEqual(['status']);
  });

  it('a name from a prototype arrives too', () => {
    class Named extends Error {}
    Named.prototype.name = 'Named';
    expect(crossError(new Named('m')).name).toBe('Named');
  });

  it('an AssertionError keeps what it compared', () => {
    const error = caught(() => deepStrictEqual({ a: 1 }, { a: 2 })) as AssertionError;
    expect(error).toBeInstanceOf(AssertionError);
    const arrived = crossError(error);
    expect(arrived).toMatchObject({
      name: 'AssertionError',
      code: 'ERR_ASSERTION',
      message: error.message,
      actual: { a: 1 },
      expected: { a: 2 },
      operator: 'deepStrictEqual',
      generatedMessage: true,
    });
  });

  it('a system error keeps its facts', () => {
    const arrived = crossError(caught(() => readFileSync('/no/such/file')) as NodeJS.ErrnoException);
    expect(arrived).toMatchObject({ code: 'ENOENT', errno: -2, syscall: 'open', path: '/no/such/file', name: 'Error' });
    expect(arrived.message).toBe("ENOENT: no such file or directory, open '/no/such/file'");
  });

  it('a TaskwardenError stays one, with its facts', () => {
    const error = new TaskwardenError('TASK_TIMEOUT', 'too long', { taskId: 't', timeoutMs: 5, cause: 'why' });
    const arrived = crossError(error);
    expect(arrived).toBeInstanceOf(TaskwardenError);
    expect(arrived).toMatchObject({
      code: 'TASK_TIMEOUT',
      message: 'too long',
      taskId: 't',
      timeoutMs: 5,
      cause: 'why',
    });
    expect([arrived.name, arrived.stack]).toEqual(['TaskwardenError', error.stack]);
    expect(Object.hasOwn(arrived, 'exitCode')).toBe(false);
  });

  it('a DOMException stays one, with name and code', () => {
    const arrived = cross(new DOMException('no time', 'TimeoutError'));
    expect(arrived).toBeInstanceOf(DOMException);
    expect(arrived).toMatchObject({ name: 'TimeoutError', message: 'no time', code: DOMException.TIMEOUT_ERR });
  });

  it('what an aborted signal throws arrives as an AbortError', () => {
    const error = caught(() => AbortSignal.abort().throwIfAborted());
    const arrived = crossError(error);
    expect(arrived).toBeInstanceOf(DOMException);
    expect([arrived.name, arrived.message]).toEqual(['AbortError', error.message]);
  });
});

describe('what is no error', () => {
  it.each([['text'], [''], [undefined], [null], [0], [Number.NaN], [true], [10n]])('%s arrives as it is', (value) => {
    expect(cross(value)).toBe(value);
  });

  it.each([
    [Symbol('s'), "[Symbol(s): can't be cloned]"],
    [function boom() {}, "[function boom: can't be cloned]"],
    [() => {}, "[function (anonymous): can't be cloned]"],
    [Object.assign(new (class Job {})(), { run() {} }), "[an object: can't be cloned]"],
    [[() => {}], "[an array: can't be cloned]"],
    [Promise.resolve(), "[an object: can't be cloned]"],
  ])('%o, which has no clone, arrives as a text', (value, text) => {
    expect(cross(value)).toBe(text);
  });

  it('of a plain object with fields that have no clone, the others arrive', () => {
    expect(cross({ status: 500, run() {}, at: new Date(0), deep: { fn() {} }, list: [1], key: Symbol('k') })).toEqual({
      status: 500,
      run: "[function run: can't be cloned]",
      at: new Date(0),
      deep: "[an object: can't be cloned]",
      list: [1],
      key: "[Symbol(k): can't be cloned]",
    });
  });

  it('plain data arrives as a copy', () => {
    const thrown = { status: 500, at: new Date(0), tags: new Set(['a']), buffer: Buffer.from('ab') };
    const arrived = cross(thrown);
    expect(arrived).toEqual({ ...thrown, buffer: new Uint8Array([97, 98]) });
    expect(arrived).not.toBe(thrown);
  });
});

describe('causes', () => {
  it('a chain of causes arrives, each with its class', () => {
    const arrived = crossError(
      new Error('a', { cause: new TypeError('b', { cause: new RangeError('c', { cause: 5 }) }) }),
    );
    const b = arrived.cause as TypeError;
    const c = b.cause as RangeError;
    expect([b.constructor, b.message, c.constructor, c.message, c.cause]).toEqual([TypeError, 'b', RangeError, 'c', 5]);
    expect(Object.keys(arrived)).toEqual([]);
  });

  it('a cause of undefined is one, and is not the same as none', () => {
    expect(Object.hasOwn(crossError(new Error('a', { cause: undefined })), 'cause')).toBe(true);
    expect(Object.hasOwn(crossError(new Error('a')), 'cause')).toBe(false);
  });

  it('a cause that can not be cloned is replaced by a text', () => {
    expect(crossError(new Error('a', { cause: setTimeout })).cause).toBe("[function setTimeout: can't be cloned]");
  });

  it('circles keep their shape', () => {
    const own = new Error('own');
    own.cause = own;
    const arrivedOwn = crossError(own);
    expect(arrivedOwn.cause).toBe(arrivedOwn);

    const a = new Error('a');
    const b = new TypeError('b', { cause: a });
    a.cause = b;
    const arrived = crossError(a);
    expect((arrived.cause as Error).message).toBe('b');
    expect((arrived.cause as Error).cause).toBe(arrived);

    const all = new AggregateError([], 'all');
    all.errors = [all, all];
    const arrivedAll = crossError(all);
    expect(arrivedAll.errors).toHaveLength(2);
    for (const each of arrivedAll.errors) expect(each).toBe(arrivedAll);
  });

  it('an error that is referred to twice arrives once', () => {
    const shared = new Error('shared');
    const arrived = crossError(new AggregateError([shared, shared], 'all', { cause: shared }));
    expect(arrived.errors[0]).toBe(arrived.errors[1]);
    expect(arrived.errors[0]).toBe(arrived.cause);
  });

  it('an endless chain of causes does not overflow the stack', () => {
    let chain = new Error('first');
    for (let i = 0; i < 50_000; i += 1) chain = new Error('next', { cause: chain });
    expect(crossError(chain).message).toBe('next');
  });
});

describe('own fields', () => {
  it('plain ones, errors, buffers and maps arrive', () => {
    const error = Object.assign(new Error('m'), {
      detail: { a: [1, { b: 2 }] },
      inner: new TypeError('inner'),
      bytes: Buffer.from('abc'),
      map: new Map([['k', 1]]),
      missing: undefined,
    });
    const arrived = crossError(error);
    expect(Object.keys(arrived)).toEqual(['detail', 'inner', 'bytes', 'map', 'missing']);
    expect(arrived.detail).toEqual({ a: [1, { b: 2 }] });
    expect([arrived.inner.constructor, arrived.inner.message]).toEqual([TypeError, 'inner']);
    expect([...arrived.bytes]).toEqual([97, 98, 99]);
    expect(arrived.map).toEqual(new Map([['k', 1]]));
  });

  it('one that can not be cloned is replaced by a text, and the others arrive', () => {
    const error = Object.assign(new Error('m'), {
      request: { abort() {}, url: '/a' },
      retry() {},
      key: Symbol('k'),
      status: 1,
    });
    expect(crossError(error)).toMatchObject({
      request: { abort: "[function abort: can't be cloned]", url: '/a' },
      retry: "[function retry: can't be cloned]",
      key: "[Symbol(k): can't be cloned]",
      status: 1,
    });
  });

  it.each([
    ['with a getter that throws', () => Object.defineProperty({}, 'trap', { enumerable: true, get: refuse })],
    ['with traps that throw', () => new Proxy({}, { getPrototypeOf: refuse, ownKeys: refuse, get: refuse })],
  ])('an object %s does not keep the rest of the error from crossing', (_, field) => {
    const error = Object.assign(new TypeError('m'), { field: field(), status: 1 });
    expect(crossError(error)).toMatchObject({ name: 'TypeError', message: 'm', status: 1 });
  });

  it('a map that throws as it is read costs that field alone', () => {
    const map = Object.assign(new Map([[1, 2]]), {
      keys() {
        throw new Error('no keys');
      },
    });
    expect(crossError(Object.assign(new Error('m'), { code: 'E_MINE', map }))).toMatchObject({
      message: 'm',
      code: 'E_MINE',
    });
  });

  it('one whose getter throws is replaced by a text', () => {
    const error = new Error('m');
    Object.defineProperty(error, 'trap', {
      enumerable: true,
      get() {
        throw new RangeError('no');
      },
    });
    expect(crossError(error)).toHaveProperty('trap', '[unreadable: RangeError: no]');
  });

  it.each([
    ['a symbol', Symbol('s')],
    ['an object that has no text', Object.create(null)],
  ])('one whose getter throws %s is replaced by a text', (_, thrown) => {
    const error = new Error('m');
    Object.defineProperty(error, 'trap', {
      enumerable: true,
      get() {
        throw thrown;
      },
    });
    expect(crossError(error)).toHaveProperty('trap', expect.stringContaining('unreadable'));
  });

  it.each(['name', 'message'])('a %s that is an object without a text does not keep the error from crossing', (key) => {
    const error = Object.defineProperty(new TypeError('m'), key, { value: Object.create(null) });
    expect(crossError(error)).toBeInstanceOf(TypeError);
  });

  it('a stack that is no string arrives as none', () => {
    const error = Object.defineProperty(new Error('m'), 'stack', { value: 5 });
    expect(crossError(error).stack).toBeUndefined();
  });

  it('a field named __proto__ is a field, and changes no prototype', () => {
    const error = Object.defineProperty(new Error('m'), '__proto__', { value: { evil: true }, enumerable: true });
    const arrived = crossError(error);
    expect(Object.getPrototypeOf(arrived)).toBe(Error.prototype);
    expect(Object.getOwnPropertyDescriptor(arrived, '__proto__')?.value).toEqual({ evil: true });
  });
});

describe('errors in fields', () => {
  class ValidationError extends Error {
    override name = 'ValidationError';
    errors: Record<string, unknown> = {};
  }

  it.each([[{ email: ['is taken'] }], ['text'], [undefined], [new Map([['email', 'is taken']])], [[1, 'two']]])(
    'errors that is no list of an AggregateError is a field: %o',
    (errors) => {
      const arrived = crossError(Object.assign(new Error('m'), { errors }));
      expect(arrived.errors).toEqual(errors);
      expect(Object.keys(arrived)).toEqual(['errors']);
    },
  );

  it('arrive with their classes and fields in plain objects and arrays, each once', () => {
    const taken = Object.assign(new TypeError('taken'), { path: 'email' });
    const error = new ValidationError('invalid');
    error.errors = { email: taken, list: [{ at: 0, why: [taken] }], run() {} };
    const arrived = crossError(error);
    const { email } = arrived.errors as { email: TypeError };
    expect([Object.getPrototypeOf(email), email.message, email.stack]).toEqual([
      TypeError.prototype,
      'taken',
      taken.stack,
    ]);
    expect(email).toHaveProperty('path', 'email');
    expect(arrived.errors).toEqual({
      email,
      list: [{ at: 0, why: [email] }],
      run: "[function run: can't be cloned]",
    });
    expect((arrived.errors as unknown as { list: { why: unknown[] }[] }).list[0]?.why[0]).toBe(email);
    expect(error.errors['email']).toBe(taken);
  });

  it('arrive in what is thrown, and in a circle', () => {
    const failure: Record<string, unknown> = { error: new RangeError('far') };
    failure['self'] = failure;
    failure['again'] = [failure];
    const arrived = cross(failure) as { error: Error; self: unknown; again: unknown[] };
    expect(arrived.error).toBeInstanceOf(RangeError);
    expect([arrived.self, arrived.again[0]]).toEqual([arrived, arrived]);
    expect(arrived.self).toBe(arrived);
  });

  it('a field named __proto__ in them changes no prototype', () => {
    const arrived = cross({ inner: JSON.parse('{"__proto__":{"evil":true}}'), error: new Error('m') });
    expect(Object.getOwnPropertyDescriptor((arrived as { inner: object }).inner, '__proto__')?.value).toEqual({
      evil: true,
    });
    expect({}).not.toHaveProperty('evil');
  });
});

describe('an error of another vm context', () => {
  it.each(['Error', 'TypeError', 'AggregateError'])('keeps class and fields: %s', (name) => {
    const make = name === 'AggregateError' ? 'new AggregateError([new TypeError("one")], "m")' : `new ${name}("m")`;
    const error = runInNewContext(`Object.assign(${make}, { code: 'E_MINE', detail: { a: 1 } })`);
    const arrived = crossError(error as NodeJS.ErrnoException);
    expect(arrived.constructor).toBe((globalThis as Record<string, unknown>)[name]);
    expect(arrived).toMatchObject({ name, message: 'm', code: 'E_MINE', detail: { a: 1 }, stack: error.stack });
    if (arrived instanceof AggregateError) expect(arrived.errors[0]).toBeInstanceOf(TypeError);
  });

  it('keeps the built-in class that its own extends', () => {
    const error = runInNewContext('class Own extends RangeError {}; new Own("m")');
    expect(Object.getPrototypeOf(crossError(error))).toBe(RangeError.prototype);
  });
});

describe('what is nested deep', () => {
  function nested(levels: number): object {
    let value: object = {};
    for (let level = 1; level < levels; level += 1) value = level % 2 === 0 ? { value } : [value];
    return value;
  }

  it('arrives if it is no deeper than any stack can read', () => {
    expect(crossError(Object.assign(new Error('m'), { deep: nested(200) })).deep).toEqual(nested(200));
  });

  it.each([201, 3_000, 100_000])('is replaced by a text, and the others arrive: %i levels', (levels) => {
    const arrived = crossError(Object.assign(new TypeError('m'), { deep: nested(levels), status: 1 }));
    expect(arrived).toMatchObject({
      deep: expect.stringMatching(/^\[an (object|array): is nested too deep\]$/),
      status: 1,
    });
  });

  it('may be a map, or the thrown value itself', () => {
    const levels = Array.from({ length: 300 });
    const map = levels.reduce<unknown>((inner) => new Map([['inner', inner]]), 'end');
    expect(cross(map)).toBe('[an object: is nested too deep]');
  });
});

describe('what came over a wire', () => {
  it.each([
    [null],
    [{}],
    [{ thrown: null, errors: [] }],
    [{ thrown: { error: 5 }, errors: [] }],
    [{ thrown: { error: 0 }, errors: [null] }],
    [{ thrown: { error: 0 }, errors: [{ type: 'Error', name: 'Error', message: 'm' }] }],
  ])('and is no thrown value is refused: %j', (wire) => {
    expect(() => decodeThrown(wire as never)).toThrow(TypeError);
  });

  it.each(['constructor', '__proto__', 'toString', 'Object'])('may be of no class that is known: %s', (type) => {
    const wire = { type, name: 'Error', message: 'm', stack: 'here', fields: [] };
    const arrived = decodeThrown({ thrown: { error: 0 }, errors: [wire] });
    expect(Object.getPrototypeOf(arrived)).toBe(Error.prototype);
    expect(arrived).toMatchObject({ message: 'm', stack: 'here' });
  });

  it('is refused where it points to places that are not there, or not its own', () => {
    const error = { type: 'Error', name: 'Error', message: 'm', stack: '', fields: [] };
    for (const path of [
      ['__proto__', 'evil'],
      ['constructor', 'evil'],
    ]) {
      const wire = { thrown: { value: {}, holds: [[path, 0]] }, errors: [error] } as never;
      expect(() => decodeThrown(wire)).toThrow(TypeError);
    }
    expect(Object).not.toHaveProperty('evil');
    expect({}).not.toHaveProperty('evil');
  });
});

describe('what can not be read', () => {
  it.each([
    ['own keys', { ownKeys: refuse }],
    ['having a cause', { has: refuse }],
  ])('an error whose %s throws arrives as one that says so', (_, traps) => {
    const arrived = cross(new Proxy(new Error('m'), traps));
    expect(arrived).toBeInstanceOf(Error);
    expect(arrived).toMatchObject({ message: "what was thrown can't be read: RangeError: no" });
  });

  it('what does not even say whether it is an error arrives as a text', () => {
    expect(cross(new Proxy(new Error('m'), { getPrototypeOf: refuse }))).toBe("[an object: can't be cloned]");
  });

  it('it may throw what has no text itself', () => {
    const traps = {
      ownKeys(): never {
        throw Object.create(null);
      },
    };
    expect(cross(new Proxy(new Error('m'), traps))).toMatchObject({
      message: "what was thrown can't be read: [no text]",
    });
  });
});

it('leaves the error that was thrown, and the stack limit, as they were', () => {
  const limit = Error.stackTraceLimit;
  const cause = new Error('cause');
  const error = Object.freeze(Object.assign(new Error('m', { cause }), { status: 1 }));
  cross(error);
  expect(error.cause).toBe(cause);
  expect(Error.stackTraceLimit).toBe(limit);
});

it.each([
  [1, true],
  ['a', true],
  [undefined, true],
  [null, true],
  [{ a: [new Date()] }, true],
  [() => {}, false],
  [Symbol('s'), false],
  [{ deep: { fn() {} } }, false],
  [new WeakMap(), false],
])('isCloneable(%o) is %s', (value, cloneable) => {
  expect(isCloneable(value)).toBe(cloneable);
});
