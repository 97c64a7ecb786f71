/**
 * Reports tasks that wait for too long: by an event each, and by a log line if none of their pool and priority starts.
 */
import { priorities } from '../../queue/priority.ts';
import type { PriorityPool } from '../../queue/priority-pool.ts';
import { StallWatch } from '../../queue/watch/stall-watch.ts';
import { WaitWatch } from '../../queue/watch/wait-watch.ts';
import type { Task } from '../../task/record/task.ts';
import type { LaneRegistry } from '../lane-registry.ts';
import type { TaskEvents } from './task-events.ts';

export class LateTasks {
  readonly #waits: WaitWatch<Task>;
  readonly #stalls: StallWatch<Task, PriorityPool<Task>>;
  #levelsMs: readonly number[];

  constructor(lanes: LaneRegistry, levelsMs: readonly number[], events: TaskEvents) {
    this.#levelsMs = levelsMs;
    this.#waits = new WaitWatch(
      () => [...lanes].flatMap(({ pool }) => priorities.flatMap((priority) => pool.queues(priority))),
      levelsMs,
      (level, late) => events.late(level, late),
    );
    this.#stalls = new StallWatch(
      () => [...lanes].map(({ pool }) => pool),
      levelsMs,
      (level, late, pool) => events.stalled(level, late, this.#levelsMs[level] as number, pool),
    );
  }

  configure(levelsMs: readonly number[]): void {
    this.#levelsMs = levelsMs;
    this.#waits.configure(levelsMs);
    this.#stalls.configure(levelsMs);
  }

  /** A task waits. */
  watch(task: Task): void {
    this.#waits.watch(task.queuedAt);
    if (!task.isSubmittedAhead) this.#stalls.watch();
  }

  /** Tasks that waited before wait again, or are not paused any more. */
  rearm(): void {
    this.#waits.rearm();
    this.#stalls.watch();
  }

  stop(): void {
    this.#waits.stop();
    this.#stalls.stop();
  }
}
