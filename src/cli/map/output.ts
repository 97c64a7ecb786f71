/** Writes result lines to a file or standard output, as they come or in the order of the inputs. */
import { open } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { Promise } from '../../platform/globals.ts';
import { UsageError } from '../usage-error.ts';
import { dropTornLine } from './job-log/whole-lines.ts';

export interface OutputOptions {
  /** Whether lines are written in the order of their numbers. */
  readonly ordered: boolean;
  /** Whether the stream is closed at the end; standard output can't be. */
  readonly closes: boolean;
  /** Called once, when the stream can't be written to any more. Later lines are dropped. */
  readonly onBroken: (error: NodeJS.ErrnoException) => void;
  /** Calls the function that writes a line, on a terminal that also shows a progress bar. */
  readonly around?: (write: () => void) => void;
}

export class Output {
  readonly #stream: Writable;
  readonly #options: OutputOptions;
  /** Lines that wait for their turn, by number. */
  readonly #turns = new Map<number, () => void>();
  #next = 0;
  #room: Promise<void> | undefined;
  #isBroken = false;

  constructor(stream: Writable, options: OutputOptions) {
    this.#stream = stream;
    this.#options = options;
    stream.on('error', (error) => this.#break(error));
  }

  #break(error: Error): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#options.onBroken(error);
  }

  /**
   * Call it once for each number from 0; undefined writes no line. Resolves when the line is given to the stream, and
   * that has room for more: await it, so that not too many lines are in memory.
   * @param onWritten Called when the line has left this process.
   */
  async put(number: number, line: string | undefined, onWritten?: () => void): Promise<void> {
    if (this.#options.ordered && number !== this.#next) {
      await new Promise<void>((resolve) => this.#turns.set(number, resolve));
    }
    if (line !== undefined) this.#write(line, onWritten);
    this.#next += 1;
    this.#turns.get(this.#next)?.();
    this.#turns.delete(this.#next);
    await this.#waitForRoom();
  }

  #write(line: string, onWritten: (() => void) | undefined): void {
    if (this.#isBroken) return;
    const { around = (write) => write() } = this.#options;
    around(() => {
      this.#stream.write(line, (error) => {
        if (!error) onWritten?.();
      });
    });
  }

  #waitForRoom(): Promise<void> | undefined {
    if (this.#isBroken || !this.#stream.writableNeedDrain) return undefined;
    this.#room ??= new Promise<void>((resolve) => {
      const go = () => {
        this.#stream.off('drain', go).off('close', go);
        this.#room = undefined;
        resolve();
      };
      this.#stream.on('drain', go).on('close', go);
    });
    return this.#room;
  }

  /** Resolves when all lines are written, or can't be. */
  async end(): Promise<void> {
    if (this.#isBroken) return;
    await new Promise<void>((resolve) => {
      const done = (error?: Error | null) => {
        if (error) this.#break(error); // reported here before its event
        resolve();
      };
      if (this.#options.closes) this.#stream.end(done);
      else this.#stream.write('', done);
    });
  }
}

/**
 * @param appends Adds to what is in it, after its last whole line.
 * @throws UsageError if the file can't be opened.
 */
export async function openOutputFile(path: string, appends: boolean): Promise<Writable> {
  try {
    const file = await open(path, appends ? 'a+' : 'w');
    if (appends) await dropTornLine(file);
    return file.createWriteStream();
  } catch (error) {
    throw new UsageError(`can't write results to ${path}: ${(error as Error).message}`);
  }
}
