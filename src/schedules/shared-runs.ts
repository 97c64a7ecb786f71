/**
 * The runs of a schedule that several machines share through a courier. When a run is due, each machine adds a task with the
 * same id, and only the first succeeds. All machines serve the queue: one of them runs the task, and another if that one dies.
 * The arguments and options of a run are those of the machine that runs it; the courier carries only its id.
 *
 *   run(due) ──▶ added, or already known ──▶ run by one machine ──▶ ended, for all machines that wait
 */
import { type ErrorCode, hasCode } from '../base/errors.ts';
import { nameViaCourier } from '../couriers/calls/via-courier.ts';
import { Promise } from '../platform/globals.ts';
import { onHandleEnd, type TaskHandle } from '../task/call/handle.ts';
import { resolveTaskOptions } from '../task/call/task-options.ts';
import { SharedRunWorker, type SharedRunWorkerSettings } from './shared-run-worker.ts';

interface SharedRunsParts extends SharedRunWorkerSettings {
  readonly overlap: 'skip' | 'queue';
}

export class SharedRuns {
  readonly #parts: SharedRunsParts;
  readonly #ended = new AbortController();
  #worker: SharedRunWorker | undefined;
  /** All workers, also those that have left and still have runs in flight; each with its end. */
  readonly #workers = new Map<SharedRunWorker, Promise<void>>();
  readonly #triggered = new Set<TaskHandle<unknown>>();

  constructor(parts: SharedRunsParts) {
    this.#parts = parts;
  }

  /**
   * Makes sure that one of the machines does the run that is due at that time. Resolves when the run has ended, or when this
   * machine can't follow it any more; with false if it was left out because another run goes on somewhere.
   */
  async run(due: number): Promise<boolean> {
    const { name, overlap } = this.#parts;
    const id = `${name}@${due}`;
    try {
      if (overlap === 'skip' && (await this.#hasOpenRun(id))) return false;
      await this.#add(id);
      await this.#awaitEnd(id);
    } catch (problem) {
      if (!this.#ended.signal.aborted) this.#parts.log(`its run ${id} was not added, or can't be followed`, problem);
    }
    return true;
  }

  /** Whether another run waits or goes on, and this one was not added. Checked in this order, because it may be added meanwhile. */
  async #hasOpenRun(id: string): Promise<boolean> {
    const { courier, queue } = this.#parts;
    const { waiting, delayed, leased } = await courier.getQueueInfo(queue);
    const open = delayed + leased + waiting.critical + waiting.high + waiting.normal + waiting.low;
    if (open === 0) return false;
    return rejectsWith('TASK_NOT_FOUND', courier.checkForDone(queue, id));
  }

  async #add(id: string): Promise<void> {
    const { courier, queue, options } = this.#parts;
    await rejectsWith('DUPLICATE_TASK_ID', courier.addTaskToQueue(queue, null, { id, priority: options.priority }));
  }

  /** The machine of the run reports how it ended. A run that the courier has forgotten has ended, too. */
  async #awaitEnd(id: string): Promise<void> {
    const { courier, queue } = this.#parts;
    const { signal } = this.#ended;
    await rejectsWith('TASK_NOT_FOUND', courier.waitForTaskResult(queue, id, { signal }));
  }

  /** Adds a run, on any of the machines. */
  trigger(): TaskHandle<unknown> {
    const { courier, queue, name, submitter, options } = this.#parts;
    const { priority } = options;
    const relay = nameViaCourier(courier, queue, name, resolveTaskOptions({ name, priority, type: 'loop' }, name));
    const handle = submitter.submit<unknown, unknown>(relay.spec, []);
    this.#triggered.add(handle);
    onHandleEnd(handle, () => this.#triggered.delete(handle));
    return handle;
  }

  /** Starts a worker on this machine, until `leave()`. */
  serve(): void {
    const server = new SharedRunWorker(this.#parts);
    this.#worker = server;
    const end = server.serve().finally(() => this.#workers.delete(server));
    this.#workers.set(server, end);
  }

  /** Takes no more runs: those that have not started go back, the others go on. */
  leave(): void {
    this.#worker?.leave();
    this.#worker = undefined;
  }

  /** Ends for good. Cancels triggered runs that have not started here. Resolves when all tasks were returned to the courier. */
  async end(): Promise<void> {
    this.leave();
    this.#ended.abort();
    const servers = [...this.#workers.keys()];
    for (const handle of this.#triggered) {
      if (!servers.some((server) => server.hasBegun(handle.id))) handle.cancel('its schedule has ended here');
    }
    await Promise.all(this.#workers.values());
  }
}

/** Whether the promise rejects with this code. Rejects if it rejects with another error. */
async function rejectsWith(code: ErrorCode, promise: Promise<unknown>): Promise<boolean> {
  try {
    await promise;
    return false;
  } catch (error) {
    if (hasCode(error, code)) return true;
    throw error;
  }
}
