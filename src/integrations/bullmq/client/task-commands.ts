/**
 * The commands of clients to the workers of their tasks. They are kept as log lines of the job, which are removed with it and
 * which BullMQ's tools show. An event in a stream of its own, one for all queues, tells workers that there is something to read.
 */
import type { IQueueBackend } from 'bullmq';
import { courierKit, type TaskCommand } from '../../../index.ts';
import { thrownJson, thrownOf } from '../job/job-format.ts';
import { parseJson } from '../job/json.ts';
import { type Claims, maxEvents, type Server } from '../server/server.ts';
import { type BullEvent, type EventListener, EventReader } from './event-reader.ts';

const { callSafely, fieldOf, Timer } = courierKit;

/** How often all subscriptions read their commands, in milliseconds: events can be lost. */
const pollMs = 10_000;

/** The queue with the stream; it has no jobs. */
const stream = 'taskwarden-commands';

/** The start of a log line that is a command; plain BullMQ workers write other lines. */
const mark = 'taskwarden: ';

const commandEvent = 'taskwarden:command';
const cancelEvent = 'taskwarden:cancel';

/** What subscriptions need of a queue. */
export interface QueueSide {
  readonly name: string;
  readonly backend: IQueueBackend;
  readonly claims: Claims;
}

type CommandListener = (command: TaskCommand) => void;

/** How long subscriptions are collected before one call asks which of them have earlier commands. In milliseconds. */
const batchMs = 20;

export class TaskCommands implements EventListener {
  readonly #reader = new EventReader(stream, this);
  /** By queue and id. */
  readonly #subscriptions = new Map<string, Set<CommandSubscription>>();
  /** By queue: new subscriptions, whose earlier commands are asked for in one call. */
  readonly #batches = new Map<string, CommandSubscription[]>();
  #timer: courierKit.Timer | undefined;

  /** @param command Has to survive JSON. */
  async send(server: Server, { name, backend }: QueueSide, id: string, command: TaskCommand): Promise<void> {
    await backend.addLog(id, `${mark}${JSON.stringify(command)}`);
    await server.backend(stream).publishEvent({ event: commandEvent, queue: name, jobId: id }, maxEvents);
  }

  async sendCancel(server: Server, queue: string, id: string, reason: unknown): Promise<void> {
    const thrown = JSON.stringify(thrownJson(reason));
    await server.backend(stream).publishEvent({ event: cancelEvent, queue, jobId: id, reason: thrown }, maxEvents);
  }

  /** Whether all commands from now on are delivered to their subscriptions. */
  get isListening(): boolean {
    return this.#reader.isListening;
  }

  /** Resolves when it is listening. Rejects if the server can't be reached, and can be called again then. */
  listen(server: Server): Promise<void> {
    return this.#reader.start(server);
  }

  /** Delivers all commands of the task, from the first on. To be called when it is listening. */
  subscribe(side: QueueSide, id: string, listener: CommandListener): () => void {
    const subscription = new CommandSubscription(side, id, listener);
    const key = keyOf(side.name, id);
    const subscriptions = this.#subscriptions.get(key) ?? new Set();
    this.#subscriptions.set(key, subscriptions.add(subscription));
    this.#pollLater();
    this.#readInBatch(subscription);
    return () => {
      subscription.end();
      subscriptions.delete(subscription);
      if (subscriptions.size === 0 && this.#subscriptions.get(key) === subscriptions) this.#subscriptions.delete(key);
    };
  }

  #pollLater(): void {
    this.#timer ??= new Timer(pollMs, () => {
      this.#timer = undefined;
      if (this.#subscriptions.size === 0) return;
      for (const subscriptions of this.#subscriptions.values())
        for (const subscription of subscriptions) this.#readInBatch(subscription);
      this.#pollLater();
    });
  }

  /** Most tasks have no commands, and many end soon; for the others one call asks. */
  #readInBatch(subscription: CommandSubscription): void {
    const { name, claims } = subscription.side;
    const open = this.#batches.get(name);
    if (open !== undefined) {
      open.push(subscription);
      return;
    }
    const batch = [subscription];
    this.#batches.set(name, batch);
    new Timer(batchMs, () => void this.#readBatch(name, claims, batch));
  }

  async #readBatch(name: string, claims: Claims, batch: readonly CommandSubscription[]): Promise<void> {
    this.#batches.delete(name);
    const left = batch.filter(({ isOver }) => !isOver);
    if (left.length === 0) return;
    try {
      const ids = new Set(await claims.withLogs(left.map(({ id }) => id)));
      for (const each of left) if (ids.has(each.id)) each.readMore();
    } catch {
      for (const each of left) each.readMore();
    }
  }

  onEvent({ event, queue = '', jobId = '', reason }: BullEvent): void {
    const subscriptions = this.#subscriptions.get(keyOf(queue, jobId));
    if (subscriptions === undefined) return;
    for (const subscription of [...subscriptions]) {
      if (event === commandEvent) subscription.readMore();
      else if (event === cancelEvent) subscription.cancel(thrownOf(parseJson(reason))?.thrown);
    }
  }

  onGap(): void {
    for (const subscriptions of this.#subscriptions.values())
      for (const subscription of subscriptions) subscription.readMore();
  }

  close(): void {
    this.#subscriptions.clear();
    this.#timer?.cancel();
    this.#reader.close();
  }
}

/** A listener for the commands to one task. */
class CommandSubscription {
  readonly side: QueueSide;
  readonly id: string;
  readonly #listener: CommandListener;
  #next = 0;
  #reading: Promise<void> | undefined;
  isOver = false;

  constructor(side: QueueSide, id: string, listener: CommandListener) {
    this.side = side;
    this.id = id;
    this.#listener = listener;
  }

  /** Reads the new lines. If that fails, they are read the next time. */
  readMore(): void {
    const before = this.#reading ?? Promise.resolve();
    this.#reading = before.then(() => this.#read()).catch(() => {});
  }

  async #read(): Promise<void> {
    if (this.isOver) return;
    const { logs } = await this.side.backend.getJobLogs(this.id, this.#next, -1, true);
    this.#next += logs.length;
    for (const line of logs) {
      const command = line.startsWith(mark) ? commandOf(parseJson(line.slice(mark.length))) : undefined;
      if (command !== undefined) this.#deliver(command);
    }
  }

  cancel(reason: unknown): void {
    this.#deliver({ kind: 'cancel', reason });
  }

  #deliver(command: TaskCommand): void {
    if (this.isOver) return;
    callSafely(this.#listener, command, (problem) => console.error('BullMQTaskCourier: a listener failed:', problem));
  }

  end(): void {
    this.isOver = true;
  }
}

/** The command of a client; undefined for anything else. */
function commandOf(value: unknown): TaskCommand | undefined {
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
