/**
 * Tasks that are controlled while they run: `Task`, `controller()` and `chain()`. Their functions get what they see of
 * themselves, the TaskContext, as first argument. The ideas are those of task.py, https://github.com/abhinavsingh/task.py.
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

/** How long the feed of a chain that has ended early may take to close, in milliseconds. */
const closingMs = 1_000;

/** Gets what it sees of itself before its arguments. */
export type ControlledFunction<A extends unknown[], R> = (task: TaskContext, ...args: A) => R;

/** What a function gives as a task: what its promise gives, or what it returns. */
type Result<R> = TaskResult<() => R>;
type Handle<R> = TaskHandle<Result<R>, TaskYield<() => R>>;

/** A task that is made first and started later. It is told to finish by `stop()`, and talked with meanwhile. */
export class ControlledTask<A extends unknown[] = unknown[], R = unknown> {
  readonly args: Readonly<A>;
  readonly #name: string;
  readonly #submit: () => Handle<R>;
  #handle: Handle<R> | undefined;
  /** What was sent before the start. */
  readonly #early: ((handle: Handle<R>) => void)[] = [];

  /** Of a background task, which brings its module and its options: `.with({ type: 'process' })`. */
  constructor(target: BackgroundTask<ControlledFunction<A, R>>, ...args: A);
  /** Of a function alone, which sees nothing of what is around it, for its source is sent. */
  constructor(target: ControlledFunction<A, R>, ...args: A);
  /** Of one that looks for its arguments in `task.args`. */
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
    for (const send of this.#early.splice(0)) send(this.#handle);
    return this;
  }

  /** Absent before the start. */
  get handle(): Handle<R> | undefined {
    return this.#handle;
  }

  /** Sends something to the task's `recv()`, as `TaskHandle.send`; before the start it is kept until then. */
  send(data: unknown, options?: SendOptions): Promise<boolean> {
    if (this.#handle !== undefined) return this.#handle.send(data, options);
    return new Promise((resolve) => {
      const copy = copyMessage(data, { name: this.#name });
      this.#early.push((handle) => resolve(handle.send(copy, options)));
    });
  }

  /** What the task sends; starts it. */
  messages<M = unknown>(): AsyncGenerator<M, void, undefined> {
    return this.#started.messages<M>();
  }

  /** Asks it to finish, and resolves when it has ended, however: see `result` and `exception`. Not started, it stays so. */
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

/** Whatever it takes and gives. */
// biome-ignore lint/suspicious/noExplicitAny: functions of all kinds go through here.
type AnyTarget = ControlledFunction<any[], unknown> | BackgroundTask<ControlledFunction<any[], unknown>>;

function taskOf(target: AnyTarget): BackgroundTask<TaskFunction> {
  rules.function(target, 'what a Task runs');
  return 'spec' in target ? target : backgroundTask(target, { name: target.name || 'task' });
}

/**
 * Runs beside a task and decides when that is to finish: it is asked to as soon as the controller's promise resolves. The
 * signal aborts when the task has ended. Nobody waits for the controller then, but for what it has given to `hold`: the
 * task's result, or error, is given when that has settled, in whatever way.
 */
export type Controller = (
  task: ControlledTask,
  signal: AbortSignal,
  hold?: (work: PromiseLike<unknown>) => void,
) => unknown;

/**
 * An async function that starts a `Task` of `target`, lets the controller run beside it, and gives the task's result or
 * throws its error. A controller that fails stops the task, and its error is thrown.
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
  const task = taskOf(target).with(options);
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

/** A controller that leaves the task alone until it has ended. */
export function waitUntilDone(): Controller {
  return (_task, signal) =>
    new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
}

/** A promise of what each function has returned, in order; and, to be iterated, what the last one sends. */
export interface Chain extends Promise<unknown[]>, AsyncIterable<unknown> {}

/**
 * Runs functions side by side, each as a `Task`: the first receives what the feed gives, and each other what the one
 * before it sends. Where the feed ends, `recv()` gives undefined, as it does where a task is asked to stop; so it goes from
 * one to the next. One that is slow is waited for, unless it has no slot yet. Rejects with the first failure, which cancels
 * the others. One that ends early ends those before it.
 */
export function chain(feed: Iterable<unknown> | AsyncIterable<unknown>, ...targets: AnyTarget[]): Chain {
  if (targets.length === 0) throw new TypeError('chain() takes a feed and at least one function');
  const isIterable = Symbol.iterator in Object(feed) || Symbol.asyncIterator in Object(feed);
  if (!isIterable)
    throw new TypeError(`the feed of chain() must be an iterable or an async iterable; got ${show(feed)}`);
  const tasks = targets.map((target) => new ControlledTask(taskOf(target)).start());
  const handles = tasks.map(({ handle }) => handle as TaskHandle<unknown>);

  async function carry(source: Iterable<unknown> | AsyncIterable<unknown>, place: number): Promise<void> {
    const to = handles[place] as TaskHandle<unknown>;
    const values = iteratorOf(source);
    let leave = () => {};
    const end = () => leave();
    to.then(end, end);
    for (;;) {
      const next = await new Promise<IteratorResult<unknown> | undefined>((resolve, reject) => {
        leave = () => resolve(undefined); // the next value may never come
        Promise.resolve(values.next()).then(resolve, reject);
      });
      if (next === undefined || next.done || to.done) break;
      const room = to.send(next.value);
      // One that has no slot yet may have it only when all is sent: it is waited for no longer than a turn.
      const goesOn = to.status === 'started' ? room : Promise.race([room, nextTurn(true)]);
      if (!(await goesOn)) break;
    }
    // One that is still asked for its next value may never give it.
    if (to.done) await Promise.race([values.return?.(), sleep(closingMs, undefined, { ref: false })]);
    const former = handles[place - 1];
    await former?.stop();
    // The end of one that has failed is no end of the feed: who takes it for that would finish half of the work.
    if (former === undefined || former.status === 'completed') await to.stop();
  }

  const carried = handles.map((_, place) => carry(handles[place - 1]?.messages() ?? feed, place));
  const results = Promise.all([...handles, ...carried]).then((all) => all.slice(0, handles.length));
  results.catch((cause) => {
    for (const handle of handles) handle.cancel(cause);
  });
  const last = handles.at(-1) as TaskHandle<unknown>;
  return Object.assign(results, { [Symbol.asyncIterator]: () => last.messages() });
}

function iteratorOf(source: Iterable<unknown> | AsyncIterable<unknown>): Iterator<unknown> | AsyncIterator<unknown> {
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
}
