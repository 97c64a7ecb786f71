/**
 * Events that can be seen only after later ones: on PostgreSQL each gets its number before its transaction ends, and those
 * that end side by side do so in any order. What was read is read once more a little later, and what is new then is heard.
 */
import type { IQueueBackend } from 'bullmq';
import { courierKit } from '../../../index.ts';

const { Timer } = courierKit;

/** How long a transaction of one call takes at most, but for a server that is very busy, in milliseconds. */
const lateMs = 200;

type Hear = (fields: readonly string[]) => void;

export class LateEvents {
  readonly #backend: IQueueBackend;
  readonly #hear: Hear;
  /** The numbers of those that were heard, after the place up to which all are. */
  readonly #heard = new Set<string>();
  #allUpTo: string;
  #last: string;
  #timer: courierKit.Timer | undefined;
  #isClosed = false;

  constructor(backend: IQueueBackend, from: string, hear: Hear) {
    this.#backend = backend;
    this.#allUpTo = from;
    this.#last = from;
    this.#hear = hear;
  }

  /** @param ids Of events that were heard, in order. */
  note(ids: readonly string[]): void {
    for (const id of ids) this.#heard.add(id);
    this.#last = ids.at(-1) ?? this.#last;
    if (ids.length > 0) this.#readLater(this.#last);
  }

  #readLater(upTo: string): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = new Timer(lateMs, () => {
      void this.#readAgain(upTo)
        .catch(() => {}) // it is read with the next ones then
        .then(() => {
          this.#timer = undefined;
          if (isAfter(this.#last, this.#allUpTo)) this.#readLater(this.#last);
        });
    });
  }

  async #readAgain(upTo: string): Promise<void> {
    for (let place = this.#allUpTo; isAfter(upTo, place) && !this.#isClosed; ) {
      const events = eventsIn(await this.#backend.readEvents(place, 1));
      for (const [id, fields] of events) {
        place = id;
        if (this.#heard.has(id) || this.#isClosed || isAfter(id, upTo)) continue;
        this.#heard.add(id);
        this.#hear(fields);
      }
      if (events.length === 0) break; // the server has dropped them
    }
    this.#allUpTo = upTo;
    for (const id of this.#heard) if (!isAfter(id, upTo)) this.#heard.delete(id);
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
  }
}

/** The number and fields of each event that a read gave. */
export function eventsIn(
  streams: Awaited<ReturnType<IQueueBackend['readEvents']>>,
): readonly (readonly [string, readonly string[]])[] {
  return (streams?.[0]?.[1] ?? []) as readonly (readonly [string, readonly string[]])[];
}

function isAfter(id: string, other: string): boolean {
  return Number(id) > Number(other);
}
