/**
 * A child that acts when it is told to: it begins and ends items, its guard answers, and its replies arrive when they are
 * delivered. It notes that it begins an item, and reads only the next time whether the lane has taken that back meanwhile.
 */
import { readSync, writeSync } from 'node:fs';
import type { HostListener } from '../../src/lanes/hosts/host.ts';
import { BeginNotes } from '../../src/lanes/process/begin-notes.ts';
import { ProcessSlot } from '../../src/lanes/process/process-slot.ts';
import { ControlBlock } from '../../src/lanes/wire/control-block.ts';
import {
  answerAt,
  answers,
  deserialize,
  type Frame,
  FrameReader,
  frame,
  noteBytes,
  type Recalled,
  serialize,
  textAfter,
  textFrame,
  timeAt,
  times,
} from '../../src/lanes/wire/frames.ts';
import { runFromJson } from '../../src/lanes/wire/json-text.ts';
import type { HostMessage, HostReply, RunMessage } from '../../src/lanes/wire/protocol.ts';
import type { HostActs, SlowHostLike } from './slow-host.ts';

/** When an item begins, and when it ends. */
const [begunAt, endedAt] = [1, 2] as const;

export class SlowChild implements SlowHostLike {
  static next = 1;
  readonly slot: ProcessSlot;
  isDead = false;
  isEnding = false;
  readonly #listener: HostListener;
  readonly #acts: HostActs;
  readonly #notes = new BeginNotes(1);
  /** What the lane can't see. */
  readonly #control = new ControlBlock();
  readonly #inbox: RunMessage[] = [];
  readonly #replies: Buffer[][] = [];
  /** Each gives the frame of its answer, if it has one. */
  readonly #guardInbox: (() => Buffer[])[] = [];
  readonly #guardReplies: Buffer[][] = [];
  readonly #reader = new FrameReader();
  /** It is noted that it begins: it does, unless it was taken back before. */
  #noted: { readonly message: RunMessage; readonly begins: boolean } | undefined;
  #running: RunMessage | undefined;
  #delivered = 0;

  constructor(listener: HostListener, acts: HostActs) {
    this.#listener = listener;
    this.#acts = acts;
    const [work, guard] = [new FrameReader(), new FrameReader()];
    const child = {
      id: SlowChild.next++,
      sendWork: (parts: readonly Buffer[]) => {
        for (const each of work.push(Buffer.concat(parts))) this.#receive(each);
      },
      sendGuard: (parts: readonly Buffer[]) => {
        for (const each of guard.push(Buffer.concat(parts))) this.#guard(each);
      },
      crashing: () => {},
      end: () => {
        this.isEnding = true;
      },
    };
    this.slot = new ProcessSlot(child, 0, listener, this.#notes);
  }

  #receive({ kind, body }: Frame): void {
    const message = kind === 'run' ? runFromJson(textAfter(0, body)) : (deserialize(body) as HostMessage);
    if (message.kind === 'run') this.#inbox.push(message);
  }

  #guard({ kind, number, body }: Frame): void {
    if (kind === 'cancel') {
      this.#guardInbox.push(() => (this.#control.withdraw(number) ? recalled(number, { items: [number] }) : []));
    } else if (kind === 'recall') {
      const [first, end] = [timeAt(body, 0), timeAt(body, 1)];
      this.#guardInbox.push(() => recalled(first, this.#recall(number, first, end)));
    }
  }

  #recall(from: number, first: number, end: number): Recalled {
    const items: number[] = [];
    for (let item = end - 1; item >= from; item -= 1) if (this.#control.withdraw(item)) items.unshift(item);
    let running = end - 1;
    while (running >= first && this.#control.state(running) !== 'running') running -= 1;
    return { items, ...(running >= first && { running: { item: running, at: begunAt } }) };
  }

  work(): void {
    if (this.#running !== undefined) this.#endRunning(this.#running.first);
    else if (this.#noted !== undefined) this.#beginNoted(this.#noted);
    else this.#beginNext();
  }

  #endRunning(item: number): void {
    this.#running = undefined;
    this.#control.finishByMessage(item, endedAt);
    this.#acts.ended();
    if (item % 2 === 0) {
      this.#replies.push(textFrame('returned', item, [begunAt, endedAt], '"text"', 0));
      return;
    }
    this.#replies.push(frame('ended', item, times(begunAt, endedAt)));
    this.#reply({ kind: 'result', item, value: { text: 'text' }, isBuffer: false });
  }

  #beginNext(): void {
    const message = this.#inbox.shift();
    if (message === undefined) return;
    const { define, first, isAhead } = message;
    if (define !== undefined) this.#replies.push(frame('loading'));
    if (define !== undefined) this.#reply({ kind: 'begin' });
    if (!this.#control.begin(first, begunAt)) {
      this.#reply({ kind: 'done', end: first + 1 });
      return;
    }
    writeSync(this.#notes.file as number, times(first, begunAt), 0, noteBytes, 0);
    const begins = !this.#isTakenBack(first);
    if (begins) this.#acts.began(message.ids as number, this.isEnding);
    if (isAhead) this.#noted = { message, begins };
    else this.#running = message;
  }

  #beginNoted({ message, begins }: { readonly message: RunMessage; readonly begins: boolean }): void {
    this.#noted = undefined;
    const { first } = message;
    if (this.#isTakenBack(first) === begins) throw new Error('it was taken back after it had begun');
    if (begins) {
      this.#running = message;
      return;
    }
    this.#control.finishByMessage(first, endedAt);
    this.#reply({ kind: 'done', end: first + 1 });
  }

  #isTakenBack(item: number): boolean {
    const answer = Buffer.alloc(1);
    readSync(this.#notes.file as number, answer, 0, 1, answerAt(0, item));
    return answer[0] === answers.takenBack;
  }

  #reply(reply: HostReply): void {
    this.#replies.push(frame('reply', 0, serialize(reply)));
  }

  deliver(): void {
    if (this.isEnding) {
      this.die();
      return;
    }
    const answer = this.#guardInbox.shift();
    if (answer === undefined) this.#deliverNext();
    else this.#guardReplies.push(answer());
  }

  /** There is no order between what the child has written and what its guard has. */
  #deliverNext(): void {
    this.#delivered += 1;
    const pipes = [this.#replies, this.#guardReplies];
    if (this.#delivered % 2 === 0) pipes.reverse();
    const parts = pipes.find((pipe) => pipe.length > 0)?.shift() ?? [];
    for (const each of this.#reader.push(Buffer.concat(parts))) this.slot.receive(each);
  }

  die(): void {
    if (this.isDead) return;
    this.isDead = true;
    if (this.#running !== undefined || this.#noted?.begins) this.#acts.ended();
    this.isEnding = false;
    while (this.#replies.length + this.#guardReplies.length > 0) this.#deliverNext();
    this.slot.markNextBegun();
    this.#notes.close();
    this.#listener.exited({ exitCode: 1, signal: undefined, cause: undefined });
  }
}

function recalled(number: number, answer: Recalled): Buffer[] {
  return frame('recalled', number, serialize(answer));
}
