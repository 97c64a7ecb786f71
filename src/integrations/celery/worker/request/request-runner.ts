/**
 * Takes each message from its arrival to its end: refuses what can't be read or is not allowed, waits for its ETA and a slot,
 * runs it, and has its end written. What goes wrong with one message ends nothing else.
 */
import { type BackgroundTask, courierKit, type TaskFunction, TaskwardenError } from '../../../../index.ts';
import { CeleryReject } from '../../celery-reject.ts';
import { BadMessage, maxMessageBytes, readEnvelope } from '../../protocol/envelope.ts';
import { decodeError, notImplemented, notRegistered } from '../../protocol/exceptions.ts';
import { isId, readTaskMessage, type TaskMessage } from '../../protocol/message.ts';
import { type StoredException, writeResult } from '../../protocol/result.ts';
import type { Broker } from '../broker/broker.ts';
import type { Delivery } from '../broker/delivery.ts';
import type { Leases } from '../broker/leases.ts';
import { execute, hardLimitMs, type Outcome, type RunLimits } from './execution.ts';
import { Request } from './request.ts';
import type { Requests } from './requests.ts';
import type { RevokedIds } from './revoked-ids.ts';
import { failureOf, type Settler } from './settler.ts';
import type { Slots } from './slots.ts';

const { backoffMs, failureOptions, hasCode, messageOf, pause } = courierKit;

export interface RunnerParts {
  readonly broker: Broker;
  readonly leases: Leases;
  readonly requests: Requests;
  readonly revoked: RevokedIds;
  readonly settler: Settler;
  readonly slots: Slots;
  readonly functions: ReadonlyMap<string, BackgroundTask<TaskFunction>>;
  readonly workerName: string;
  readonly acksLate: boolean;
  readonly tracksStarted: boolean;
  /** Waits until the rate of a function lets it run. */
  readonly admit: (task: string, signal: AbortSignal) => Promise<void>;
  /** What remote control has set for a function. */
  readonly limitsOf: (task: string) => RunLimits;
  readonly onProblem: (problem: unknown, request?: Request) => void;
  /** The supervisor has stopped, and runs nothing any more. */
  readonly onSupervisorStopped: () => void;
}

export class RequestRunner {
  readonly #parts: RunnerParts;
  /** How many have ended, by function. */
  readonly counts: Map<string, number> = new Map();

  constructor(parts: RunnerParts) {
    this.#parts = parts;
  }

  /** Has the slot of the delivery until it gives it back. Never rejects. */
  async receive(delivery: Delivery): Promise<void> {
    const { slots, onProblem } = this.#parts;
    let message: TaskMessage;
    try {
      if (delivery.text === '') throw new BadMessage(`it is empty, or has more than ${maxMessageBytes} bytes`);
      message = readTaskMessage(readEnvelope(delivery.text));
      if (!this.#parts.functions.has(message.task)) {
        throw new NotAllowed(
          `it asks for ${JSON.stringify(message.task.slice(0, 200))}, which is not in the allow-list`,
        );
      }
    } catch (error) {
      slots.release();
      await this.#refuse(delivery, error).catch(onProblem);
      return;
    }
    await this.#perform(new Request(message, delivery, this.#parts.workerName));
  }

  /** A message that nobody can run here is dropped, as Celery does; who waits for its result gets the reason. */
  async #refuse(delivery: Delivery, error: unknown): Promise<void> {
    const { broker, onProblem } = this.#parts;
    const { headers, id, task } = partsOf(delivery.text);
    const about = isId(id) ? `task ${id} of queue "${delivery.queue}"` : `a message of queue "${delivery.queue}"`;
    const isUnknown = error instanceof NotAllowed;
    const code = isUnknown ? 'FUNCTION_NOT_ALLOWED' : 'TASK_MALFORMED';
    const text = `${about} was rejected: ${messageOf(error)}`;
    onProblem(new TaskwardenError(code, text, { cause: error, ...(isId(id) && { taskId: id }) }));
    let record: string | undefined;
    if (isId(id) && headers?.['ignore_result'] !== true) {
      const exception = isUnknown ? notRegistered(String(task)) : decodeError(messageOf(error));
      record = failureRecord(id, exception, headers);
    }
    await broker.settle(delivery, { taskId: isId(id) ? id : '', record });
  }

  async #perform(request: Request): Promise<void> {
    const { leases, requests, slots, onProblem } = this.#parts;
    leases.hold(request.delivery);
    requests.add(request);
    let hasSlot = true;
    const releaseSlot = () => {
      if (hasSlot) slots.release();
      hasSlot = false;
    };
    try {
      if (await this.#isOver(request)) return;
      this.#parts.settler.received(request);
      const { eta, task } = request.message;
      if (eta !== undefined && eta.getTime() > Date.now()) {
        releaseSlot();
        request.enter('scheduled');
        await pause(eta.getTime() - Date.now(), request.signal);
        if (await this.#isOver(request)) return;
      }
      request.enter('reserved');
      await this.#parts.admit(task, request.signal);
      if (!hasSlot) hasSlot = await slots.acquire(request.signal);
      if (await this.#isOver(request)) return;
      await this.#run(request);
    } catch (error) {
      onProblem(error, request);
    } finally {
      request.enter('ended');
      releaseSlot();
      leases.leave(request.delivery);
      requests.remove(request);
    }
  }

  /** Whether something was decided on it before it ran; then that is done. */
  async #isOver(request: Request): Promise<boolean> {
    const { expires } = request.message;
    if (expires !== undefined && expires.getTime() < Date.now()) request.decide({ kind: 'revoked', reason: 'expired' });
    if (this.#parts.revoked.has(request.id)) request.decide({ kind: 'revoked', reason: 'revoked' });
    if (request.decision === undefined) return false;
    await this.#carryOut(request);
    return true;
  }

  async #carryOut(request: Request): Promise<void> {
    const { decision } = request;
    if (decision?.kind === 'revoked')
      await this.#settled(request, this.#parts.settler.revoked(request, decision.reason));
    else if (decision?.kind === 'released') await this.#parts.broker.requeue(request.delivery, 'first');
  }

  async #settled(request: Request, settling: Promise<boolean>): Promise<void> {
    if (!(await settling)) this.#parts.onProblem(leaseLost(request), request);
  }

  async #run(request: Request): Promise<void> {
    const { broker, functions, acksLate, tracksStarted, settler, onProblem } = this.#parts;
    const { task, timeLimits } = request.message;
    const target = functions.get(task) as BackgroundTask<TaskFunction>;
    const set = this.#parts.limitsOf(task);
    const limits = { hardMs: timeLimits.hardMs ?? set.hardMs, softMs: timeLimits.softMs ?? set.softMs };
    try {
      settler.check(request);
    } catch (error) {
      const failure = { exception: notImplemented(messageOf(error)), traceback: messageOf(error) };
      await this.#settled(request, settler.failed(request, failure));
      return;
    }
    request.enter('active');
    request.timeStarted = Date.now();
    if (!acksLate && !(await broker.acknowledge(request.delivery))) {
      onProblem(leaseLost(request), request);
      return;
    }
    settler.started(request, tracksStarted);
    const outcome = await execute(request, target, limits, {
      onProgress: (progress) => settler.progress(request, progress),
      onMessage: (data) => {
        try {
          settler.message(request, data);
        } catch (error) {
          onProblem(error, request);
        }
      },
    });
    this.counts.set(task, (this.counts.get(task) ?? 0) + 1);
    await this.#finish(request, target, outcome, limits);
  }

  async #finish(
    request: Request,
    target: BackgroundTask<TaskFunction>,
    outcome: Outcome,
    limits: RunLimits,
  ): Promise<void> {
    const { broker, settler, onProblem, onSupervisorStopped } = this.#parts;
    if (outcome.kind === 'succeeded') {
      await this.#settled(request, settler.succeeded(request, outcome.result));
    } else if (request.decision !== undefined) {
      await this.#carryOut(request);
    } else if (outcome.kind === 'undone') {
      await broker.requeue(request.delivery, 'first');
      onSupervisorStopped();
    } else {
      const { error, endReason } = outcome;
      if (error instanceof CeleryReject) {
        await settler.rejected(request, error.requeue);
        return;
      }
      const { options } = target.spec;
      const failure = failureOf(error, endReason, hardLimitMs(limits.hardMs, options.timeoutMs));
      const attempt = request.message.retries + 1;
      const asked = { id: request.id, attempt, retries: undefined };
      const rules = await failureOptions(asked, options, { error, endReason }, (problem) =>
        onProblem(problem, request),
      );
      const { isFinal = false, retries = 0, retryDelayMs = {} } = rules;
      if (!isFinal && request.message.retries < retries && !hasCode(error, 'TASK_EXPIRED')) {
        await this.#settled(request, settler.retried(request, failure, backoffMs(retryDelayMs, attempt)));
      } else {
        await this.#settled(request, settler.failed(request, failure));
      }
    }
  }
}

/** The function is not in the allow-list of the worker. */
class NotAllowed extends Error {}

function leaseLost({ id }: Request): TaskwardenError {
  const message = `task ${id} was held for longer than the visibility timeout: another worker has it now`;
  return new TaskwardenError('LEASE_LOST', message, { taskId: id });
}

function partsOf(text: string): {
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly id?: unknown;
  readonly task?: unknown;
} {
  try {
    const { headers } = readEnvelope(text);
    return { headers, id: headers['id'], task: headers['task'] };
  } catch (error) {
    return error instanceof BadMessage ? { headers: error.headers, id: error.headers['id'] } : {};
  }
}

function failureRecord(
  taskId: string,
  exception: StoredException,
  headers: Readonly<Record<string, unknown>> = {},
): string {
  const { parent_id: parentId, group: groupId } = headers;
  return writeResult({
    taskId,
    state: 'FAILURE',
    result: exception,
    traceback: undefined,
    dateDone: new Date(),
    parentId: isId(parentId) ? parentId : undefined,
    groupId: isId(groupId) ? groupId : undefined,
  });
}
