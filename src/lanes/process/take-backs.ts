/**
 * Takes back what was sent to a slot of a child ahead, unless the child begins it first. They share a file: in it are the
 * notes of the child, and for each item an answer of this side. Each side writes before it reads, so at least one sees the
 * other, and then this side decides:
 *
 *   here:     writes `asked` ──▶ reads the note ──▶ writes `left`, or `takenBack` if the child has not begun the item
 *   a child:  notes that it begins the item ──▶ reads the answer, again while that is `asked` ──▶ runs it, unless it is `takenBack`
 *
 * A note may be read while it is written: half of it is no note of the item, and the child waits for the answer then.
 */
import { answerRing, answers } from '../wire/frames.ts';
import type { BeginNotes } from './begin-notes.ts';

export class TakeBacks {
  readonly #notes: BeginNotes;
  readonly #slot: number;
  /** What was answered last, at the place of each item. */
  readonly #answers = new Uint8Array(answerRing);

  constructor(notes: BeginNotes, slot: number) {
    this.#notes = notes;
    this.#slot = slot;
  }

  /** The item is about to be sent. Those that had its place before are over. */
  allow(item: number): void {
    if (this.#answers[item % answerRing] !== 0) this.#answer(item, 0);
  }

  /** When the child has begun the item; undefined if it never will. */
  ask(item: number): number | undefined {
    this.#answer(item, answers.asked);
    const note = this.#notes.read(this.#slot);
    const hasBegun = note?.item === item;
    this.#answer(item, hasBegun ? answers.left : answers.takenBack);
    return hasBegun ? note.at : undefined;
  }

  #answer(item: number, answer: number): void {
    this.#answers[item % answerRing] = answer;
    this.#notes.answer(this.#slot, item, answer);
  }
}
