/** CeleryWorker: runs the functions that Python programs call by Celery, as tasks of a supervisor. */
import { checkOptions } from '../../base/options.ts';
import { type BackgroundTask, courierKit, type TaskFunction, TaskwardenError } from '../../index.ts';
import { openConnections } from './worker/connections.ts';
import type { Request } from './worker/request/request.ts';
import { Session } from './worker/session.ts';
import {
  type CeleryWorkerOptions,
  celeryWorkerRules,
  defaultConcurrency,
  defaultName,
} from './worker/worker-options.ts';

const { callSafely, foreverPendingPromise, isLoadingModule, messageOf, onAbort, rules, taskOf } = courierKit;

const performRules = { signal: rules.signal };

/**
 * Serves queues of Celery beside workers in Python: takes messages only when it can start them, runs the functions of its
 * allow-list, and stores the results in Celery's format. Nothing but JSON is read, and nothing is evaluated; a message that
 * can't be read, or asks for another function, is rejected with a line in the log. While a task runs, its message stays in
 * the broker's list of those that are not acknowledged: if this program dies, another worker gets it, in Python or here.
 *
 * Needs the package ioredis, else `PEER_MISSING`.
 */
export class CeleryWorker {
  readonly name: string;
  readonly queues: readonly string[];
  readonly #options: CeleryWorkerOptions;
  readonly #functions: ReadonlyMap<string, BackgroundTask<TaskFunction>>;
  #session: Promise<Session> | undefined;
  #running: Session | undefined;
  #isStopping = false;

  /** @throws TypeError or RangeError for an option that is unknown or bad. */
  constructor(options: CeleryWorkerOptions) {
    checkOptions(options, celeryWorkerRules, new.target.name);
    const { broker, functions, supervisor, queues = ['celery'], name = defaultName() } = options;
    celeryWorkerRules.broker(broker, `option "broker" of ${new.target.name}`);
    celeryWorkerRules.functions(functions, `option "functions" of ${new.target.name}`);
    this.name = name;
    this.queues = Object.freeze([...queues]);
    this.#options = Object.freeze({ ...options });
    this.#functions = new Map(
      Object.entries(functions).map(([key, target]) => {
        const task = taskOf(key, target);
        return [key, supervisor === undefined ? task : task.with({ supervisor })];
      }),
    );
  }

  /** How many messages it has: of tasks that run, or wait for their ETA, or whose results are being stored. */
  get inFlight(): number {
    return this.#running?.requests.size ?? 0;
  }

  /**
   * Takes and runs tasks until it is asked to stop. Keeps the process alive. When the signal aborts, or `stop()` is called,
   * tasks that have not begun go back to their queues, those that run are finished, and it resolves.
   * Rejects with `SERVER_REFUSED` if Redis refuses the connection, or `ALREADY_PERFORMING`. Outages are waited for, and told
   * to `onError` once.
   */
  perform(options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    checkOptions(options, performRules, `${this.constructor.name}.perform()`);
    if (isLoadingModule()) return foreverPendingPromise(); // a thread imports this program for a function in it
    return this.#perform(options);
  }

  async #perform({ signal }: { readonly signal?: AbortSignal }): Promise<void> {
    if (this.#session !== undefined) {
      throw new TaskwardenError('ALREADY_PERFORMING', `${this.constructor.name} ${this.name} performs already`);
    }
    this.#isStopping = signal?.aborted ?? false;
    this.#session = this.#open();
    const unlisten = signal && onAbort(signal, () => this.stop());
    try {
      const session = await this.#session;
      this.#running = session;
      if (this.#isStopping) session.stop();
      await session.run();
    } finally {
      unlisten?.();
      this.#session = undefined;
      this.#running = undefined;
    }
  }

  /** Does the same as aborting the signal of `perform()`. */
  stop(): void {
    this.#isStopping = true;
    this.#running?.stop();
  }

  async #open(): Promise<Session> {
    const {
      concurrency = defaultConcurrency(),
      acksLate = true,
      visibilityTimeoutMs = 3_600_000,
      resultTtlMs = 86_400_000,
      trackStarted = false,
      taskEvents = false,
      routes = {},
    } = this.#options;
    const onProblem = (problem: unknown, request?: Request) => this.#report(problem, request);
    const connections = await openConnections(this.#options, (error) => this.#report(error));
    const { name, queues } = this;
    const functions = this.#functions;
    return new Session(
      {
        name,
        queues,
        functions,
        concurrency,
        acksLate,
        visibilityTimeoutMs,
        resultTtlMs,
        trackStarted,
        taskEvents,
        queueOf: (task) => (Object.hasOwn(routes, task) ? (routes[task] as string) : 'celery'),
        onProblem,
      },
      connections,
    );
  }

  #report(problem: unknown, request?: Request): void {
    const about = request === undefined ? '' : `, task ${request.id}`;
    const report =
      this.#options.onError ??
      ((error: unknown) => console.warn(`CeleryWorker ${this.name}${about}: ${messageOf(error)}`));
    callSafely(report, problem, (error) => console.error('onError of a CeleryWorker failed:', error));
  }
}
