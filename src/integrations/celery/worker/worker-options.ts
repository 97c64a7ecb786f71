/** The options of a `CeleryWorker`, and how they are checked. */
import { availableParallelism, hostname } from 'node:os';
import { is, type Rule, rules } from '../../../base/options.ts';
import type { TaskFunction, TaskOptions } from '../../../index.ts';
import { type CeleryConnectionOptions, connectionRules } from '../connection-options.ts';

export interface CeleryWorkerOptions extends CeleryConnectionOptions {
  /** Default: `['celery']`. */
  readonly queues?: readonly string[];
  /**
   * The functions that messages may call, by the names that they have in Celery: background tasks, or plain functions, whose
   * source is sent to a thread. Only own properties count, as they are when the worker is made. The options of the functions
   * apply, except `delayMs`: `retries` sends the message again, with Celery's number of retries.
   */
  readonly functions: Readonly<Record<string, TaskFunction>>;
  /** Default: the supervisor of each background task. */
  readonly supervisor?: TaskOptions['supervisor'];
  /** How many tasks run at once, at most. Default: the number of cores. */
  readonly concurrency?: number;
  /** The name of the node, unique among all workers. Default: `taskwarden-<pid>@<host>`. */
  readonly name?: string;
  /**
   * Whether a message is acknowledged when its task has ended: then a worker that dies loses none. If false, it is when the
   * task begins, as is Celery's default. Default: true.
   */
  readonly acksLate?: boolean;
  /**
   * After so many milliseconds without a sign of life of its worker, a message is given to another one. Of all workers of a
   * broker the shortest one holds, so it should be the same for all: Celery's default, too, is 3,600,000, an hour.
   */
  readonly visibilityTimeoutMs?: number;
  /** How long results are kept, in milliseconds. Default: 86,400,000, a day, as in Celery. */
  readonly resultTtlMs?: number;
  /** Whether the state STARTED is stored, as Celery's `task_track_started`. Default: false. */
  readonly trackStarted?: boolean;
  /** Whether events of tasks are published, as `-E` of Celery's worker; remote control can change it. Default: false. */
  readonly taskEvents?: boolean;
  /**
   * The queues of tasks by their names, for what follows a task of this worker in a chain, chord or as a callback, if its
   * signature names no queue. Python's `task_routes` are not known here. Default: `celery` for all.
   */
  readonly routes?: Readonly<Record<string, string>>;
}

const functionsRule: Rule = is('an object of functions', (value) => {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject && Object.values(value).every((target) => typeof target === 'function');
});

export const celeryWorkerRules: Readonly<Record<keyof CeleryWorkerOptions, Rule>> = {
  ...connectionRules,
  queues: is(
    'an array of names, with at least one',
    (value) =>
      Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string' && each !== ''),
  ),
  functions: functionsRule,
  supervisor: is('a TaskSupervisor', (value) => typeof (value as { submit?: unknown } | null)?.submit === 'function'),
  concurrency: rules.positiveCount,
  name: rules.string,
  acksLate: rules.boolean,
  visibilityTimeoutMs: rules.positiveMs,
  resultTtlMs: rules.positiveMs,
  trackStarted: rules.boolean,
  taskEvents: rules.boolean,
  routes: is('an object of names of queues', (value) => {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject && Object.values(value).every((queue) => typeof queue === 'string' && queue !== '');
  }),
};

let workers = 0;

/** Each worker of a program has another one. */
export function defaultName(): string {
  workers += 1;
  return `taskwarden-${process.pid}${workers === 1 ? '' : `-${workers}`}@${hostname()}`;
}

export function defaultConcurrency(): number {
  return availableParallelism();
}
