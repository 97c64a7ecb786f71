/** The errors of data that can't be sent to a thread or child, or back; and the data that is transferred instead of copied. */
import { isCloneable } from '../../base/cloneable.ts';
import { TaskwardenError } from '../../base/errors.ts';
import { isInstance, messageOf } from '../../base/foreign-value.ts';
import type { Transferable } from '../../task/inside/transferred.ts';
import type { TaskType } from '../../task/record/task-type.ts';
import type { HostKind, LaneTask } from '../lane.ts';
import { isSerializable } from '../wire/frames.ts';

/** A task that could not be posted, and why. */
export interface SendFailure<T> {
  readonly task: T;
  readonly problem: unknown;
}

/** A task that may need its arguments again gets copies. */
export function isTransferring({ options }: LaneTask): boolean {
  return options.transfer !== undefined && !options.retries && !options.crashRetries;
}

/** The parts of the arguments that are transferred. Throws if one was transferred before. */
export function transfersOf(task: LaneTask): readonly Transferable[] {
  if (!isTransferring(task)) return [];
  const transfers = task.runInScope(() => task.options.transfer?.(task.args as never)) ?? [];
  if (transfers.some(isDetached)) throw new TypeError('a buffer to transfer was handed over before');
  return transfers;
}

function isDetached(value: Transferable): boolean {
  if (!isInstance(value, ArrayBuffer) || value.byteLength > 0) return false;
  try {
    new Uint8Array(value);
    return false;
  } catch {
    return true;
  }
}

/** Why a task could not be posted. */
export function taskSendError(task: LaneTask, cause: unknown): TaskwardenError {
  const canCross = task.options.type === 'process' ? isSerializable : isCloneable;
  const argument = task.args.findIndex((value) => !canCross(value));
  const which =
    argument >= 0
      ? `argument ${argument + 1}`
      : isTransferring(task)
        ? 'what its option "transfer" gives'
        : task.carried !== undefined && !canCross(task.carried.value)
          ? 'what its context carrier has captured'
          : 'its arguments';
  const reason = messageOf(cause);
  return new TaskwardenError(
    'ARGUMENT_NOT_CLONEABLE',
    `task "${task.name}" can't be sent to a ${hostOf(task.options.type)}: ${which} can't be copied (${reason}); pass plain data, without ` +
      "functions, sockets or other live things, or run it with { type: 'loop' }",
    { cause, taskId: task.id },
  );
}

/** The host of a task type, as users call it. */
function hostOf(type: TaskType): HostKind {
  return type === 'process' ? 'child' : 'thread';
}

/** Why a reply could not be read. */
export function replyReadError(cause: unknown): TaskwardenError {
  const reason = messageOf(cause);
  const isTooDeep = /call stack/.test(reason);
  return new TaskwardenError(
    'RESULT_NOT_CLONEABLE',
    isTooDeep
      ? 'what the task has given is nested too deeply to be read by the main thread; give flatter data, or text such as JSON'
      : `what the task has given can't be read (${reason}): it may hold a buffer that was handed over before; hand each buffer over once`,
    { cause },
  );
}

/** Why a message could not be sent to a task. */
export function messageSendError(task: LaneTask, cause: unknown): TaskwardenError {
  const reason = messageOf(cause);
  return new TaskwardenError(
    'MESSAGE_NOT_CLONEABLE',
    `the message can't be sent to task "${task.name}": it can't be copied (${reason}); send plain data`,
    { cause, taskId: task.id },
  );
}
