/** What was sent to a child ahead belongs to the child or to the lane: the file that they share tells both. */
import { readSync, writeSync } from 'node:fs';
import { expect, it } from 'vitest';
import { BeginNotes } from '../../src/lanes/process/begin-notes.ts';
import { TakeBacks } from '../../src/lanes/process/take-backs.ts';
import { answerAt, answerRing, answers, noteBytes, times } from '../../src/lanes/wire/frames.ts';

const slots = 3;

/** A slot, with what its child does in the file. */
class Scene implements Disposable {
  readonly notes = new BeginNotes(slots);
  readonly takeBacks: TakeBacks;
  readonly #slot: number;

  constructor(slot: number) {
    this.#slot = slot;
    this.takeBacks = new TakeBacks(this.notes, slot);
  }

  begin(item: number, at: number): void {
    writeSync(this.notes.file as number, times(item, at), 0, noteBytes, this.#slot * noteBytes);
  }

  answer(item: number): number | undefined {
    const answer = Buffer.alloc(1);
    readSync(this.notes.file as number, answer, 0, 1, answerAt(this.#slot, item));
    return answer[0];
  }

  [Symbol.dispose](): void {
    this.notes.close();
  }
}

it('an item that the child has not begun is taken back, and the child reads that', () => {
  using scene = new Scene(slots - 1);
  scene.takeBacks.allow(0);
  expect(scene.answer(0)).toBe(0);
  expect(scene.takeBacks.ask(0)).toBeUndefined();
  expect(scene.answer(0)).toBe(answers.takenBack);
});

it('an item that the child has begun is left to it, with the time when it began', () => {
  using scene = new Scene(slots - 1);
  scene.takeBacks.allow(7);
  scene.begin(7, 12.5);
  expect(scene.takeBacks.ask(7)).toBe(12.5);
  expect(scene.answer(7)).toBe(answers.left);
});

it('what the child has begun before, and what other slots have, says nothing of an item', () => {
  using scene = new Scene(1);
  writeSync(scene.notes.file as number, times(8, 1), 0, noteBytes, 0);
  scene.begin(7, 12.5);
  expect(scene.takeBacks.ask(8)).toBeUndefined();
  expect([answerAt(0, 8), answerAt(1, 7)].map((at) => at === answerAt(1, 8))).toEqual([false, false]);
});

it('what was answered for an item does not hold for the one that has its place next', () => {
  using scene = new Scene(0);
  scene.takeBacks.ask(3);
  scene.takeBacks.allow(3 + answerRing);
  expect(scene.answer(3 + answerRing)).toBe(0);
});
