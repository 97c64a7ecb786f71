/**
 * Modules that could not be loaded. A host keeps such a failure for ever, so the next attempt loads in another one; but a
 * module that fails again and again is not to have a host started for each task: after some failures in a row, tasks share
 * the last one for a while.
 */
import { hasCode, TaskwardenError } from '../../base/errors.ts';
import { now } from '../../platform/clock.ts';
import type { LaneTask } from '../lane.ts';

/** So many failures in a row are loaded anew at once. */
const free = 3;
/** How long the next failure is shared, in milliseconds: twice as long after each, up to a second. */
const shortestMs = 100;
const longestMs = 1_000;
/** Of so many modules a failure is kept. */
const most = 1_000;

interface Failure {
  readonly error: unknown;
  readonly at: number;
  /** How many there were in a row, one after the other: those at the same time count once. */
  readonly count: number;
}

export class LoadFailures {
  readonly #byModule = new Map<string, Failure>();

  /** Takes note of what became of a load that had begun at `since`. */
  note(task: LaneTask, error: unknown, since: number): void {
    if (!isModuleFailure(error)) return;
    const key = keyOf(task);
    const last = this.#byModule.get(key);
    const isNext = last === undefined || since > last.at;
    this.#byModule.delete(key);
    this.#byModule.set(key, { error, at: now(), count: (last?.count ?? 0) + (isNext ? 1 : 0) });
    const [oldest] = this.#byModule.keys();
    if (this.#byModule.size > most && oldest !== undefined) this.#byModule.delete(oldest);
  }

  forget(task: LaneTask): void {
    if (this.#byModule.size > 0) this.#byModule.delete(keyOf(task));
  }

  /** What the task fails with instead of loading its module anew. */
  current(task: LaneTask): TaskwardenError | undefined {
    const failure = this.#byModule.size > 0 ? this.#byModule.get(keyOf(task)) : undefined;
    if (failure === undefined || failure.count <= free) return undefined;
    const restMs = Math.min(shortestMs * 2 ** (failure.count - free - 1), longestMs);
    if (now() - failure.at >= restMs) return undefined;
    const { message } = failure.error as TaskwardenError;
    return new TaskwardenError(
      'MODULE_LOAD_FAILED',
      `${message} (it failed ${failure.count} times in a row, and is loaded anew after a pause of up to a second)`,
      { cause: (failure.error as TaskwardenError).cause },
    );
  }
}

/** Whether the module of a task could not be loaded, which its host keeps. */
export function isModuleFailure(error: unknown): boolean {
  return hasCode(error, 'MODULE_LOAD_FAILED');
}

function keyOf({ definition, carried }: LaneTask): string {
  return `${definition.moduleUrl} ${carried?.definition.moduleUrl}`;
}
