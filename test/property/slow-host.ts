/** Hosts that do only what a test says, at any moment, and of which the lane hears later. */
import type { Host, HostListener } from '../../src/lanes/hosts/host.ts';
import { ControlBlock } from '../../src/lanes/wire/control-block.ts';
import type { HostMessage, HostReply, RunMessage } from '../../src/lanes/wire/protocol.ts';

/** What a host tells the test at once. */
export interface HostActs {
  /** It has begun the task with that sequence number. `isEnding`: after it was killed. */
  began(sequence: number, isEnding: boolean): void;
  /** What has run there runs no more. */
  ended(): void;
}

export interface SlowHostLike {
  readonly slot: Host;
  readonly isDead: boolean;
  /** It was killed, and goes on for a moment. */
  readonly isEnding: boolean;
  /** Ends what runs, or comes to the next message. */
  work(): void;
  /** Its next reply arrives, or its end. */
  deliver(): void;
  die(): void;
}

/** A thread that acts when it is told to: it begins and ends items, and its replies arrive when they are delivered. */
export class SlowThread implements SlowHostLike, Host {
  static next = 1;
  readonly id: number = SlowThread.next++;
  readonly control: ControlBlock = new ControlBlock();
  readonly #listener: HostListener;
  readonly #acts: HostActs;
  readonly #inbox: RunMessage[] = [];
  readonly #replies: HostReply[] = [];
  #running: RunMessage | undefined;
  isDead = false;
  isEnding = false;

  constructor(listener: HostListener, acts: HostActs) {
    this.#listener = listener;
    this.#acts = acts;
  }

  get slot(): Host {
    return this;
  }

  post(message: HostMessage): void {
    if (message.kind === 'run') this.#inbox.push(structuredClone(message));
  }

  end(): void {
    this.isEnding = true;
  }

  work(): void {
    if (this.#running !== undefined) {
      const { first } = this.#running;
      // The outcome of one stands in the memory, that of the next is in a message.
      const isPosted = first % 2 === 0;
      if (isPosted) this.control.finishByMessage(first, 2);
      else this.control.finish(first, undefined, 2);
      this.#acts.ended();
      const result: HostReply = { kind: 'result', item: first, value: 'text', isBuffer: false };
      this.#replies.push(isPosted ? result : { kind: 'done', end: first + 1 });
      this.#running = undefined;
      return;
    }
    const message = this.#inbox.shift();
    if (message === undefined) return;
    if (message.define !== undefined) this.#replies.push({ kind: 'begin' });
    if (this.control.begin(message.first, 1)) {
      this.#running = message;
      this.#acts.began(message.ids as number, this.isEnding);
    } else {
      this.#replies.push({ kind: 'done', end: message.first + 1 });
    }
  }

  deliver(): void {
    if (this.isEnding) {
      this.die();
      return;
    }
    const reply = this.#replies.shift();
    if (reply !== undefined) this.#listener.reply(reply as Exclude<HostReply, { kind: 'crash' }>);
  }

  die(): void {
    if (this.isDead) return;
    this.isDead = true;
    if (this.#running !== undefined) this.#acts.ended();
    this.isEnding = false;
    while (this.#replies.length > 0) this.deliver();
    this.#listener.exited({ exitCode: 1, signal: undefined, cause: undefined });
  }
}
