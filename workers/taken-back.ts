/** Whether the lane has taken back an item that was sent ahead; see `src/lanes/process/take-backs.ts`. */
import { readSync } from 'node:fs';
import { answerAt, answers, noteFile } from '../src/lanes/wire/frames.ts';
import { Buffer } from '../src/platform/globals.ts';

const answer: Buffer = Buffer.alloc(1);
/** Used to sleep: it is never notified. */
const nobody = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));

/** Call it when it is noted that the item begins. Waits for the moment in which the lane reads that. */
export function isTakenBack(slot: number, item: number): boolean {
  for (;;) {
    answer[0] = 0; // nothing is read where nobody has written yet
    readSync(noteFile, answer, 0, 1, answerAt(slot, item));
    if (answer[0] !== answers.asked) return answer[0] === answers.takenBack;
    Atomics.wait(nobody, 0, 0, 1);
  }
}
