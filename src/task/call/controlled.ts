/**
 * Tasks that are controlled while they run: `Task`, `controller()` and `chain()`. Their functions get their TaskContext
 * as first argument. The ideas are those of task.py, https://github.com/abhinavsingh/task.py.
 */
import { rules, show } from '../../base/options.ts';
import { nextTurn, Promise, sleep } from '../../platform/globals.ts';
import type { TaskFunction } from '../definition/definition.ts';
import { passingContext } from '../definition/definition-registry.ts';
import type { TaskContext } from '../inside/context.ts';
import { copyMessage } from '../record/task-channels.ts';
import { type BackgroundTask, backgroundTask } from './background-task.ts';
import type { SendOptions, TaskHandle } from './handle.ts';
import type { TaskOptions, TaskResult, TaskYield } from './task-options.ts';

/** How long `chain()` waits for its feed to close after it ended early, in milliseconds. */
const closingMs = 1_000;

/** A function that gets its TaskContext before its arguments. */
export type ControlledFunction<A extends unknown[], R> = (task: TaskContext, ...args: A) => R;

/** The result of a function as a task. */
type Result<R> = TaskResult<() => R>;
type Handle<R> = TaskHandle<Result<R>, TaskYield<() => R>>;

/** A task that is created first and started later. `stop()` asks it to finish; messages can be exchanged meanwhile. */
export class ControlledTask<A extends unknown[] = unknown[], R = unknown> {
  readonly args: Readonly<A>;
  readonly #name: string;
  readonly #submit: () => Handle<R>;
  #handle: Handle<R> | undefined;
  /** Sends the messages that were given before the start. */
  readonly #sentBeforeStart: ((handle: Handle<R>) => void)[] = [];

  /** From a background task, with its module and options: `.with({ type: 'process' })`. */
  constructor(target: BackgroundTask<ControlledFunction<A, R>>, ...args: A);
  /** From a function. Its source is sent, so it can't see variables around it. */
  constructor(target: ControlledFunction<A, R>, ...args: A);
  /** From a function that reads its arguments from `task.args`. */
  constructor(target: (task: TaskContext) => R, ...args: A);
  constructor(target: ControlledFunction<A, R> | BackgroundTask<ControlledFunction<A, R>>, ...args: A) {
    const task = taskOf(target).withDefinition(passingContext);
    this.args = args;
    this.#name = task.name;
    this.#submit = () => task(...args) as Handle<R>;
  }

  /** Submits it. A second call changes nothing. */
  start(): this {
    if (this.#handle !== undefined) return this;
    this.#handle = this.#submit();
    for (const send of this.#sentBeforeStart.splice(0)) send(this.#handle);
    return this;
  }

  /** Absent before the start. */
  get handle(): Handle<R> | undefined {
    return this.#handle;
  }

  /** Sends data to the task's `recv()`, like `TaskHandle.send`. Before the start, the data is kept until then. */
  send(data: unknown, options?: SendOptions): Promise<boolean> {
    if (this.#handle !== undefined) return this.#handle.send(data, options);
    return new Promise((resolve) => {
      const copy = copyMessage(data, { name: this.#name });
      this.#sentBeforeStart.push((handle) => resolve(handle.send(copy, options)));
    });
  }

  /** Starts the task, and yields what it sends. */
  messages<M = unknown>(): AsyncGenerator<M, void, undefined> {
    return this.#started.messages<M>();
  }

  /** Asks it to finish, and resolves when it has ended in any way: see `result` and `exception`. Does not start it. */
  async stop(): Promise<void> {
    await this.#handle?.stop();
  }

  /** Whether it has ended, in whatever way. */
  get done(): boolean {
    return this.#handle?.done ?? false;
  }

  /** What the function returned, once it has. */
  get result(): Result<R> | undefined {
    return this.#handle?.result;
  }

  /** What it failed with, once it has. */
  get exception(): unknown {
    return this.#handle?.exception;
  }

  get #started(): Handle<R> {
    this.start();
    return this.#handle as Handle<R>;
  }
}

// biome-ignore lint/suspicious/noExplicitAny: functions of all kinds go through here.
type AnyTarget = ControlledFunction<any[], unknown> | BackgroundTask<ControlledFunction<any[], unknown>>;

function taskOf(target: AnyTarget, options: TaskOptions = {}): BackgroundTask<TaskFunction> {
  rules.function(target, 'what a Task runs');
  return 'spec' in target ? target.with(options) : backgroundTask(target, { name: target.name || 'task', ...options });
}

/**
 * Runs beside a task and decides when it finishes: the task is asked to finish when the controller's promise resolves.
 * The signal aborts when the task has ended; nobody waits for the controller after that. The task's result or error is
 * delivered only when all promises that were passed to `hold` have settled.
 */
export type Controller = (
  task: ControlledTask,
  signal: AbortSignal,
  hold?: (work: PromiseLike<unknown>) => void,
) => unknown;

/**
 * Returns an async function that starts a `Task` of `target`, runs the controller beside it, and returns the task's result
 * or throws its error. If the controller fails, the task is stopped, and the controller's error is thrown.
 */
export function controller<A extends unknown[], R>(
  control: Controller,
  target: BackgroundTask<ControlledFunction<A, R>>,
  options?: TaskOptions,
): (...args: A) => Promise<Result<R>>;
export function controller<A extends unknown[], R>(
  control: Controller,
  target: ControlledFunction<A, R>,
  options?: TaskOptions,
): (...args: A) => Promise<Result<R>>;
export function controller(
  control: Controller,
  target: AnyTarget,
  options: TaskOptions = {},
): (...args: unknown[]) => Promise<unknown> {
  rules.function(control, 'the controller');
  const task = taskOf(target, options);
  return async (...args) => {
    const run = new ControlledTask(task, ...args).start();
    const handle = run.handle as TaskHandle<unknown>;
    const end = new AbortController();
    const ended = handle.then(
      () => end.abort(),
      () => end.abort(),
    );
    let problem: { readonly error: unknown } | undefined;
    const held: PromiseLike<unknown>[] = [];
    const controlled = (async () => control(run, end.signal, (work) => held.push(work)))().catch((error: unknown) => {
      if (!end.signal.aborted) problem = { error };
    });
    await Promise.race([ended, controlled]);
    await run.stop();
    await Promise.allSettled(held);
    if (problem !== undefined) throw problem.error;
    return handle;
  };
}

/** A controller that waits until the task has ended. */
export function waitUntilDone(): Controller {
  return (_task, signal) =>
    new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
}

/** A promise of the results of all functions, in order. Iterating it yields what the last function sends. */
export interface Chain extends Promise<unknown[]>, AsyncIterable<unknown> {}

/**
 * Runs functions side by side, each as a `Task`: the first receives the values of the feed, and each other one receives
 * what the one before it sends. At the end of the feed the first is asked to finish, so its `recv()` returns undefined;
 * when it has ended, the next one is asked, and so on. The chain waits for a slow task, unless that has no slot yet.
 * Rejects with the first failure, which cancels the others. A task that ends early ends those before it.
 */
export function chain(feed: Iterable<unknown> | AsyncIterable<unknown>, ...targets: AnyTarget[]): Chain {
  if (targets.length === 0) throw new TypeError('chain() takes a feed and at least one function');
  const isIterable = Symbol.iterator in Object(feed) || Symbol.asyncIterator in Object(feed);
  if (!isIterable)
    throw new TypeError(`the feed of chain() must be an iterable or an async iterable; got ${show(feed)}`);
  const tasks = targets.map((target) => new ControlledTask(taskOf(target)).start());
  const handles = tasks.map(({ handle }) => handle as TaskHandle<unknown>);

  async function forward(source: Iterable<unknown> | AsyncIterable<unknown>, index: number): Promise<void> {
    const to = handles[index] as TaskHandle<unknown>;
    const values = iteratorOf(source);
    let stopWaiting = () => {};
    const end = () => stopWaiting();
    to.then(end, end);
    for (;;) {
      const next = await new Promise<IteratorResult<unknown> | undefined>((resolve, reject) => {
        stopWaiting = () => resolve(undefined); // the next value may never come
        Promise.resolve(values.next()).then(resolve, reject);
      });
      if (next === undefined || next.done || to.done) break;
      const sent = to.send(next.value);
      // A task without a slot may get one only after everything is sent: wait for it no longer than one turn.
      const canContinue = to.status === 'started' ? sent : Promise.race([sent, nextTurn(true)]);
      if (!(await canContinue)) break;
    }
    // A source that is still producing a value may never finish that.
    if (to.done) await Promise.race([values.return?.(), sleep(closingMs, undefined, { ref: false })]);
    const previous = handles[index - 1];
    await previous?.stop();
    // The end of a failed task is not the end of the feed: the next task would finish with half of the work.
    if (previous === undefined || previous.status === 'completed') await to.stop();
  }

  const forwarded = handles.map((_, index) => forward(handles[index - 1]?.messages() ?? feed, index));
  const results = Promise.all([...handles, ...forwarded]).then((all) => all.slice(0, handles.length));
  results.catch((cause) => {
    for (const handle of handles) handle.cancel(cause);
  });
  const last = handles.at(-1) as TaskHandle<unknown>;
  return Object.assign(results, { [Symbol.asyncIterator]: () => last.messages() });
}

function iteratorOf(source: Iterable<unknown> | AsyncIterable<unknown>): Iterator<unknown> | AsyncIterator<unknown> {
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
}
