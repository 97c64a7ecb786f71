/** What the compiler knows of background tasks in all their forms. */
import {
  type BackgroundTask,
  type BulkHandle,
  type BulkProgress,
  backgroundTask,
  backgroundWorker,
  currentTask,
  decoratedTask,
  type MapOutcome,
  type TaskFunction,
  type TaskHandle,
  taskSupervisor,
  tasksFrom,
  transferred,
} from 'taskwarden';
import { describe, expectTypeOf, it } from 'vitest';

const url = import.meta.url;

async function resize(path: string, width: number): Promise<{ path: string; bytes: number }> {
  return { path, bytes: width };
}

describe('backgroundTask(moduleUrl, fn)', () => {
  const task = backgroundTask(url, resize, { priority: 'high' });

  it('takes the arguments of the function', () => {
    expectTypeOf(task).parameters.toEqualTypeOf<[path: string, width: number]>();
    // @ts-expect-error an argument is missing
    task('a.png');
    // @ts-expect-error an argument is of another type
    task('a.png', '200');
    // @ts-expect-error one too many
    task('a.png', 200, 1);
  });

  it('gives a handle of what the promise of the function gives', () => {
    expectTypeOf(task('a.png', 200)).toEqualTypeOf<TaskHandle<{ path: string; bytes: number }>>();
    expectTypeOf<Awaited<ReturnType<typeof task>>>().toEqualTypeOf<{ path: string; bytes: number }>();
  });

  it('takes the module as a string or a URL', () => {
    expectTypeOf(backgroundTask(new URL(url), resize)).toEqualTypeOf<BackgroundTask<typeof resize>>();
    // @ts-expect-error a module is no number
    backgroundTask(5, resize);
  });
});

describe('backgroundTask(fn)', () => {
  it('infers parameters and result of a function given in place', () => {
    const task = backgroundTask((a: number, b?: string) => `${a}${b}`);
    expectTypeOf(task).parameters.toEqualTypeOf<[a: number, b?: string | undefined]>();
    expectTypeOf(task(1)).toEqualTypeOf<TaskHandle<string>>();
  });

  it('knows a parameter by its default', () => {
    const task = backgroundTask(url, function add(a: number, b = 2) {
      return a + b;
    });
    expectTypeOf(task).parameters.toEqualTypeOf<[a: number, b?: number | undefined]>();
    expectTypeOf(task(1)).toEqualTypeOf<TaskHandle<number>>();
    // @ts-expect-error it takes numbers
    task(1, 'two');
    expectTypeOf(taskSupervisor.putTask((a = 1) => a, { args: [2] })).toEqualTypeOf<TaskHandle<number>>();
    // @ts-expect-error it takes a number
    taskSupervisor.putTask((a = 1) => a, { args: ['two'] });
    // @ts-expect-error it takes a number
    backgroundWorker((a = 1) => a, { name: 'adds' }).start('two');
  });

  it('infers no any for a parameter without a type', () => {
    // @ts-expect-error what is a?
    backgroundTask(url, function add(a) {
      return a;
    });
    // @ts-expect-error what is a?
    backgroundTask(async (a) => a);
    // @ts-expect-error what is a?
    taskSupervisor.putTask((a) => a, { args: [1] });
    // @ts-expect-error what is a?
    taskSupervisor.scheduleTask((a) => a, { args: [1] });
    // @ts-expect-error what is a?
    taskSupervisor.module('typed').addTask((a) => a, { args: [1] });
    // @ts-expect-error what is a?
    backgroundWorker((a) => a);
  });

  it('takes functions of functions that are generic themselves', () => {
    function urgent<F extends (...args: number[]) => unknown>(fn: F, ...args: Parameters<F>): BackgroundTask<F> {
      const task = backgroundTask(fn, { priority: 'high' });
      task(...args);
      return task;
    }
    expectTypeOf(urgent((a: number) => `${a}`, 1)(1)).toEqualTypeOf<TaskHandle<string>>();
  });

  it('takes rest parameters', () => {
    const task = backgroundTask(function sum(...numbers: number[]) {
      return numbers.length;
    });
    expectTypeOf(task).parameters.toEqualTypeOf<number[]>();
    expectTypeOf(task(1, 2, 3)).toEqualTypeOf<TaskHandle<number>>();
  });

  it('a function without a result gives a handle of void', () => {
    expectTypeOf(backgroundTask(() => {})()).toEqualTypeOf<TaskHandle<void>>();
    expectTypeOf(backgroundTask(async () => {})()).toEqualTypeOf<TaskHandle<void>>();
  });

  it('unwraps promises, thenables and promises in a union', () => {
    expectTypeOf(backgroundTask(async () => Promise.resolve(1))()).toEqualTypeOf<TaskHandle<number>>();
    expectTypeOf(backgroundTask((): PromiseLike<string> => Promise.resolve(''))()).toEqualTypeOf<TaskHandle<string>>();
    expectTypeOf(backgroundTask((): number | Promise<number> => 1)()).toEqualTypeOf<TaskHandle<number>>();
  });

  it('transferred() keeps the type of the value', () => {
    const task = backgroundTask((size: number) => {
      const pixels = new Uint8Array(size);
      return transferred(pixels, [pixels.buffer]);
    });
    expectTypeOf<Awaited<ReturnType<typeof task>>>().toEqualTypeOf<Uint8Array<ArrayBuffer>>();
    // @ts-expect-error a number can't be handed over
    transferred(1, [1]);
  });

  it('takes nothing that is no function', () => {
    // @ts-expect-error an object is no function
    backgroundTask({});
  });
});

describe('options', () => {
  it('refuses wrong values and unknown keys', () => {
    // @ts-expect-error no such priority
    backgroundTask(resize, { priority: 'urgent' });
    // @ts-expect-error no such type
    backgroundTask(resize, { type: 'cluster' });
    // @ts-expect-error a typo
    backgroundTask(resize, { prority: 'high' });
    // @ts-expect-error milliseconds are a number
    backgroundTask(resize, { timeoutMs: '5s' });
    // @ts-expect-error a signal, not its controller
    backgroundTask(resize, { signal: new AbortController() });
    // @ts-expect-error a supervisor, not its name
    backgroundTask(resize, { supervisor: 'mine' });
    // @ts-expect-error a supervisor, not any object
    backgroundTask(resize, { supervisor: {} });
    backgroundTask(resize, { retryIf: async () => true });
    // @ts-expect-error a promise of true or false
    backgroundTask(resize, { retryIf: async () => 'yes' });
    // @ts-expect-error retryIf gives true or false
    backgroundTask(resize, { retryIf: () => 'yes' });
  });

  it('types the callback by the result, and transfer by the arguments', () => {
    backgroundTask(resize, {
      callback: (result) => expectTypeOf(result).toEqualTypeOf<{ path: string; bytes: number }>(),
      transfer: (args) => {
        expectTypeOf(args).toEqualTypeOf<[path: string, width: number]>();
        return [];
      },
      retryIf: (error, attempt) => {
        expectTypeOf(error).toEqualTypeOf<unknown>();
        expectTypeOf(attempt).toEqualTypeOf<number>();
        return true;
      },
    });
    backgroundTask(resize, {
      callback: [
        (result) => expectTypeOf(result.bytes).toEqualTypeOf<number>(),
        async ({ path }) => expectTypeOf(path).toEqualTypeOf<string>(),
      ],
    });
    // @ts-expect-error the result is no string
    backgroundTask(resize, { callback: (result: string) => result });
    // @ts-expect-error a string can't be handed over
    backgroundTask(resize, { transfer: ([path]) => [path] });
  });
});

describe('.with()', () => {
  const task = backgroundTask(resize);

  it('gives a task of the same type', () => {
    expectTypeOf(task.with({ priority: 'critical', timeoutMs: 5 })).toEqualTypeOf<typeof task>();
    task.with({ callback: (result) => expectTypeOf(result).toEqualTypeOf<{ path: string; bytes: number }>() });
  });

  it('refuses wrong options, and none', () => {
    // @ts-expect-error no such priority
    task.with({ priority: 'urgent' });
    // @ts-expect-error there is nothing to change
    task.with();
  });
});

describe('.all()', () => {
  type Size = { path: string; bytes: number };
  const task = backgroundTask(url, resize);
  const paths = ['a.png', 'b.png'];

  it('gives one handle of the results of the lists of arguments', () => {
    expectTypeOf(task.all([['a.png', 1]])).toEqualTypeOf<BulkHandle<Size[]>>();
    expectTypeOf(task.all(new Set<[string, number]>(), { concurrency: 8, chunkMs: 1 })).resolves.toEqualTypeOf<
      Size[]
    >();
    expectTypeOf(task.all(paths.map((path) => [path, 200]))).resolves.toEqualTypeOf<Size[]>();
    expectTypeOf(task.with({ priority: 'low' }).all([])).resolves.toEqualTypeOf<Size[]>();
    expectTypeOf(task.all([]).progress).toEqualTypeOf<BulkProgress>();
    expectTypeOf(task.all([]).result).toEqualTypeOf<Size[] | undefined>();
    task
      .all([])
      .onProgress(({ done, failed, total }) => expectTypeOf(done + failed).toEqualTypeOf<typeof total & number>());
  });

  it('settled, gives outcomes', () => {
    expectTypeOf(task.all([['a.png', 1]], { settle: true })).toEqualTypeOf<BulkHandle<PromiseSettledResult<Size>[]>>();
    expectTypeOf(task.all([['a.png', 1]], { settle: false })).toEqualTypeOf<BulkHandle<Size[]>>();
    expectTypeOf(task.map([['a.png', 1]], { settle: true })).toEqualTypeOf<
      AsyncGenerator<MapOutcome<[path: string, width: number], Size>, void, undefined>
    >();
  });

  it('refuses other inputs and options', () => {
    // @ts-expect-error each input is a list of arguments
    task.all(['a.png']);
    // @ts-expect-error an argument is of another type
    task.all([['a.png', '200']]);
    // @ts-expect-error there is no such option
    task.all([['a.png', 1]], { ordered: true });
    // @ts-expect-error nobody receives messages
    task.all([['a.png', 1]]).send('hello');
  });
});

describe('.map()', () => {
  const task = backgroundTask(resize);

  it('takes lists of arguments, sync or async, and gives results', () => {
    type Results = AsyncGenerator<{ path: string; bytes: number }, void, undefined>;
    expectTypeOf(task.map([['a.png', 1]])).toEqualTypeOf<Results>();
    expectTypeOf(task.map(new Set<[string, number]>(), { concurrency: 8, ordered: true })).toEqualTypeOf<Results>();
    const paths = ['a.png'];
    expectTypeOf(task.map(paths.map((path) => [path, 200]))).toEqualTypeOf<Results>();
    async function* read(): AsyncGenerator<[string, number]> {}
    expectTypeOf(task.map(read())).toEqualTypeOf<Results>();
    expectTypeOf(task.map(new Map([['a.png', 200]]))).toEqualTypeOf<Results>();
    expectTypeOf(task.map(Array.from({ length: 3 }, (_, n) => ['a.png', n]))).toEqualTypeOf<Results>();
    expectTypeOf(task.map([])).toEqualTypeOf<Results>();
    const either = [['a.png', 200]] as Iterable<[string, number]> | AsyncIterable<[string, number]>;
    expectTypeOf(task.map(either)).toEqualTypeOf<Results>();
    const crop = backgroundTask((box: { readonly side: 'left' | 'right' }, by?: number) => `${box.side}${by}`);
    expectTypeOf(crop.map([[{ side: 'left' }], [{ side: 'right' }, 5]])).toExtend<AsyncGenerator<string>>();
    expectTypeOf(backgroundTask(() => 1).map([[], []])).toExtend<AsyncGenerator<number>>();
    expectTypeOf((task as BackgroundTask<TaskFunction>).map([[1], ['a', 2]])).toExtend<AsyncGenerator<unknown>>();
  });

  it('refuses other inputs and options', () => {
    // @ts-expect-error bare arguments are no list
    task.map(['a.png']);
    // @ts-expect-error an argument is of another type
    task.map([['a.png', '200']]);
    // @ts-expect-error a typo
    task.map([['a.png', 1]], { concurency: 8 });
  });
});

describe('tasksFrom()', () => {
  const zlib = tasksFrom<typeof import('node:zlib')>('node:zlib', { priority: 'low' });

  it('has the functions of the module as tasks', () => {
    expectTypeOf(zlib.crc32).toEqualTypeOf<BackgroundTask<typeof import('node:zlib').crc32>>();
    expectTypeOf(zlib.crc32('text', 1)).toEqualTypeOf<TaskHandle<number>>();
    // @ts-expect-error crc32 takes data
    zlib.crc32();
  });

  it('has nothing else', () => {
    // @ts-expect-error an object of constants is no function
    void zlib.constants;
    // @ts-expect-error there is no such function
    void zlib.nothing;
    // @ts-expect-error tasks are not replaced
    zlib.crc32 = zlib.gzipSync;
  });
});

describe('the decorator', () => {
  it('leaves the type of the method as it is', () => {
    class Reports {
      readonly kind = 'reports';

      @backgroundTask(url, { priority: 'low' })
      static async build(year: number): Promise<string> {
        return String(year);
      }

      @backgroundTask(url)
      static async noArguments(): Promise<void> {}
    }
    expectTypeOf(Reports.build).toEqualTypeOf<(year: number) => Promise<string>>();
    expectTypeOf(Reports.noArguments).toEqualTypeOf<() => Promise<void>>();
    const build = decoratedTask(Reports.build);
    expectTypeOf(build).toEqualTypeOf<BackgroundTask<typeof Reports.build>>();
    expectTypeOf(build.with({ priority: 'high' })(2027)).toEqualTypeOf<TaskHandle<string>>();
    expectTypeOf(build(2027).cancel()).toEqualTypeOf<boolean>();
    // @ts-expect-error it takes a year
    build('2027');
    // @ts-expect-error it is no method
    decoratedTask(5);
  });

  it('refuses methods that give no promise, and what is no method', () => {
    class Wrong {
      readonly kind = 'wrong';

      // @ts-expect-error the callers of a synchronous method would get a promise
      @backgroundTask(url)
      static sync(year: number): number {
        return year;
      }

      // @ts-expect-error a field is no method
      @backgroundTask(url)
      static field = 1;

      // @ts-expect-error a getter is no method
      @backgroundTask(url)
      static get size(): number {
        return 1;
      }
    }
    expectTypeOf(Wrong.sync).toEqualTypeOf<(year: number) => number>();
  });
});

describe('currentTask()', () => {
  it('shows the task', () => {
    const task = currentTask();
    expectTypeOf(task.id).toEqualTypeOf<string>();
    expectTypeOf(task.args).toEqualTypeOf<readonly unknown[]>();
    expectTypeOf(task.signal).toEqualTypeOf<AbortSignal>();
    expectTypeOf(task.stopped).toEqualTypeOf<boolean>();
    expectTypeOf(task.progress).parameters.toEqualTypeOf<[fraction: number, note?: string | undefined]>();
    // @ts-expect-error it is for reading
    task.stopped = true;
  });
});

describe('a generator task', () => {
  it('has a handle of what it returns, and gives what it yields to a loop', () => {
    const count = backgroundTask(import.meta.url, async function* count(to: number) {
      for (let n = 0; n < to; n += 1) yield n;
      return 'all';
    });
    expectTypeOf(count(3)).toEqualTypeOf<TaskHandle<string, number>>();
    expectTypeOf(count(3)[Symbol.asyncIterator]()).toEqualTypeOf<AsyncGenerator<number, void, undefined>>();
    expectTypeOf(count(3)).toExtend<TaskHandle<string>>();
  });
});

describe('steps', () => {
  const { step, checkpoint, checkpointed } = currentTask();

  it('give what their function gives, awaited', () => {
    expectTypeOf(step('a', () => 1)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(step('a', async () => ({ paid: true }))).toEqualTypeOf<Promise<{ paid: boolean }>>();
    expectTypeOf(step('a', () => {})).toEqualTypeOf<Promise<void>>();
    expectTypeOf(step('a', (): number | Promise<string> => 1)).toEqualTypeOf<Promise<string | number>>();
    // @ts-expect-error a step has a name
    step(() => 1);
    // @ts-expect-error a step does something
    step('a');
    // @ts-expect-error a step gets no arguments
    step('a', (n: number) => n);
  });

  it('checkpoints are data that the compiler does not know', () => {
    expectTypeOf(checkpoint({ from: 1 })).toEqualTypeOf<Promise<void>>();
    expectTypeOf(checkpointed).toEqualTypeOf<unknown>();
  });
});

describe('keys, retries and deadlines', () => {
  const task = backgroundTask(url, resize);

  it('a key is a text, or a function of the arguments', () => {
    task.with({ key: 'all' });
    task.with({
      key: (path, width) => {
        expectTypeOf(path).toEqualTypeOf<string>();
        expectTypeOf(width).toEqualTypeOf<number>();
        return `${path} ${width}`;
      },
    });
    backgroundTask(url, resize, { key: (path) => path, unique: 'join', uniqueWhile: 'waiting' });
    // @ts-expect-error it gives no text
    task.with({ key: (_path, width) => width });
    // @ts-expect-error no key, and no function
    task.with({ key: 5 });
    // @ts-expect-error the function has no such argument
    task.with({ key: (_path: string, _width: number, more: string) => more });
  });

  it('what becomes of a second one is one of three words', () => {
    task.with({ key: 'all', unique: 'replace', delayMs: 100 });
    task.with({ key: 'all', unique: 'refuse', uniqueForMs: 1_000 });
    // @ts-expect-error no such word
    task.with({ key: 'all', unique: true });
    // @ts-expect-error no such word
    task.with({ key: 'all', unique: 'join', uniqueWhile: 'running' });
  });

  it('a pause is a number, a back-off, or a function of the attempt and the error', () => {
    task.with({ retries: 3, retryDelayMs: 100, deadlineMs: 60_000 });
    task.with({ retryDelayMs: { minMs: 100, maxMs: 5_000, factor: 3, jitter: 0 } });
    task.with({
      retryDelayMs: (attempt, error) => {
        expectTypeOf(attempt).toEqualTypeOf<number>();
        expectTypeOf(error).toBeUnknown();
        return attempt * 100;
      },
    });
    // @ts-expect-error it gives no number
    task.with({ retryDelayMs: () => '5s' });
    // @ts-expect-error no such field
    task.with({ retryDelayMs: { min: 100 } });
    // @ts-expect-error no number
    task.with({ deadlineMs: '1h' });
  });

  it('a handle changes its priority', () => {
    const handle = task('a.png', 1);
    expectTypeOf(handle.setPriority).returns.toEqualTypeOf<boolean>();
    handle.setPriority('critical');
    // @ts-expect-error no such priority
    handle.setPriority('urgent');
  });
});
