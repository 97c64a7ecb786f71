/**
 * Waits for what the result backend stores of tasks. Each record is published under the task's key as it is stored; after
 * a connection was lost, the records that may have been missed are read.
 */
import { courierKit } from '../../../index.ts';
import type { Client } from '../../redis-client.ts';
import { BadMessage } from '../protocol/envelope.ts';
import type { Names } from '../protocol/names.ts';
import { type ResultRecord, readResult } from '../protocol/result.ts';

const { Timer } = courierKit;

/** Nothing may be published for long: so a dead connection is noticed. */
const pingMs = 5_000;

export interface ResultListener {
  /** The same record may come twice. */
  onRecord(record: ResultRecord): void;
  /** What came is no record; or the backend refuses, for good, to say more. */
  onProblem(error: unknown): void;
}

export class ResultWaits {
  readonly #subscriber: Client;
  readonly #backend: Client;
  readonly #names: Names;
  /** By channel. */
  readonly #listeners = new Map<string, Set<ResultListener>>();
  #isKeptUp = false;
  #isClosed = false;
  #ping: InstanceType<typeof Timer> | undefined;

  constructor(subscriber: Client, backend: Client, names: Names) {
    this.#subscriber = subscriber;
    this.#backend = backend;
    this.#names = names;
    subscriber.redis.on('message', (channel: string, text: string) => this.#pass(channel, text));
  }

  /**
   * Resolves when no record can be missed any more, with a function that ends the wait. What was stored before is not told.
   * @throws NotAnswered if the backend can't be reached now.
   */
  async listen(taskId: string, listener: ResultListener): Promise<() => void> {
    const channel = this.#names.result(taskId);
    const others = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, others.add(listener));
    const leave = () => {
      others.delete(listener);
      if (others.size > 0 || this.#listeners.get(channel) !== others) return;
      this.#listeners.delete(channel);
      if (!this.#isClosed) void this.#subscriber.call((redis) => redis.unsubscribe(channel)).catch(() => {});
    };
    try {
      await this.#subscriber.attempt((redis) => redis.subscribe(channel));
    } catch (error) {
      leave();
      throw error;
    }
    this.#subscriber.admit();
    void this.#keepUp();
    return leave;
  }

  /** Subscribes again whenever the connection was lost. */
  async #keepUp(): Promise<void> {
    if (this.#isKeptUp) return;
    this.#isKeptUp = true;
    this.#pingLater();
    try {
      for (;;) {
        await this.#subscriber.lost();
        await this.#subscribeAgain();
      }
    } catch (error) {
      for (const listeners of this.#listeners.values()) for (const each of listeners) each.onProblem(error);
    }
  }

  async #subscribeAgain(): Promise<void> {
    const channels = [...this.#listeners.keys()];
    if (channels.length === 0) return this.#subscriber.ready();
    await this.#subscriber.insist((redis) => redis.subscribe(...channels));
    const texts = await this.#backend.insist((redis) => redis.mget(channels));
    texts.forEach((text, i) => {
      if (text !== null) this.#pass(channels[i] as string, text);
    });
  }

  #pass(channel: string, text: string): void {
    for (const listener of this.#listeners.get(channel) ?? []) {
      try {
        listener.onRecord(readResult(text));
      } catch (error) {
        if (!(error instanceof BadMessage)) throw error;
        listener.onProblem(error);
      }
    }
  }

  #pingLater(): void {
    this.#ping = new Timer(pingMs, () => {
      void this.#subscriber.call((redis) => redis.ping()).catch(() => {});
      this.#pingLater();
    });
  }

  close(): void {
    this.#isClosed = true;
    this.#ping?.cancel();
    this.#subscriber.close();
  }
}
