/** typedQueue: the functions that the workers of a queue have, as tasks that go by its courier. Only their types are needed here. */
import { rules } from '../../base/options.ts';
import type { BackgroundTask } from '../../task/call/background-task.ts';
import { resolveTaskOptions } from '../../task/call/task-options.ts';
import { tasksByName } from '../../task/call/tasks-by-name.ts';
import type { TaskFunction } from '../../task/definition/definition.ts';
import type { ClientTaskCourier } from '../courier.ts';
import { courierRule } from '../workers/base-worker-options.ts';
import { type CourierFunction, type CourierTaskOptions, nameViaCourier } from './via-courier.ts';

/** The functions of type `T`, an object of background tasks or plain functions, as functions that go by a courier. */
export type TypedQueue<T> = {
  readonly [K in keyof T & string as T[K] extends TaskFunction ? K : never]: T[K] extends BackgroundTask<infer F>
    ? CourierFunction<F>
    : T[K] extends TaskFunction
      ? CourierFunction<T[K]>
      : never;
};

/**
 * The functions of the workers of a queue, by their types alone: the client needs none of their code.
 *
 *     import type { functions } from './worker.ts'; // what its ClassicWorker has
 *     const mails = typedQueue<typeof functions>(courier, 'mails');
 *     const id = await mails.send.add('ann@example.org', 'Hello'); // fire and forget
 *     const sent = await mails.send.with({ priority: 'high' })('bob@example.org', 'Hello'); // a handle, as of any task
 *
 * What is not given here or by `with()`, such as `retries`, is as the worker's definition of the function says. A function
 * that the workers do not have fails there, with `FUNCTION_NOT_ALLOWED`.
 */
export function typedQueue<T>(
  courier: ClientTaskCourier,
  queue: string,
  options: CourierTaskOptions<never> = {},
): TypedQueue<T> {
  courierRule(courier, 'the courier of typedQueue()');
  rules.string(queue, 'the queue of typedQueue()');
  const resolved = resolveTaskOptions(options, 'typedQueue()');
  if (resolved.name !== undefined) throw new TypeError('typedQueue() takes no option "name": it has many functions');
  const make = (name: string) => nameViaCourier(courier, queue, name, resolved);
  return tasksByName(`functions of queue "${queue}"`, make) as TypedQueue<T>;
}
