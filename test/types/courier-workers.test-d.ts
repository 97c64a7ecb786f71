/** What TypeScript infers of courier workers, and of calls that go by a courier. */
import {
  type BackgroundTask,
  BaseWorker,
  backgroundTask,
  ClassicWorker,
  type CourierFunction,
  type CourierTask,
  type CourierTaskContext,
  MemoryTaskCourier,
  type TaskAndResult,
  typedQueue,
  viaCourier,
} from 'taskwarden';
import { describe, expectTypeOf, it } from 'vitest';

const courier = new MemoryTaskCourier();
const queueName = 'q';

describe('BaseWorker', () => {
  it('knows the data and the results of its tasks', () => {
    class Lengths extends BaseWorker<string, number> {
      override performSingleTask(task: CourierTask<string>, { signal }: CourierTaskContext): number {
        expectTypeOf(signal).toEqualTypeOf<AbortSignal>();
        return task.data.length;
      }
    }
    expectTypeOf(new Lengths({ courier, queueName }).perform).returns.toEqualTypeOf<Promise<void>>();
    class Wrong extends BaseWorker<string, number> {
      // @ts-expect-error it gives numbers
      override performSingleTask(task: CourierTask<string>): string {
        return task.data;
      }
    }
    new Wrong();
  });

  it('takes results in order, pairs, errors among them, and nothing', () => {
    class Ordered extends BaseWorker<string, number> {
      override performTasks(tasks: readonly CourierTask<string>[]): (number | Error)[] {
        return tasks.map(({ data }) => (data === '' ? new Error('empty') : data.length));
      }
    }
    class Paired extends BaseWorker<string, number> {
      override async performTasks(tasks: readonly CourierTask<string>[]): Promise<TaskAndResult<string, number>[]> {
        return tasks.map((task) => [task, task.data.length]);
      }
    }
    class Silent extends BaseWorker<string> {
      override async performTasks(_tasks: readonly CourierTask<string>[]): Promise<void> {}
    }
    // @ts-expect-error it has no such option
    new Ordered({ queue: 'x' });
    new Paired({ courier });
    new Silent();
  });

  it('has fields that a subclass may fix', () => {
    class Fixed extends BaseWorker {
      override queueName = 'fixed' as const;
      override maxTasksPerIteration = 10;
    }
    expectTypeOf(new Fixed({ courier }).queueName).toEqualTypeOf<'fixed'>();
  });

  it('is not made by itself', () => {
    // @ts-expect-error it is abstract
    new BaseWorker({ courier, queueName });
  });
});

describe('ClassicWorker', () => {
  it('takes background tasks and functions alone', () => {
    const functions = { far: backgroundTask((n: number) => n), near: (text: string) => text };
    new ClassicWorker({ courier, queueName, functions });
    // @ts-expect-error it needs its functions
    new ClassicWorker({ courier, queueName });
    // @ts-expect-error a text is no function
    new ClassicWorker({ courier, queueName, functions: { name: 'x' } });
  });
});

describe('viaCourier()', () => {
  it('has the call signature of the task', () => {
    const resize = backgroundTask(async (path: string, width: number) => ({ path, bytes: width }));
    const far = viaCourier(courier, queueName, resize);
    expectTypeOf(far).toEqualTypeOf<
      CourierFunction<(path: string, width: number) => Promise<{ path: string; bytes: number }>>
    >();
    expectTypeOf(far).toExtend<
      BackgroundTask<(path: string, width: number) => Promise<{ path: string; bytes: number }>>
    >();
    expectTypeOf(far.with({ priority: 'high' }).add('a.png', 1)).resolves.toEqualTypeOf<string>();
    expectTypeOf(far.addAll([['a.png', 1]])).resolves.toEqualTypeOf<string[]>();
    // @ts-expect-error the width is a number
    void far.add('a.png', '1');
    // @ts-expect-error a function can't go there
    far.with({ retryIf: () => true });
    // @ts-expect-error nor can one that gives pauses
    far.with({ retryDelayMs: () => 1 });
    expectTypeOf(far.with({ priority: 'high' })('a.png', 1)).resolves.toEqualTypeOf<{ path: string; bytes: number }>();
    // @ts-expect-error the width is a number
    void far('a.png', '1');
    // @ts-expect-error a function alone has no name there
    viaCourier(courier, queueName, (n: number) => n);
  });
});

describe('typedQueue()', () => {
  const functions = {
    far: backgroundTask(async (path: string, width?: number) => ({ path, width })),
    near: (text: string) => text.length,
    limit: 5,
  };
  const queue = typedQueue<typeof functions>(courier, queueName);

  it('has the functions, with their arguments and results, and nothing else', () => {
    expectTypeOf(queue.far('a.png')).resolves.toEqualTypeOf<{ path: string; width: number | undefined }>();
    expectTypeOf(queue.near('a')).resolves.toEqualTypeOf<number>();
    expectTypeOf(queue.near.add).parameters.toEqualTypeOf<[text: string]>();
    expectTypeOf<keyof typeof queue>().toEqualTypeOf<'far' | 'near'>();
    // @ts-expect-error it takes a text
    void queue.near.add(1);
    // @ts-expect-error there is none of that name
    queue.nearer;
  });

  it('takes options by their types', () => {
    queue.far.with({ priority: 'high', delayMs: 5, retries: 3, queueTimeoutMs: 9, key: (path) => path });
    typedQueue<typeof functions>(courier, queueName, { retries: 3 });
    // @ts-expect-error there is no such priority
    queue.far.with({ priority: 'highest' });
    // @ts-expect-error the worker says where it runs
    queue.far.with({ type: 'loop' });
  });
});

describe('options of an add', () => {
  it('are a key, what is unique by it, pauses that are no function, and a deadline', () => {
    void courier.addTaskToQueue(queueName, 1, { key: 'a', unique: 'join', uniqueForMs: 5, deadlineMs: 1_000 });
    void courier.addTaskToQueue(queueName, 1, { retries: 2, retryDelayMs: { minMs: 5, jitter: 0 } });
    void courier.bulkAddTasksToQueue(queueName, [1], { key: 'a', deadlineMs: 1_000 });
    // @ts-expect-error one of a bulk can't be unique
    void courier.bulkAddTasksToQueue(queueName, [1], { key: 'a', unique: 'join' });
    // @ts-expect-error a function can't go to a courier
    void courier.addTaskToQueue(queueName, 1, { retryDelayMs: () => 5 });
    // @ts-expect-error a key is a text
    void courier.addTaskToQueue(queueName, 1, { key: 5 });
    expectTypeOf<CourierTask['deadline']>().toEqualTypeOf<number | undefined>();
  });

  it('of calls that go by a courier are those of the task, without functions that decide on retries', () => {
    const far = viaCourier(
      courier,
      queueName,
      backgroundTask(import.meta.url, (a: number) => a, { name: 'far' }),
    );
    far.with({ key: (a) => `${a.toFixed()}`, unique: 'join', deadlineMs: 5_000 });
    // @ts-expect-error a function can't go to a courier
    far.with({ retryDelayMs: () => 5 });
    // @ts-expect-error the same
    far.with({ retryIf: () => true });
  });
});
