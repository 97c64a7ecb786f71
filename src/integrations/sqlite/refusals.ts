/** The errors of the courier, for what its thread has refused. */
import { courierKit, TaskwardenError } from '../../index.ts';
import type { Failure, StoreSettings } from './protocol.ts';

export interface Asked {
  /** What is not known, or not done, if the database can't be used. */
  readonly what: string;
  readonly taskId?: string;
}

const { courierClosed, courierUnreachable, duplicateId, queueFull, serverError, taskExists, taskNotFound } = courierKit;

export function refusalOf(
  failure: Failure,
  queue: string,
  { maxQueued }: StoreSettings,
  { what, taskId }: Asked,
): Error {
  switch (failure.code) {
    case 'TASK_NOT_FOUND':
      return taskNotFound(queue, failure.id);
    case 'DUPLICATE_TASK_ID':
      return duplicateId(queue, failure.id);
    case 'TASK_EXISTS':
      return taskExists(queue, failure.key, failure.id);
    case 'QUEUE_FULL':
      return queueFull(queue, maxQueued);
    case 'unreachable':
      return courierUnreachable(`${what} (${failure.message})`, causeOf(failure), taskId);
    case 'unusable':
      return new TaskwardenError('DATABASE_UNUSABLE', failure.message, { cause: serverError(causeOf(failure)) });
    case 'invalid':
      return new TypeError(`SqliteTaskCourier: ${failure.message}`);
    case 'over':
      return courierClosed();
  }
}

function causeOf({ cause }: Extract<Failure, { readonly code: 'unreachable' | 'unusable' }>): Error {
  return Object.assign(new Error(cause.message), cause.code !== undefined && { code: cause.code });
}
