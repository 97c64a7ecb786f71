/**
 * A job log: a line for each input that has ended. A line is written at once, and with one call, so that it is in the file
 * whenever and however the process dies after it.
 */
import { appendFileSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Buffer } from '../../../platform/globals.ts';
import { UsageError } from '../../usage-error.ts';
import { notJobLog } from './earlier-runs.ts';
import { type EndedInput, formatJob, jobLogHeader } from './job-line.ts';
import { dropTornLine } from './whole-lines.ts';

export class JobLog implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #target: string;
  /** The last line of the earlier runs was cut short: it was dropped. */
  readonly isMended: boolean;

  private constructor(file: FileHandle, target: string, isMended: boolean) {
    this.#file = file;
    this.#target = target;
    this.isMended = isMended;
  }

  /**
   * Opens a log to add to it, or to begin anew.
   * @param target The function, as the command line has it.
   * @throws UsageError if the file can't be written, or if it would overwrite a file that is no job log.
   */
  static async open(path: string, target: string, appends: boolean): Promise<JobLog> {
    let file: FileHandle | undefined;
    try {
      file = await open(path, 'a+');
      const stats = await file.stat();
      const isMended = appends && (await dropTornLine(file));
      if (!appends && stats.isFile() && stats.size > 0) {
        if (!(await hasHeader(file))) throw new Error(`${notJobLog(path)}, and it would be overwritten`);
        await file.truncate();
      }
      const log = new JobLog(file, target, isMended);
      if ((await file.stat()).size === 0) log.#append(`${jobLogHeader}\n`);
      return log;
    } catch (error) {
      await file?.close();
      throw new UsageError(`can't write a job log to ${path}: ${(error as Error).message}`);
    }
  }

  /** Throws what the file system throws. */
  add(input: EndedInput): void {
    this.#append(formatJob(this.#target, input));
  }

  #append(text: string): void {
    appendFileSync(this.#file.fd, text);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/** A header that was cut short is one, too. */
async function hasHeader(file: FileHandle): Promise<boolean> {
  const expected = Buffer.from(`${jobLogHeader}\n`);
  const { bytesRead, buffer } = await file.read(Buffer.alloc(expected.length), 0, expected.length, 0);
  return expected.subarray(0, bytesRead).equals(buffer.subarray(0, bytesRead));
}
