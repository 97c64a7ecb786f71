/** The main event loop as a lane: functions are called here, closures and all. Nothing here can be ended by force. */
import { type Progress, Run, type RunningTask } from '../task/context.ts';
import { loadFunction } from '../task/load-function.ts';
import { unwrapTransferred } from '../task/transferred.ts';
import type { Lane, LaneListener, LaneOutcome, LaneTask } from './lane.ts';
import type { FailureKind } from './protocol.ts';

interface LoopRun {
  readonly run: Run;
  begun: boolean;
  stopRequested: boolean;
}

export class LoopLane<T extends LaneTask> implements Lane<T> {
  readonly #listener: LaneListener<T>;
  readonly #runs = new Map<T, LoopRun>();

  constructor(listener: LaneListener<T>) {
    this.#listener = listener;
  }

  run(batch: readonly T[]): void {
    for (const task of batch) {
      const loopRun: LoopRun = { run: new Run(this.#running(task)), begun: false, stopRequested: false };
      this.#runs.set(task, loopRun);
      queueMicrotask(() => void this.#call(task, loopRun)); // submitting returns first
    }
  }

  withdraw(task: T): boolean {
    const isFree = this.#runs.get(task)?.begun === false;
    if (isFree) this.#end(task, { kind: 'withdrawn' });
    return isFree;
  }

  stop(task: T, reason: unknown): void {
    const loopRun = this.#runs.get(task);
    if (loopRun === undefined) return;
    loopRun.stopRequested = true;
    loopRun.run.stop(reason);
  }

  /** The function can't be ended: its task ends, and what it still does is not seen any more. */
  kill(task: T): void {
    this.#end(task, { kind: 'died', exitCode: undefined, cause: undefined });
  }

  async ready(): Promise<void> {}

  async close(): Promise<void> {}

  #running(task: T): RunningTask {
    return {
      name: task.name,
      args: task.args,
      attempt: task.attempt + 1,
      get id() {
        return task.id;
      },
      isStopRequested: () => this.#runs.get(task)?.stopRequested ?? true,
      report: (progress: Progress) => {
        if (this.#runs.has(task)) this.#listener.progress(task, progress);
      },
    };
  }

  async #call(task: T, loopRun: LoopRun): Promise<void> {
    if (!this.#runs.has(task)) return; // withdrawn
    loopRun.begun = true;
    this.#listener.started(task, undefined);
    const startedAt = performance.now();
    let kind: FailureKind = 'unloadable';
    let outcome: LaneOutcome;
    try {
      const { fn, receiver } = task.definition;
      const loaded = fn === undefined ? await loadFunction(task.definition) : { fn, receiver };
      kind = 'thrown';
      const value = unwrapTransferred(await loopRun.run.call(loaded.fn, loaded.receiver));
      outcome = { kind: 'result', value, runMs: performance.now() - startedAt };
    } catch (error) {
      outcome = { kind, error, runMs: performance.now() - startedAt };
    }
    loopRun.run.end();
    this.#end(task, outcome);
  }

  #end(task: T, outcome: LaneOutcome): void {
    if (this.#runs.delete(task)) this.#listener.ended(task, outcome);
  }
}
