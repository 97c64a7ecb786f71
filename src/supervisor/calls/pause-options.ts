/** What `pause()` and `resume()` of a supervisor take, and where pauses can be changed. */
import { TaskwardenError } from '../../base/errors.ts';
import { checkOptions, oneOf, type Rule } from '../../base/options.ts';
import type { Pauses } from '../../dispatch/changes/pauses.ts';
import type { SupervisorEmitter } from '../../dispatch/events/supervisor-events.ts';
import { type Priority, priorities } from '../../queue/priority.ts';
import { isHost, isLoadingModule } from '../../task/definition/load-phase.ts';

export interface PauseOptions {
  /** Only the tasks of this priority. Default: all tasks. */
  readonly priority?: Priority;
}

const pauseRules: Readonly<Record<keyof PauseOptions, Rule>> = { priority: oneOf(priorities) };

/** @throws TaskwardenError `NOT_IN_PROGRAM` in a thread or child, whose supervisor has no tasks of the program. */
export function refuseInHost(call: string): void {
  if (isHost())
    throw new TaskwardenError('NOT_IN_PROGRAM', `${call} is for the program, and not for a thread or child`);
}

interface Pausable extends SupervisorEmitter {
  readonly id: string;
  readonly name: string;
}

/** @returns The supervisor. */
export function changePause<S extends Pausable>(
  supervisor: S,
  pauses: Pauses,
  options: PauseOptions,
  call: 'pause' | 'resume',
): S {
  checkOptions(options, pauseRules, `${call}()`);
  if (isLoadingModule()) return supervisor;
  refuseInHost(`${call}() of ${supervisor.name}`);
  const { priority } = options;
  if (!pauses[call](priority)) return supervisor;
  const event = call === 'pause' ? 'supervisor:paused' : 'supervisor:resumed';
  if (supervisor.listenerCount(event) > 0) supervisor.emit(event, { id: supervisor.id, priority });
  return supervisor;
}
