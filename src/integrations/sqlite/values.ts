/** What is stored of values and errors, as JSON that one can read in the file; and what they are when they are read again. */
import {
  type CourierTask,
  courierKit,
  type ErrorCode,
  type ListedTask,
  type QueueEvent,
  TaskwardenError,
} from '../../index.ts';
import { isJson, PlainCopy, plainJson } from '../plain-copy.ts';
import type { DeliveredTask, PassedDeadline, StoredCommand, StoredEnd, StoredFailure, StoredTask } from './protocol.ts';

const { deadlinePassed, decodeThrown, encodeThrown, messageOf, taskCanceled, taskReplaced, taskStalled } = courierKit;

/** Null stands for undefined. @throws TaskwardenError with `code`. */
export function toText(value: unknown, code: ErrorCode, what: string): string | null {
  const plain = plainJson(value, code, what);
  return plain === undefined ? null : JSON.stringify(plain);
}

/** @throws TaskwardenError `TASK_MALFORMED` if it is no JSON: somebody has changed it in the file. */
export function fromText(text: string | null): unknown {
  if (text === null) return undefined;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TaskwardenError('TASK_MALFORMED', 'what the file has of the task is no JSON', { cause });
  }
}

/** The same, but undefined of what is none. */
export function readableOf(text: string | null): unknown {
  try {
    return fromText(text);
  } catch {
    return undefined;
  }
}

/** What was thrown, as plain data. Of what can't be carried, its text is. */
function thrownPlain(thrown: unknown): unknown {
  const { plain, problem } = new PlainCopy(encodeThrown(thrown, isJson));
  return problem === undefined ? plain : encodeThrown(new Error(messageOf(thrown)));
}

export function failureText(thrown: unknown): string {
  return JSON.stringify({ thrown: thrownPlain(thrown) } satisfies StoredFailure);
}

export function cancelText(reason: unknown): string {
  return JSON.stringify({ canceled: thrownPlain(reason) } satisfies StoredFailure);
}

/** Why a task has failed, or was canceled. */
export function failureOf(outcome: string | null, queue: string, id: string): unknown {
  const failure = (readableOf(outcome) ?? { thrown: undefined }) as StoredFailure;
  if ('deadlineMs' in failure) return passed(failure, queue, id);
  if ('stalls' in failure) return taskStalled(queue, id, failure.stalls);
  if ('replacedBy' in failure) return taskReplaced(queue, id, failure.replacedBy);
  if ('canceled' in failure) return taskCanceled(queue, id, decode(failure.canceled));
  return decode(failure.thrown);
}

function passed({ last, ...facts }: PassedDeadline, queue: string, id: string): Error {
  return deadlinePassed(queue, { id, ...facts }, last === null ? undefined : failureOf(last, queue, id));
}

function decode(thrown: unknown): unknown {
  try {
    return decodeThrown(thrown as courierKit.WireThrown);
  } catch (cause) {
    return new TaskwardenError('TASK_MALFORMED', 'what the file has of the error of the task can not be read', {
      cause,
    });
  }
}

/** The result of a task. Throws its error if it has failed. */
export function resultOf({ state, outcome }: StoredEnd, queue: string, id: string): unknown {
  if (state === 'completed') return fromText(outcome);
  throw failureOf(outcome, queue, id);
}

export function courierTask(queue: string, { data, ...task }: DeliveredTask): CourierTask {
  return Object.freeze({ ...task, queue, data: fromText(data) });
}

export function listedTask(queue: string, { outcome, ...task }: StoredTask): ListedTask {
  return { ...task, ...(task.state === 'failed' && { error: failureOf(outcome, queue, task.id) }) };
}

/** The reason of a cancel, as its worker gets it. */
export function commandOf(stored: StoredCommand, queue: string, id: string): unknown {
  if (stored.kind === 'command') return fromText(stored.command);
  if (stored.kind === 'lost') return { kind: 'lost' };
  const failure = fromText(stored.outcome) as StoredFailure;
  return {
    kind: 'cancel',
    reason: 'canceled' in failure ? decode(failure.canceled) : failureOf(stored.outcome, queue, id),
  };
}

export function eventOf(queue: string, text: string): QueueEvent {
  const { id, name, key, stalls, passed: deadline, ...event } = JSON.parse(text);
  if (stalls !== undefined) event.message = taskStalled(queue, id, stalls).message;
  if (deadline !== undefined) event.message = passed(deadline, queue, id).message;
  return id === undefined ? { ...event, queue } : { ...event, queue, id, name, key };
}
