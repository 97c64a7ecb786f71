/** celeryTask: functions of Python programs as background tasks, called by Celery. */
import { randomUUID } from 'node:crypto';
import { checkOptions, either, is, type Rule, rules } from '../../base/options.ts';
import { type BackgroundTask, courierKit, type Priority, type TaskFunction, type TaskOptions } from '../../index.ts';
import { CeleryCall } from './client/call.ts';
import { linkFor } from './client/link.ts';
import { type CeleryConnectionOptions, connectionRules } from './connection-options.ts';
import type { OutgoingTask } from './protocol/message.ts';

const { currentRelay, hasCode, relayTask, resolveTaskOptions } = courierKit;

type ResolvedTaskOptions = ReturnType<typeof resolveTaskOptions>;

/** The options of a call. What is not said here is as for all tasks. */
export interface CeleryCallOptions<F extends TaskFunction = TaskFunction>
  extends Omit<TaskOptions<F>, 'type' | 'transfer' | 'crashRetries'> {
  /** Default: `celery`, as in Celery. */
  readonly queue?: string;
  /**
   * After that time no worker begins it, and it ends with `TASK_EXPIRED`: a Date, or milliseconds from the call. The option
   * `queueTimeoutMs` says the same in milliseconds from the end of its delay.
   */
  readonly expires?: Date | number;
  /** Nobody wants the result: the handle resolves with undefined as soon as the broker has the task. Default: false. */
  readonly ignoreResult?: boolean;
}

export interface CeleryTaskOptions<F extends TaskFunction = TaskFunction>
  extends CeleryConnectionOptions,
    CeleryCallOptions<F> {}

/** A background task that is a function of a Python program. */
export interface CeleryTask<F extends TaskFunction> extends BackgroundTask<F> {
  with(options: CeleryCallOptions<F>): CeleryTask<F>;
}

/** Keyword arguments of a Python function: the last argument of a call. Made by `kwargs()`. */
export class KeywordArguments {
  readonly values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>) {
    rules.object(values, 'what kwargs() takes');
    this.values = values;
  }
}

/** Keyword arguments for a call of a `celeryTask()`, after all others: `resize('a.png', kwargs({ width: 80 }))`. */
export function kwargs(values: Readonly<Record<string, unknown>>): KeywordArguments {
  return new KeywordArguments(values);
}

type Called<Args extends unknown[], Result> = (...args: [...Args, keywords?: KeywordArguments]) => Result;

/** What Python does not know, and where it is said what runs. */
const foreign = (what: string): Rule => is(`left out: ${what}`, (value) => value === undefined);

const callRules = {
  queue: rules.string,
  expires: either(
    is('a Date, or a number of milliseconds', (value) => value instanceof Date && !Number.isNaN(value.getTime())),
    rules.durationMs,
  ),
  ignoreResult: rules.boolean,
  type: foreign('a worker of Celery runs it'),
  transfer: foreign('it is sent as JSON'),
  crashRetries: foreign('Celery has task_reject_on_worker_lost for that'),
};

/** What `with()` keeps, beside the options of all tasks. */
interface Settings {
  readonly task: string;
  readonly connection: CeleryConnectionOptions;
  readonly queue: string;
  readonly expires: Date | number | undefined;
  readonly ignoreResult: boolean;
  /** Undefined unless the options say it. */
  readonly priority: Priority | undefined;
}

/**
 * On Redis, Celery's 0 is first, and what Python's own calls have. A task whose options say nothing has it too: else it would
 * wait for ever behind theirs.
 */
const priorityNumbers: Readonly<Record<Priority, number>> = { critical: 0, high: 3, normal: 6, low: 9 };

/** Nobody is sent anything there: Celery wants an id. */
const replyTo = randomUUID();

/**
 * A function of a Python program as a background task: a worker of Celery runs it, and the handle has its result or its
 * error. The task is in Celery what it is here: `delayMs` is its ETA, `timeoutMs` its time limit, `queueTimeoutMs` and
 * `expires` its expiry, `cancel()` revokes it, and its id is the same. `retries` sends it again after it failed. Broker and
 * result backend are Redis, and all is sent as JSON. Needs the package ioredis, else `PEER_MISSING`.
 *
 * The handle rejects with `TASK_FAILED_REMOTELY` and the exception, `TASK_TIMEOUT`, `TASK_EXPIRED`, `TASK_CRASHED` if the
 * worker says that its process died, or `TASK_CANCELED`; with `COURIER_UNREACHABLE` if it can't be sent, and
 * `SERVER_REFUSED` if Redis refuses the connection. After it was sent, outages are waited for.
 * @param name The name of the task in Celery.
 */
export function celeryTask<Args extends unknown[] = unknown[], Result = unknown>(
  name: string,
  options: CeleryTaskOptions<Called<Args, Result>>,
): CeleryTask<Called<Args, Result>> {
  rules.string(name, 'the name of a celeryTask()');
  const owner = `celeryTask('${name}')`;
  rules.object(options, `what ${owner} takes`);
  const { broker, backend, keyPrefix, resultKeyPrefix, onError, ...rest } = options as CeleryTaskOptions;
  const connection = { broker, ...defined({ backend, keyPrefix, resultKeyPrefix, onError }) };
  checkOptions(connection, connectionRules, owner);
  connectionRules.broker(broker, `option "broker" of ${owner}`);
  const settings = {
    task: name,
    connection,
    queue: 'celery',
    expires: undefined,
    ignoreResult: false,
    priority: undefined,
  };
  return make(settings, rest, owner) as unknown as CeleryTask<Called<Args, Result>>;
}

function make(
  before: Settings,
  options: CeleryCallOptions,
  owner: string,
  base?: ResolvedTaskOptions,
): BackgroundTask<TaskFunction> {
  rules.object(options, `what ${owner} takes`);
  const { queue, expires, ignoreResult, type, transfer, crashRetries, ...rest } = options as CeleryCallOptions &
    TaskOptions;
  checkOptions({ queue, expires, ignoreResult, type, transfer, crashRetries }, callRules, owner);
  const { priority } = rest;
  const settings = { ...before, ...defined({ queue, expires, ignoreResult, priority }) };
  const { task } = settings;
  const target = {
    name: rest.name ?? task,
    by: 'Celery',
    prepare: (resolved: ResolvedTaskOptions) => prepare(settings, resolved),
    with: (changes: CeleryCallOptions, resolved: ResolvedTaskOptions) =>
      make(settings, changes, `${task}.with()`, resolved),
  };
  return relayTask(target, resolveTaskOptions(rest, owner, base));
}

/** Without the properties that are undefined. */
function defined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function prepare(settings: Settings, options: ResolvedTaskOptions) {
  const { task, connection, queue, ignoreResult, priority } = settings;
  const { delayMs, timeoutMs, queueTimeoutMs, ...own } = options;
  const { stopGraceMs } = own;
  const fn = (...args: unknown[]) => {
    const run = currentRelay();
    const now = Date.now();
    const retries = run.attempt - 1;
    const startsAt = now + (retries === 0 ? (delayMs ?? 0) : 0);
    const last = args.at(-1);
    const hasKeywords = last instanceof KeywordArguments;
    const message: OutgoingTask = {
      id: run.id,
      task,
      args: hasKeywords ? args.slice(0, -1) : args,
      kwargs: hasKeywords ? last.values : {},
      queue,
      priority: priority === undefined ? 0 : priorityNumbers[priority],
      eta: startsAt > now ? new Date(startsAt) : undefined,
      expires: expiryOf(settings.expires, queueTimeoutMs, now, startsAt),
      retries,
      timeLimits: { hardMs: timeoutMs },
      ignoresResult: ignoreResult,
      replyTo,
    };
    const isNew = own.taskId === undefined && !own.retries;
    return new CeleryCall(run, message, { isNew, stopGraceMs, timeoutMs }).run(linkFor(connection));
  };
  return { fn, options: own.retries ? { ...own, retryIf: retryFailures(own.retryIf) } : own };
}

function expiryOf(
  expires: Date | number | undefined,
  queueTimeoutMs: number | undefined,
  now: number,
  startsAt: number,
): Date | undefined {
  const times: number[] = [];
  if (expires !== undefined) times.push(typeof expires === 'number' ? now + expires : expires.getTime());
  if (queueTimeoutMs !== undefined) times.push(startsAt + queueTimeoutMs);
  return times.length === 0 ? undefined : new Date(Math.min(...times));
}

/** A task that was revoked, or that has expired, is not sent again, and neither is one that can't be. */
function retryFailures(given: TaskOptions['retryIf']): NonNullable<TaskOptions['retryIf']> {
  return (error, attempt) => {
    if (hasCode(error, 'TASK_CANCELED', 'TASK_EXPIRED', 'ARGUMENT_NOT_CLONEABLE')) return false;
    return given === undefined || given(error, attempt);
  };
}
