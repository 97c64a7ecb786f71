/** Values that fight back, by name: each side makes its own, for most of them can't be copied. */
import { PassThrough } from 'node:stream';
import { runInNewContext } from 'node:vm';
import { MessageChannel } from 'node:worker_threads';

function revoked(target: object = {}): unknown {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

/** Each touch throws. */
function trapped(thrown: () => unknown, target: object = {}): unknown {
  const trap = () => {
    throw thrown();
  };
  const traps = new Proxy({}, { get: () => trap });
  return new Proxy(target, traps);
}

function nested(depth: number, wrap: (inner: unknown) => unknown): unknown {
  let value: unknown = 0;
  for (let n = 0; n < depth; n += 1) value = wrap(value);
  return value;
}

/** An object whose property of that name throws when it is read. */
function unreadable(key: PropertyKey, thrown: () => unknown, target: object = {}): unknown {
  return Object.defineProperty(target, key, {
    enumerable: true,
    get() {
      throw thrown();
    },
  });
}

const noText = () => Object.create(null) as unknown;

const circular = () => {
  const value: { self?: unknown } = {};
  value.self = value;
  return value;
};

const detached = () => {
  const buffer = new ArrayBuffer(8);
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
};

const { WebAssembly } = globalThis as unknown as {
  readonly WebAssembly: { readonly Module: new (code: Uint8Array) => unknown };
};
const wasm = () => new WebAssembly.Module(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]));

const thenable = (then: (resolve: (value: unknown) => void, reject: (problem: unknown) => void) => void) =>
  Object.defineProperty({}, 'then', { value: then, enumerable: true });

const hostileValues = {
  undefined: () => undefined,
  null: () => null,
  NaN: () => Number.NaN,
  'negative zero': () => -0,
  'a bigint': () => 2n ** 80n,
  'half of a surrogate pair': () => '\ud800',
  'U+0000': () => 'a\0b',
  'a long text': () => 'x'.repeat(2 ** 21),
  'a symbol': () => Symbol('s'),
  'a function': () => () => {},
  'a class': () => class Some {},
  'an invalid date': () => new Date(Number.NaN),
  'a sparse array': () => Object.assign([], { 100000: 1 }),
  'a circle': circular,
  'a list in itself': () => {
    const list: unknown[] = [];
    list.push(list);
    return list;
  },
  'an object without prototype': () => Object.assign(Object.create(null) as object, { a: 1 }),
  'an own __proto__': () => JSON.parse('{"__proto__":{"a":1},"constructor":1,"toString":2,"then":3}') as unknown,
  'a hasOwnProperty that is no function': () => ({ hasOwnProperty: 1, length: -1 }),
  'lists 500 deep': () => nested(500, (inner) => [inner]),
  'lists 3,000 deep': () => nested(3_000, (inner) => [inner]),
  'objects 8,000 deep': () => nested(8_000, (inner) => ({ inner })),
  'lists 100,000 deep': () => nested(100_000, (inner) => [inner]),
  'a revoked proxy': () => revoked(),
  'a revoked proxy of a list': () => revoked([]),
  'a revoked proxy of a function': () => revoked(() => {}),
  'a revoked proxy inside': () => ({ list: [1, revoked()] }),
  'a proxy whose traps throw': () => trapped(() => new Error('no entry')),
  'a proxy whose traps throw what has no text': () => trapped(noText),
  'a proxy whose traps throw a revoked proxy': () => trapped(() => revoked()),
  'a proxy of an error': () => new Proxy(new Error('inside'), {}),
  'a getter that throws': () => unreadable('total', () => new Error('no total')),
  'a getter that throws what has no text': () => unreadable('total', noText),
  'a getter that throws a symbol': () => unreadable('total', () => Symbol('s')),
  'a tag that throws': () => unreadable(Symbol.toStringTag, () => new Error('no tag')),
  'a constructor that throws': () => unreadable('constructor', () => new Error('no constructor')),
  'a then that throws': () => unreadable('then', () => new Error('no then')),
  'a thenable that throws': () =>
    thenable(() => {
      throw new Error('thrown by then');
    }),
  'a thenable that settles twice': () =>
    thenable((resolve, reject) => {
      resolve(1);
      reject(new Error('again'));
    }),
  'a promise that rejects': () => {
    const promise = Promise.reject(new Error('rejected'));
    promise.catch(() => {});
    return promise;
  },
  'a toJSON that throws': () => ({
    toJSON() {
      throw new Error('no JSON');
    },
  }),
  'a toJSON that throws what has no text': () => ({
    toJSON() {
      throw noText();
    },
  }),
  'a toJSON that gives nothing': () => ({ toJSON() {} }),
  'a toJSON that gives a circle': () => ({ toJSON: circular }),
  'a text that can not be made': () => ({
    toString() {
      throw new Error('no text');
    },
    [Symbol.toPrimitive]() {
      throw noText();
    },
  }),
  'an error whose message throws': () => unreadable('message', () => new Error('no message'), new Error('m')),
  'an error whose message is an object': () => Object.assign(new Error('m'), { message: Object.create(null) }),
  'an error whose name throws': () => unreadable('name', noText, new Error('m')),
  'an error whose stack throws': () => unreadable('stack', noText, new Error('m')),
  'an error whose cause throws': () => unreadable('cause', () => revoked(), new Error('m')),
  'an error that causes itself': () => {
    const error = new Error('m');
    error.cause = error;
    return error;
  },
  'an error with a deep field': () => Object.assign(new Error('m'), { deep: nested(3_000, (inner) => [inner]) }),
  'an error with a revoked field': () => Object.assign(new Error('m'), { gone: revoked() }),
  'a frozen error': () => Object.freeze(new TypeError('m')),
  'an error of another realm': () =>
    runInNewContext("Object.assign(new RangeError('m'), { code: 'E_FAR' })") as unknown,
  'an AggregateError of all sorts': () => new AggregateError([undefined, Symbol('s'), revoked(), new Error('m')]),
  'a detached buffer': detached,
  'shared memory': () => new SharedArrayBuffer(8),
  'a module of WebAssembly': wasm,
  'a port': () => {
    const { port1, port2 } = new MessageChannel();
    port2.close();
    port1.unref();
    return port1;
  },
  'a stream': () => new PassThrough(),
  'a weak map': () => new WeakMap(),
  'a generator': () =>
    (function* () {
      yield 1;
    })(),
  'all globals': () => globalThis,
} satisfies Readonly<Record<string, () => unknown>>;

export type HostileName = keyof typeof hostileValues;

export const hostileNames = Object.keys(hostileValues) as HostileName[];

export function hostile(name: HostileName): unknown {
  return hostileValues[name]();
}
