/** What TypeScript infers of celeryTask and CeleryWorker. */
import { backgroundTask, type TaskHandle, TaskSupervisor } from 'taskwarden';
import { CeleryReject, type CeleryTask, CeleryWorker, celeryTask, kwargs } from 'taskwarden/celery';
import { describe, expectTypeOf, it } from 'vitest';

const broker = 'redis://localhost';

describe('celeryTask', () => {
  const resize = celeryTask<[file: string, width: number], { bytes: number }>('proj.resize', { broker });

  it('gives a handle of the result', () => {
    expectTypeOf(resize('a.png', 80)).resolves.toEqualTypeOf<{ bytes: number }>();
    expectTypeOf(resize('a.png', 80)).toExtend<TaskHandle<{ bytes: number }>>();
    expectTypeOf(celeryTask('proj.any', { broker })('anything', 1)).resolves.toEqualTypeOf<unknown>();
  });

  it('takes its arguments, and keyword arguments after them', () => {
    resize('a.png', 80, kwargs({ quality: 0.9 }));
    // @ts-expect-error the second argument is missing
    resize('a.png');
    // @ts-expect-error it takes a string
    resize(1, 80);
    // @ts-expect-error keyword arguments are made by kwargs()
    resize('a.png', 80, { quality: 0.9 });
  });

  it('is a background task, and has the options of Celery', () => {
    expectTypeOf(resize.map).toBeFunction();
    expectTypeOf(resize.with({ queue: 'images', expires: new Date(), priority: 'low' })).toExtend<
      CeleryTask<(...args: [string, number]) => { bytes: number }>
    >();
    // @ts-expect-error a worker of Celery runs it
    resize.with({ type: 'process' });
    // @ts-expect-error it is sent as JSON
    celeryTask('proj.x', { broker, transfer: () => [] });
    // @ts-expect-error there is no broker
    celeryTask('proj.x', {});
  });
});

describe('CeleryWorker', () => {
  const resize = backgroundTask((file: string) => file.length, { name: 'resize' });

  it('takes functions and background tasks by name, and its options', () => {
    const worker = new CeleryWorker({
      broker: { host: 'localhost', password: 'x' },
      queues: ['images'],
      functions: { 'proj.resize': resize, 'proj.plain': (a: number) => a },
      supervisor: new TaskSupervisor(),
      concurrency: 4,
      acksLate: false,
      routes: { 'proj.next': 'python' },
    });
    expectTypeOf(worker.perform).returns.toEqualTypeOf<Promise<void>>();
    expectTypeOf(worker.stop).returns.toEqualTypeOf<void>();
    expectTypeOf(worker.queues).toEqualTypeOf<readonly string[]>();
    expectTypeOf(worker.inFlight).toEqualTypeOf<number>();
    void worker.perform({ signal: new AbortController().signal });
    // @ts-expect-error there are no functions
    new CeleryWorker({ broker });
    // @ts-expect-error it is no function
    new CeleryWorker({ broker, functions: { x: 1 } });
    // @ts-expect-error it has no such option
    new CeleryWorker({ broker, functions: {}, queue: 'x' });
  });

  it('is told by an error to reject a message', () => {
    expectTypeOf(new CeleryReject('no', { requeue: true }).requeue).toEqualTypeOf<boolean>();
    // @ts-expect-error it is a boolean
    new CeleryReject('no', { requeue: 1 });
  });
});
