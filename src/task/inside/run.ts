/**
 * One attempt of one task, where it runs: the TaskContext that its function sees, its channels and its progress.
 * Subclasses add what depends on the lane.
 */
import { TaskwardenError } from '../../base/errors.ts';
import { fieldOf } from '../../base/foreign-value.ts';
import { checkOptions, rules } from '../../base/options.ts';
import { now } from '../../platform/clock.ts';
import { clearTimeout, elapsed, Promise, setTimeout } from '../../platform/globals.ts';
import { nextTurnIfSpent } from '../../platform/loop-turn.ts';
import type { Progress } from '../record/progress.ts';
import { Channel } from './channel.ts';
import { type ReceiveOptions, type RunListener, type RunningTask, runInTask } from './context.ts';
import { type KeptWork, Steps, type WorkKeeper } from './steps.ts';
import type { ChildUpdate, DataMessage, KeptMessage, TaskMessage } from './task-message.ts';

type Yielding = Generator | AsyncGenerator;

const receiveRules = { timeoutMs: rules.durationMsOrInfinity };
const progressEveryMs = 20;

export abstract class Run implements RunningTask, WorkKeeper {
  abstract readonly id: string;
  abstract readonly name: string;
  abstract readonly attempt: number;
  listener: RunListener | undefined = undefined;
  args: readonly unknown[];
  context: unknown = undefined;
  #abort: AbortController | undefined = undefined;
  #reason: unknown = undefined;
  #progress: { reportedAt: number; unreported?: Progress | undefined; timer?: NodeJS.Timeout | undefined } | undefined =
    undefined;
  #channels: Partial<Record<DataMessage['topic'], Channel>> | undefined = undefined;
  #children: Map<string, (update: ChildUpdate) => void> | undefined = undefined;
  #steps: Steps | undefined = undefined;
  /** What is being kept, by number. */
  #keeping: Map<number, { readonly resolve: () => void; readonly reject: (error: unknown) => void }> | undefined =
    undefined;
  #lastKept = 0;
  #ended = false;
  #wasStopped = false;

  constructor(args: readonly unknown[]) {
    this.args = args;
  }

  protected abstract isStopRequested(): boolean;
  protected abstract report(progress: Progress): void;
  abstract post(message: TaskMessage): void;
  abstract poll(timeoutMs: number): boolean;

  /** Undefined if the options give none; then it is the id. */
  protected get ownIdempotencyKey(): string | undefined {
    return undefined;
  }

  get idempotencyKey(): string {
    return this.ownIdempotencyKey ?? this.id;
  }

  get stopped(): boolean {
    return this.#ended ? this.#wasStopped : this.isStopRequested();
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.stopped && !this.#abort.signal.aborted) {
      // The message with the reason may not have been handled yet.
      if (!this.#ended) while (this.#reason === undefined && this.poll(0));
      this.#abort.abort(this.#reason ?? new TaskwardenError('TASK_CANCELED', 'asked to stop'));
    }
    return this.#abort.signal;
  }

  progress(fraction: number, note?: string): void {
    rules.fraction(fraction, 'the fraction of progress()');
    if (note !== undefined) rules.text(note, 'the note of progress()');
    if (this.#ended) return;
    this.#progress ??= { reportedAt: -Infinity };
    this.#progress.unreported = note === undefined ? { fraction } : { fraction, note };
    const sinceMs = elapsed() - this.#progress.reportedAt;
    if (sinceMs >= progressEveryMs) this.#report();
    else this.#progress.timer ??= setTimeout(() => this.#report(), progressEveryMs - sinceMs).unref();
  }

  #report(): void {
    if (this.#progress === undefined) return;
    const { timer, unreported } = this.#progress;
    clearTimeout(timer);
    this.#progress.timer = undefined;
    if (unreported === undefined) return;
    this.#progress.reportedAt = elapsed();
    this.#progress.unreported = undefined;
    this.report(unreported);
  }

  send(data: unknown): Promise<boolean> {
    return this.#ended ? Promise.resolve(false) : this.#channel('message').send(data);
  }

  async recv(options: ReceiveOptions = {}): Promise<unknown> {
    checkOptions(options, receiveRules, 'recv()');
    const channel = this.#channel('message');
    // Messages that were sent before the request to stop may not have been handled yet.
    if (this.stopped) while (this.poll(0));
    return (await channel.receive(options.timeoutMs))?.value;
  }

  recvSync(options: ReceiveOptions = {}): unknown {
    checkOptions(options, receiveRules, 'recvSync()');
    const { timeoutMs = Infinity } = options;
    const until = now() + timeoutMs;
    const channel = this.#channel('message');
    for (;;) {
      const wasStopped = this.stopped; // messages that were sent before that have arrived by now
      const received = channel.read() ?? (!this.#ended && this.poll(0) ? channel.read() : undefined);
      if (received !== undefined) return received.value;
      const leftMs = until - now();
      if (wasStopped || this.#ended || leftMs <= 0) return undefined;
      this.poll(leftMs);
    }
  }

  /** What attempts before have kept. */
  get keptWork(): KeptWork | undefined {
    return undefined;
  }

  step<T>(name: string, fn: () => T): Promise<Awaited<T>> {
    return this.#ensuredSteps.step(name, fn);
  }

  checkpoint(data: unknown): Promise<void> {
    return this.#ensuredSteps.checkpoint(data);
  }

  get checkpointed(): unknown {
    return this.#ensuredSteps.checkpointed;
  }

  get #ensuredSteps(): Steps {
    this.#steps ??= new Steps(this);
    return this.#steps;
  }

  protected forgetSteps(): void {
    this.#steps = undefined;
  }

  /** If the task ends before it is answered, it never is. */
  keepWork(name: string, work: Uint8Array): Promise<void> {
    this.#lastKept += 1;
    const number = this.#lastKept;
    return new Promise((resolve, reject) => {
      this.#keeping ??= new Map();
      this.#keeping.set(number, { resolve, reject });
      this.post({ topic: 'keep', number, name, work });
    });
  }

  #onKept({ number, refusal }: KeptMessage): void {
    const keeping = this.#keeping?.get(number);
    this.#keeping?.delete(number);
    if (refusal === undefined) keeping?.resolve();
    else keeping?.reject(refusal.error);
  }

  #channel(topic: DataMessage['topic']): Channel {
    this.#channels ??= {};
    let channel = this.#channels[topic];
    if (channel === undefined) {
      channel = new Channel((message) => this.post({ topic, message })).open();
      if (this.#ended) channel.end();
      else if (this.stopped) channel.stopWaiting();
      this.#channels[topic] = channel;
    }
    return channel;
  }

  handle(message: TaskMessage): void {
    if (this.#ended) return;
    if (message.topic === 'message' || message.topic === 'yield') this.#channel(message.topic).handle(message.message);
    else if (message.topic === 'child-update') this.#children?.get(message.id)?.(message.update);
    else if (message.topic === 'chunk-recall') this.listener?.onRecall?.();
    else if (message.topic === 'kept') this.#onKept(message);
  }

  get hasEnded(): boolean {
    return this.#ended;
  }

  hasChild(id: string): boolean {
    return this.#children?.has(id) ?? false;
  }

  addChild(id: string, onUpdate: (update: ChildUpdate) => void): void {
    this.#children ??= new Map();
    this.#children.set(id, (update) => {
      if (update.kind === 'ended') this.#children?.delete(id);
      onUpdate(update);
    });
  }

  takeContext(context: unknown): void {
    this.context = context;
    this.args = this.args.slice(1);
  }

  /** Calls the function in this context. Its result may be a promise. */
  call(fn: (...args: never[]) => unknown, receiver: unknown): unknown {
    const value = runInTask(this, Reflect.apply, fn, receiver, this.args);
    if (!isYielding(value)) return value;
    const channel = this.#channel('yield');
    return runInTask(this, () =>
      exhaust(
        value,
        (each) => channel.send(each),
        () => this.stopped,
      ),
    );
  }

  /** The task was asked to stop. Its stop flag is set already. */
  stop(reason: unknown): void {
    this.#reason = reason;
    for (const channel of Object.values(this.#channels ?? {})) channel.stopWaiting();
    const abort = this.#abort;
    if (abort !== undefined) runInTask(this, () => abort.abort(reason)); // listeners run as part of the task
    this.listener?.onStop(reason);
  }

  /** The function has ended. Reports the last progress if it was not reported yet. */
  end(): void {
    this.#wasStopped = this.stopped; // its left-over code must not read the stop flag of the next task
    this.#ended = true;
    for (const channel of Object.values(this.#channels ?? {})) channel.end();
    this.#report();
  }
}

/** Sends the values of a generator as there is room for them, and returns its return value. */
export async function exhaust(
  values: Yielding,
  send: (value: unknown) => Promise<unknown>,
  isStopped: () => boolean,
): Promise<unknown> {
  for (;;) {
    const later = nextTurnIfSpent();
    if (later !== undefined) await later;
    const { done, value } = await values.next();
    if (done) return value;
    try {
      await send(value);
    } catch (error) {
      await values.return(undefined);
      throw error;
    }
    if (isStopped()) return (await values.return(undefined)).value;
  }
}

export function isYielding(value: unknown): value is Yielding {
  if (typeof value !== 'object' || value === null) return false;
  const tag = fieldOf(value, Symbol.toStringTag);
  return tag === 'AsyncGenerator' || tag === 'Generator';
}
