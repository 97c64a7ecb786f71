/** Turns the reply of a host into the outcome of a task. */
import type { LaneOutcome, LaneTask } from '../lane.ts';
import { restoreBuffers } from '../wire/buffers.ts';
import { decodeThrown } from '../wire/error-codec.ts';
import type { ItemReply } from '../wire/protocol.ts';
import { taskSendError } from './send-failure.ts';

interface Times {
  readonly runMs: number;
  /** On the clock of `now()`. */
  readonly endedAt: number;
}

/** Throws if an error in the reply was not encoded by this library. */
export function outcomeOf(reply: ItemReply, task: LaneTask, { runMs, endedAt }: Times): LaneOutcome {
  if (reply.kind === 'result') {
    const values = [reply.value];
    if (reply.isBuffer) restoreBuffers(values, [0]);
    return { kind: 'result', value: values[0], runMs, endedAt };
  }
  const error = decodeThrown(reply.error);
  if (reply.kind === 'unread') return { kind: 'uncloneable', error: taskSendError(task, error), runMs };
  return { kind: reply.kind, error, runMs };
}
