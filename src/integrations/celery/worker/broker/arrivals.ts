/**
 * Waits until there may be messages in the lists, without taking any: a message that a blocking pop has taken is lost if its
 * reader dies before it has noted it. Redis tells of a change to the lists by its tracking of keys
 * (https://redis.io/docs/latest/develop/reference/client-side-caching/). Where it does not, they are looked at again from
 * time to time.
 */
import { courierKit } from '../../../../index.ts';
import { type Client, NotAnswered } from '../../../redis-client.ts';
import type { Subscriber } from './subscriber.ts';

const { onAbort, Timer } = courierKit;

/** The channel in which Redis tells of changes. */
const changes = '__redis__:invalidate';

/** How long a wait lasts at most, in milliseconds: for what was not told of. */
const longestWaitMs = 1_000;
/** The same where Redis can't tell of changes. */
const pollMs = 100;

export class Arrivals {
  readonly #client: Client;
  readonly #subscriber: Subscriber;
  /** The connection that is told of changes, or was refused that. */
  #armed: { readonly to: number; readonly isOn: boolean } | undefined;
  #wake: (() => void) | undefined;

  /** @param client Used for nothing else. */
  constructor(client: Client, subscriber: Subscriber) {
    this.#client = client;
    this.#subscriber = subscriber;
    subscriber.on(changes, () => this.#wake?.());
    client.redis.on('close', () => {
      this.#armed = undefined;
    });
  }

  /** Resolves when one of the lists may have messages, or the signal aborts. Rejects with what Redis refuses. */
  async wait(lists: readonly string[], signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      let timer = new Timer(longestWaitMs, () => end());
      const end = () => {
        timer.cancel();
        unlisten();
        this.#wake = undefined;
        resolve();
      };
      const unlisten = onAbort(signal, end);
      this.#wake = end;
      if (signal.aborted) end();
      this.#look(lists).then(
        ({ isAny, isTold }) => {
          if (isAny) end();
          else if (!isTold) {
            timer.cancel();
            timer = new Timer(pollMs, end);
          }
        },
        (error) => {
          end();
          reject(error);
        },
      );
    });
  }

  /** Whether there are messages now, and whether a change will be told of. */
  async #look(lists: readonly string[]): Promise<{ readonly isAny: boolean; readonly isTold: boolean }> {
    try {
      const isTold = await this.#arm();
      const isAny = (await this.#client.call((redis) => redis.exists(...lists))) > 0;
      return { isAny, isTold };
    } catch (error) {
      if (error instanceof NotAnswered) return { isAny: false, isTold: false };
      throw error;
    }
  }

  async #arm(): Promise<boolean> {
    const to = this.#subscriber.connectionId;
    if (to === undefined) return false;
    if (this.#armed?.to === to) return this.#armed.isOn;
    const isOn = await this.#client.call(async (redis) => {
      try {
        await redis.client('TRACKING', 'OFF');
        await redis.client('TRACKING', 'ON', 'REDIRECT', to);
        return true;
      } catch (error) {
        if (courierKit.fieldOf(error, 'name') !== 'ReplyError') throw error;
        return false;
      }
    });
    this.#armed = { to, isOn };
    return isOn;
  }

  close(): void {
    this.#client.close();
  }
}
