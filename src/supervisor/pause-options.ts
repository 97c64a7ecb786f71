/** What `pause()` and `resume()` of a supervisor take, and where pauses can be changed. */
import { TaskwardenError } from '../base/errors.ts';
import { oneOf, type Rule } from '../base/options.ts';
import { type Priority, priorities } from '../queue/priority.ts';
import { isHost } from '../task/definition/load-phase.ts';

export interface PauseOptions {
  /** Only the tasks of this priority. Default: all tasks. */
  readonly priority?: Priority;
}

export const pauseRules: Readonly<Record<keyof PauseOptions, Rule>> = { priority: oneOf(priorities) };

/** @throws TaskwardenError `NOT_IN_PROGRAM` in a thread or child, whose supervisor has no tasks of the program. */
export function refuseInHost(call: string): void {
  if (isHost())
    throw new TaskwardenError('NOT_IN_PROGRAM', `${call} is for the program, and not for a thread or child`);
}
