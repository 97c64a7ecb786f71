/** The options of a supervisor: what they mean, their defaults, and how they are checked. */
import { availableParallelism } from 'node:os';
import type { ResourceLimits } from 'node:worker_threads';
import { isInstance } from '../base/foreign-value.ts';
import type { Logger } from '../base/logger.ts';
import { arrayOf, checkOptions, either, is, oneOf, optionsBy, type Rule, rules } from '../base/options.ts';
import type { HostPoolOptions } from '../dispatch/lane-registry.ts';
import type { RecycleOptions } from '../lanes/host-pool/recycling.ts';
import type { Preload } from '../lanes/loading/loaded-definitions.ts';
import { randomUUID } from '../platform/globals.ts';
import type { PoolLimits } from '../queue/priority.ts';
import { isBackgroundTask } from '../task/call/background-task.ts';
import type { Definition, TaskFunction } from '../task/definition/definition.ts';
import { toModuleUrl } from '../task/definition/module-url.ts';
import type { ContextCarrier } from '../task/inside/context-carrier.ts';

/**
 * A task may start while fewer than its limit run in its pool: low `poolSize`; normal `poolSize + reserveNormal`; high
 * `poolSize + reserveNormal + reserveHigh`; critical `maxSize`, and on the event loop always.
 */
export interface PoolOptions {
  /**
   * Slots for tasks of any priority; 0: no limit. Default: the number of cores for threads and processes, 0 for the
   * loop.
   */
  readonly poolSize?: number;
  /** More slots for normal tasks and above. Default: 1. */
  readonly reserveNormal?: number;
  /** More slots for high tasks and above. Default: 1. */
  readonly reserveHigh?: number;
}

/** Any background task. */
interface PreloadedTask {
  (...args: never[]): unknown;
  with(options: never): unknown;
}

export interface ThreadOptions extends PoolOptions {
  /**
   * Threads that are started at once and kept; those of the reserves first: while fewer than
   * `poolSize + reserveNormal + reserveHigh` threads exist, as many as `minSize` and the reserves say are kept free beside
   * the busy ones, so that an urgent task need not wait for the start of one. Default: 0; `'max'`: `maxSize` if that is
   * given, else `poolSize + reserveNormal + reserveHigh + 1`.
   */
  readonly minSize?: number | 'max';
  /**
   * What each new thread loads before its first task: background tasks, and modules by their URL or absolute path, with
   * what they give to `laneSetup()`. What can't be loaded is logged, and loaded again for its first task. Default: none.
   */
  readonly preload?: readonly (string | URL | PreloadedTask)[];
  /**
   * The maximum number of threads, whatever the priority of the tasks: critical tasks beyond it wait, before all
   * others. Only sub-tasks whose callers wait for them may have more, at most `maxDepth` more; and while threads are
   * recycled, an old one may exist beside its replacement. Default: `poolSize + reserveNormal + reserveHigh + 16`; 64
   * if `poolSize` is 0.
   */
  readonly maxSize?: number;
  /**
   * How many tasks run in a thread or child at the same time, for tasks that await; one that computes holds up those that
   * share its thread, and if the thread dies they all crash. Each has a slot: the limits above count threads, and each
   * thread has so many slots. At most 1,000. A change replaces the threads. Default: 1.
   */
  readonly concurrentTasks?: number;
  /** How long a thread beyond `minSize` stays without work. Default: 10,000. */
  readonly idleTimeoutMs?: number;
  /** See `new Worker()` of node:worker_threads. A change applies to threads that start afterwards. */
  readonly resourceLimits?: ResourceLimits;
  /**
   * How much lower the system priority of the threads is than that of the program, as a nice value from 0 to 19: the
   * program, and threads that were started for high and critical tasks, are served first when all cores are busy. Linux
   * only; nothing changes elsewhere. It can't be taken back for a thread. Default: 0.
   */
  readonly nice?: number;
  /** When a thread is replaced by a new one, which is ready before the old one exits. Default: never. */
  readonly recycle?: RecycleOptions;
  /** Environment of the threads. Default: a copy of `process.env`. */
  readonly env?: NodeJS.ProcessEnv;
  /** Node options of the threads. Default: those of the process. */
  readonly execArgv?: string[];
}

/**
 * The same for child processes: see `fork()` of node:child_process. Of `resourceLimits`, `codeRangeSizeMb` has no
 * effect.
 */
export type ProcessOptions = ThreadOptions;

export interface SupervisorOptions {
  /** Default: a UUID. */
  readonly id?: string;
  /** Shown in log lines. Default: `'taskwarden'`. */
  readonly name?: string;
  readonly threads?: ThreadOptions;
  readonly processes?: ProcessOptions;
  readonly loop?: PoolOptions;
  /**
   * How deep tasks may call one another. A deeper task fails with `TASK_TOO_DEEP`. Callers that have ended are not
   * counted. Default: 64.
   */
  readonly maxDepth?: number;
  /** How many ended tasks `getTaskInfo()` and `getTasks()` still know. Default: 1,000. */
  readonly keepFinished?: number;
  /** How many tasks may wait, delayed ones included; one more fails with `QUEUE_FULL`. Default: Infinity. */
  readonly maxQueued?: number;
  /**
   * A task that waits longer than that for its start is reported by an event. A log line is written as well, if no task
   * of its type and priority has started within that time; but not for tasks of `map()`. Default: 5,000; Infinity:
   * never.
   */
  readonly timeoutWarningMs?: number;
  /** The same, as an error. Default: 10,000; Infinity: never. */
  readonly timeoutCriticalMs?: number;
  /** Carries a part of the caller's asynchronous context to threads and children. Default: none. */
  readonly context?: ContextCarrier;
  /** Gets warnings and errors; shaped like console or pino. Default: `console`; `false`: no logging. */
  readonly logger?: Logger | false;
}

export interface ResolvedOptions {
  readonly id: string;
  readonly name: string;
  readonly threads: HostPoolOptions;
  readonly processes: HostPoolOptions;
  readonly loop: PoolLimits;
  readonly maxDepth: number;
  readonly keepFinished: number;
  readonly maxQueued: number;
  /** `timeoutWarningMs` and `timeoutCriticalMs`. */
  readonly lateMs: readonly number[];
  readonly logger: Logger | false;
  readonly context: ContextCarrier | undefined;
}

const poolRules: Readonly<Record<keyof PoolOptions, Rule>> = {
  poolSize: rules.count,
  reserveNormal: rules.count,
  reserveHigh: rules.count,
};

const limitRules: Readonly<Record<keyof ResourceLimits, Rule>> = {
  maxOldGenerationSizeMb: rules.positiveMb,
  maxYoungGenerationSizeMb: rules.positiveMb,
  codeRangeSizeMb: rules.positiveMb,
  stackSizeMb: rules.positiveMb,
};

const recycleRules: Readonly<Record<keyof RecycleOptions, Rule>> = {
  afterTasks: rules.positiveCount,
  maxHeapMb: rules.positiveMb,
  afterMs: rules.positiveMs,
};

const threadRules: Readonly<Record<keyof ThreadOptions, Rule>> = {
  ...poolRules,
  concurrentTasks: rules.tasksPerHost,
  minSize: either(rules.count, oneOf(['max'])),
  maxSize: rules.positiveCount,
  idleTimeoutMs: rules.durationMsOrInfinity,
  resourceLimits: optionsBy(limitRules, 'resourceLimits'),
  nice: rules.nice,
  recycle: optionsBy(recycleRules, 'recycle'),
  env: rules.object,
  execArgv: arrayOf('an array of strings', (value) => typeof value === 'string'),
  preload: arrayOf('an array of module URLs and background tasks', (value) => preloadOf(value) !== undefined),
};

const supervisorRules: Readonly<Record<keyof SupervisorOptions, Rule>> = {
  id: rules.string,
  name: rules.string,
  threads: optionsBy(threadRules, 'threads'),
  processes: optionsBy(threadRules, 'processes'),
  loop: optionsBy(poolRules, 'loop'),
  maxDepth: rules.count,
  keepFinished: rules.count,
  maxQueued: rules.positiveCountOrInfinity,
  timeoutWarningMs: rules.durationMsOrInfinity,
  timeoutCriticalMs: rules.durationMsOrInfinity,
  context: is(
    'what contextCarrier() gives',
    (value) => typeof (value as ContextCarrier | null)?.capture === 'function',
  ),
  logger: is(
    'a logger with warn() and error(), such as console or pino, or false',
    (value) =>
      value === false ||
      (typeof (value as Logger | null)?.warn === 'function' && typeof (value as Logger).error === 'function'),
  ),
};

/** Merges new options into the given ones: pools are merged key by key. Throws on bad options. */
export function mergeOptions(given: SupervisorOptions, changes: SupervisorOptions, owner: string): SupervisorOptions {
  checkOptions(changes, supervisorRules, owner);
  return {
    ...given,
    ...defined(changes),
    ...(changes.threads && { threads: { ...given.threads, ...defined(changes.threads) } }),
    ...(changes.processes && { processes: { ...given.processes, ...defined(changes.processes) } }),
    ...(changes.loop && { loop: { ...given.loop, ...defined(changes.loop) } }),
  };
}

export function resolveOptions(given: SupervisorOptions): ResolvedOptions {
  let { id } = given;
  const { maxDepth = 64 } = given;
  return Object.freeze({
    get id() {
      id ??= randomUUID(); // only when it is read: loading the generator takes long, and few ids are read
      return id;
    },
    name: given.name ?? 'taskwarden',
    threads: resolveHosts('threads', given.threads ?? {}, maxDepth),
    processes: resolveHosts('processes', given.processes ?? {}, maxDepth),
    loop: { poolSize: 0, reserveNormal: 1, reserveHigh: 1, ...given.loop },
    maxDepth,
    keepFinished: given.keepFinished ?? 1_000,
    maxQueued: given.maxQueued ?? Infinity,
    lateMs: [given.timeoutWarningMs ?? 5_000, given.timeoutCriticalMs ?? 10_000],
    logger: given.logger ?? console,
    context: given.context,
  });
}

/**
 * How many threads or children there may be beyond the slots, for critical tasks; and in all, if slots have no limit.
 */
const extraHosts = 16;
const hostsWithoutLimit = 64;

function resolveHosts(pool: string, given: ThreadOptions, maxDepth: number): HostPoolOptions {
  const { poolSize = availableParallelism(), reserveNormal = 1, reserveHigh = 1, idleTimeoutMs = 10_000 } = given;
  const { concurrentTasks = 1 } = given;
  const slots = poolSize + reserveNormal + reserveHigh;
  const { maxSize = poolSize === 0 ? hostsWithoutLimit : slots + extraHosts } = given;
  const minSize = given.minSize === 'max' ? (given.maxSize ?? slots + 1) : (given.minSize ?? 0);
  if (given.minSize === 'max' && given.maxSize === undefined && poolSize === 0) {
    throw new RangeError(`option "minSize" of ${pool} can't be 'max' without a limit: give "poolSize" or "maxSize"`);
  }
  if (minSize > maxSize) {
    throw new RangeError(`option "minSize" of ${pool} must be at most "maxSize" (${maxSize}); got ${minSize}`);
  }
  const { resourceLimits, nice, recycle, env, execArgv } = given;
  const preload = given.preload && resolvePreload(given.preload);
  return {
    poolSize,
    reserveNormal,
    reserveHigh,
    minSize,
    maxSize,
    maxDepth,
    concurrentTasks,
    idleTimeoutMs,
    minFree: Math.min(minSize, reserveNormal + reserveHigh),
    slots: poolSize === 0 ? maxSize : slots,
    ...defined({ resourceLimits, nice, recycle, env, execArgv, preload }),
  };
}

function resolvePreload(given: readonly unknown[]): Preload {
  const all = given.map((each) => preloadOf(each));
  return {
    modules: all.filter((each) => typeof each === 'string'),
    definitions: all.filter((each) => typeof each === 'object'),
  };
}

/** The URL of a module, or the definition of a task; undefined if it is neither. */
function preloadOf(value: unknown): string | Definition | undefined {
  if (typeof value === 'function') {
    const task = value as TaskFunction;
    return isBackgroundTask(task) ? task.spec.definition : undefined;
  }
  if (typeof value !== 'string' && !isInstance(value, URL)) return undefined;
  try {
    return toModuleUrl(value as string | URL);
  } catch {
    return undefined;
  }
}

function defined<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}
