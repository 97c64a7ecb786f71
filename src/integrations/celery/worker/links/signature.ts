/** Signatures of Celery, as they are in messages: what is to be sent when a task has ended. Checked, and never evaluated. */
import { isText, objectOf } from '../../protocol/envelope.ts';
import { parseTime } from '../../protocol/json.ts';

/** It is no signature, or of a kind that is not supported here. Python programs get its message. */
export class BadSignature extends Error {}

export interface Signature {
  readonly task: string;
  readonly args: readonly unknown[];
  readonly kwargs: Readonly<Record<string, unknown>>;
  readonly options: Readonly<Record<string, unknown>>;
  /** Undefined for that of a task. */
  readonly kind: 'chain' | 'group' | 'chord' | undefined;
  /** It gets no result of what was before. */
  readonly isImmutable: boolean;
}

const kinds: readonly unknown[] = ['chain', 'group', 'chord'];

/** @throws BadSignature */
export function readSignature(value: unknown): Signature {
  const { task, args = [], kwargs = {}, options = {}, subtask_type: kind, immutable } = objectOf(value) ?? {};
  if (!isText(task) || task === '') throw new BadSignature('what follows the task is no signature of Celery');
  const [read, given] = [objectOf(kwargs), objectOf(options)];
  if (!Array.isArray(args) || read === undefined || given === undefined) {
    throw new BadSignature(`the signature of ${task} has args, kwargs or options that are none`);
  }
  if (kind !== null && kind !== undefined && !kinds.includes(kind)) {
    throw new BadSignature(
      `a CeleryWorker can't send the signature ${task}, which is of the kind ${JSON.stringify(kind)}`,
    );
  }
  return {
    task,
    args,
    kwargs: read,
    options: given,
    kind: (kind ?? undefined) as Signature['kind'],
    isImmutable: immutable === true,
  };
}

/** An option that is a list of signatures, or one of them. */
export function signaturesIn(value: unknown): readonly unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

/** An option that is a text. */
export function textIn(options: Signature['options'], name: string): string | undefined {
  const value = options[name];
  return isText(value) && value !== '' ? value : undefined;
}

export function numberIn(options: Signature['options'], name: string): number | undefined {
  const value = options[name];
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** A time: as a text, or as seconds from now. */
export function timeIn(options: Signature['options'], name: string, secondsName: string): Date | undefined {
  const seconds = numberIn(options, secondsName);
  if (seconds !== undefined) return new Date(Date.now() + seconds * 1_000);
  const text = textIn(options, name);
  if (text === undefined) return undefined;
  const time = parseTime(text);
  if (time === undefined) throw new BadSignature(`the option "${name}" of a signature is no time`);
  return time;
}
