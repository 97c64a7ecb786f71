/**
 * One call of a Python function: it sends the message, shows what becomes of it, and ends as the task ends. Until a worker
 * has taken the message, the call can take it back, and then it is certain that it never ran.
 */
import { courierKit, TaskwardenError } from '../../../index.ts';
import type { BadMessage } from '../protocol/envelope.ts';
import { readException } from '../protocol/failure.ts';
import { fromPython } from '../protocol/json.ts';
import { type OutgoingTask, writeTaskMessage } from '../protocol/message.ts';
import type { ResultRecord } from '../protocol/result.ts';
import { isNotAnswered, type Link, type SharedLink } from './link.ts';
import { progressOf } from './progress.ts';
import { SentTask } from './sent-task.ts';

const { courierUnreachable, hasCode, messageOf, showStatus, Timer } = courierKit;

type RunningTask = ReturnType<typeof courierKit.currentRelay>;
type ExternalTimer = InstanceType<typeof Timer>;

export interface CallSettings {
  /** Nothing can be left of an earlier task or attempt of its id. */
  readonly isNew: boolean;
  /** How long a canceled task may take to end, in milliseconds. */
  readonly stopGraceMs: number;
  /** The longest run time, for the error. */
  readonly timeoutMs: number | undefined;
}

interface StopRequest {
  readonly reason: unknown;
  readonly isCancel: boolean;
}

export class CeleryCall {
  readonly #run: RunningTask;
  readonly #task: OutgoingTask;
  readonly #settings: CallSettings;
  readonly #timers: ExternalTimer[] = [];
  #resolve!: (value: unknown) => void;
  #reject!: (error: unknown) => void;
  readonly #outcome = new Promise<unknown>((resolve, reject) => {
    this.#resolve = resolve;
    this.#reject = reject;
  });
  #sent: SentTask | undefined;
  /** Set when it was asked to stop, or is canceled. */
  #stop: StopRequest | undefined;
  #hasBegun = false;
  /** Called when it has begun. */
  #onBegin: (() => void) | undefined;

  constructor(run: RunningTask, task: OutgoingTask, settings: CallSettings) {
    this.#run = run;
    this.#task = task;
    this.#settings = settings;
  }

  async run(link: SharedLink): Promise<unknown> {
    const text = this.#write();
    this.#outcome.catch(() => {});
    this.#run.listener = { onStop: (reason) => this.#onStop(reason) };
    this.#showWaiting();
    try {
      return await link.use((opened) => this.#perform(opened, text));
    } catch (error) {
      throw isNotAnswered(error) ? this.#unreachable('the task was not sent', error) : error;
    } finally {
      this.#run.listener = undefined;
      for (const timer of this.#timers) timer.cancel();
    }
  }

  /** @throws TaskwardenError `ARGUMENT_NOT_CLONEABLE` */
  #write(): string {
    try {
      return writeTaskMessage(this.#task);
    } catch (cause) {
      const message = `task "${this.#task.task}" can't be sent to Celery: ${messageOf(cause)}`;
      throw new TaskwardenError('ARGUMENT_NOT_CLONEABLE', message, { cause, taskId: this.#task.id });
    }
  }

  async #perform(link: Link, text: string): Promise<unknown> {
    const { id, ignoresResult } = this.#task;
    const sent = new SentTask(link, this.#task, text);
    if (!this.#settings.isNew) await sent.forget();
    const leave = ignoresResult
      ? () => {}
      : await link.waits.listen(id, {
          onRecord: (record) => this.#onRecord(record),
          onProblem: (error) => this.#reject(this.#unreadable(error)),
        });
    try {
      if (this.#stop !== undefined) throw this.#stopped(this.#stop);
      await this.#send(sent);
      if (ignoresResult) return undefined;
      this.#sent = sent;
      this.#watchExpiry(sent);
      const stop = this.#stop as StopRequest | undefined; // meanwhile
      if (stop !== undefined) void this.#end(stop.isCancel);
      else void this.#forwardMessages(sent);
      return await this.#outcome;
    } finally {
      leave();
    }
  }

  async #send(sent: SentTask): Promise<void> {
    try {
      await sent.send();
    } catch (error) {
      if (!isNotAnswered(error)) throw error;
      const isKnown = await Promise.race([sent.isKnown(), this.#outcome.then(() => true), this.#canceled()]);
      if (!isKnown) throw this.#unreachable('the task may have been sent, or not', error);
    }
  }

  /** Resolves to false if it is canceled while it is not known whether it was sent. */
  #canceled(): Promise<false> {
    return new Promise((resolve) => {
      if (this.#run.stopped) resolve(false);
      else this.#run.signal.addEventListener('abort', () => resolve(false), { once: true });
    });
  }

  #showWaiting(): void {
    const leftMs = this.#task.eta === undefined ? 0 : this.#task.eta.getTime() - Date.now();
    showStatus(this.#run, leftMs > 0 ? 'delayed' : 'queued');
    if (leftMs > 0) {
      this.#later(leftMs, () => {
        if (!this.#hasBegun) showStatus(this.#run, 'queued');
      });
    }
  }

  #later(ms: number, fire: () => void): void {
    this.#timers.push(new Timer(Math.max(ms, 0), fire));
  }

  #onRecord({ state, result, ...rest }: ResultRecord): void {
    switch (state) {
      case 'SUCCESS':
        this.#succeed(result);
        break;
      case 'FAILURE':
        this.#reject(this.#failure({ state, result, ...rest }));
        break;
      case 'REVOKED':
        this.#reject(this.#revoked({ state, result, ...rest }));
        break;
      case 'PENDING':
      case 'RECEIVED':
        break;
      case 'RETRY':
        showStatus(this.#run, 'delayed');
        break;
      case 'MESSAGE': // of a task in a CeleryWorker
        this.#pass(result);
        break;
      default:
        this.#begin(state, result);
    }
  }

  /** It has started; another state than Celery's own says how far it is. */
  #begin(state: string, meta: unknown): void {
    this.#hasBegun = true;
    this.#onBegin?.();
    showStatus(this.#run, 'started');
    const progress = state === 'STARTED' ? undefined : progressOf(meta);
    if (progress !== undefined) this.#run.progress(progress.fraction, progress.note);
  }

  #pass(data: unknown): void {
    try {
      void this.#run.send(fromPython(data));
    } catch {
      // It is nested too deeply, or the task has ended: nobody could read it.
    }
  }

  #succeed(result: unknown): void {
    try {
      this.#resolve(fromPython(result));
    } catch (error) {
      this.#reject(this.#unreadable(error));
    }
  }

  #failure(record: ResultRecord): TaskwardenError {
    const { task, id } = this.#task;
    const remote = readException(record);
    const { timeoutMs } = this.#settings;
    if (remote.type === 'TimeLimitExceeded' && timeoutMs !== undefined) {
      const message = `task "${task}" ran longer than its ${timeoutMs} ms: its worker has ended it`;
      return new TaskwardenError('TASK_TIMEOUT', message, { taskId: id, timeoutMs, remote });
    }
    const what = `${remote.type}${remote.message === '' ? '' : `: ${remote.message}`}`;
    if (remote.type === 'WorkerLostError') {
      return new TaskwardenError('TASK_CRASHED', `the worker died under task "${task}": ${what}`, {
        taskId: id,
        remote,
      });
    }
    return new TaskwardenError('TASK_FAILED_REMOTELY', `task "${task}" failed: ${what}`, { taskId: id, remote });
  }

  #revoked(record: ResultRecord): unknown {
    const { task, id, expires } = this.#task;
    if (this.#stop !== undefined) return this.#stopped(this.#stop);
    const remote = readException(record);
    if (expires !== undefined && /expired/.test(remote.message)) return this.#expired();
    return new TaskwardenError('TASK_CANCELED', `task "${task}" was revoked: ${remote.message}`, {
      taskId: id,
      remote,
    });
  }

  #stopped({ reason, isCancel }: StopRequest): unknown {
    if (isCancel) return reason;
    const message = `task "${this.#task.task}" was asked to finish before a worker had begun it, and never ran`;
    return new TaskwardenError('TASK_CANCELED', message, { taskId: this.#task.id, cause: reason });
  }

  #expired(): TaskwardenError {
    const { task, id, expires } = this.#task;
    const message = `task "${task}" has expired at ${expires?.toISOString()}, and never ran`;
    return new TaskwardenError('TASK_EXPIRED', message, { taskId: id });
  }

  #unreadable(cause: BadMessage | unknown): unknown {
    if (cause instanceof TaskwardenError) return cause;
    const { task, id } = this.#task;
    const message = `the result of task "${task}" can't be read: ${messageOf(cause)}`;
    return new TaskwardenError('RESULT_NOT_CLONEABLE', message, { taskId: id, cause });
  }

  #unreachable(what: string, cause: unknown): TaskwardenError {
    return courierUnreachable(what, (cause as Error).cause ?? cause, this.#task.id);
  }

  /** Nobody needs to be there to notice: a worker that has it by then sees its expiry itself. */
  #watchExpiry(sent: SentTask): void {
    const { expires } = this.#task;
    if (expires === undefined) return;
    this.#later(expires.getTime() - Date.now(), () => {
      void this.#takeBack(sent, 'expired', () => this.#expired());
    });
  }

  /** From when it has begun until it has ended, or is asked to finish: what is published before reaches nobody. */
  async #forwardMessages(sent: SentTask): Promise<void> {
    if (!this.#hasBegun) {
      await new Promise<void>((resolve) => {
        this.#onBegin = resolve;
      });
    }
    for (;;) {
      const data = await this.#run.recv();
      if (this.#run.hasEnded || (data === undefined && this.#run.stopped)) return;
      await sent.message(data).catch(warnIfNotJson);
    }
  }

  #onStop(reason: unknown): void {
    const isCancel = !hasCode(reason, 'TASK_STOPPED');
    if (this.#stop?.isCancel) return;
    this.#stop = { reason, isCancel };
    if (this.#sent !== undefined) void this.#end(isCancel);
  }

  /** A Python function can't be asked to finish: it runs to its end, or is ended if it is canceled. */
  async #end(isCancel: boolean): Promise<void> {
    const sent = this.#sent as SentTask;
    if (isCancel) this.#later(this.#settings.stopGraceMs, () => this.#reject(this.#stop?.reason));
    if (await this.#takeBack(sent, 'revoked', () => this.#stopped(this.#stop as StopRequest))) return;
    try {
      await sent.revoke(isCancel);
      if (!isCancel) await sent.stop();
    } catch (error) {
      this.#reject(error);
    }
  }

  async #takeBack(sent: SentTask, reason: 'revoked' | 'expired', error: () => unknown): Promise<boolean> {
    try {
      if (!(await sent.takeBack())) return false;
      this.#reject(error());
      await sent.storeRevoked(reason);
    } catch {
      // The connections were closed: the call has ended otherwise.
    }
    return true;
  }
}

/** A message that can't be sent is dropped with a warning; those after it are sent. */
function warnIfNotJson(error: unknown): void {
  if (error instanceof TypeError) process.emitWarning(error);
}
