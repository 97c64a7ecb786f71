/**
 * Writes what a request came to: its result in Celery's format, its acknowledgement, what follows it, and the events. What
 * is said of one task comes in its order.
 */
import { courierKit, type Progress } from '../../../../index.ts';
import { encodeError, taskRevoked, timeLimitExceeded, workerLost } from '../../protocol/exceptions.ts';
import { tracebackOf, writeException } from '../../protocol/failure.ts';
import { pythonText } from '../../protocol/json.ts';
import { writeTaskMessage } from '../../protocol/message.ts';
import { type ResultRecord, type StoredException, writeResult } from '../../protocol/result.ts';
import type { Broker, Outgoing } from '../broker/broker.ts';
import type { EventSender } from '../events/event-sender.ts';
import type { Request } from './request.ts';

const { messageOf } = courierKit;

/** What follows a task that has ended, as its message says. */
export interface Followers {
  /** Throws if what follows can't be sent from here. */
  check(request: Request): void;
  /** Rejects if something can't be sent. The children are the ids of the tasks that are sent. */
  afterSuccess(request: Request, result: unknown): Promise<Follow>;
  afterFailure(request: Request, failure: Failure, state: 'FAILURE' | 'REVOKED'): Promise<Follow>;
}

export interface Follow {
  readonly messages: readonly Outgoing[];
  readonly children: readonly string[];
  /** Called when all that was written. */
  readonly onSettled: () => Promise<void>;
}

export interface Failure {
  readonly exception: StoredException;
  readonly traceback: string;
}

export class Settler {
  readonly #broker: Broker;
  readonly #events: EventSender;
  readonly #followers: Followers;
  /** By request: what has to be written before. */
  readonly #writing = new WeakMap<Request, Promise<unknown>>();

  constructor(broker: Broker, events: EventSender, followers: Followers) {
    this.#broker = broker;
    this.#events = events;
    this.#followers = followers;
  }

  received(request: Request): void {
    const { message } = request;
    this.#events.sendTaskEvent('task-received', request.id, {
      name: message.task,
      args: request.argsText,
      kwargs: request.kwargsText,
      root_id: message.rootId,
      parent_id: message.parentId ?? null,
      retries: message.retries,
      eta: message.eta?.toISOString() ?? null,
      expires: message.expires?.toISOString() ?? null,
    });
  }

  /** Throws if what follows the task can't be sent from here: it is not run then. */
  check(request: Request): void {
    this.#followers.check(request);
  }

  /** @param tracks Whether that is stored. */
  started(request: Request, tracks: boolean): void {
    this.#events.sendTaskEvent('task-started', request.id);
    const { ignoresResult, envelope } = request.message;
    if (ignoresResult) return;
    const meta = { pid: process.pid, hostname: request.workerName };
    if (tracks) this.#store(request, 'STARTED', meta);
    else if (envelope.headers['lang'] === 'js') this.#publish(request, 'STARTED', meta); // celeryTask() shows it
  }

  progress(request: Request, progress: Progress): void {
    if (!request.message.ignoresResult) this.#store(request, 'PROGRESS', progress);
  }

  /** Published to those who wait for the task, and stored nowhere. @throws TypeError for what is no JSON. */
  message(request: Request, data: unknown): void {
    this.#publish(request, 'MESSAGE', data);
  }

  #publish(request: Request, state: string, result: unknown): void {
    const text = this.#record(request, { state, result });
    this.#write(request, () => this.#broker.publish(request.id, text));
  }

  #store(request: Request, state: string, result: unknown): void {
    const text = this.#record(request, { state, result });
    this.#write(request, () => this.#broker.store(request.id, text));
  }

  #write(request: Request, write: () => Promise<unknown>): void {
    const before = this.#writing.get(request) ?? Promise.resolve();
    const after = before.then(write);
    after.catch(() => {}); // the settlement fails, too
    this.#writing.set(request, after);
  }

  #record(
    { message }: Request,
    fields: Pick<ResultRecord, 'state' | 'result'> & Partial<Pick<ResultRecord, 'traceback' | 'dateDone' | 'children'>>,
  ): string {
    const { id: taskId, parentId, groupId } = message;
    return writeResult({ traceback: undefined, dateDone: undefined, ...fields, taskId, parentId, groupId });
  }

  /** Returns false if another worker has the message now: then nothing was done. */
  async succeeded(request: Request, result: unknown): Promise<boolean> {
    let text: string;
    let follow: Follow;
    try {
      text = this.#record(request, { state: 'SUCCESS', result, dateDone: new Date() });
      follow = await this.#followers.afterSuccess(request, result);
      if (follow.children.length > 0) {
        const children = follow.children.map((id) => [[id, null], null]); // as Celery writes results without parents
        text = this.#record(request, { state: 'SUCCESS', result, dateDone: new Date(), children });
      }
    } catch (error) {
      return this.failed(request, { exception: encodeError(messageOf(error)), traceback: tracebackOf(error) });
    }
    const isDone = await this.#end(request, text, follow);
    if (isDone) {
      const { timeStarted = Date.now() } = request;
      const runtime = (Date.now() - timeStarted) / 1_000;
      this.#events.sendTaskEvent('task-succeeded', request.id, { result: pythonText(result), runtime });
    }
    return isDone;
  }

  async failed(request: Request, failure: Failure): Promise<boolean> {
    const { exception, traceback } = failure;
    const text = this.#record(request, { state: 'FAILURE', result: exception, traceback, dateDone: new Date() });
    const follow = await this.#followers.afterFailure(request, failure, 'FAILURE');
    const isDone = await this.#end(request, text, follow);
    if (isDone) {
      this.#events.sendTaskEvent('task-failed', request.id, { exception: shown(exception), traceback });
    }
    return isDone;
  }

  async revoked(request: Request, reason: 'revoked' | 'expired' | 'terminated'): Promise<boolean> {
    const exception = taskRevoked(reason);
    const text = this.#record(request, { state: 'REVOKED', result: exception, dateDone: new Date() });
    const follow = await this.#followers.afterFailure(request, { exception, traceback: '' }, 'REVOKED');
    const isDone = await this.#end(request, text, follow);
    if (isDone) {
      this.#events.sendTaskEvent('task-revoked', request.id, {
        terminated: reason === 'terminated',
        signum: reason === 'terminated' ? 'SIGTERM' : null,
        expired: reason === 'expired',
      });
    }
    return isDone;
  }

  /** Sends it again, as its own retry: the same task, one retry more. */
  async retried(request: Request, failure: Failure, pauseMs: number): Promise<boolean> {
    const { message, delivery } = request;
    const { exception, traceback } = failure;
    const text = writeTaskMessage({
      ...message,
      headers: message.envelope.headers,
      queue: delivery.queue,
      priority: message.envelope.priority,
      retries: message.retries + 1,
      eta: pauseMs > 0 ? new Date(Date.now() + pauseMs) : undefined,
    });
    const record = this.#record(request, { state: 'RETRY', result: exception, traceback });
    const isDone = await this.#end(request, record, { messages: [{ list: delivery.list, text }] });
    if (isDone) this.#events.sendTaskEvent('task-retried', request.id, { exception: shown(exception), traceback });
    return isDone;
  }

  async rejected(request: Request, requeue: boolean): Promise<void> {
    if (requeue) await this.#broker.requeue(request.delivery, 'last');
    else await this.#broker.acknowledge(request.delivery);
    this.#events.sendTaskEvent('task-rejected', request.id, { requeue });
  }

  async #end(
    request: Request,
    record: string,
    follow: Pick<Follow, 'messages'> & Partial<Pick<Follow, 'onSettled'>>,
  ): Promise<boolean> {
    await this.#writing.get(request);
    const { message, delivery } = request;
    const isDone = await this.#broker.settle(delivery, {
      taskId: message.id,
      record: message.ignoresResult ? undefined : record,
      follows: follow.messages,
    });
    if (isDone) await follow.onSettled?.();
    return isDone;
  }
}

/** What a failure is in Python: the ways in which a task can end without the error of its function have classes there. */
export function failureOf(error: unknown, endReason: string | undefined, limitMs: number | undefined): Failure {
  const traceback = tracebackOf(error);
  if (endReason === 'timeout' && limitMs !== undefined) return { exception: timeLimitExceeded(limitMs), traceback };
  if (endReason === 'crashed') return { exception: workerLost(messageOf(error)), traceback };
  return { exception: writeException(error), traceback };
}

function shown({ exc_type: type, exc_message: args }: StoredException): string {
  return `${type}${args.length === 1 ? `(${pythonText(args[0])})` : pythonText(args)}`;
}
