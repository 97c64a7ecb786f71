/**
 * Modules that could not be loaded. A host keeps such a failure for ever, so the next attempt needs another host. To avoid
 * starting a host for each task of a module that always fails, tasks share the last failure for a while after some in a row.
 */
import { hasCode, TaskwardenError } from '../../base/errors.ts';
import { now } from '../../platform/clock.ts';
import type { LaneTask } from '../lane.ts';

/** After so many failures in a row the module is still loaded again at once. */
const immediateRetries = 3;
/** How long a later failure is shared, in milliseconds: doubled after each, up to a second. */
const shortestMs = 100;
const longestMs = 1_000;
/** For how many modules failures are kept. */
const maxModules = 1_000;

interface Failure {
  readonly error: unknown;
  readonly at: number;
  /** How many loads in a row have failed; those at the same time count once. */
  readonly count: number;
}

export class LoadFailures {
  readonly #byModule = new Map<string, Failure>();

  /** Notes the failure of a load that had begun at `since`. */
  note(task: LaneTask, error: unknown, since: number): void {
    if (!isModuleFailure(error)) return;
    const key = keyOf(task);
    const last = this.#byModule.get(key);
    const isNext = last === undefined || since > last.at;
    this.#byModule.delete(key);
    this.#byModule.set(key, { error, at: now(), count: (last?.count ?? 0) + (isNext ? 1 : 0) });
    const [oldest] = this.#byModule.keys();
    if (this.#byModule.size > maxModules && oldest !== undefined) this.#byModule.delete(oldest);
  }

  forget(task: LaneTask): void {
    if (this.#byModule.size > 0) this.#byModule.delete(keyOf(task));
  }

  /** The error that the task shares instead of loading its module again. */
  current(task: LaneTask): TaskwardenError | undefined {
    const failure = this.#byModule.size > 0 ? this.#byModule.get(keyOf(task)) : undefined;
    if (failure === undefined || failure.count <= immediateRetries) return undefined;
    const restMs = Math.min(shortestMs * 2 ** (failure.count - immediateRetries - 1), longestMs);
    if (now() - failure.at >= restMs) return undefined;
    const { message } = failure.error as TaskwardenError;
    return new TaskwardenError(
      'MODULE_LOAD_FAILED',
      `${message} (it failed ${failure.count} times in a row, and is loaded again after a pause of up to a second)`,
      { cause: (failure.error as TaskwardenError).cause },
    );
  }
}

/** Whether a module could not be loaded, a failure that its host keeps. */
export function isModuleFailure(error: unknown): boolean {
  return hasCode(error, 'MODULE_LOAD_FAILED');
}

function keyOf({ definition, carried }: LaneTask): string {
  return `${definition.moduleUrl} ${carried?.definition.moduleUrl}`;
}
