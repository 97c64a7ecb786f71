/** Words as they cross: errors are encoded, what was a Buffer is one again, and one that can't be read has a stand-in. */
import { isDeeperThan, isHardToRead } from '../../base/cloneable.ts';
import { TaskwardenError } from '../../base/errors.ts';
import type { Talk, TaskWord } from '../../task/inside/task-message.ts';
import { findBuffers, restoreBuffers } from './buffers.ts';
import { decodeThrown, encodeThrown, type WireThrown } from './error-codec.ts';

export interface WireWord {
  readonly word: TaskWord;
  /** Which of the values that it carries are Buffers. */
  readonly buffers?: readonly number[];
  /** The error that it carries, which is not in the word. */
  readonly thrown?: WireThrown;
}

export function packWord(word: TaskWord): WireWord {
  const error = errorIn(word);
  if (error !== undefined) return { word: withError(word, undefined), thrown: encodeThrown(error.value) };
  const buffers = findBuffers(valuesIn(word));
  return { word, ...(buffers && { buffers }) };
}

export function unpackWord({ word, buffers, thrown }: WireWord): TaskWord {
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
export function standInFor(word: TaskWord): TaskWord | undefined {
  if (!mayBeUnreadable(word)) return undefined;
  if (word.topic === 'message' || word.topic === 'yield') return unread(word);
  if (word.topic !== 'news') return undefined;
  if (word.news.kind === 'talk') return { ...word, news: { kind: 'talk', talk: unread(word.news.talk) } };
  const message =
    "the result can't be read by the task that called for it: it is nested too deeply there; return flatter data";
  const outcome = new TaskwardenError('RESULT_NOT_CLONEABLE', message, { taskId: word.id });
  return { ...word, news: { kind: 'ended', endReason: 'failed', outcome } };
}

function mayBeUnreadable(word: TaskWord): boolean {
  if (errorIn(word) !== undefined) return false;
  return valuesIn(word).some((value) => isDeeperThan(safeLevels, value, isHardToRead));
}

/**
 * Throws if the main thread could not read the word.
 * @param readBack Writes a value as it is written for the main thread, and reads it.
 */
export function checkReadable(word: TaskWord, readBack: (value: unknown) => unknown): void {
  if (!mayBeUnreadable(word)) return;
  for (const value of valuesIn(word)) {
    if (isDeeperThan(mostLevels, value)) throw new RangeError('it is nested too deeply');
    readBack(value);
  }
}

function unread({ topic }: Talk): Talk {
  return { topic, word: { kind: 'unread' } };
}

function errorIn(word: TaskWord): { readonly value: unknown } | undefined {
  if (word.topic === 'order' && word.order.kind === 'cancel') return { value: word.order.reason };
  if (word.topic !== 'news' || word.news.kind !== 'ended' || word.news.endReason === 'completed') return undefined;
  return { value: word.news.outcome };
}

function withError(word: TaskWord, error: unknown): TaskWord {
  if (word.topic === 'order') return { ...word, order: { kind: 'cancel', reason: error } };
  if (word.topic === 'news' && word.news.kind === 'ended') return { ...word, news: { ...word.news, outcome: error } };
  return word;
}

function valuesIn(word: TaskWord): readonly unknown[] {
  switch (word.topic) {
    case 'submit':
      return word.args;
    case 'order':
      return word.order.kind === 'talk' ? valuesIn(word.order.talk) : [];
    case 'news':
      if (word.news.kind === 'ended') return [word.news.outcome];
      return word.news.kind === 'talk' ? valuesIn(word.news.talk) : [];
    default:
      return word.word.kind === 'data' ? [word.word.value] : [];
  }
}

function withValues<W extends TaskWord>(word: W, values: readonly unknown[]): W;
function withValues(word: TaskWord, values: readonly unknown[]): TaskWord {
  switch (word.topic) {
    case 'submit':
      return { ...word, args: values };
    case 'order':
      return word.order.kind === 'talk'
        ? { ...word, order: { kind: 'talk', talk: withValues(word.order.talk, values) } }
        : word;
    case 'news':
      if (word.news.kind === 'ended') return { ...word, news: { ...word.news, outcome: values[0] } };
      return word.news.kind === 'talk'
        ? { ...word, news: { kind: 'talk', talk: withValues(word.news.talk, values) } }
        : word;
    default:
      return { ...word, word: { kind: 'data', value: values[0] } };
  }
}
