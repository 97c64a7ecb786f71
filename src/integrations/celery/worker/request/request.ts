/**
 * One message that a worker has taken: what it asks for, how far it is, and what has been decided on it meanwhile.
 *
 *   received ──▶ reserved ──▶ active ──▶ ended
 *       └──▶ scheduled ──▲                  ▲        scheduled: until its ETA; reserved: until a slot or a rate allows it
 *            └───────────┴──────────────────┘        revoked, given back or lost
 */
import type { TaskHandle } from '../../../../index.ts';
import { pythonArgs, pythonText } from '../../protocol/json.ts';
import type { TaskMessage } from '../../protocol/message.ts';
import type { Delivery } from '../broker/delivery.ts';

/** How many messages are kept for a task that has not begun. */
const mostEarly = 1_000;

export type RequestState = 'received' | 'scheduled' | 'reserved' | 'active' | 'ended';

/** What was decided on a request while it waited or ran. */
export type Decision =
  | { readonly kind: 'revoked'; readonly reason: 'revoked' | 'expired' | 'terminated' }
  /** Another worker has its message. */
  | { readonly kind: 'lost' }
  /** The worker stops: the message goes back to its queue. */
  | { readonly kind: 'released' };

export class Request {
  readonly message: TaskMessage;
  readonly delivery: Delivery;
  readonly workerName: string;
  /** In epoch milliseconds. */
  timeStarted: number | undefined;
  #handle: TaskHandle<unknown> | undefined;
  /** What was sent to the task before it ran. */
  readonly #early: ((handle: TaskHandle<unknown>) => void)[] = [];
  #state: RequestState = 'received';
  #decision: Decision | undefined;
  readonly #decided = new AbortController();

  constructor(message: TaskMessage, delivery: Delivery, workerName: string) {
    this.message = message;
    this.delivery = delivery;
    this.workerName = workerName;
  }

  get id(): string {
    return this.message.id;
  }

  get state(): RequestState {
    return this.#state;
  }

  enter(state: Exclude<RequestState, 'received'>): void {
    if (this.#state !== 'ended') this.#state = state;
  }

  /** Of its task, once that was submitted. */
  get handle(): TaskHandle<unknown> | undefined {
    return this.#handle;
  }

  submitted(handle: TaskHandle<unknown>): void {
    this.#handle = handle;
    for (const pass of this.#early.splice(0)) pass(handle);
  }

  /** Sends data to the task, which receives it with `currentTask().recv()`. */
  send(data: unknown): void {
    this.#pass((handle) => void handle.send(data));
  }

  /** Asks the task to finish. */
  stop(): void {
    this.#pass((handle) => void handle.stop());
  }

  #pass(pass: (handle: TaskHandle<unknown>) => void): void {
    if (this.#handle !== undefined) pass(this.#handle);
    else if (this.#early.length < mostEarly) this.#early.push(pass);
  }

  /** Aborts when something was decided. */
  get signal(): AbortSignal {
    return this.#decided.signal;
  }

  get decision(): Decision | undefined {
    return this.#decision;
  }

  /** The first decision counts. One that runs is canceled. */
  decide(decision: Decision): void {
    if (this.#state === 'ended' || this.#decision !== undefined) return;
    this.#decision = decision;
    this.#decided.abort();
    this.#handle?.cancel(decision.kind);
  }

  /** For people, and for Python's `inspect`. */
  get info(): Readonly<Record<string, unknown>> {
    const { id, task, args, kwargs, envelope } = this.message;
    return {
      id,
      name: task,
      args,
      kwargs,
      type: task,
      hostname: this.workerName,
      time_start: this.timeStarted === undefined ? null : this.timeStarted / 1_000,
      acknowledged: this.delivery.isAcknowledged,
      delivery_info: {
        exchange: envelope.exchange,
        routing_key: envelope.routingKey,
        priority: envelope.priority,
        redelivered: envelope.isRedelivered,
      },
      worker_pid: process.pid,
    };
  }

  get argsText(): string {
    return pythonArgs(this.message.args);
  }

  get kwargsText(): string {
    return pythonText(this.message.kwargs);
  }
}
