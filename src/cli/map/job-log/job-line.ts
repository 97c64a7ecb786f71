/**
 * One line of a job log, with the columns of GNU parallel: Seq counts from 1, Starttime is in epoch seconds and
 * JobRuntime in seconds, Send and Receive are the bytes of the input and of its result line. Command is the function, and
 * then the input as JSON, so that no line end or tab is in it.
 */
import { constants } from 'node:os';
import { hasCode } from '../../../base/errors.ts';
import { Buffer } from '../../../platform/globals.ts';

export const jobLogHeader = 'Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand';

/** An input that has ended. */
export interface EndedInput {
  readonly index: number;
  /** As it was given. */
  readonly text: string;
  /** In epoch milliseconds. */
  readonly startedAt: number;
  readonly runMs: number;
  readonly resultLine: string;
  /** Undefined if it has succeeded. */
  readonly failure: { readonly error: unknown } | undefined;
}

export function formatJob(target: string, input: EndedInput): string {
  const { index, text, startedAt, runMs, resultLine, failure } = input;
  const { exitCode, signal } = failure === undefined ? { exitCode: 0, signal: 0 } : exitOf(failure.error);
  const columns = [
    index + 1,
    ':', // this machine
    (startedAt / 1_000).toFixed(3),
    (runMs / 1_000).toFixed(3).padStart(10),
    Buffer.byteLength(text),
    Buffer.byteLength(resultLine),
    exitCode,
    signal,
    `${/\s/.test(target) ? JSON.stringify(target) : target} ${JSON.stringify(text)}`,
  ];
  return `${columns.join('\t')}\n`;
}

/** Of a child or thread that died under the function, as it died; else 1. Never both 0. */
function exitOf(error: unknown): { exitCode: number; signal: number } {
  if (!hasCode(error, 'TASK_CRASHED')) return { exitCode: 1, signal: 0 };
  if (error.signal !== undefined) return { exitCode: 0, signal: constants.signals[error.signal] };
  return { exitCode: error.exitCode || 1, signal: 0 };
}

export interface LoggedInput {
  readonly index: number;
  readonly text: string;
  readonly hasFailed: boolean;
}

/** Undefined if `taskwarden map` has not written this line. */
export function parseJob(line: string): LoggedInput | undefined {
  const columns = line.split('\t');
  const [seq = '', , , , , , exitCode = '', signal = '', command = ''] = columns;
  const isNumber = (text: string) => /^\d+$/.test(text);
  if (columns.length !== 9 || ![seq, exitCode, signal].every(isNumber) || Number(seq) < 1) return undefined;
  // Each quote inside the JSON has a backslash before it, so only its first one can follow a space.
  const start = command.lastIndexOf(' "', command.length - 3);
  if (start < 0) return undefined;
  try {
    const text = JSON.parse(command.slice(start + 1)) as string;
    return { index: Number(seq) - 1, text, hasFailed: exitCode !== '0' || signal !== '0' };
  } catch {
    return undefined;
  }
}
