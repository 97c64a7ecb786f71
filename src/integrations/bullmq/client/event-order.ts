/**
 * Events that can be seen only after later ones: on PostgreSQL each gets its number before its transaction ends, and those
 * that end side by side do so in any order. What was read is read once more a little later, and what is new then is heard.
 */
import type { IQueueBackend } from 'bullmq';
import { courierKit } from '../../../index.ts';

const { Timer } = courierKit;

/** How long a transaction of one call takes at most, but for a server that is very busy, in milliseconds. */
const lateMs = 200;

type EventFieldsListener = (fields: readonly string[]) => void;

export class EventOrder {
  readonly #backend: IQueueBackend;
  readonly #listener: EventFieldsListener;
  /** The numbers of those that were heard, after the place up to which all are. */
  readonly #seen = new Set<string>();
  #completeUpTo: string;
  #last: string;
  #timer: courierKit.Timer | undefined;
  #isClosed = false;

  constructor(backend: IQueueBackend, from: string, listener: EventFieldsListener) {
    this.#backend = backend;
    this.#completeUpTo = from;
    this.#last = from;
    this.#listener = listener;
  }

  /** @param ids Of events that were heard, in order. */
  add(ids: readonly string[]): void {
    for (const id of ids) this.#seen.add(id);
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
          if (isAfter(this.#last, this.#completeUpTo)) this.#readLater(this.#last);
        });
    });
  }

  async #readAgain(upTo: string): Promise<void> {
    for (let place = this.#completeUpTo; isAfter(upTo, place) && !this.#isClosed; ) {
      const events = eventsIn(await this.#backend.readEvents(place, 1));
      for (const [id, fields] of events) {
        place = id;
        if (this.#seen.has(id) || this.#isClosed || isAfter(id, upTo)) continue;
        this.#seen.add(id);
        this.#listener(fields);
      }
      if (events.length === 0) break; // the server has dropped them
    }
    this.#completeUpTo = upTo;
    for (const id of this.#seen) if (!isAfter(id, upTo)) this.#seen.delete(id);
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
