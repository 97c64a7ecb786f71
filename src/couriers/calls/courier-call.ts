/** The data of a courier task that calls a function: `viaCourier` writes it, and a `ClassicWorker` reads and checks it. */
import { TaskwardenError } from '../../base/errors.ts';
import { fieldOf } from '../../base/foreign-value.ts';
import { checkOptions, is, rules } from '../../base/options.ts';

export interface CourierCall {
  /** A name in the allow-list of the worker. */
  readonly function: string;
  /** Default: none. */
  readonly args?: readonly unknown[];
  /** The time-out of the run, in milliseconds; at most that of the function's own definition. */
  readonly timeoutMs?: number;
  /** A worker that gets it later, in epoch milliseconds, does not begin it: it fails with `TASK_EXPIRED`. */
  readonly expiresAt?: number;
}

/** The name of the function that a task calls, by its data; undefined if that is no call. */
export function calledName(data: unknown): string | undefined {
  const name = fieldOf(data, 'function');
  return typeof name === 'string' && name !== '' ? name : undefined;
}

const callRules = {
  function: rules.string,
  args: is('an array of arguments', Array.isArray),
  timeoutMs: rules.positiveMs,
  expiresAt: is('a time in epoch milliseconds', Number.isFinite),
};

/** Reads data from elsewhere as a call. @throws TaskwardenError `TASK_MALFORMED` if it is not one. */
export function readCall(data: unknown, taskId: string): CourierCall {
  try {
    checkOptions(data, callRules, 'the data of a task for a ClassicWorker');
    const call = data as CourierCall;
    callRules.function(call.function, 'option "function" of the data of a task for a ClassicWorker');
    return call;
  } catch (cause) {
    const message = `task ${taskId} calls no function: ${(cause as Error).message}`;
    throw new TaskwardenError('TASK_MALFORMED', message, { taskId, cause });
  }
}
