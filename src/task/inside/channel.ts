/**
 * One end of a conversation: the other is where the task runs, or where its handle is. What one end sends, the other
 * receives in order. A sender that is far ahead waits until the other side has taken enough; one that does not wait is
 * never refused. It knows nothing of how words travel.
 */
import { TaskwardenError } from '../../base/errors.ts';
import { clearTimeout, Promise, setTimeout } from '../../platform/globals.ts';
import { turn } from '../../platform/loop-turn.ts';

/** What one end says to the other. */
export type ChannelMessage =
  | { readonly kind: 'data'; readonly value: unknown }
  /** Instead of a value that can't be said any more: it counts as taken. */
  | { readonly kind: 'lost' }
  /** Instead of a value that this side could not read. */
  | { readonly kind: 'unreadable' }
  /** The value that would be taken next could not be read, and counts as taken. */
  | { readonly kind: 'rejected' }
  /** Nobody will read: no sender is to wait. */
  | { readonly kind: 'unthrottled' }
  | { readonly kind: 'taken'; readonly count: number };

/** Among what has come: a value that could not be read. */
const unreadable: unique symbol = Symbol('unreadable');

/** How many values may be on their way before a sender waits. */
const windowSize = 64;

interface ChannelOptions {
  /** Whether what was sent, and not taken, is to be said again to the next listener. */
  readonly resends?: boolean;
  /** Whether what comes counts as taken while nobody reads: it is kept for a later reader, and no sender waits. */
  readonly countsUnreadAsTaken?: boolean;
}

interface PendingSend {
  readonly resolve: (wasTaken: boolean) => void;
  readonly reject: (error: unknown) => void;
}

export class Channel {
  readonly #post: (word: ChannelMessage) => void;
  /** Nobody listens at the other end before it is opened. */
  #isOpen = false;
  #isEnded = false;
  #isWaitingOver = false;
  #isUnthrottled = false;

  /** How many were sent, and how many of these the other side has taken. */
  #sent = 0;
  #taken = 0;
  readonly #resendable: Map<number, unknown> | undefined;
  /** Who waits until there is room after the value that they sent, by its number. */
  readonly #senders = new Map<number, (wasTaken: boolean) => void>();
  /** Who waits until a value is taken, by its number. */
  #untilTaken: Map<number, PendingSend> | undefined;

  /** What has come, from `#first` on. */
  #received: unknown[] = [];
  #first = 0;
  readonly #receivers = new Set<(value: { readonly value: unknown } | undefined) => void>();
  #readers = 0;
  #countsUnreadAsTaken: boolean;
  /** How many of those that have come and were not read, from the first, count as taken. */
  #unreadTaken = 0;
  /** Taken, and not yet told. */
  #unreportedTaken = 0;

  constructor(
    say: (word: ChannelMessage) => void,
    { resends = false, countsUnreadAsTaken = false }: ChannelOptions = {},
  ) {
    this.#post = say;
    this.#resendable = resends ? new Map() : undefined;
    this.#countsUnreadAsTaken = countsUnreadAsTaken;
  }

  /** Somebody listens at the other end from now on, and has heard nothing. */
  open(): this {
    this.#isOpen = true;
    for (const value of this.#resendable?.values() ?? []) this.#resend(value);
    this.#reportTaken();
    return this;
  }

  /** It could be said when it was sent, and may have changed. */
  #resend(value: unknown): void {
    try {
      this.#post({ kind: 'data', value });
    } catch (problem) {
      this.#post({ kind: 'lost' });
      process.emitWarning(problem as Error);
    }
  }

  /** Nobody listens any more, but somebody else may, later: who does has not sent what has come until now. */
  close(): void {
    this.#isOpen = false;
    this.#unreadTaken = this.#unread;
    this.#unreportedTaken = 0;
  }

  /** Nothing will be sent or received any more; what has come can still be read. */
  end(): void {
    if (this.#isOpen) this.#reportTaken(); // it is not to be said to another listener
    this.#isEnded = true;
    this.#isOpen = false;
    this.#resendable?.clear();
    this.#release(false);
    for (const { resolve } of this.#untilTaken?.values() ?? []) resolve(false);
    this.#untilTaken?.clear();
    this.stopWaiting();
  }

  /** Senders are not held up any more. */
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

  /** Nobody waits any more: receivers get what has come, and then nothing; senders are not held up. */
  stopWaiting(): void {
    this.#isWaitingOver = true;
    this.#stopThrottling();
    for (const resolve of this.#receivers) resolve(undefined);
    this.#receivers.clear();
  }

  // Out.

  /**
   * Resolves as soon as one more may be sent: with false if the conversation ended before the value was taken, or before
   * there was room. Throws what saying throws; then nothing was sent.
   */
  send(value: unknown): Promise<boolean> {
    if (this.#isEnded) return Promise.resolve(false);
    this.#sent += 1; // first: it may be taken while it is said
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

  /** Sends, and resolves when the other side has taken the value; with false if the conversation ended before. */
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

  handle(word: ChannelMessage): void {
    if (this.#isEnded) return;
    if (word.kind === 'data') this.#onData(word.value);
    else if (word.kind === 'lost') this.#take();
    else if (word.kind === 'unreadable') this.#onUnreadable();
    else if (word.kind === 'rejected') this.#onRejected();
    else if (word.kind === 'unthrottled') this.#stopThrottling();
    else this.#onTaken(word.count);
  }

  #onTaken(count: number): void {
    for (let left = count; left > 0 && this.#taken < this.#sent; left -= 1) {
      this.#taken += 1;
      this.#resendable?.delete(this.#taken);
      this.#untilTaken?.get(this.#taken)?.resolve(true);
      this.#untilTaken?.delete(this.#taken);
      const next = this.#taken + windowSize - 1; // behind it there is room now
      this.#senders.get(next)?.(true);
      this.#senders.delete(next);
    }
  }

  /** The sender that waits for that hears of it; else nobody does but who reads the warnings of the process. */
  #onRejected(): void {
    const message =
      "a message can't be read where it was sent to: it is nested too deeply there, or holds what can't be copied; send flat, plain data";
    const error = new TaskwardenError('MESSAGE_NOT_CLONEABLE', message);
    const giver = this.#untilTaken?.get(this.#taken + 1);
    this.#untilTaken?.delete(this.#taken + 1);
    if (giver === undefined) process.emitWarning(error);
    else giver.reject(error);
    this.#onTaken(1);
  }

  // In.

  /** The sender is told when it is the turn of the value that could not be read. */
  #onUnreadable(): void {
    if (this.#unread > 0) this.#received.push(unreadable);
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
      this.#received.push(value);
      this.#settleUnread();
      return;
    }
    this.#receivers.delete(receiver);
    this.#take();
    receiver({ value });
  }

  #take(count = 1): void {
    this.#unreportedTaken += count;
    // Not each by itself; but a sender may wait for the last one.
    if (this.#isOpen && (this.#unreportedTaken >= windowSize / 4 || this.#unread === 0)) this.#reportTaken();
  }

  #reportTaken(): void {
    if (this.#unreportedTaken === 0) return;
    this.#post({ kind: 'taken', count: this.#unreportedTaken });
    this.#unreportedTaken = 0;
  }

  get #unread(): number {
    return this.#received.length - this.#first;
  }

  /** What has come first and was not read, if there is something. */
  read(): { readonly value: unknown } | undefined {
    if (this.#unread === 0) return undefined;
    const value = this.#received[this.#first];
    this.#received[this.#first] = undefined;
    this.#first += 1;
    // Not for each: that would copy all that is left each time.
    if (this.#first === this.#received.length || (this.#first >= 1_024 && this.#first > this.#unread)) {
      this.#received = this.#received.slice(this.#first);
      this.#first = 0;
    }
    if (value === unreadable) {
      this.#reject();
      return this.read();
    }
    if (this.#unreadTaken > 0) this.#unreadTaken -= 1;
    else this.#take();
    return { value };
  }

  /**
   * The next value; undefined if none comes within the time, or will come at all. Who reads one after the other of what
   * has come lets the event loop turn.
   */
  receive(timeoutMs?: number): Promise<{ readonly value: unknown } | undefined> {
    const value = this.read();
    if (value !== undefined) return turn()?.then(() => value) ?? Promise.resolve(value);
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

  /** From now on what nobody reads counts as taken, and so does what has come. */
  countUnreadAsTaken(): void {
    this.#countsUnreadAsTaken = true;
    this.#settleUnread();
  }

  #settleUnread(): void {
    if (!this.#countsUnreadAsTaken || this.#readers > 0 || this.#unread === this.#unreadTaken) return;
    const count = this.#unread - this.#unreadTaken;
    this.#unreadTaken = this.#unread;
    this.#take(count);
  }

  /** What comes, until the conversation ends. Each value goes to one reader. */
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
