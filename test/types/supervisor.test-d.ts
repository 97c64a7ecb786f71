/** What the compiler knows of supervisors and handles. */
import {
  backgroundTask,
  type EndReason,
  type ErrorCode,
  type Progress,
  type StopReport,
  type SupervisorState,
  type TaskHandle,
  type TaskInfo,
  type TaskStatus,
  TaskSupervisor,
  TaskwardenError,
  taskSupervisor,
} from 'taskwarden';
import { describe, expectTypeOf, it } from 'vitest';

const resize = async (path: string, width: number) => ({ path, bytes: width });
const resizeTask = backgroundTask(import.meta.url, resize, { name: 'resize' });
type Resized = { path: string; bytes: number };

describe('putTask()', () => {
  it('takes a background task or a function, and gives a handle of its result', () => {
    expectTypeOf(taskSupervisor.putTask(resizeTask, { args: ['a.png', 200] })).toEqualTypeOf<TaskHandle<Resized>>();
    expectTypeOf(taskSupervisor.putTask(resize, { args: ['a.png', 200] })).toEqualTypeOf<TaskHandle<Resized>>();
  });

  it('requires the arguments of a function that takes some', () => {
    // @ts-expect-error no options at all
    taskSupervisor.putTask(resize);
    // @ts-expect-error no arguments
    taskSupervisor.putTask(resize, { priority: 'high' });
    // @ts-expect-error too few
    taskSupervisor.putTask(resize, { args: ['a.png'] });
    // @ts-expect-error of another type
    taskSupervisor.putTask(resize, { args: ['a.png', '200'] });
    // @ts-expect-error the same for a background task
    taskSupervisor.putTask(resizeTask);
  });

  it('does not require them of a function that can go without', () => {
    expectTypeOf(taskSupervisor.putTask(() => 1)).toEqualTypeOf<TaskHandle<number>>();
    expectTypeOf(taskSupervisor.putTask((_width?: number) => 1, { priority: 'low' })).toEqualTypeOf<
      TaskHandle<number>
    >();
    expectTypeOf(taskSupervisor.putTask((...all: string[]) => all, { args: ['a', 'b'] })).toEqualTypeOf<
      TaskHandle<string[]>
    >();
    // @ts-expect-error it takes none
    taskSupervisor.putTask(() => 1, { args: [1] });
  });

  it('types the callback by the result', () => {
    taskSupervisor.putTask(resize, {
      args: ['a.png', 200],
      callback: (result) => expectTypeOf(result).toEqualTypeOf<Resized>(),
    });
  });

  it('refuses wrong options', () => {
    // @ts-expect-error no such priority
    taskSupervisor.putTask(() => 1, { priority: 'urgent' });
    // @ts-expect-error a typo
    taskSupervisor.putTask(() => 1, { timeout: 5 });
  });
});

describe('TaskHandle', () => {
  const handle = resizeTask('a.png', 200);

  it('is a promise', () => {
    expectTypeOf(handle).toExtend<Promise<Resized>>();
    expectTypeOf(handle.then(({ bytes }) => bytes)).toEqualTypeOf<Promise<number>>();
  });

  it('has the state of its task', () => {
    expectTypeOf(handle.id).toEqualTypeOf<string>();
    expectTypeOf(handle.status).toEqualTypeOf<TaskStatus>();
    expectTypeOf(handle.info).toEqualTypeOf<TaskInfo>();
    expectTypeOf(handle.done).toEqualTypeOf<boolean>();
    expectTypeOf(handle.result).toEqualTypeOf<Resized | undefined>();
    expectTypeOf(handle.exception).toEqualTypeOf<unknown>();
    expectTypeOf(handle.cancel).toEqualTypeOf<(reason?: unknown) => boolean>();
    expectTypeOf(handle.onProgress).parameter(0).parameter(0).toEqualTypeOf<Progress>();
    // @ts-expect-error it is for reading
    handle.status = 'queued';
  });

  it('of another result is another type', () => {
    expectTypeOf<TaskHandle<string>>().not.toExtend<TaskHandle<number>>();
  });
});

describe('waitCompleted()', () => {
  const text = backgroundTask(() => 'text');
  const count = backgroundTask(() => 1);

  it('gives the results of a tuple, each with its type', () => {
    expectTypeOf(taskSupervisor.waitCompleted([text(), count()] as const)).resolves.toEqualTypeOf<[string, number]>();
  });

  it('gives the results of a list of literals as a tuple, too', () => {
    expectTypeOf(taskSupervisor.waitCompleted([text(), count()])).resolves.toEqualTypeOf<[string, number]>();
  });

  it('gives a list for a list', () => {
    const tasks = ['a', 'b'].map(() => count());
    expectTypeOf(taskSupervisor.waitCompleted(tasks)).resolves.toEqualTypeOf<number[]>();
  });

  it('refuses what is no task', () => {
    // @ts-expect-error a number is no task
    void taskSupervisor.waitCompleted([1]);
  });
});

describe('events', () => {
  it('have payloads by their name', () => {
    taskSupervisor
      .on('task:queued', (event) => expectTypeOf(event).toEqualTypeOf<{ readonly task: TaskInfo }>())
      .on('task:progress', ({ progress }) => expectTypeOf(progress).toEqualTypeOf<Progress>())
      .on('task:completed', ({ task, result }) => {
        expectTypeOf(task.endReason).toEqualTypeOf<EndReason | undefined>();
        expectTypeOf(result).toEqualTypeOf<unknown>();
      })
      .on('task:retried', ({ error, delayMs }) => {
        expectTypeOf(error).toEqualTypeOf<unknown>();
        expectTypeOf(delayMs).toEqualTypeOf<number>();
      })
      .on('task:timeout-warning', ({ waitMs }) => expectTypeOf(waitMs).toEqualTypeOf<number>())
      .once('thread:exited', ({ threadId, exitCode }) => {
        expectTypeOf([threadId, exitCode]).toEqualTypeOf<number[]>();
      })
      .once('supervisor:stopped', ({ report }) => expectTypeOf(report).toEqualTypeOf<StopReport>());
  });

  it('have names', () => {
    // @ts-expect-error no such event
    taskSupervisor.on('task:done', () => {});
    // @ts-expect-error no such fact in its payload
    taskSupervisor.on('task:queued', ({ result }) => result);
    // @ts-expect-error no such event
    taskSupervisor.off('task:done');
  });
});

describe('a supervisor', () => {
  it('has a state, and a life', async () => {
    expectTypeOf(taskSupervisor).toEqualTypeOf<TaskSupervisor>();
    expectTypeOf(taskSupervisor.state).toEqualTypeOf<SupervisorState>();
    expectTypeOf(taskSupervisor.start()).toEqualTypeOf<TaskSupervisor>();
    expectTypeOf(taskSupervisor.stop({ wait: 5 })).resolves.toEqualTypeOf<StopReport>();
    expectTypeOf(taskSupervisor.getTaskInfo('id')).toEqualTypeOf<TaskInfo | undefined>();
    expectTypeOf<TaskSupervisor>().toExtend<AsyncDisposable>();
  });

  it('refuses wrong options', () => {
    // @ts-expect-error pools have sizes of numbers
    new TaskSupervisor({ threads: { poolSize: 'max' } });
    // @ts-expect-error a typo
    new TaskSupervisor({ threds: {} });
    // @ts-expect-error the loop has no threads
    taskSupervisor.configure({ loop: { minSize: 1 } });
    // @ts-expect-error true, false or a number
    void taskSupervisor.stop({ wait: 'yes' });
    // @ts-expect-error no such signal
    void taskSupervisor.block({ signals: ['SIGNOTHING'] });
    // @ts-expect-error no such status
    taskSupervisor.getTasks({ status: 'running' });
    // @ts-expect-error no such priority
    void taskSupervisor.capacity('urgent');
  });

  it('is what tasks take for their supervisor', () => {
    backgroundTask(resize, { supervisor: taskSupervisor });
  });
});

it('errors have a code of a known set', () => {
  const error = new TaskwardenError('QUEUE_FULL', 'full');
  expectTypeOf(error.code).toEqualTypeOf<ErrorCode>();
  expectTypeOf(error.timeoutMs).toEqualTypeOf<number | undefined>();
  // @ts-expect-error no such code
  new TaskwardenError('NO_SUCH_CODE', 'm');
  // @ts-expect-error a comparison that is never true
  void (error.code === 'TASK_CANCELLED');
});

describe('what waits', () => {
  it('is found by a filter', () => {
    const filter = { status: 'queued', type: 'thread', priority: 'low', name: 'a', module: 'm', worker: 'w', key: 'k' };
    expectTypeOf(taskSupervisor.setPriority).returns.toEqualTypeOf<number>();
    taskSupervisor.setPriority({ key: 'k', status: 'delayed' }, 'high');
    expectTypeOf(taskSupervisor.cancelTasks({ name: 'a', priority: 'low' }, 'why')).toEqualTypeOf<number>();
    // @ts-expect-error texts are not the words of a filter
    taskSupervisor.cancelTasks(filter);
    // @ts-expect-error no such field
    taskSupervisor.cancelTasks({ id: 'x' });
    // @ts-expect-error no such priority
    taskSupervisor.setPriority({}, 'urgent');
    // @ts-expect-error no such status
    taskSupervisor.cancelTasks({ status: 'waiting' });
  });

  it('runs in each thread, and gives the results of each', async () => {
    const everywhere = taskSupervisor.runEverywhere(resizeTask, 'a.png', 1, { andLater: true });
    const [result] = await everywhere;
    if (result?.status === 'fulfilled') expectTypeOf(result.value).toEqualTypeOf<Resized>();
    everywhere.cancel('why');
    // @ts-expect-error an argument is missing
    taskSupervisor.runEverywhere(resizeTask, 'a.png');
    // @ts-expect-error no such option
    taskSupervisor.runEverywhere(resizeTask, 'a.png', 1, { later: true });
  });
});
