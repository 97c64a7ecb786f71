/**
 * One end of a channel. One end is where the task runs, the other where its handle is. Each end receives what the other
 * sends, in order. A sender that is far ahead waits until the other end has taken enough; one that does not wait is never
 * refused. A channel does not know how its messages are transported.
 */
import { TaskwardenError } from '../../base/errors.ts';
import { clearTimeout, Promise, setTimeout } from '../../platform/globals.ts';
import { nextTurnIfSpent } from '../../platform/loop-turn.ts';
import type { ChannelMessage } from './channel-message.ts';
import { UnreadValues } from './unread-values.ts';

/** Marks, among the received values, one that could not be deserialized. */
const unreadable: unique symbol = Symbol('unreadable');

/** How many values may be sent and not taken before a sender waits. */
const windowSize = 64;

interface ChannelOptions {
  /** Values that were not taken are sent again when the channel is opened again. Default: false. */
  readonly resends?: boolean;
  /** While nobody reads, received values count as taken: they are kept for a later reader, and no sender waits. Default: false. */
  readonly countsUnreadAsTaken?: boolean;
}

interface PendingSend {
  readonly resolve: (wasTaken: boolean) => void;
  readonly reject: (error: unknown) => void;
}

export class Channel {
  readonly #post: (message: ChannelMessage) => void;
  /** The other end exists. */
  #isOpen = false;
  #isEnded = false;
  #isWaitingOver = false;
  #isUnthrottled = false;

  /** How many values were sent, and how many of these the other end has taken. */
  #sent = 0;
  #taken = 0;
  /** The values that were sent and not taken, by their number, if they may have to be sent again. */
  readonly #resendable: Map<number, unknown> | undefined;
  /** The senders that wait for room, by the number of the value that they sent. */
  readonly #senders = new Map<number, (wasTaken: boolean) => void>();
  /** The senders that wait until their value is taken, by its number. */
  #untilTaken: Map<number, PendingSend> | undefined;

  readonly #unread = new UnreadValues();
  readonly #receivers = new Set<(value: { readonly value: unknown } | undefined) => void>();
  #readers = 0;
  #countsUnreadAsTaken: boolean;
  /** How many of the unread values, from the first, count as taken. */
  #unreadTaken = 0;
  /** How many values were taken without the other end knowing it yet. */
  #unreportedTaken = 0;

  constructor(
    post: (message: ChannelMessage) => void,
    { resends = false, countsUnreadAsTaken = false }: ChannelOptions = {},
  ) {
    this.#post = post;
    this.#resendable = resends ? new Map() : undefined;
    this.#countsUnreadAsTaken = countsUnreadAsTaken;
  }

  /** The other end exists from now on, and has received nothing yet. */
  open(): this {
    this.#isOpen = true;
    for (const value of this.#resendable?.values() ?? []) this.#resend(value);
    this.#reportTaken();
    return this;
  }

  /** The value could be cloned when it was first sent, but may have changed. */
  #resend(value: unknown): void {
    try {
      this.#post({ kind: 'data', value });
    } catch (problem) {
      this.#post({ kind: 'lost' });
      process.emitWarning(problem as Error);
    }
  }

  /** The other end is gone. A new one may open later, which need not hear what was taken of the old one's values. */
  close(): void {
    this.#isOpen = false;
    this.#unreadTaken = this.#unread.size;
    this.#unreportedTaken = 0;
  }

  /** Nothing will be sent or received any more. Received values can still be read. */
  end(): void {
    if (this.#isOpen) this.#reportTaken(); // now, because a later end must not hear of it
    this.#isEnded = true;
    this.#isOpen = false;
    this.#resendable?.clear();
    this.#release(false);
    for (const { resolve } of this.#untilTaken?.values() ?? []) resolve(false);
    this.#untilTaken?.clear();
    this.stopWaiting();
  }

  /** No sender waits from now on. */
  #stopThrottling(): void {
    this.#isUnthrottled = true;
    this.#release(true);
  }

  #release(wasTaken: boolean): void {
    for (const resolve of this.#senders.values()) resolve(wasTaken);
    this.#senders.clear();
  }

  /** Whether the next sender has to wait. */
  get isFull(): boolean {
    return !this.#isUnthrottled && !this.#isEnded && this.#sent - this.#taken >= windowSize;
  }

  /** Nobody waits from now on: receivers get the values that have arrived, then undefined; senders do not wait for room. */
  stopWaiting(): void {
    this.#isWaitingOver = true;
    this.#stopThrottling();
    for (const resolve of this.#receivers) resolve(undefined);
    this.#receivers.clear();
  }

  // Out.

  /**
   * Resolves as soon as one more value may be sent; with false if the channel ended before the value was taken, or before
   * there was room. Throws what posting throws; then nothing was sent.
   */
  send(value: unknown): Promise<boolean> {
    if (this.#isEnded) return Promise.resolve(false);
    this.#sent += 1; // before posting, because it may be taken meanwhile
    this.#resendable?.set(this.#sent, value);
    try {
      if (this.#isOpen) this.#post({ kind: 'data', value });
    } catch (error) {
      this.#resendable?.delete(this.#sent);
      this.#sent -= 1;
      throw error;
    }
    if (!this.isFull) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.#senders.set(this.#sent, resolve);
    });
  }

  /** Sends a value, and resolves when the other end has taken it; with false if the channel ended before. */
  sendUntilTaken(value: unknown): Promise<boolean> {
    if (this.#isEnded) return Promise.resolve(false);
    return new Promise((resolve, reject) => {
      this.#untilTaken ??= new Map();
      this.#untilTaken.set(this.#sent + 1, { resolve, reject });
      try {
        void this.send(value);
      } catch (error) {
        this.#untilTaken.delete(this.#sent + 1);
        reject(error);
      }
    });
  }

  handle(message: ChannelMessage): void {
    if (this.#isEnded) return;
    switch (message.kind) {
      case 'data':
        this.#onData(message.value);
        break;
      case 'lost':
        this.#take();
        break;
      case 'unreadable':
        this.#onUnreadable();
        break;
      case 'rejected':
        this.#onRejected();
        break;
      case 'unthrottled':
        this.#stopThrottling();
        break;
      case 'taken':
        this.#onTaken(message.count);
    }
  }

  #onTaken(count: number): void {
    for (let left = count; left > 0 && this.#taken < this.#sent; left -= 1) {
      this.#taken += 1;
      this.#resendable?.delete(this.#taken);
      this.#untilTaken?.get(this.#taken)?.resolve(true);
      this.#untilTaken?.delete(this.#taken);
      const next = this.#taken + windowSize - 1; // there is room after this one now
      this.#senders.get(next)?.(true);
      this.#senders.delete(next);
    }
  }

  /** Rejects the sender that waits for the value to be taken. If none waits, emits a warning of the process. */
  #onRejected(): void {
    const message =
      "a message can't be read by its receiver: it is nested too deeply, or holds what can't be copied; send flat, plain data";
    const error = new TaskwardenError('MESSAGE_NOT_CLONEABLE', message);
    const sender = this.#untilTaken?.get(this.#taken + 1);
    this.#untilTaken?.delete(this.#taken + 1);
    if (sender === undefined) process.emitWarning(error);
    else sender.reject(error);
    this.#onTaken(1);
  }

  // In.

  /** The value is rejected when it would be read, so that the order is kept. */
  #onUnreadable(): void {
    if (this.#unread.size > 0) this.#unread.push(unreadable);
    else this.#reject();
  }

  #reject(): void {
    if (!this.#isOpen) return;
    this.#reportTaken();
    this.#post({ kind: 'rejected' });
  }

  #onData(value: unknown): void {
    const [receiver] = this.#receivers;
    if (receiver === undefined) {
      this.#unread.push(value);
      this.#settleUnread();
      return;
    }
    this.#receivers.delete(receiver);
    this.#take();
    receiver({ value });
  }

  #take(count = 1): void {
    this.#unreportedTaken += count;
    // Not after each value; but after the last one, because a sender may wait for it.
    if (this.#isOpen && (this.#unreportedTaken >= windowSize / 4 || this.#unread.size === 0)) this.#reportTaken();
  }

  #reportTaken(): void {
    if (this.#unreportedTaken === 0) return;
    this.#post({ kind: 'taken', count: this.#unreportedTaken });
    this.#unreportedTaken = 0;
  }

  /** The first unread value, if there is one. */
  read(): { readonly value: unknown } | undefined {
    if (this.#unread.size === 0) return undefined;
    const value = this.#unread.shift();
    if (value === unreadable) {
      this.#reject();
      return this.read();
    }
    if (this.#unreadTaken > 0) this.#unreadTaken -= 1;
    else this.#take();
    return { value };
  }

  /**
   * The next value; undefined if none arrives within the time, or none will arrive at all. Reading many arrived values in
   * a row lets the event loop turn between them.
   */
  receive(timeoutMs?: number): Promise<{ readonly value: unknown } | undefined> {
    const value = this.read();
    if (value !== undefined) return nextTurnIfSpent()?.then(() => value) ?? Promise.resolve(value);
    if (this.#isWaitingOver || timeoutMs === 0) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const receiver = (received: { readonly value: unknown } | undefined) => {
        clearTimeout(timer);
        resolve(received);
      };
      this.#receivers.add(receiver);
      if (timeoutMs === undefined || timeoutMs === Infinity) return;
      timer = setTimeout(
        () => {
          this.#receivers.delete(receiver);
          resolve(undefined);
        },
        Math.min(timeoutMs, 2 ** 31 - 1),
      );
    });
  }

  /** From now on unread values count as taken, also those that have arrived. */
  countUnreadAsTaken(): void {
    this.#countsUnreadAsTaken = true;
    this.#settleUnread();
  }

  #settleUnread(): void {
    if (!this.#countsUnreadAsTaken || this.#readers > 0 || this.#unread.size === this.#unreadTaken) return;
    const count = this.#unread.size - this.#unreadTaken;
    this.#unreadTaken = this.#unread.size;
    this.#take(count);
  }

  /** Yields the received values until the channel ends. Each value goes to one reader. */
  async *[Symbol.asyncIterator](): AsyncGenerator<unknown, void, undefined> {
    this.#readers += 1;
    try {
      for (;;) {
        const next = await this.receive();
        if (next === undefined) return;
        yield next.value;
      }
    } finally {
      this.#readers -= 1;
      this.#settleUnread();
    }
  }
}
