/**
 * What clients say to the workers that have their tasks. It is kept as log lines of the job, which go with it and which
 * BullMQ's tools show; a stream of its own, one for all queues, tells workers that there is something to read.
 */
import type { IQueueBackend } from 'bullmq';
import { courierKit, type TaskCommand } from '../../../index.ts';
import { thrownJson, thrownOf } from '../job/job-format.ts';
import { parseJson } from '../job/json.ts';
import type { Claims, Server } from '../server/server.ts';
import { type EventListener, EventReader, mostEvents, type QueueEvent } from './event-reader.ts';

const { callSafely, fieldOf, Timer } = courierKit;

/** How often orders are looked for, in milliseconds. */
const lookMs = 10_000;

/** The queue whose stream it is; it has no jobs. */
const stream = 'taskwarden-orders';

/** What begins a log line that is an order, and no line of a plain worker. */
const mark = 'taskwarden: ';

const orderEvent = 'taskwarden:order';
const cancelEvent = 'taskwarden:cancel';

/** One queue's side of the server. */
export interface QueueSide {
  readonly name: string;
  readonly backend: IQueueBackend;
  readonly claims: Claims;
}

type Hear = (order: TaskCommand) => void;

/** How long tasks are gathered whose orders from before are asked for, in milliseconds. */
const gatherMs = 20;

export class Orders implements EventListener {
  readonly #reader = new EventReader(stream, this);
  /** Who heeds a task, by its queue and id. */
  readonly #heeds = new Map<string, Set<Heed>>();
  /** By queue, those whose orders from before are to be asked for together. */
  readonly #fresh = new Map<string, Heed[]>();
  #timer: courierKit.Timer | undefined;

  /** @param order Survives JSON. */
  async tell(server: Server, { name, backend }: QueueSide, id: string, order: TaskCommand): Promise<void> {
    await backend.addLog(id, `${mark}${JSON.stringify(order)}`);
    await server.backend(stream).publishEvent({ event: orderEvent, queue: name, jobId: id }, mostEvents);
  }

  async tellCanceled(server: Server, queue: string, id: string, reason: unknown): Promise<void> {
    const thrown = JSON.stringify(thrownJson(reason));
    await server.backend(stream).publishEvent({ event: cancelEvent, queue, jobId: id, reason: thrown }, mostEvents);
  }

  /** Hears all orders, from the first on. */
  async heed(server: Server, side: QueueSide, id: string, hear: Hear): Promise<() => void> {
    const heed = new Heed(side, id, hear);
    const key = keyOf(side.name, id);
    const heeds = this.#heeds.get(key) ?? new Set();
    this.#heeds.set(key, heeds.add(heed));
    this.#lookLater();
    const leave = () => {
      heed.end();
      heeds.delete(heed);
      if (heeds.size === 0 && this.#heeds.get(key) === heeds) this.#heeds.delete(key);
    };
    try {
      await this.#reader.start(server);
      this.#askLater(heed);
      return leave;
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** Events can be lost, so all orders are looked for now and then. */
  #lookLater(): void {
    this.#timer ??= new Timer(lookMs, () => {
      this.#timer = undefined;
      if (this.#heeds.size === 0) return;
      for (const heeds of this.#heeds.values()) for (const heed of heeds) this.#askLater(heed);
      this.#lookLater();
    });
  }

  /** Most tasks have none, and many end soon: of those that have not, it is asked in one call. */
  #askLater(heed: Heed): void {
    const { name, claims } = heed.side;
    const fresh = this.#fresh.get(name);
    if (fresh !== undefined) {
      fresh.push(heed);
      return;
    }
    const together = [heed];
    this.#fresh.set(name, together);
    new Timer(gatherMs, () => void this.#ask(name, claims, together));
  }

  async #ask(name: string, claims: Claims, together: readonly Heed[]): Promise<void> {
    this.#fresh.delete(name);
    const left = together.filter(({ isOver }) => !isOver);
    if (left.length === 0) return;
    try {
      const ids = new Set(await claims.withLogs(left.map(({ id }) => id)));
      for (const each of left) if (ids.has(each.id)) each.readOn();
    } catch {
      for (const each of left) each.readOn();
    }
  }

  hear({ event, queue = '', jobId = '', reason }: QueueEvent): void {
    const heeds = this.#heeds.get(keyOf(queue, jobId));
    if (heeds === undefined) return;
    for (const heed of [...heeds]) {
      if (event === orderEvent) heed.readOn();
      else if (event === cancelEvent) heed.cancel(thrownOf(parseJson(reason))?.thrown);
    }
  }

  lookAgain(): void {
    for (const heeds of this.#heeds.values()) for (const heed of heeds) heed.readOn();
  }

  close(): void {
    this.#heeds.clear();
    this.#timer?.cancel();
    this.#reader.close();
  }
}

/** Somebody who hears what is said to one task. */
class Heed {
  readonly side: QueueSide;
  readonly id: string;
  readonly #hear: Hear;
  #next = 0;
  #reading: Promise<void> = Promise.resolve();
  isOver = false;

  constructor(side: QueueSide, id: string, hear: Hear) {
    this.side = side;
    this.id = id;
    this.#hear = hear;
  }

  /** Reads the lines that it has not read. What fails is read with the next ones. */
  readOn(): void {
    this.#reading = this.#reading.then(() => this.#read()).catch(() => {});
  }

  async #read(): Promise<void> {
    if (this.isOver) return;
    const { logs } = await this.side.backend.getJobLogs(this.id, this.#next, -1, true);
    this.#next += logs.length;
    for (const line of logs) {
      const order = line.startsWith(mark) ? orderOf(parseJson(line.slice(mark.length))) : undefined;
      if (order !== undefined) this.#say(order);
    }
  }

  cancel(reason: unknown): void {
    this.#say({ kind: 'cancel', reason });
  }

  #say(order: TaskCommand): void {
    if (this.isOver) return;
    callSafely(this.#hear, order, (problem) => console.error('BullMQTaskCourier: a listener failed:', problem));
  }

  end(): void {
    this.isOver = true;
  }
}

/** What a client said; undefined if it was somebody else. */
function orderOf(value: unknown): TaskCommand | undefined {
  switch (fieldOf(value, 'kind')) {
    case 'stop':
      return { kind: 'stop' };
    case 'message':
      return { kind: 'message', data: fieldOf(value, 'data') };
    default:
      return undefined;
  }
}

function keyOf(queue: string, id: string): string {
  return `${queue}\n${id}`;
}
