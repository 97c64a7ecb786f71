/**
 * A file in memory, without a name, in which a child notes for each of its slots which item it has begun last, and when. A
 * note outlives the child, and unlike a message wakes nobody: it is read when somebody asks, or when the child has died.
 * Only Linux has such files; elsewhere, and where none can be made, the child sends messages.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs';
import { Buffer } from '../../platform/globals.ts';
import { noteBytes, timeAt } from '../wire/frames.ts';

/** See open(2). Node has no name for it. */
const temporary = 0o20000000;
const memory = '/dev/shm';

export interface BeginNote {
  readonly item: number;
  /** On the clock of `now()`. */
  readonly at: number;
}

export class BeginNotes {
  #file: number | undefined = openFile();
  readonly #note: Buffer = Buffer.alloc(noteBytes);

  /** Its descriptor; undefined if there is none. */
  get file(): number | undefined {
    return this.#file;
  }

  /** Undefined if the slot has noted nothing, or if code of a task has written there. */
  read(slot: number): BeginNote | undefined {
    const note = this.#note;
    if (this.#file === undefined || readSync(this.#file, note, 0, noteBytes, slot * noteBytes) < noteBytes)
      return undefined;
    const [item, at] = [timeAt(note, 0), timeAt(note, 1)];
    return Number.isInteger(item) ? { item, at } : undefined;
  }

  /** Nothing can be read any more. */
  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  closeIfThrown<R>(call: () => R): R {
    try {
      return call();
    } catch (error) {
      this.close();
      throw error;
    }
  }
}

function openFile(): number | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    return openSync(memory, temporary | constants.O_DIRECTORY | constants.O_RDWR, 0o600);
  } catch {
    return undefined;
  }
}
