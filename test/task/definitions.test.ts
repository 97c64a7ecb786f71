import { isMainThread, threadId } from 'node:worker_threads';
import { backgroundTask, decoratedTask, TaskSupervisor, TaskwardenError, tasksFrom } from 'taskwarden';
import { afterAll, describe, expect, it } from 'vitest';
import { failure } from '../fixtures/listening.ts';
import { runProgram } from '../fixtures/program.ts';
import { Reports } from '../fixtures/tasks/decorated.ts';
import { absent } from '../fixtures/tasks/defined-in-main.ts';
import { add, echo } from '../fixtures/tasks/echo.ts';
import { Gate, holds } from '../fixtures/tasks/holds.ts';
import { twice } from '../fixtures/tasks/named-like-its-const.ts';
import { throwsAtOnce } from '../fixtures/tasks/throws.ts';
import { greets } from '../fixtures/tasks/unexported.ts';

const supervisor = new TaskSupervisor({ logger: false, threads: { poolSize: 1 } });
afterAll(() => supervisor.stop());

function catchError(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error('it should have thrown');
}

describe('a task of a module', () => {
  it('runs in a thread, which imports the module', async () => {
    expect(await greets.with({ supervisor })('Ann')).toEqual({ text: 'hello, Ann', isMainThread: false });
  });

  it('is named after its function, or by its option', () => {
    expect(greets.name).toBe('greet');
    expect(backgroundTask(import.meta.url, async function plain() {}, { name: 'fancy' }).name).toBe('fancy');
  });

  it('is found in the thread where the compilers of both sides name its function differently', async () => {
    expect(await twice.with({ supervisor })(4)).toBe(8);
  });

  it('needs a name', () => {
    const error = catchError(() => backgroundTask(import.meta.url, async () => {}));
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toContain('name');
  });

  it('is refused where the module has one of that name, and the error names both places', () => {
    const url = new URL('nowhere.js', import.meta.url).href;
    backgroundTask(url, async () => 1, { name: 'same' });
    const error = catchError(() => backgroundTask(url, async () => 2, { name: 'same' }));
    expect(error).toBeInstanceOf(TaskwardenError);
    expect(error).toMatchObject({ code: 'DUPLICATE_TASK_NAME' });
    expect((error as Error).message.match(/definitions\.test\.ts:\d+:\d+/g)).toHaveLength(2);
  });

  it.each(['./relative.js', 'nonsense', 42, undefined])('is refused where %s is given as its module', (moduleUrl) => {
    expect(() => backgroundTask(moduleUrl as string, async () => {}, { name: 'x' })).toThrow(TypeError);
  });

  it('fails with TASK_NOT_DEFINED where the module does not define it in a thread', async () => {
    const error = await failure((absent ?? echo).with({ supervisor })(undefined));
    expect(error).toBeInstanceOf(TaskwardenError);
    expect(error).toMatchObject({ code: 'TASK_NOT_DEFINED' });
    expect((error as Error).message).toContain('defined-in-main.');
    expect((error as Error).message).toContain('absent');
  });

  it('may be a .js, .mjs or .cjs module', async () => {
    expect(await runProgram('javascript-modules.mjs')).toEqual({
      code: 0,
      signal: null,
      lines: ['.js in a thread', '.mjs in a thread', '.cjs in a thread'],
      stderr: '',
    });
  });
});

describe('a function alone', () => {
  it('runs in a thread by its source', async () => {
    const task = backgroundTask(async function whereAmI(text: string) {
      const workers = await import('node:worker_threads');
      return { text, threadId: workers.threadId, isMainThread: workers.isMainThread };
    });
    const seen = await task.with({ supervisor })('x');
    expect(seen).toMatchObject({ text: 'x', isMainThread: false });
    expect(seen.threadId).not.toBe(threadId);
  });

  it('may be an arrow function, a method or not async', async () => {
    const methods = {
      async later(n: number) {
        return n + 1;
      },
      now(n: number) {
        return n + 2;
      },
    };
    expect(await backgroundTask((n: number) => n, { name: 'arrow', supervisor })(1)).toBe(1);
    expect(await backgroundTask(methods.later, { supervisor })(1)).toBe(2);
    expect(await backgroundTask(methods.now, { supervisor })(1)).toBe(3);
  });

  it.each(['async', 'sync'])('is told which variable it can not see, and the two ways out: %s', async (kind) => {
    const outside = Math.random();
    const task =
      kind === 'async'
        ? backgroundTask(async () => outside, { name: 'reaches', supervisor })
        : backgroundTask(() => outside, { name: 'reaches', supervisor });
    const error = await failure(task());
    expect(error).toBeInstanceOf(ReferenceError);
    const { message } = error as Error;
    expect(message).toContain('outside');
    expect(message).toContain('reaches');
    expect(message).toContain('import.meta.url');
    expect(message).toContain(`type: 'loop'`);
  });

  it('sees what is around it on the event loop', async () => {
    const outside = { count: 0 };
    const task = backgroundTask(
      async () => {
        outside.count += 1;
        return isMainThread;
      },
      { name: 'closes', type: 'loop', supervisor },
    );
    await task();
    await task();
    expect(outside.count).toBe(2);
  });

  it('is refused without a source, except on the event loop', async () => {
    expect(() => backgroundTask(Math.max)).toThrow(TypeError);
    expect(await backgroundTask(Math.max, { type: 'loop', supervisor })(1, 3, 2)).toBe(3);
  });
});

describe('a static method', () => {
  it('is a background task by its decorator, and this is the class', async () => {
    const handle = supervisor.putTask(Reports.build, { args: [2024] });
    expect(handle).toMatchObject({ name: 'build', priority: 'high', type: 'thread' });
    const { text, threadId: ranIn } = await handle;
    expect(text).toBe('Report of 2024');
    expect(ranIn).not.toBe(threadId);
  });

  it('has this on the event loop too', async () => {
    expect(await supervisor.putTask(Reports.build, { args: [1999], type: 'loop' })).toEqual({
      text: 'Report of 1999',
      threadId,
    });
  });

  it('may have another name', async () => {
    const handle = supervisor.putTask(Reports.rename);
    expect(handle.name).toBe('renamed');
    expect(await handle).toBe(true);
  });

  it('is given with its type by decoratedTask(), which refuses all else', async () => {
    const task = decoratedTask(Reports.build).with({ supervisor, type: 'loop' });
    expect(task).toBeTypeOf('function');
    expect(await task(2027)).toEqual({ text: 'Report of 2027', threadId });
    const words = 'decoratedTask() takes a method that has the decorator @backgroundTask; got';
    expect(() => decoratedTask(async () => 1)).toThrow(new TypeError(`${words} function (anonymous)`));
    expect(() => decoratedTask(Promise.resolve() as never)).toThrow(new TypeError(`${words} an object`));
    expect(() => decoratedTask(undefined as never)).toThrow(new TypeError(`${words} undefined`));
  });
});

describe('tasksFrom', () => {
  type Legacy = {
    join(...parts: string[]): string;
    later<T>(value: T): Promise<T>;
    default(text: string): string;
    missing(): void;
    notAFunction(): void;
  };
  const url = new URL('../fixtures/tasks/legacy.js', import.meta.url);

  it('gives the functions of a module that knows nothing of tasks', async () => {
    const legacy = tasksFrom<Legacy>(url, { supervisor, priority: 'low' });
    const handle = legacy.join('a', 'b');
    expect(handle).toMatchObject({ name: 'join', priority: 'low' });
    expect(await handle).toBe('a-b');
    expect(await legacy.later(3)).toBe(3);
    expect(await tasksFrom<Legacy>(url.href, { supervisor }).join('c')).toBe('c');
  });

  it('gives the default export', async () => {
    expect(await tasksFrom<Legacy>(url, { supervisor }).default('loud')).toBe('LOUD');
  });

  it('gives the functions of a CommonJS module, with their this', async () => {
    const commonjs = tasksFrom<{ triple(n: number): number }>(
      new URL('../fixtures/tasks/legacy.cjs', import.meta.url),
      { supervisor },
    );
    expect(await commonjs.triple(5)).toBe(15);
  });

  it('gives those of Node itself', async () => {
    const zlib = tasksFrom<{
      crc32?: unknown;
      gzipSync(text: string): Uint8Array;
      gunzipSync(data: Uint8Array): Uint8Array;
    }>('node:zlib', { supervisor });
    const text = Buffer.from(await zlib.gunzipSync(await zlib.gzipSync('round and round'))).toString();
    expect(text).toBe('round and round');
    expect(
      await tasksFrom<{ sep: string; basename(path: string): string }>('path', { supervisor }).basename('/a/b'),
    ).toBe('b');
  });

  it('gives those of a package', async () => {
    const marked = tasksFrom<typeof import('marked')>('marked', { supervisor });
    expect(await marked.parseInline('*one*')).toBe('<em>one</em>');
  });

  it('fails with TASK_NOT_DEFINED, naming what there is, for what is no function of the module', async () => {
    const legacy = tasksFrom<Legacy>(url, { supervisor });
    for (const call of [() => legacy.missing(), () => legacy.notAFunction()]) {
      const error = await failure(call());
      expect(error).toMatchObject({ code: 'TASK_NOT_DEFINED' });
      expect((error as Error).message).toMatch(/join.*later|later.*join/);
    }
  });

  it('fails with MODULE_LOAD_FAILED where there is no such module', async () => {
    const nowhere = tasksFrom<Legacy>(new URL('nowhere.mjs', import.meta.url), { supervisor });
    const error = await failure(nowhere.join());
    expect(error).toMatchObject({ code: 'MODULE_LOAD_FAILED', cause: { code: 'ERR_MODULE_NOT_FOUND' } });
  });

  it('refuses a relative path, and a package that is not installed', () => {
    expect(() => tasksFrom('./legacy.js')).toThrow(TypeError);
    expect(() => tasksFrom('a-package-that-is-not-there')).toThrow(Error);
  });

  const members = ['toString', 'valueOf', 'hasOwnProperty', 'constructor', '__proto__'];

  it('gives functions with names that all objects know', async () => {
    const named = new URL('../fixtures/tasks/named-like-members.js', import.meta.url);
    const tasks = tasksFrom<Record<string, (value: number) => unknown>>(named, { supervisor });
    for (const name of members) expect(await tasks[name]?.(7)).toBe(`${name} 7`);
  });

  it.each(['legacy.js', 'legacy.cjs'])('takes nothing that all objects have for a function of %s', async (file) => {
    const tasks = tasksFrom<Record<string, () => unknown>>(new URL(`../fixtures/tasks/${file}`, import.meta.url), {
      supervisor,
    });
    for (const name of members) {
      expect(await failure(tasks[name]?.() as PromiseLike<unknown>)).toMatchObject({ code: 'TASK_NOT_DEFINED' });
    }
  });

  it('can be shown', () => {
    expect(`${tasksFrom<Legacy>(url, { supervisor })}`).toBe(`tasks of ${url.href}`);
  });

  it('can be awaited by mistake', async () => {
    const legacy = await Promise.resolve(tasksFrom<Legacy>(url, { supervisor }));
    expect(await legacy.join('x', 'y')).toBe('x-y');
  });
});

describe('with', () => {
  it('changes what it names, and leaves the task itself as it was', async () => {
    const high = add.with({ priority: 'high', supervisor });
    const handle = high.with({ name: 'sum' })(1, 2);
    expect(handle).toMatchObject({ priority: 'high', name: 'sum' });
    expect(await handle).toBe(3);
    const plain = high(1, 2);
    expect(plain).toMatchObject({ priority: 'high', name: 'add' });
    const normal = add.with({ supervisor })(1, 2);
    expect(normal.priority).toBe('normal');
    await Promise.all([plain, normal]);
  });

  it('refuses unknown options and bad values at the call, naming the option', () => {
    const cases: [object, new () => Error, string][] = [
      [{ prio: 'high' }, TypeError, 'prio'],
      [{ priority: 'urgent' }, TypeError, 'priority'],
      [{ timeoutMs: -1 }, RangeError, 'timeoutMs'],
      [{ timeoutMs: '1s' }, TypeError, 'timeoutMs'],
      [{ retries: 1.5 }, RangeError, 'retries'],
      [{ signal: {} }, TypeError, 'signal'],
    ];
    for (const [options, type, name] of cases) {
      const error = catchError(() => add.with(options));
      expect(error).toBeInstanceOf(type);
      expect((error as Error).message).toContain(name);
    }
  });

  it('does not change the options that it is given', () => {
    const options = Object.freeze({ priority: 'low' as const, supervisor });
    add.with(options);
    expect(options).toEqual({ priority: 'low', supervisor });
  });
});

describe('map', () => {
  it('gives all results, in the order of the inputs if that is asked for', async () => {
    await using wide = new TaskSupervisor({ threads: { poolSize: 2 } });
    const inputs = Array.from({ length: 40 }, (_, n): [number, number] => [n, 100]);
    const inOrder: number[] = [];
    for await (const sum of add.with({ supervisor: wide }).map(inputs, { ordered: true })) inOrder.push(sum);
    expect(inOrder).toEqual(inputs.map(([n]) => n + 100));
    const any = new Set<number>();
    for await (const sum of add.with({ supervisor: wide }).map(inputs)) any.add(sum);
    expect(any).toEqual(new Set(inOrder));
  });

  it('gives results as they complete', async () => {
    await using wide = new TaskSupervisor({ threads: { poolSize: 3 } });
    await using gate = await Gate.create();
    const inputs = ['a', 'b', 'c'].map((label): [number, string] => [gate.port, label]);
    const results = holds.with({ supervisor: wide }).map(inputs);
    const order: (string | undefined)[] = [];
    const next = results.next();
    await gate.arrived(3);
    gate.pass('c');
    order.push((await next).value as string);
    for (const label of ['a', 'b']) {
      const following = results.next();
      gate.pass(label);
      order.push((await following).value as string);
    }
    expect(order).toEqual(['c', 'a', 'b']);
    expect((await results.next()).done).toBe(true);
  });

  it('submits no more than its concurrency ahead, and reads its input no faster', async () => {
    await using wide = new TaskSupervisor({ threads: { poolSize: 4 } });
    await using gate = await Gate.create();
    let read = 0;
    async function* inputs(): AsyncGenerator<[number, string]> {
      for (; read < 6; ) {
        read += 1;
        yield [gate.port, `task ${read}`];
      }
    }
    const results = holds.with({ supervisor: wide }).map(inputs(), { concurrency: 2 });
    const first = results.next();
    await gate.arrived(2);
    expect(read).toBe(2);
    gate.pass('task 2');
    expect((await first).value).toBe('task 2');
    gate.open();
    const rest: string[] = [];
    for await (const label of results) rest.push(label);
    expect(rest.sort()).toEqual(['task 1', 'task 3', 'task 4', 'task 5', 'task 6']);
  });

  it('throws the first failure, and cancels what is left', async () => {
    await using narrow = new TaskSupervisor({ logger: false, threads: { poolSize: 1, reserveNormal: 0 } });
    const seen: string[] = [];
    narrow.on('task:canceled', ({ task }) => seen.push(task.status));
    const results = throwsAtOnce.with({ supervisor: narrow }).map([['one'], ['two'], ['three']]);
    expect(await failure(results.next())).toEqual(new Error('one'));
    expect((await results.next()).done).toBe(true);
    await narrow.stop();
    expect(seen.length).toBeGreaterThan(0);
    expect(narrow.getInfo().pending).toBe(0);
  });

  it('cancels what is left when the loop is left', async () => {
    await using narrow = new TaskSupervisor({ threads: { poolSize: 1, reserveNormal: 0 } });
    let isReturned = false;
    function* inputs(): Generator<[number, number]> {
      try {
        for (let n = 0; ; n += 1) yield [n, 0];
      } finally {
        isReturned = true;
      }
    }
    for await (const sum of add.with({ supervisor: narrow }).map(inputs(), { concurrency: 10, ordered: true })) {
      if (sum === 3) break;
    }
    expect(isReturned).toBe(true);
    const { finished, canceled } = await narrow.stop();
    expect(finished + canceled).toBeLessThanOrEqual(10);
    expect(narrow.getInfo().pending).toBe(0);
  });

  it('can be canceled as a whole by a signal', async () => {
    await using narrow = new TaskSupervisor({ logger: false, threads: { poolSize: 1, reserveNormal: 0 } });
    await using gate = await Gate.create();
    const controller = new AbortController();
    const inputs = ['a', 'b', 'c'].map((label): [number, string] => [gate.port, label]);
    const results = holds.with({ supervisor: narrow, signal: controller.signal, stopGraceMs: 0 }).map(inputs);
    const next = results.next();
    await gate.arrived(1);
    controller.abort('enough');
    expect(await failure(next)).toMatchObject({ code: 'TASK_CANCELED', cause: 'enough' });
  });
});

describe('one file that defines tasks and runs them', () => {
  it('runs with node, prints each line once, and ends by itself', async () => {
    expect(await runProgram('single-file.mjs')).toEqual({
      code: 0,
      signal: null,
      lines: ['ready', '{"square":49,"isMainThread":false}', '1', '8', '27', 'stopped'],
      stderr: '',
    });
  });

  it('runs with tsx: types, a decorator, and the helpers that a compiler adds', async () => {
    expect(await runProgram('single-file.ts', { nodeArgs: ['--import', 'tsx'] })).toEqual({
      code: 0,
      signal: null,
      lines: ['{"square":49,"isMainThread":false}', '106', 'b10'],
      stderr: '',
    });
  });

  it('is told clearly of a task that it defines after it has awaited one', async () => {
    const { code, lines, stderr } = await runProgram('unreachable.mjs');
    expect({ code, stderr, first: lines[0], count: lines.length }).toEqual({
      code: 0,
      stderr: '',
      first: 'first',
      count: 2,
    });
    expect(lines[1]).toMatch(/^TASK_UNREACHABLE .*"second".*unreachable\.mjs/);
  });

  it('sees the arguments of the program in its threads', async () => {
    const { lines, code } = await runProgram('arguments.mjs', { args: ['--fast', 'input.txt'] });
    expect({ lines, code }).toEqual({ lines: ['["--fast","input.txt"]'], code: 0 });
  });
});
