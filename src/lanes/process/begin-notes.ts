/**
 * A file in memory, without a name, in which a child notes for each of its slots which item it has begun last, and when. A
 * note outlives the child, and unlike a message wakes nobody: it is read when somebody asks, or when the child has died.
 * The lane answers there when it wants an item back; see `take-backs.ts`.
 * Only Linux has such files; elsewhere, and where none can be made, the child sends messages.
 */
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { Buffer } from '../../platform/globals.ts';
import { answerAt, noteBytes, timeAt } from '../wire/frames.ts';

/** See open(2). Node has no name for it. */
const temporary = 0o20000000;
const memory = '/dev/shm';

export interface BeginNote {
  readonly item: number;
  /** On the clock of `now()`. */
  readonly at: number;
}

export class BeginNotes {
  #file: number | undefined;
  readonly #note: Buffer = Buffer.alloc(noteBytes);
  readonly #answer: Buffer = Buffer.alloc(1);

  constructor(slots: number) {
    this.#file = openFile(slots);
  }

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

  /** Writes what the child reads when it begins an item that was sent ahead. */
  answer(slot: number, item: number, answer: number): void {
    this.#answer[0] = answer;
    if (this.#file !== undefined) writeSync(this.#file, this.#answer, 0, 1, answerAt(slot, item));
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

/** All its memory is taken here: if there is too little, there is no file, and no write to it fails later. */
function openFile(slots: number): number | undefined {
  if (process.platform !== 'linux') return undefined;
  let file: number | undefined;
  try {
    file = openSync(memory, temporary | constants.O_DIRECTORY | constants.O_RDWR, 0o600);
    const notes = Buffer.alloc(slots * noteBytes, 0xff); // no number can be read there
    const answers = Buffer.alloc(answerAt(slots, 0) - answerAt(0, 0));
    const written =
      writeSync(file, notes, 0, notes.length, 0) + writeSync(file, answers, 0, answers.length, answerAt(0, 0));
    if (written < notes.length + answers.length) throw new RangeError('there is too little memory');
    return file;
  } catch {
    if (file !== undefined) closeSync(file);
    return undefined;
  }
}
