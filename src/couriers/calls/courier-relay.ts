/**
 * The relay of one call that goes by a courier: it adds the task, forwards messages both ways, and gives its result. If the call
 * has joined the task of another, it follows that, and leaves it alone when it is canceled.
 */
import { hasCode, TaskwardenError } from '../../base/errors.ts';
import { Timer } from '../../platform/clock.ts';
import type { RunningTask } from '../../task/inside/context.ts';
import type { Task } from '../../task/record/task.ts';
import type { AddOptions, ClientCommand, ClientTaskCourier, TaskUpdate } from '../courier.ts';
import { deadlinePassed } from '../courier-error.ts';
import type { CourierCall } from './courier-call.ts';

export class CourierRelay {
  readonly #courier: ClientTaskCourier;
  readonly #queue: string;
  readonly #run: RunningTask;
  #id = '';
  /** Fires if no worker has started the task in time. */
  #timer: Timer | undefined;
  #expiry: TaskwardenError | undefined;
  /** Set when the task was canceled here. */
  #canceled: { readonly reason: unknown } | undefined;
  #courierDeadlineMs: number | undefined;
  #isAdded = false;
  /** Whether it waits for a task of somebody else, which is not to be ended for this call. */
  #hasJoined = false;
  /** Aborts when the result is not waited for any more. */
  readonly #leaving = new AbortController();

  constructor(courier: ClientTaskCourier, queue: string, run: RunningTask) {
    this.#courier = courier;
    this.#queue = queue;
    this.#run = run;
  }

  async run(call: CourierCall, addOptions: AddOptions & { readonly id: string }, waitMs: number): Promise<unknown> {
    this.#id = addOptions.id;
    this.#run.listener = { onStop: (reason) => this.#onStopRequest(reason) };
    this.#task.hasBegunElsewhere = false;
    let unsubscribe = await this.#subscribe();
    try {
      if (this.#canceled !== undefined) throw this.#canceled.reason;
      this.#timer = new Timer(waitMs, () => this.#expire(waitMs));
      const id = await this.#courier.addTaskToQueue(this.#queue, call, this.#withTimeLeft(addOptions));
      if (id !== this.#id) {
        this.#id = id;
        this.#hasJoined = true;
        this.#task.hasBegunElsewhere = true; // it may have
        this.#timer.cancel();
        unsubscribe();
        unsubscribe = await this.#subscribe();
      }
      this.#isAdded = true;
      this.#cancelIfRequested();
      void this.#forwardMessages();
      return await this.#courier.waitForTaskResult(this.#queue, this.#id, { signal: this.#leaving.signal });
    } catch (error) {
      throw this.#expiry !== undefined && isCanceled(error) ? this.#expiry : this.#ofCall(error);
    } finally {
      this.#run.listener = undefined;
      this.#timer?.cancel();
      unsubscribe();
    }
  }

  get #task(): Task {
    return this.#run.task as Task;
  }

  #subscribe(): Promise<() => void> {
    return this.#courier.subscribeToTask(this.#queue, this.#id, (update) => this.#onUpdate(update));
  }

  /** The deadline counts from the call. */
  #withTimeLeft(options: AddOptions): AddOptions {
    const { deadline } = this.#task;
    if (deadline === undefined) return options;
    this.#courierDeadlineMs = Math.max(Math.ceil(deadline.leftMs), (options.delayMs ?? 0) + 1);
    return { ...options, deadlineMs: this.#courierDeadlineMs };
  }

  /** The courier knows only what was left of the deadline. */
  #ofCall(error: unknown): unknown {
    const { deadline } = this.#task;
    if (deadline === undefined || this.#hasJoined || !hasCode(error, 'TASK_TIMEOUT', 'TASK_EXPIRED')) return error;
    const { code, taskId, timeoutMs, cause } = error;
    if (taskId !== this.#id || timeoutMs !== this.#courierDeadlineMs) return error;
    const about = { id: this.#id, deadlineMs: deadline.ms, hasBegun: code === 'TASK_TIMEOUT' };
    return deadlinePassed(this.#queue, about, cause);
  }

  #onUpdate(update: TaskUpdate): void {
    if (update.kind === 'started') {
      this.#timer?.cancel();
      this.#task.hasBegunElsewhere = true;
    } else if (update.kind === 'progress') this.#run.progress(update.progress.fraction, update.progress.note);
    else void this.#run.send(update.data);
  }

  /** Handles cancels. A request to finish is sent by `#forwardMessages`, after the messages that were sent before it. */
  #onStopRequest(reason: unknown): void {
    if (hasCode(reason, 'TASK_STOPPED')) return;
    this.#canceled = { reason };
    this.#cancelIfRequested();
  }

  #cancelIfRequested(): void {
    if (!this.#isAdded || this.#canceled === undefined) return;
    const { reason } = this.#canceled;
    if (this.#hasJoined || this.#isDeadline(reason)) this.#leaving.abort(reason);
    else void this.#cancel(reason);
  }

  /** Then the courier ends the task, as it has the same deadline. */
  #isDeadline(reason: unknown): boolean {
    const { id, deadline } = this.#task;
    if (reason === this.#expiry || !hasCode(reason, 'TASK_TIMEOUT', 'TASK_EXPIRED')) return false;
    return reason.taskId === id && reason.timeoutMs === deadline?.ms;
  }

  /** Forwards the messages to the task, in order, until it has ended or is asked to finish. */
  async #forwardMessages(): Promise<void> {
    const send = (command: ClientCommand) => this.#courier.sendToTask(this.#queue, this.#id, command);
    try {
      for (;;) {
        const data = await this.#run.recv();
        if (this.#run.hasEnded) return;
        if (data === undefined && this.#run.stopped) break;
        await send({ kind: 'message', data }).catch(warnIfNotCloneable);
      }
      if (this.#canceled === undefined) await send({ kind: 'stop' });
    } catch {
      // If the courier fails, the wait for the result fails, too.
    }
  }

  #expire(timeoutMs: number): void {
    const message = `task "${this.#run.name}" waited longer than its ${timeoutMs} ms, and no worker has begun it`;
    this.#expiry = new TaskwardenError('TASK_EXPIRED', message, { taskId: this.#run.id, timeoutMs });
    this.#canceled ??= { reason: this.#expiry };
    this.#cancelIfRequested();
  }

  async #cancel(reason: unknown): Promise<void> {
    try {
      await this.#courier.cancelTask(this.#queue, this.#id, reason);
    } catch {
      // The reason may be a value that can't be copied. If the courier fails, the wait for the result fails, too.
      await this.#courier.cancelTask(this.#queue, this.#id).catch(() => {});
    }
  }
}

function isCanceled(error: unknown): boolean {
  return hasCode(error, 'TASK_CANCELED');
}

/** A message that can't be copied to the courier is dropped with a warning; the messages after it are sent. */
function warnIfNotCloneable(error: unknown): void {
  if (!hasCode(error, 'MESSAGE_NOT_CLONEABLE')) throw error;
  process.emitWarning(error);
}
