/**
 * Reads the stream of events of a queue on a connection of its own, for all who listen. It goes on where it was when the
 * server comes back; what the server has dropped meanwhile is lost, so whoever listens is told to look again.
 */
import type { IQueueBackend } from 'bullmq';
import { pauseAfter } from '../server/pause.ts';
import type { Server } from '../server/server.ts';
import { eventsIn, LateEvents } from './event-order.ts';

/** The fields of an event; all are texts. */
export interface QueueEvent {
  readonly event: string;
  readonly jobId?: string;
  readonly [field: string]: string | undefined;
}

/** How long a read waits for an event, in milliseconds. */
const readMs = 5_000;
/** The same on PostgreSQL, where BullMQ leaves out the signal for some that come side by side. */
const shortReadMs = 500;

/** The event by which a reader finds its place; it means nothing to others. */
const startEvent = 'taskwarden:reader';

export interface EventListener {
  /** Whoever can write to the server can write its fields. */
  hear(event: QueueEvent): void;
  /** Events may have been missed. */
  lookAgain(): void;
}

export class EventReader {
  readonly #queue: string;
  readonly #listener: EventListener;
  readonly #end = new AbortController();
  #ready: Promise<void> | undefined;
  #isListening = false;

  constructor(queue: string, listener: EventListener) {
    this.#queue = queue;
    this.#listener = listener;
  }

  /** All that happens from now on is heard, or told to be looked for. */
  get isListening(): boolean {
    return this.#isListening;
  }

  /** Resolves when all that happens from now on is heard. Rejects if the server can't be reached; then it can be asked again. */
  start(server: Server): Promise<void> {
    this.#ready ??= this.#start(server).catch((error) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #start(server: Server): Promise<void> {
    const from = await server.backend(this.#queue).publishEvent({ event: startEvent }, mostEvents);
    const backend = await server.reading(this.#queue);
    // On PostgreSQL the first read begins to listen after it has looked: what comes in between would be heard late.
    await backend.readEvents(from, 1).catch(() => {});
    this.#isListening = true;
    const late = server.ordersEvents ? undefined : new LateEvents(backend, from, (fields) => this.#hear(fields));
    if (late !== undefined) this.#end.signal.addEventListener('abort', () => late.close());
    void this.#read(backend, from, late);
  }

  async #read(backend: IQueueBackend, from: string, late: LateEvents | undefined): Promise<void> {
    let place = from;
    let failures = 0;
    const { signal } = this.#end;
    while (!signal.aborted) {
      try {
        const events = eventsIn(await backend.readEvents(place, late === undefined ? readMs : shortReadMs));
        if (failures > 0) this.#listener.lookAgain();
        failures = 0;
        place = events.at(-1)?.[0] ?? place;
        late?.note(events.map(([id]) => id));
        for (const [, fields] of events) this.#hear(fields);
      } catch {
        failures += 1;
        await pauseAfter(failures, signal);
      }
    }
  }

  /** Anybody can write events: one that can't be read is left out, and those after it are heard. */
  #hear(fields: readonly string[]): void {
    if (this.#end.signal.aborted) return;
    try {
      this.#listener.hear(eventOf(fields));
    } catch (problem) {
      console.error('BullMQTaskCourier: an event could not be heard:', problem);
    }
  }

  /** Its connection ends with that of the server. */
  close(): void {
    this.#end.abort();
  }
}

/** So many events are kept for readers that are slow; BullMQ's own default is 10,000. */
export const mostEvents = 50_000;

function eventOf(fields: readonly string[]): QueueEvent {
  const event: Record<string, string> = {};
  for (let n = 0; n < fields.length; n += 2) event[fields[n] as string] = fields[n + 1] as string;
  return event as unknown as QueueEvent;
}
