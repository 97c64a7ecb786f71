/**
 * Reads the stream of events of a queue on a connection of its own, for all who listen. It goes on where it was when the
 * server comes back; what the server has dropped meanwhile is lost, so whoever listens is told to look again.
 */
import type { IQueueBackend } from 'bullmq';
import { pauseAfter } from '../server/pause.ts';
import type { Server } from '../server/server.ts';
import { EventOrder, eventsIn } from './event-order.ts';

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
  onEvent(event: QueueEvent): void;
  /** Events may have been missed. */
  onGap(): void;
}

export class EventReader {
  readonly #queue: string;
  readonly #listener: EventListener;
  readonly #closing = new AbortController();
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
    const from = await server.backend(this.#queue).publishEvent({ event: startEvent }, maxEvents);
    const backend = await server.reading(this.#queue);
    // On PostgreSQL the first read begins to listen after it has looked: what comes in between would be heard late.
    await backend.readEvents(from, 1).catch(() => {});
    this.#isListening = true;
    const order = server.ordersEvents ? undefined : new EventOrder(backend, from, (fields) => this.#deliver(fields));
    if (order !== undefined) this.#closing.signal.addEventListener('abort', () => order.close());
    void this.#read(backend, from, order);
  }

  async #read(backend: IQueueBackend, from: string, order: EventOrder | undefined): Promise<void> {
    let place = from;
    let failures = 0;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        const events = eventsIn(await backend.readEvents(place, order === undefined ? readMs : shortReadMs));
        if (failures > 0) this.#listener.onGap();
        failures = 0;
        place = events.at(-1)?.[0] ?? place;
        order?.add(events.map(([id]) => id));
        for (const [, fields] of events) this.#deliver(fields);
      } catch {
        failures += 1;
        await pauseAfter(failures, signal);
      }
    }
  }

  /** Anybody can write events: one that can't be read is left out, and those after it are heard. */
  #deliver(fields: readonly string[]): void {
    if (this.#closing.signal.aborted) return;
    try {
      this.#listener.onEvent(eventOf(fields));
    } catch (problem) {
      console.error('BullMQTaskCourier: an event could not be heard:', problem);
    }
  }

  /** Its connection ends with that of the server. */
  close(): void {
    this.#closing.abort();
  }
}

/** So many events are kept for readers that are slow; BullMQ's own default is 10,000. */
export const maxEvents = 50_000;

function eventOf(fields: readonly string[]): QueueEvent {
  const event: Record<string, string> = {};
  for (let n = 0; n < fields.length; n += 2) event[fields[n] as string] = fields[n + 1] as string;
  return event as unknown as QueueEvent;
}
