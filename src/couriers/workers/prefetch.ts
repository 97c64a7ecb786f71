/**
 * Fetches only tasks that can start at once here, so that no task waits in a busy program while another program is idle. For
 * very short tasks it fetches a whole batch for each slot.
 * There is one fetch at a time for all iterations of a worker. When slots are taken or become free meanwhile, the fetch is
 * canceled and repeated with the new limits. A task that comes although its slot was taken is released at once.
 */
import { defer } from '../../platform/deferred.ts';
import { Promise } from '../../platform/globals.ts';
import { onAbort, untilAborted } from '../../platform/on-abort.ts';
import type { Demand, FreeCapacity } from '../../queue/free-capacity.ts';
import { type Priority, priorities } from '../../queue/priority.ts';
import type { TaskSpec } from '../../task/call/task-options.ts';
import type { TaskType } from '../../task/record/task-type.ts';
import type { CourierTask, WorkerTaskCourier } from '../courier.ts';
import type { ReturnForNext } from './result-return.ts';

/** What tasks may need on one supervisor, whichever function they call. */
export interface SupervisorDemand {
  readonly freeCapacity: FreeCapacity<TaskType>;
  readonly demands: readonly Demand<TaskType>[];
}

/** What the runs of a background task or a worker need. */
export function demandOf({ definition, options: { type, module, transfer } }: TaskSpec): Demand<TaskType> {
  return { type, module, definition, transfer };
}

export interface PrefetchOptions {
  readonly courier: WorkerTaskCourier;
  readonly queueName: string;
  /** How many tasks an iteration gets, at most. */
  readonly perIteration: number;
  /** Whether the tasks of an iteration share one slot. If not, each needs its own. */
  readonly isShared: boolean;
  readonly demands: readonly SupervisorDemand[];
  /** Ends all waits, with no tasks. */
  readonly signal: AbortSignal;
}

/** What may be fetched now. */
interface FetchLimits {
  readonly minPriority: Priority;
  readonly slots: number;
}

/** The reason for canceling a fetch. A string, because creating an exception each time would capture a stack. */
const limitsChanged = 'other tasks can start now';

interface Iteration {
  readonly resolve: (tasks: readonly CourierTask[]) => void;
  readonly reject: (error: unknown) => void;
}

export class Prefetch {
  readonly #options: PrefetchOptions;
  readonly #waiting = new Set<Iteration>();
  /** Functions that end the reservation of a slot, by the lease of the task. */
  readonly #reservations = new Map<string, () => void>();
  #isFetching = false;

  constructor(options: PrefetchOptions) {
    this.#options = options;
  }

  get signal(): AbortSignal {
    return this.#options.signal;
  }

  /** Waits for the tasks of an iteration; resolves with none when the signal aborts. */
  next(): Promise<readonly CourierTask[]> {
    const { signal } = this;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return resolve([]);
      const leave = () => {
        this.#waiting.delete(iteration);
        unlisten();
      };
      const iteration: Iteration = {
        resolve: (tasks) => {
          leave();
          resolve(tasks);
        },
        reject: (error) => {
          leave();
          reject(error);
        },
      };
      const unlisten = onAbort(signal, () => iteration.resolve([]));
      this.#waiting.add(iteration);
      if (!this.#isFetching) void this.#fetchForAll();
    });
  }

  /**
   * The tasks of an iteration that comes at once after one that has ended, fetched by `ask` with the return of its results. Asks
   * for none while others wait, which come first, or if only urgent tasks could start.
   */
  async takeNext(ask: ReturnForNext): Promise<readonly CourierTask[]> {
    const { perIteration, isShared } = this.#options;
    const slots = this.#isFetching ? 0 : this.#count('low');
    const { kept, surplus } = this.#keep(
      await ask(isShared ? perIteration * Math.min(slots, 1) : Math.min(slots, perIteration)),
    );
    await this.#giveBack(surplus);
    return kept;
  }

  /** To be called when the task was submitted, alone or with those that share its slot; or when it will not be. */
  submitted({ lease }: CourierTask): void {
    this.#reservations.get(lease)?.();
    this.#reservations.delete(lease);
  }

  async #fetchForAll(): Promise<void> {
    this.#isFetching = true;
    try {
      for (;;) {
        await undefined; // iterations that end at the same time share a fetch
        if (this.#waiting.size === 0) return;
        const terms = this.#limits();
        if (terms === undefined) await this.#waitForChange();
        else await this.#distribute(await this.#fetch(terms));
      }
    } catch (error) {
      // If an iteration has just paused, it is the last one; so its pauses grow. The others go on when it fetches again.
      [...this.#waiting].at(-1)?.reject(error);
    } finally {
      this.#isFetching = false;
    }
  }

  #count(priority: Priority): number {
    return Math.min(...this.#options.demands.map(({ freeCapacity, demands }) => freeCapacity.count(priority, demands)));
  }

  /** The lowest priority that can start now, and its slots; undefined if not even a critical task could start. */
  #limits(): FetchLimits | undefined {
    for (const minPriority of priorities.toReversed()) {
      const slots = this.#count(minPriority);
      if (slots > 0) return { minPriority, slots };
    }
    return undefined;
  }

  #watch(callback: () => void): () => void {
    const unwatch = this.#options.demands.map(({ freeCapacity }) => freeCapacity.subscribe(callback));
    return () => {
      for (const each of unwatch) each();
    };
  }

  async #waitForChange(): Promise<void> {
    const changed = defer();
    const unwatch = this.#watch(changed.resolve);
    await untilAborted(changed.promise, this.signal);
    unwatch();
  }

  async #fetch({ minPriority, slots }: FetchLimits): Promise<readonly CourierTask[]> {
    const { courier, queueName, perIteration, isShared } = this.#options;
    const wanted = this.#waiting.size * (isShared ? 1 : perIteration);
    const runs = Math.min(wanted, slots);
    const asking = new AbortController();
    const unlisten = onAbort(this.signal, () => asking.abort(this.signal.reason));
    const unwatch = this.#watch(() => {
      const terms = this.#limits();
      if (terms?.minPriority !== minPriority || terms.slots < runs) asking.abort(limitsChanged);
    });
    try {
      const max = isShared ? runs * perIteration : runs;
      return await courier.bulkWaitForTasks(queueName, max, { minPriority, signal: asking.signal });
    } catch (error) {
      if (asking.signal.aborted) return [];
      throw error;
    } finally {
      unwatch();
      unlisten();
    }
  }

  /** Gives the tasks that can start now to the waiting iterations, and releases the others. */
  async #distribute(tasks: readonly CourierTask[]): Promise<void> {
    const { kept, surplus } = this.#keep(tasks);
    for (const iteration of [...this.#waiting]) {
      if (kept.length === 0) break;
      iteration.resolve(kept.splice(0, this.#options.perIteration));
    }
    for (const task of kept) this.submitted(task); // their iterations have ended meanwhile
    await this.#giveBack([...surplus, ...kept]);
  }

  /** Reserves slots for those that can start now. */
  #keep(tasks: readonly CourierTask[]): { readonly kept: CourierTask[]; readonly surplus: readonly CourierTask[] } {
    const { perIteration, isShared } = this.#options;
    const kept: CourierTask[] = [];
    const surplus: CourierTask[] = [];
    for (let place = 0; place < tasks.length; place += isShared ? perIteration : 1) {
      const run = tasks.slice(place, place + (isShared ? perIteration : 1)) as [CourierTask];
      (this.#reserve(run[0]) ? kept : surplus).push(...run);
    }
    return { kept, surplus };
  }

  /** Reserves a slot until the task is submitted. Returns false if none is free. */
  #reserve(task: CourierTask): boolean {
    if (this.signal.aborted || this.#count(task.priority) === 0) return false;
    const ends = this.#options.demands.map(({ freeCapacity, demands }) => freeCapacity.reserve(demands));
    this.#reservations.set(task.lease, () => {
      for (const end of ends) end();
    });
    return true;
  }

  /** The first of them comes first again. */
  async #giveBack(tasks: readonly CourierTask[]): Promise<void> {
    const { courier, queueName } = this.#options;
    const release = (task: CourierTask) => courier.releaseTask(queueName, task).catch(() => {}); // then the lease runs out
    await Promise.all(tasks.toReversed().map(release));
  }
}
