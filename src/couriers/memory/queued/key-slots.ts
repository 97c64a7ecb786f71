/** One key of a memory queue while somebody uses it: how many of its tasks workers hold, and those that wait for that. */
import type { MemoryTask } from '../memory-task.ts';
import { WaitingTasks } from '../waiting-tasks.ts';

export class KeySlots {
  readonly key: string;
  running = 0;
  /** When the next start would be due by the rate, on the clock of `now()`. */
  arrival: number = -Infinity;
  /** When it is to be looked at again. */
  alarmAt: number = Infinity;
  readonly held: WaitingTasks<MemoryTask> = new WaitingTasks();

  constructor(key: string) {
    this.key = key;
  }

  /** The one of those that it holds back which is next. There must be one. */
  get first(): MemoryTask {
    return this.held.first('low') as MemoryTask;
  }
}
