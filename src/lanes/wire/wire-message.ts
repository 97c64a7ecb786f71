/** The messages of tasks as they are sent: errors are encoded, Buffers stay Buffers, and an unreadable message has a fallback. */
import { isDeeperThan, isHardToRead } from '../../base/cloneable.ts';
import { TaskwardenError } from '../../base/errors.ts';
import type { DataMessage, TaskMessage } from '../../task/inside/task-message.ts';
import { findBuffers, restoreBuffers } from './buffers.ts';
import { decodeThrown, encodeThrown, type WireThrown } from './error-codec.ts';

export interface WireMessage {
  readonly message: TaskMessage;
  /** The indexes of those of its values that are Buffers. */
  readonly buffers?: readonly number[];
  /** Its error, which is left out of the message. */
  readonly thrown?: WireThrown;
}

export function packMessage(message: TaskMessage): WireMessage {
  const error = errorIn(message);
  if (error !== undefined) return { message: withError(message, undefined), thrown: encodeThrown(error.value) };
  const buffers = findBuffers(valuesIn(message));
  return { message, ...(buffers && { buffers }) };
}

export function unpackMessage({ message, buffers, thrown }: WireMessage): TaskMessage {
  if (thrown !== undefined) return withError(message, decodeThrown(thrown));
  if (buffers === undefined) return message;
  const values = [...valuesIn(message)];
  restoreBuffers(values, buffers);
  return withValues(message, values);
}

/** Data that is nested no deeper than this can be read on any side. */
const safeLevels = 100;
/** The main thread, whose stack may be smaller than that of a thread, can read data that is nested no deeper than this. */
const maxLevels = 1_000;

/** The message that replaces another one if the other side can't read that; undefined if it can surely read it. */
export function fallbackFor(message: TaskMessage): TaskMessage | undefined {
  if (!mayBeUnreadable(message)) return undefined;
  if (message.topic === 'message' || message.topic === 'yield') return unreadable(message);
  if (message.topic !== 'child-update') return undefined;
  if (message.update.kind === 'data')
    return { ...message, update: { kind: 'data', data: unreadable(message.update.data) } };
  const problem =
    "the result can't be read by the task that called for it: it is nested too deeply there; return flatter data";
  const outcome = new TaskwardenError('RESULT_NOT_CLONEABLE', problem, { taskId: message.id });
  return { ...message, update: { kind: 'ended', endReason: 'failed', outcome } };
}

function mayBeUnreadable(message: TaskMessage): boolean {
  if (errorIn(message) !== undefined) return false;
  return valuesIn(message).some((value) => isDeeperThan(safeLevels, value, isHardToRead));
}

/**
 * Throws if the main thread could not read the message.
 * @param readBack Writes a value as it is written for the main thread, and reads it.
 */
export function checkReadable(message: TaskMessage, readBack: (value: unknown) => unknown): void {
  if (!mayBeUnreadable(message)) return;
  for (const value of valuesIn(message)) {
    if (isDeeperThan(maxLevels, value)) throw new RangeError('it is nested too deeply');
    readBack(value);
  }
}

function unreadable({ topic }: DataMessage): DataMessage {
  return { topic, message: { kind: 'unreadable' } };
}

function errorIn(message: TaskMessage): { readonly value: unknown } | undefined {
  if (message.topic === 'submit') return message.aborted && { value: message.aborted.reason };
  if (message.topic === 'input-outcome') return message.hasFailed ? { value: message.value } : undefined;
  if (message.topic === 'child-command' && message.command.kind === 'cancel') return { value: message.command.reason };
  if (message.topic === 'kept') return message.refusal && { value: message.refusal.error };
  if (message.topic !== 'child-update' || message.update.kind !== 'ended') return undefined;
  const { endReason, outcome, holdsErrors } = message.update;
  return endReason === 'completed' && !holdsErrors ? undefined : { value: outcome };
}

function withError(message: TaskMessage, error: unknown): TaskMessage {
  if (message.topic === 'submit') return { ...message, aborted: { reason: error } };
  if (message.topic === 'input-outcome') return { ...message, value: error };
  if (message.topic === 'child-command') return { ...message, command: { kind: 'cancel', reason: error } };
  if (message.topic === 'kept') return { ...message, refusal: { error } };
  if (message.topic === 'child-update' && message.update.kind === 'ended')
    return { ...message, update: { ...message.update, outcome: error } };
  return message;
}

function valuesIn(message: TaskMessage): readonly unknown[] {
  switch (message.topic) {
    case 'submit':
      return message.args;
    case 'child-command':
      return message.command.kind === 'data' ? valuesIn(message.command.data) : [];
    case 'child-update':
      if (message.update.kind === 'ended') return [message.update.outcome];
      return message.update.kind === 'data' ? valuesIn(message.update.data) : [];
    case 'chunk-begun':
    case 'chunk-recall':
    case 'chunk-recalled':
    case 'keep':
    case 'kept':
      return [];
    case 'input-outcome':
      return [message.value];
    default:
      return message.message.kind === 'data' ? [message.message.value] : [];
  }
}

function withValues<W extends TaskMessage>(message: W, values: readonly unknown[]): W;
function withValues(message: TaskMessage, values: readonly unknown[]): TaskMessage {
  switch (message.topic) {
    case 'submit':
      return { ...message, args: values };
    case 'child-command':
      return message.command.kind === 'data'
        ? { ...message, command: { kind: 'data', data: withValues(message.command.data, values) } }
        : message;
    case 'child-update':
      if (message.update.kind === 'ended') return { ...message, update: { ...message.update, outcome: values[0] } };
      return message.update.kind === 'data'
        ? { ...message, update: { kind: 'data', data: withValues(message.update.data, values) } }
        : message;
    case 'chunk-begun':
    case 'chunk-recall':
    case 'chunk-recalled':
    case 'keep':
    case 'kept':
      return message;
    case 'input-outcome':
      return { ...message, value: values[0] };
    default:
      return { ...message, message: { kind: 'data', value: values[0] } };
  }
}
