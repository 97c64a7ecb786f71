/**
 * Finds events that become visible only after later ones: on PostgreSQL an event gets its number before its transaction ends,
 * and parallel transactions end in any order. Reads each part again a little later, and delivers what is new then.
 */
import type { IQueueBackend } from 'bullmq';
import { courierKit } from '../../../index.ts';

const { Timer } = courierKit;

/** How long a transaction takes at most, unless the server is very busy, in milliseconds. */
const lateMs = 200;

type EventFieldsListener = (fields: readonly string[]) => void;

export class EventOrder {
  readonly #backend: IQueueBackend;
  readonly #listener: EventFieldsListener;
  /** The numbers of delivered events after `#completeUpTo`. */
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

  /** @param ids Numbers of delivered events, in order. */
  add(ids: readonly string[]): void {
    for (const id of ids) this.#seen.add(id);
    this.#last = ids.at(-1) ?? this.#last;
    if (ids.length > 0) this.#readLater(this.#last);
  }

  #readLater(upTo: string): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#timer = new Timer(lateMs, () => {
      void this.#readAgain(upTo)
        .catch(() => {}) // the next time reads it, too
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

/** The number and fields of each event of a read. */
export function eventsIn(
  streams: Awaited<ReturnType<IQueueBackend['readEvents']>>,
): readonly (readonly [string, readonly string[]])[] {
  return (streams?.[0]?.[1] ?? []) as readonly (readonly [string, readonly string[]])[];
}

function isAfter(id: string, other: string): boolean {
  return Number(id) > Number(other);
}
