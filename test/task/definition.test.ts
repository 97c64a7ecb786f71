/** How a function is named, and found again: by module and name, by export, or by its source. */
import { pathToFileURL } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { TaskwardenError } from '../../src/base/errors.ts';
import { type TaskFunction, wireDefinition } from '../../src/task/definition/definition.ts';
import {
  defineBySource,
  defineExport,
  defineInModule,
  findDefinition,
  whenDefined,
} from '../../src/task/definition/definition-registry.ts';
import { functionFromSource } from '../../src/task/definition/function-source.ts';
import { toModuleUrl } from '../../src/task/definition/module-url.ts';

const noop = () => {};

describe('the URL of a module', () => {
  it.each([
    ['a file URL', 'file:///app/images.js', 'file:///app/images.js'],
    ['a URL with a query', 'file:///app/images.js?v=1', 'file:///app/images.js?v=1'],
    ['a data URL', 'data:text/javascript,export {}', 'data:text/javascript,export {}'],
    ['a built-in', 'node:zlib', 'node:zlib'],
    ['a URL that is marked for tsx', 'file:///app/a.ts?taskwarden=tsx', 'file:///app/a.ts'],
    ['a URL with a query that is marked for tsx', 'file:///app/a.ts?v=1&taskwarden=tsx', 'file:///app/a.ts?v=1'],
    ['a URL that only looks marked', 'file:///app/a.ts?taskwarden=tsx1', 'file:///app/a.ts?taskwarden=tsx1'],
    ['a URL object that is marked for tsx', new URL('file:///app/a.ts?taskwarden=tsx'), 'file:///app/a.ts'],
    ['a URL object', new URL('./a b.js', 'file:///app/'), 'file:///app/a%20b.js'],
    ['an absolute path', __filename, pathToFileURL(__filename).href],
    ['a path with a space and a hash', '/app/a b#c.js', 'file:///app/a%20b%23c.js'],
  ])('comes from %s', (_, module, url) => {
    expect(toModuleUrl(module)).toBe(url);
  });

  it.each([
    ['./images.js', `'./images.js'`],
    ['images', `'images'`],
    ['', `''`],
    [undefined, 'undefined'],
    [5, '5'],
    [{ href: 'file:///a.js' }, 'an object'],
  ])('does not come from %o', (module, shown) => {
    expect(() => toModuleUrl(module)).toThrow(
      new TypeError(
        `the module of a task must be import.meta.url, a URL or an absolute path (__filename); got ${shown}`,
      ),
    );
  });
});

describe('the registry', () => {
  it('finds a function under its module and name, and under no other', () => {
    const definition = defineInModule('file:///registry/a.js', 'find', noop, 'here');
    expect(definition).toMatchObject({ name: 'find', moduleUrl: 'file:///registry/a.js', fn: noop });
    expect(findDefinition('file:///registry/a.js', 'find')).toBe(definition);
    expect(findDefinition('file:///registry/b.js', 'find')).toBeUndefined();
    expect(findDefinition('file:///registry/a.js', 'lost')).toBeUndefined();
  });

  it('takes one name in two modules', () => {
    const one = defineInModule('file:///registry/one.js', 'same', noop, 'here');
    const two = defineInModule('file:///registry/two.js', 'same', noop, 'here');
    expect(findDefinition('file:///registry/one.js', 'same')).toBe(one);
    expect(findDefinition('file:///registry/two.js', 'same')).toBe(two);
  });

  it('refuses a second function of one name in one module, and keeps the first', () => {
    const first = defineInModule('file:///registry/twice.js', 'twice', noop, 'here');
    const second = () => defineInModule('file:///registry/twice.js', 'twice', () => 'another', 'there');
    expect(second).toThrow(TaskwardenError);
    expect(second).toThrow(expect.objectContaining({ code: 'DUPLICATE_TASK_NAME' }));
    expect(second).toThrow(/^two tasks are named "twice" in file:\/\/\/registry\/twice\.js: /);
    expect(findDefinition('file:///registry/twice.js', 'twice')).toBe(first);
  });

  it('lets a function replace the one that was registered at the same place', () => {
    const anew = () => 'anew';
    const first = defineInModule('file:///registry/anew.js', 'anew', noop, 'here');
    const second = defineInModule('file:///registry/anew.js', 'anew', anew, 'here');
    expect(second).toMatchObject({ name: 'anew', fn: anew });
    expect(second.index).not.toBe(first.index);
    expect(findDefinition('file:///registry/anew.js', 'anew')).toBe(second);
  });

  it.each(['twice2', 'twice$1', 'twice_1'])('finds the one function whose name a compiler made %s', (renamed) => {
    const url = `file:///registry/renamed/${renamed}.js`;
    const definition = defineInModule(url, 'twice', noop, 'here');
    defineInModule(url, 'other', noop, 'there');
    defineInModule('file:///registry/renamed/another.js', 'twice', noop, 'here');
    expect(findDefinition(url, renamed)).toBe(definition);
    expect(findDefinition(url, 'twice')).toBe(definition);
    expect(findDefinition(url, 'twice2more')).toBeUndefined();
  });

  it('finds a function that a compiler renamed by the name it was given', () => {
    const definition = defineInModule('file:///registry/original.js', 'twice2', noop, 'here');
    expect(findDefinition('file:///registry/original.js', 'twice')).toBe(definition);
  });

  it('finds none where the name without what compilers add is that of two', () => {
    const url = 'file:///registry/ambiguous.js';
    const one = defineInModule(url, 'twice1', noop, 'here');
    defineInModule(url, 'twice2', noop, 'there');
    expect(findDefinition(url, 'twice3')).toBeUndefined();
    expect(findDefinition(url, 'twice')).toBeUndefined();
    expect(findDefinition(url, 'twice1')).toBe(one);
  });

  it('names both places where functions of one name are registered', () => {
    const define = (place: string) => defineInModule('file:///registry/places.js', 'places', noop, place);
    define('at a.js:1:1');
    expect(() => define('at b.js:2:2')).toThrow('one registered at a.js:1:1, another at b.js:2:2; ');
  });

  it('calls back as soon as a function is registered', () => {
    const callback = vi.fn();
    whenDefined('file:///registry/later.js', 'later', callback);
    defineInModule('file:///registry/later.js', 'other', noop, 'here');
    expect(callback).not.toHaveBeenCalled();
    const definition = defineInModule('file:///registry/later.js', 'later', noop, 'here');
    expect(callback.mock.calls).toEqual([[definition]]);
  });

  it('calls back at once if it is registered already', () => {
    const definition = defineInModule('file:///registry/now.js', 'now', noop, 'here');
    const callback = vi.fn();
    whenDefined('file:///registry/now.js', 'now', callback);
    expect(callback.mock.calls).toEqual([[definition]]);
  });

  it('is one for two copies of the package', async () => {
    const copy: typeof import('../../src/task/definition/definition-registry.ts') = await import(
      // @ts-expect-error a query makes it another module
      '../../src/task/definition/definition-registry.ts?copy'
    );
    expect(copy.findDefinition).not.toBe(findDefinition);
    const definition = defineInModule('file:///registry/shared.js', 'shared', noop, 'here');
    expect(copy.findDefinition('file:///registry/shared.js', 'shared')).toBe(definition);
    expect(copy.defineExport('file:///a.js', 'a').index).toBe(definition.index + 1);
  });
});

describe('functions that are made anew for each call', () => {
  const newFunction = (n: number) => new Function(`return ${n};`) as () => number;

  it('have one index for one source, and are not kept for ever', () => {
    const { indexes } = (globalThis as unknown as Record<symbol, { indexes: Map<string, number> }>)[
      Symbol.for('taskwarden.definitions')
    ] as { indexes: Map<string, number> };
    const often = defineBySource('often', newFunction(-1));
    const once = defineBySource('once', newFunction(-2));
    for (let n = 0; n < 2_000; n += 1) {
      defineBySource('f', newFunction(n));
      if (n % 500 === 0) expect(defineBySource('often', newFunction(-1)).index).toBe(often.index);
    }
    expect(indexes.size).toBe(1_000);
    expect(defineBySource('once', newFunction(-2)).index).toBeGreaterThan(once.index + 2_000);
  });
});

describe('what crosses', () => {
  it('gives each definition an index of its own', () => {
    const indexes = [
      defineInModule('file:///wire/a.js', 'a', noop, 'here'),
      defineExport('file:///wire/a.js', 'a'),
      defineBySource('a', noop),
    ].map(({ index }) => index);
    expect(new Set(indexes).size).toBe(3);
  });

  it('gives one export one index, and one source, however often they are defined', () => {
    const first = defineExport('file:///wire/once.js', 'a');
    expect(defineExport('file:///wire/once.js', 'a')).toEqual(first);
    expect(defineExport('file:///wire/once.js', 'b').index).not.toBe(first.index);
    expect(defineExport('file:///wire/other.js', 'a').index).not.toBe(first.index);

    const make = (add: number) => (x: number) => x + add;
    const [one, two] = [defineBySource('one', make(1)), defineBySource('two', make(2))];
    expect(two.index).toBe(one.index);
    expect([one.name, two.name, one.fn?.(1), two.fn?.(1)]).toEqual(['one', 'two', 2, 3]);
    expect(defineBySource('one', (x: number) => x - 1).index).not.toBe(one.index);
  });

  it('is the key of a registered function, and not the function', () => {
    const definition = defineInModule('file:///wire/b.js', 'b', noop, 'here');
    definition.receiver = class {};
    expect(wireDefinition(definition)).toEqual({ index: definition.index, name: 'b', moduleUrl: 'file:///wire/b.js' });
    expect(Object.keys(wireDefinition(definition))).toEqual(['index', 'name', 'moduleUrl']);
  });

  it('is module and export of a function that is not registered', () => {
    const definition = defineExport('node:zlib', 'gzipSync');
    expect(wireDefinition(definition)).toEqual({
      index: definition.index,
      name: 'gzipSync',
      moduleUrl: 'node:zlib',
      exportName: 'gzipSync',
    });
  });

  it('is the source of a function alone', () => {
    const wire = wireDefinition(defineBySource('double', (x: number) => x * 2));
    expect(Object.keys(wire)).toEqual(['index', 'name', 'source']);
    expect(structuredClone(wire)).toEqual(wire);
  });
});

/** The function again, from its source alone. */
function again(fn: unknown): TaskFunction {
  const { source } = defineBySource('it', fn as TaskFunction);
  if (source === undefined) throw new Error('it has no source');
  return functionFromSource(source);
}

describe('sources', () => {
  const key = 'computed';
  const methods = {
    method(x: number) {
      return x + 1;
    },
    async asyncMethod(x: number) {
      return x + 1;
    },
    *generatorMethod(x: number) {
      yield x + 1;
    },
    async *asyncGeneratorMethod(x: number) {
      yield x + 1;
    },
    ['literal key'](x: number) {
      return x + 1;
    },
    [key](x: number) {
      return x + 1;
    },
    get(x: number) {
      return x + 1;
    },
    set(x: number) {
      return x + 1;
    },
    async(x: number) {
      return x + 1;
    },
    static(x: number) {
      return x + 1;
    },
    function(x: number) {
      return x + 1;
    },
    'quoted name'(x: number) {
      return x + 1;
    },
    7(x: number) {
      return x + 1;
    },
  };
  class Reports {
    static build(x: number) {
      return x + 1;
    }
    static async buildLater(x: number) {
      return x + 1;
    }
    static get(x: number) {
      return x + 1;
    }
    static arrow = (x: number) => x + 1;
    prototypeMethod(x: number) {
      return x + 1;
    }
  }

  const sync: [string, unknown][] = [
    [
      'a function',
      function (this: unknown, x: number) {
        return this === undefined ? x + 1 : x;
      },
    ],
    [
      'a named function',
      function named(x: number): number {
        return x < 0 ? named(-x) : x + 1;
      },
    ],
    ['an arrow', (x: number) => x + 1],
    [
      'an arrow with a comment at its end',
      // biome-ignore format: the comment is part of its source
      (x: number) => x + 1, // the last line
    ],
    ['an arrow that destructures', (...[x = 0]: number[]) => ({ x: x + 1 }).x],
    ['a method', methods.method],
    ['a method with a literal key', methods['literal key']],
    ['a method with a computed key', methods[key]],
    ['a method with a quoted name', methods['quoted name']],
    ['a method with a number for a name', methods[7]],
    ['a method that is named get', methods.get],
    ['a method that is named set', methods.set],
    ['a method that is named async', methods.async],
    ['a method that is named static', methods.static],
    ['a method that is named function', methods.function],
    ['a static method', Reports.build],
    ['a static method that is named get', Reports.get],
    ['a static arrow', Reports.arrow],
    ['a method of a prototype', Reports.prototype.prototypeMethod],
    ['a method written with a space behind its name', functionFromSource('({ static (x) { return x + 1; } }).static')],
    ['a function in sloppy style', new Function('x', 'return x + 1')],
    ['a function with __proto__ for a name', functionFromSource('({ __proto__(x) { return x + 1; } }).__proto__')],
  ];

  it.each(sync)('%s does the same again', (_, fn) => {
    expect(again(fn)(1)).toBe(2);
  });

  it.each([
    ['an async function', async (x: number) => x + 1],
    [
      'a named async function',
      async function named(x: number) {
        return x + 1;
      },
    ],
    ['an async method', methods.asyncMethod],
    ['a static async method', Reports.buildLater],
  ])('%s does the same again', async (_, fn) => {
    const value = again(fn)(1);
    expect(value).toBeInstanceOf(Promise);
    expect(await value).toBe(2);
  });

  it('a generator does the same again', () => {
    function* count(x: number) {
      yield x + 1;
    }
    for (const fn of [count, methods.generatorMethod]) {
      expect([...(again(fn)(1) as Generator<number>)]).toEqual([2]);
    }
  });

  it('an async generator does the same again', async () => {
    const values: number[] = [];
    for await (const value of again(methods.asyncGeneratorMethod)(1) as AsyncGenerator<number>) values.push(value);
    expect(values).toEqual([2]);
  });

  it('it sees nothing of what was around it', () => {
    const around = 1;
    expect(() => again(() => around)()).toThrow(ReferenceError);
  });

  it.each([
    ['a native function', Math.max],
    ['a bound function', function named() {}.bind(undefined)],
    ['a native class', Map],
  ])('%s has none', (_, fn) => {
    const definition = defineBySource('it', fn as TaskFunction);
    expect(definition.source).toBeUndefined();
    expect(definition.fn).toBe(fn);
    expect(Object.keys(wireDefinition(definition))).toEqual(['index', 'name']);
  });

  it('a private method has none, since its name means nothing outside its class', () => {
    class Private {
      #hidden() {}
      readonly hidden = this.#hidden;
    }
    expect(defineBySource('it', new Private().hidden).source).toBeUndefined();
  });

  it('a getter has none: its source is no function that takes arguments', () => {
    const getter = Object.getOwnPropertyDescriptor(
      {
        get size() {
          return 1;
        },
      },
      'size',
    )?.get;
    expect(defineBySource('it', getter as TaskFunction).source).toBeUndefined();
  });
});
