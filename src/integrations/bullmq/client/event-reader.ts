/**
 * Reads the stream of events of a queue on a connection of its own. After an outage it continues where it was; events that the
 * server has dropped meanwhile are lost, so it calls `onGap()`.
 */
import type { IQueueBackend } from 'bullmq';
import { pauseAfter } from '../server/pause.ts';
import { maxEvents, type Server } from '../server/server.ts';
import { EventOrder, eventsIn } from './event-order.ts';

/** The fields of an event; all are strings. */
export interface BullEvent {
  readonly event: string;
  readonly jobId?: string;
  readonly [field: string]: string | undefined;
}

/** How long a read waits for an event, in milliseconds. */
const readMs = 5_000;
/** The same on PostgreSQL, where BullMQ sends no signal for some parallel events. */
const shortReadMs = 500;

/** So many events PostgreSQL gives at a time; Redis gives all. */
const pageLength = 100;

/** A reader publishes this event to find its place in the stream; others ignore it. */
const startEvent = 'taskwarden:reader';

export interface EventListener {
  /** Its fields are not checked: any client of the server can write events. */
  /** @param time When it happened, in epoch milliseconds. */
  onEvent(event: BullEvent, time: number): void;
  /** Called when events may have been missed. */
  onGap(): void;
}

export class EventReader {
  readonly #queue: string;
  readonly #listener: EventListener;
  readonly #closing = new AbortController();
  #ready: Promise<void> | undefined;
  #isListening = false;
  /** The number of the last event that was delivered. */
  #place = '';

  constructor(queue: string, listener: EventListener) {
    this.#queue = queue;
    this.#listener = listener;
  }

  /** Whether all events from now on are delivered, or followed by `onGap()`. */
  get isListening(): boolean {
    return this.#isListening;
  }

  /** Resolves when all events from now on are delivered. Rejects if the server can't be reached, and can be called again then. */
  start(server: Server): Promise<void> {
    this.#ready ??= this.#start(server).catch((error) => {
      this.#ready = undefined;
      throw error;
    });
    return this.#ready;
  }

  async #start(server: Server): Promise<void> {
    const from = await server.backend(this.#queue).publishEvent({ event: startEvent }, maxEvents);
    const backend = await server.reading(this.#queue, () => {
      if (!this.#closing.signal.aborted) this.#listener.onGap();
    });
    // On PostgreSQL the first read looks before it listens: an event in between would come late.
    await backend.readEvents(from, 1).catch(() => {});
    this.#isListening = true;
    const order = server.ordersEvents
      ? undefined
      : new EventOrder(backend, from, (fields) => this.#deliver(fields, Date.now()));
    if (order !== undefined) this.#closing.signal.addEventListener('abort', () => order.close());
    this.#place = from;
    void this.#read(backend, order);
  }

  async #read(backend: IQueueBackend, order: EventOrder | undefined): Promise<void> {
    let failures = 0;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        const events = eventsIn(await backend.readEvents(this.#place, order === undefined ? readMs : shortReadMs));
        if (failures > 0) this.#listener.onGap();
        failures = 0;
        this.#place = events.at(-1)?.[0] ?? this.#place;
        order?.add(events.map(([id]) => id));
        for (const [id, fields] of events) this.#deliver(fields, timeOf(id));
      } catch {
        failures += 1;
        await pauseAfter(failures, signal);
      }
    }
  }

  /** Whether the server has an event that is wanted, and that is still to be delivered. */
  async isComing(server: Server, isWanted: (event: BullEvent) => boolean): Promise<boolean> {
    if (!this.#isListening) return false;
    for (let place: string | undefined = this.#place; place !== undefined; ) {
      const events = eventsIn(await server.eventsAfter(this.#queue, place));
      if (events.some(([, fields]) => isWanted(eventOf(fields)))) return true;
      place = events.length < pageLength ? undefined : events.at(-1)?.[0]; // what comes meanwhile is not waited for
    }
    return false;
  }

  /** Any client can write events: one that can't be read is skipped. */
  #deliver(fields: readonly string[], time: number): void {
    if (this.#closing.signal.aborted) return;
    try {
      this.#listener.onEvent(eventOf(fields), time);
    } catch (problem) {
      console.error('BullMQTaskCourier: an event could not be read:', problem);
    }
  }

  /** Its connection is closed with the server. */
  close(): void {
    this.#closing.abort();
  }
}

/** On Redis the number of an event is its time and a counter. */
function timeOf(id: string): number {
  const [time, counter] = id.split('-');
  return counter === undefined ? Date.now() : Number(time);
}

function eventOf(fields: readonly string[]): BullEvent {
  const event: Record<string, string> = {};
  for (let n = 0; n < fields.length; n += 2) event[fields[n] as string] = fields[n + 1] as string;
  return event as unknown as BullEvent;
}
