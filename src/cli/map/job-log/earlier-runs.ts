/**
 * What a job log says of earlier runs: which inputs have ended, and how. It keeps a digest of each, not its text, so that a
 * log of many long inputs can be resumed from.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { UsageError } from '../../usage-error.ts';
import { shorten } from '../figures.ts';
import { type NumberedInput, splitLines } from '../inputs.ts';
import { jobLogHeader, type LoggedInput, parseJob } from './job-line.ts';
import { wholeLinesOf } from './whole-lines.ts';

/**
 * `resume`: what has ended does not run again. `resume-failed`: what has failed does. `retry-failed`: nothing else runs, and
 * the inputs are those of the log.
 */
export type Resume = 'resume' | 'resume-failed' | 'retry-failed';

export class EarlierRuns {
  readonly #path: string;
  readonly #resume: Resume;
  readonly #wholeBytes: number;
  /** The digest of each input that has ended, by its index. */
  readonly #inputs = new Map<number, number>();
  /** The indexes of those whose last run has failed. */
  readonly #failed = new Set<number>();

  private constructor(path: string, resume: Resume, wholeBytes: number) {
    this.#path = path;
    this.#resume = resume;
    this.#wholeBytes = wholeBytes;
  }

  /**
   * A log that is not there yet says nothing. A last line that was cut short is left out.
   * @throws UsageError if the file can't be read, or is no job log.
   */
  static async read(path: string, resume: Resume): Promise<EarlierRuns> {
    const runs = new EarlierRuns(path, resume, await wholeBytesOf(path));
    for await (const { index, text, hasFailed } of runs.#logged()) {
      runs.#inputs.set(index, digestOf(text));
      if (hasFailed) runs.#failed.add(index);
      else runs.#failed.delete(index);
    }
    return runs;
  }

  async *#logged(): AsyncGenerator<LoggedInput, void, undefined> {
    if (this.#wholeBytes === 0) return;
    let lines = 0;
    for await (const line of splitLines(
      createReadStream(this.#path, { encoding: 'utf8', end: this.#wholeBytes - 1 }),
    )) {
      lines += 1;
      if (lines === 1 && line === jobLogHeader) continue;
      if (lines === 1) throw new UsageError(notJobLog(this.#path));
      const logged = parseJob(line);
      if (logged === undefined) {
        throw new UsageError(
          `line ${lines} of ${this.#path} is none that taskwarden map has written: ${shorten(line, 60)}`,
        );
      }
      yield logged;
    }
  }

  /** How many inputs have failed. */
  get failedCount(): number {
    return this.#failed.size;
  }

  /** The inputs that have failed, in the order of the log. */
  async *failedInputs(): AsyncGenerator<NumberedInput, void, undefined> {
    const left = new Set(this.#failed);
    for await (const { index, text } of this.#logged()) if (left.delete(index)) yield { index, text };
  }

  /**
   * Whether an input does not run again.
   * @throws UsageError if the log has another input in its place.
   */
  skips({ index, text }: NumberedInput): boolean {
    const digest = this.#inputs.get(index);
    if (digest === undefined) return false;
    if (digest !== digestOf(text)) {
      throw new UsageError(
        `input ${index} is ${shorten(JSON.stringify(text), 60)}, but ${this.#path} has another one as Seq ${index + 1}: ` +
          'to resume, give the inputs of the run that wrote it, in the same order',
      );
    }
    return this.#resume === 'resume' || !this.#failed.has(index);
  }
}

async function wholeBytesOf(path: string): Promise<number> {
  try {
    await using file = await open(path, 'r');
    if (!(await file.stat()).isFile()) throw new Error('it is no regular file');
    return await wholeLinesOf(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return 0;
    throw new UsageError(`can't resume from ${path}: ${message}`);
  }
}

export function notJobLog(path: string): string {
  return `${path} is no job log: its first line is not that of one`;
}

function digestOf(text: string): number {
  return createHash('sha1').update(text).digest().readUIntBE(0, 6);
}
