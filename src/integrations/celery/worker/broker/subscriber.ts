/** The channels that a worker listens to. After the connection was lost, it listens again; what was published meanwhile is missed. */
import { courierKit } from '../../../../index.ts';
import type { Client } from '../../../redis-client.ts';

const { callSafely, Timer } = courierKit;

/** Nothing may be published for long: so a dead connection is noticed. */
const pingMs = 5_000;

export class Subscriber {
  readonly #client: Client;
  readonly #onProblem: (problem: unknown) => void;
  readonly #listeners = new Map<string, (text: string) => unknown>();
  #ping: InstanceType<typeof Timer> | undefined;
  /** Of the connection, as Redis counts them; undefined while it does not listen. */
  connectionId: number | undefined;

  /** @param onProblem Gets what listeners throw, and what Redis refuses for good. */
  constructor(client: Client, onProblem: (problem: unknown) => void) {
    this.#client = client;
    this.#onProblem = onProblem;
    client.redis.on('message', (channel: string, text: string) => {
      const listener = this.#listeners.get(channel);
      if (listener !== undefined) callSafely(listener, text, onProblem);
    });
  }

  /** To be called before `start()`. There is one listener for a channel. */
  on(channel: string, listener: (text: string) => unknown): void {
    this.#listeners.set(channel, listener);
  }

  /** Resolves when it listens. Rejects with what Redis refuses. */
  async start(): Promise<void> {
    await this.#subscribe();
    this.#client.admit();
    this.#pingLater();
    void this.#keepUp();
  }

  async #subscribe(): Promise<void> {
    const channels = [...this.#listeners.keys()];
    this.connectionId = await this.#client.insist(async (redis) => {
      const id = await redis.client('ID');
      await redis.subscribe(...channels);
      return id;
    });
  }

  async #keepUp(): Promise<void> {
    try {
      for (;;) {
        await this.#client.lost();
        this.connectionId = undefined;
        await this.#subscribe();
      }
    } catch (error) {
      this.#onProblem(error);
    }
  }

  #pingLater(): void {
    this.#ping = new Timer(pingMs, () => {
      void this.#client.call((redis) => redis.ping()).catch(() => {});
      this.#pingLater();
    });
  }

  close(): void {
    this.#ping?.cancel();
    this.#listeners.clear();
    this.#client.close();
  }
}
