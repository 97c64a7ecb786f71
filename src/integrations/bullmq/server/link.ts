/**
 * A courier's link to its server: connected at the first call, and again after a call has found the server away. Each call
 * fails fast then; who would rather wait tries again.
 */
import { courierKit } from '../../../index.ts';
import { BullQueue, type QueueLimits } from '../worker/bull-queue.ts';
import { checkQueueName } from './names.ts';
import { hasTimedOut, isAnswer, isRefusal, type Server } from './server.ts';

const { courierClosed, courierUnreachable, serverRefused } = courierKit;

/** A server, and one of its queues. */
export interface Asked {
  readonly server: Server;
  readonly queue: BullQueue;
}

export class Link {
  readonly limits: QueueLimits;
  readonly #open: (signal: AbortSignal) => Promise<Server>;
  readonly #end = new AbortController();
  #server: Promise<Server> | undefined;
  /** Once it was connected, it connects again by itself. */
  #connected: Server | undefined;
  /** Rejects the calls that are not answered yet. */
  readonly #unanswered = new Set<(error: unknown) => void>();
  readonly #queues = new Map<string, BullQueue>();

  /** @param open Gives up when the signal aborts. */
  constructor(limits: QueueLimits, open: (signal: AbortSignal) => Promise<Server>) {
    this.limits = limits;
    this.#open = open;
  }

  /** Aborts when the courier is closed. */
  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** Aborts then, or with that signal. */
  endOr(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.signal : AbortSignal.any([signal, this.signal]);
  }

  refuseIfClosed(): void {
    if (this.#end.signal.aborted) throw courierClosed();
  }

  /**
   * @param what The text of the error if the server is away.
   * @throws TaskwardenError `COURIER_UNREACHABLE` or `COURIER_CLOSED`; as long as it has never let anybody in,
   * `SERVER_REFUSED` if it does not want to.
   */
  ask<R>(queue: string, what: string, call: (asked: Asked) => Promise<R>, taskId?: string): Promise<R> {
    if (!this.#queues.has(queue)) {
      try {
        this.refuseIfClosed();
        checkQueueName(queue);
      } catch (error) {
        return Promise.reject(error);
      }
    }
    return this.askServer(what, (server) => call({ server, queue: this.#queueOf(server, queue) }), taskId);
  }

  /** The same for what is of no queue. */
  askServer<R>(what: string, call: (server: Server) => Promise<R>, taskId?: string): Promise<R> {
    if (this.#end.signal.aborted) return Promise.reject(courierClosed());
    const server = this.#connected;
    if (server !== undefined) return this.#untilClosed(server, what, call, taskId);
    return this.#connect().then(
      () => this.askServer(what, call, taskId),
      (error: unknown) => {
        throw this.#errorOf(error, undefined, what, taskId);
      },
    );
  }

  /** What is asked when the courier is closed may not be answered any more. */
  #untilClosed<R>(
    server: Server,
    what: string,
    call: (server: Server) => Promise<R>,
    taskId: string | undefined,
  ): Promise<R> {
    return new Promise((resolve, reject) => {
      this.#unanswered.add(reject);
      const fail = (error: unknown) => {
        this.#unanswered.delete(reject);
        reject(this.#errorOf(error, server, what, taskId));
      };
      try {
        call(server).then((answer) => {
          this.#unanswered.delete(reject);
          resolve(answer);
        }, fail);
      } catch (error) {
        fail(error);
      }
    });
  }

  #errorOf(error: unknown, server: Server | undefined, what: string, taskId: string | undefined): unknown {
    if (this.#end.signal.aborted) return courierClosed();
    if (isAnswer(error)) return error;
    if (hasTimedOut(error)) server?.reconnect();
    return courierUnreachable(what, error, taskId);
  }

  async #connect(): Promise<void> {
    this.#server ??= this.#open(this.#end.signal);
    try {
      this.#connected = await this.#server;
    } catch (error) {
      this.#server = undefined;
      throw isRefusal(error) ? serverRefused(error) : error;
    }
  }

  #queueOf(server: Server, name: string): BullQueue {
    let queue = this.#queues.get(name);
    if (queue === undefined) {
      queue = new BullQueue(server, name, this.limits);
      this.#queues.set(name, queue);
      void queue.keepEvents().catch(() => {}); // fewer are kept then
    }
    return queue;
  }

  /** Does not wait for a server that does not answer. */
  async close(): Promise<void> {
    if (this.#end.signal.aborted) return;
    this.#end.abort();
    for (const reject of this.#unanswered) reject(courierClosed());
    const server = await this.#server?.catch(() => undefined);
    await server?.close();
  }
}
