/** Words as they cross: errors are encoded, what was a Buffer is one again, and one that can't be read has a stand-in. */
import { isDeeperThan, isHardToRead } from '../../base/cloneable.ts';
import { TaskwardenError } from '../../base/errors.ts';
import type { DataMessage, TaskMessage } from '../../task/inside/task-message.ts';
import { findBuffers, restoreBuffers } from './buffers.ts';
import { decodeThrown, encodeThrown, type WireThrown } from './error-codec.ts';

export interface WireWord {
  readonly word: TaskMessage;
  /** Which of the values that it carries are Buffers. */
  readonly buffers?: readonly number[];
  /** The error that it carries, which is not in the word. */
  readonly thrown?: WireThrown;
}

export function packWord(word: TaskMessage): WireWord {
  const error = errorIn(word);
  if (error !== undefined) return { word: withError(word, undefined), thrown: encodeThrown(error.value) };
  const buffers = findBuffers(valuesIn(word));
  return { word, ...(buffers && { buffers }) };
}

export function unpackWord({ word, buffers, thrown }: WireWord): TaskMessage {
  if (thrown !== undefined) return withError(word, decodeThrown(thrown));
  if (buffers === undefined) return word;
  const values = [...valuesIn(word)];
  restoreBuffers(values, buffers);
  return withValues(word, values);
}

/** What can be read everywhere is nested no deeper than this. */
const safeLevels = 100;
/** What the main thread can read, whose stack may be smaller than that of a thread, is nested no deeper than this. */
const mostLevels = 1_000;

/** What the other side is to take a word for if it can't read it; undefined if it surely can. */
export function standInFor(word: TaskMessage): TaskMessage | undefined {
  if (!mayBeUnreadable(word)) return undefined;
  if (word.topic === 'message' || word.topic === 'yield') return unread(word);
  if (word.topic !== 'child-update') return undefined;
  if (word.update.kind === 'data') return { ...word, update: { kind: 'data', data: unread(word.update.data) } };
  const message =
    "the result can't be read by the task that called for it: it is nested too deeply there; return flatter data";
  const outcome = new TaskwardenError('RESULT_NOT_CLONEABLE', message, { taskId: word.id });
  return { ...word, update: { kind: 'ended', endReason: 'failed', outcome } };
}

function mayBeUnreadable(word: TaskMessage): boolean {
  if (errorIn(word) !== undefined) return false;
  return valuesIn(word).some((value) => isDeeperThan(safeLevels, value, isHardToRead));
}

/**
 * Throws if the main thread could not read the word.
 * @param readBack Writes a value as it is written for the main thread, and reads it.
 */
export function checkReadable(word: TaskMessage, readBack: (value: unknown) => unknown): void {
  if (!mayBeUnreadable(word)) return;
  for (const value of valuesIn(word)) {
    if (isDeeperThan(mostLevels, value)) throw new RangeError('it is nested too deeply');
    readBack(value);
  }
}

function unread({ topic }: DataMessage): DataMessage {
  return { topic, message: { kind: 'unreadable' } };
}

function errorIn(word: TaskMessage): { readonly value: unknown } | undefined {
  if (word.topic === 'child-command' && word.command.kind === 'cancel') return { value: word.command.reason };
  if (word.topic !== 'child-update' || word.update.kind !== 'ended' || word.update.endReason === 'completed')
    return undefined;
  return { value: word.update.outcome };
}

function withError(word: TaskMessage, error: unknown): TaskMessage {
  if (word.topic === 'child-command') return { ...word, command: { kind: 'cancel', reason: error } };
  if (word.topic === 'child-update' && word.update.kind === 'ended')
    return { ...word, update: { ...word.update, outcome: error } };
  return word;
}

function valuesIn(word: TaskMessage): readonly unknown[] {
  switch (word.topic) {
    case 'submit':
      return word.args;
    case 'child-command':
      return word.command.kind === 'data' ? valuesIn(word.command.data) : [];
    case 'child-update':
      if (word.update.kind === 'ended') return [word.update.outcome];
      return word.update.kind === 'data' ? valuesIn(word.update.data) : [];
    default:
      return word.message.kind === 'data' ? [word.message.value] : [];
  }
}

function withValues<W extends TaskMessage>(word: W, values: readonly unknown[]): W;
function withValues(word: TaskMessage, values: readonly unknown[]): TaskMessage {
  switch (word.topic) {
    case 'submit':
      return { ...word, args: values };
    case 'child-command':
      return word.command.kind === 'data'
        ? { ...word, command: { kind: 'data', data: withValues(word.command.data, values) } }
        : word;
    case 'child-update':
      if (word.update.kind === 'ended') return { ...word, update: { ...word.update, outcome: values[0] } };
      return word.update.kind === 'data'
        ? { ...word, update: { kind: 'data', data: withValues(word.update.data, values) } }
        : word;
    default:
      return { ...word, message: { kind: 'data', value: values[0] } };
  }
}
