/**
 * The runs of a schedule that several machines share by a courier. At each time each machine adds a task with the same id,
 * which only the first can, and all machines serve the queue: one of them runs it, and another if that dies. What a run is
 * given and how it runs is for the machine to say that runs it; nothing but its id goes by the courier.
 *
 *   run(due) ──▶ added, or known already ──▶ served by one of all ──▶ ended, for all who wait
 */
import { type ErrorCode, hasCode } from '../base/errors.ts';
import { nameViaCourier } from '../couriers/via-courier.ts';
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
  /** Those that have left and still have runs in hand, too; each with its end. */
  readonly #workers = new Map<SharedRunWorker, Promise<void>>();
  readonly #triggered = new Set<TaskHandle<unknown>>();

  constructor(parts: SharedRunsParts) {
    this.#parts = parts;
  }

  /**
   * Sees to it that what is due at that time is run by one of the machines. Resolves when it has ended, or this machine hears
   * no more of it; with false if it was left out, because another run goes on somewhere.
   */
  async run(due: number): Promise<boolean> {
    const { name, overlap } = this.#parts;
    const id = `${name}@${due}`;
    try {
      if (overlap === 'skip' && (await this.#hasOpenRun(id))) return false;
      await this.#add(id);
      await this.#awaitEnd(id);
    } catch (problem) {
      if (!this.#ended.signal.aborted) this.#parts.log(`its run ${id} was not added, or is not heard of`, problem);
    }
    return true;
  }

  /** Whether another one waits or goes on, and this one is not known. Asked in this order: it may be added meanwhile. */
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

  /** How the run has ended was told where it ran. That the courier has forgotten it, is an end, too. */
  async #awaitEnd(id: string): Promise<void> {
    const { courier, queue } = this.#parts;
    const { signal } = this.#ended;
    await rejectsWith('TASK_NOT_FOUND', courier.waitForTaskResult(queue, id, { signal }));
  }

  /** One run more, on any of the machines. */
  trigger(): TaskHandle<unknown> {
    const { courier, queue, name, submitter, options } = this.#parts;
    const { priority } = options;
    const relay = nameViaCourier(courier, queue, name, resolveTaskOptions({ name, priority, type: 'loop' }, name));
    const handle = submitter.submit<unknown, unknown>(relay.spec, []);
    this.#triggered.add(handle);
    onHandleEnd(handle, () => this.#triggered.delete(handle));
    return handle;
  }

  /** Runs here what this machine gets, until it leaves. */
  serve(): void {
    const server = new SharedRunWorker(this.#parts);
    this.#worker = server;
    const end = server.serve().finally(() => this.#workers.delete(server));
    this.#workers.set(server, end);
  }

  /** Takes no more: what has not begun here goes back, and what has goes on. */
  leave(): void {
    this.#worker?.leave();
    this.#worker = undefined;
  }

  /** For good. What was triggered here, and has not begun here, is canceled. Resolves when the courier has all that it is due. */
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

/** Whether it is so that it rejects; with something else, this does, too. */
async function rejectsWith(code: ErrorCode, promise: Promise<unknown>): Promise<boolean> {
  try {
    await promise;
    return false;
  } catch (error) {
    if (hasCode(error, code)) return true;
    throw error;
  }
}
