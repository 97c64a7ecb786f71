/** Changes the priority of tasks that wait: each goes behind those that wait with the new priority at that moment. */
import type { Priority } from '../../queue/priority.ts';
import type { Task } from '../../task/record/task.ts';
import type { TaskTable } from '../../task/record/task-table.ts';
import type { Bulks } from '../bulk/bulks.ts';
import type { LaneRegistry } from '../lane-registry.ts';
import type { Slots } from '../slots.ts';

interface PriorityChangesParts {
  readonly lanes: LaneRegistry;
  readonly table: TaskTable;
  readonly slots: Slots;
  readonly bulks: Bulks;
}

export class PriorityChanges {
  readonly #parts: PriorityChangesParts;

  constructor(parts: PriorityChangesParts) {
    this.#parts = parts;
  }

  /** @returns False, and changes nothing, if the task has begun or ended. Of a bulk, the inputs that wait are changed. */
  change(task: Task, priority: Priority): boolean {
    if (task.isSettled) return false;
    if (task.isBulk) return this.#changeBulk(task, priority);
    if (task.status === 'started' || task.isForHost) return false;
    const { slots, table, lanes } = this.#parts;
    if (task.status === 'delayed') {
      task.changePriority(priority, table.nextSequence());
      return true;
    }
    const { pool, lane } = lanes.of(task.type);
    if (!slots.withdraw(task)) {
      lane.recall(); // it may be in a batch behind others, or wait for its thread
      if (!this.#hasReturned(task) || !slots.withdraw(task)) return false;
    }
    const { bulkhead } = task;
    task.changePriority(priority, table.nextSequence());
    pool.sortIn(task);
    slots.reopen(bulkhead);
    slots.takeAll();
    return true;
  }

  /** Whether its lane has given it back. */
  #hasReturned({ status, hasSlot }: Task): boolean {
    return status === 'queued' && !hasSlot;
  }

  #changeBulk(task: Task, priority: Priority): boolean {
    const { bulks, table } = this.#parts;
    task.changePriority(priority, table.nextSequence());
    for (const part of bulks.changePriority(task)) this.change(part, priority);
    return true;
  }
}
