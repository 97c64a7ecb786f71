/** A slot of a child: the items of its batch, and what is known of the control block that the child has for it. */
import { now } from '../../platform/clock.ts';
import type { Host, HostListener } from '../hosts/host.ts';
import { ControlBlock } from '../wire/control-block.ts';
import { decodeThrown, encodeThrown } from '../wire/error-codec.ts';
import {
  deserialize,
  type Frame,
  type FrameKind,
  frame,
  isSerializable,
  type Recalled,
  serialize,
  textAfter,
  textFrame,
  timeAt,
  times,
} from '../wire/frames.ts';
import { fromJson, jsonOfRun } from '../wire/json-text.ts';
import type { HostMessage, HostReply } from '../wire/protocol.ts';
import type { BeginNotes } from './begin-notes.ts';
import { TakeBacks } from './take-backs.ts';

/** The child, as its slots see it. */
export interface Child {
  readonly id: number;
  /** Writes to the main thread of the child. */
  sendWork(parts: readonly Buffer[]): void;
  /** Writes to its guard. */
  sendGuard(parts: readonly Buffer[]): void;
  /** An uncaught error is about to end it. */
  crashing(error: unknown): void;
  end(): void;
}

export class ProcessSlot implements Host {
  /** The state at the last frame, or when it was refreshed. */
  readonly control: ControlBlock = new ControlBlock();
  readonly #child: Child;
  readonly #number: number;
  readonly #listener: HostListener;
  readonly #notes: BeginNotes;
  readonly #takeBacks: TakeBacks;
  readonly takeBack: ((item: number) => boolean) | undefined;
  /** The items that it may tell of: the first, and the one after the last. */
  #first = 0;
  #end = 0;
  /** Where the last batch ended: the items after that were sent ahead, and it notes of each that it begins it. */
  #batchEnd = 0;

  constructor(child: Child, number: number, listener: HostListener, notes: BeginNotes) {
    this.#child = child;
    this.#number = number;
    this.#listener = listener;
    this.#notes = notes;
    this.#takeBacks = new TakeBacks(notes, number);
    this.takeBack = notes.file === undefined ? undefined : (item) => this.#takeBack(item);
  }

  get id(): number {
    return this.#child.id;
  }

  // From the child.

  receive({ kind, number, body }: Frame): void {
    switch (kind) {
      case 'loading':
        this.control.beginLoading(number === 1);
        break;
      case 'begun':
        this.#checkItem(number);
        this.control.begin(number, timeAt(body, 0));
        break;
      case 'ended':
        this.#checkItem(number);
        this.control.begin(number, timeAt(body, 0));
        this.control.finishByMessage(number, timeAt(body, 1));
        break;
      case 'returned':
        this.#returned(number, body);
        break;
      case 'recalled':
        if (this.#has(number)) this.#recalled(deserialize(body) as Recalled); // else its batch is over
        break;
      case 'reply':
        this.#reply(body);
        break;
      default:
        throw new Error(`a child sends no "${kind}"`);
    }
  }

  #has(item: number): boolean {
    return item >= this.#first && item < this.#end;
  }

  #checkItem(item: number): void {
    if (!this.#has(item))
      throw new Error(`it tells of item ${item}, and has those from ${this.#first} to ${this.#end - 1}`);
  }

  #readReply(body: Buffer): HostReply | undefined {
    try {
      return deserialize(body) as HostReply;
    } catch (problem) {
      this.#listener.unreadable(problem, this.#number);
      return undefined;
    }
  }

  #reply(body: Buffer): void {
    const reply = this.#readReply(body);
    if (reply === undefined) return;
    if (reply.kind === 'crash') {
      this.#child.crashing(decodeThrown(reply.error));
      return;
    }
    if (reply.kind === 'progress' || reply.kind === 'task-message') {
      if (!this.#has(reply.item)) return; // it comes from left-over code of a task
      if (this.control.state(reply.item) === 'waiting') this.control.begin(reply.item, now());
    }
    this.#listener.reply(reply, this.#number);
  }

  #returned(item: number, body: Buffer): void {
    this.#checkItem(item);
    const text = textAfter(2, body);
    const value = text === '' ? undefined : fromJson(text);
    this.control.begin(item, timeAt(body, 0));
    this.control.finishByMessage(item, timeAt(body, 1));
    this.#listener.reply({ kind: 'result', item, value, isBuffer: false }, this.#number);
  }

  #recalled({ items, running }: Recalled): void {
    const withdrawn = items.filter((item) => this.control.withdraw(item));
    if (running !== undefined) this.control.begin(running.item, running.at);
    this.#listener.reply({ kind: 'recalled', items: withdrawn }, this.#number);
  }

  refresh(): void {
    const note = this.#notes.read(this.#number);
    if (note === undefined || !this.#has(note.item) || this.control.state(note.item) !== 'waiting') return;
    this.control.begin(note.item, note.at);
  }

  /** The item after one that has ended begins at once, but its frame comes only when it ends. So the child died in that one. */
  markNextBegun(): void {
    this.refresh();
    let hasBegun = false;
    for (let item = this.#first; item < this.#batchEnd; item += 1) {
      const state = this.control.state(item);
      if (state === 'running') return;
      if (state === 'posted') hasBegun = true;
      else if (state === 'waiting' && hasBegun) {
        this.control.begin(item, now());
        return;
      }
    }
  }

  // To the child.

  /** Nothing is transferred: everything is copied. */
  post(message: HostMessage): void {
    switch (message.kind) {
      case 'stop': {
        const reason = encodeThrown(decodeThrown(message.reason), isSerializable);
        const body = serialize({ ...message, reason });
        this.#child.sendGuard(this.#frame(message.isFinal ? 'cancel' : 'stop', message.item, body));
        break;
      }
      case 'task-message':
      case 'fallback':
        this.#child.sendGuard(this.#frame('message', message.item, serialize(message)));
        break;
      case 'run': {
        const { first, items, isAhead = false } = message;
        if (isAhead) this.#takeBacks.allow(first);
        const text = jsonOfRun(message);
        this.#child.sendWork(text === undefined ? this.#work(message) : textFrame('run', 0, [], text, this.#number));
        this.#end = first + items;
        if (isAhead) {
          this.#passEnded();
        } else {
          this.#first = first;
          this.#batchEnd = this.#end;
        }
        break;
      }
      default:
        this.#child.sendWork(this.#work(message));
    }
  }

  #work(message: HostMessage): Buffer[] {
    return this.#frame('message', 0, serialize(message));
  }

  recall(from: number, end: number): void {
    this.#child.sendGuard(this.#frame('recall', from, times(this.#first, end)));
  }

  #takeBack(item: number): boolean {
    // After its death, only the copy is left, in which all stands that it had begun.
    if (this.#notes.file !== undefined && this.control.state(item) === 'waiting') {
      const begunAt = this.#takeBacks.ask(item);
      if (begunAt !== undefined) this.control.begin(item, begunAt);
    }
    return this.control.withdraw(item);
  }

  #passEnded(): void {
    while (this.control.state(this.#first) === 'posted' || this.control.state(this.#first) === 'withdrawn') {
      this.#first += 1;
    }
  }

  #frame(kind: FrameKind, number: number, body: Buffer): Buffer[] {
    return frame(kind, number, body, this.#number);
  }

  end(): void {
    this.#child.end();
  }
}
