/** What TypeScript infers of tasks that are controlled. */
import { backgroundTask, controller, Task, type TaskContext, waitUntilDone } from 'taskwarden';
import { describe, expectTypeOf, it } from 'vitest';

describe('new Task()', () => {
  it('knows what its function gets and gives', () => {
    const task = new Task((t, times: number) => {
      expectTypeOf(t).toEqualTypeOf<TaskContext>();
      return 'x'.repeat(times);
    }, 3);
    expectTypeOf(task.result).toEqualTypeOf<string | undefined>();
    expectTypeOf(task.args).toEqualTypeOf<readonly [times: number]>();
    // @ts-expect-error it takes a number
    new Task((t: TaskContext, times: number) => t.id.repeat(times), '3');
  });

  it('takes any arguments where the function takes its context only', () => {
    const task = new Task((t) => {
      expectTypeOf(t).toEqualTypeOf<TaskContext>();
      return t.args.length;
    }, 'hello');
    expectTypeOf(task.result).toEqualTypeOf<number | undefined>();
    expectTypeOf(new Task((t: TaskContext) => t.args.length, 'hello').result).toEqualTypeOf<number | undefined>();
    new Task(async () => {});
  });

  it('takes a background task', () => {
    const task = new Task(
      backgroundTask(import.meta.url, async (t: TaskContext, n: number) => t.attempt + n, { name: 'plus' }),
      1,
    );
    expectTypeOf(task.result).toEqualTypeOf<number | undefined>();
  });
});

describe('controller()', () => {
  it('gives an async function of the arguments behind the context', () => {
    const double = controller(waitUntilDone(), (_t: TaskContext, n: number) => n * 2);
    expectTypeOf(double).toEqualTypeOf<(n: number) => Promise<number>>();
  });
});
