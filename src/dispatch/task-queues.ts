/** Puts tasks into the pool of their type: at once, after a delay, or back where they were. */
import type { Task } from '../task/record/task.ts';
import type { Backlog } from './backlog.ts';
import type { Deadlines } from './ending/deadlines.ts';
import { shutDown } from './ending/end-reasons.ts';
import type { Settlement } from './ending/settlement.ts';
import type { LateTasks } from './events/late-tasks.ts';
import type { TaskEvents } from './events/task-events.ts';
import type { LaneRegistry } from './lane-registry.ts';
import type { Slots } from './slots.ts';
import type { TaskTree } from './task-tree.ts';

interface TaskQueuesParts {
  readonly lanes: LaneRegistry;
  readonly backlog: Backlog;
  readonly tree: TaskTree;
  readonly slots: Slots;
  readonly settlement: Settlement;
  readonly deadlines: Deadlines;
  readonly events: TaskEvents;
  readonly late: LateTasks;
}

export class TaskQueues {
  readonly #lanes: LaneRegistry;
  readonly #backlog: Backlog;
  readonly #tree: TaskTree;
  readonly #slots: Slots;
  readonly #settlement: Settlement;
  readonly #deadlines: Deadlines;
  readonly #events: TaskEvents;
  readonly #late: LateTasks;

  constructor({ lanes, backlog, tree, slots, settlement, deadlines, events, late }: TaskQueuesParts) {
    this.#lanes = lanes;
    this.#backlog = backlog;
    this.#tree = tree;
    this.#slots = slots;
    this.#settlement = settlement;
    this.#deadlines = deadlines;
    this.#events = events;
    this.#late = late;
  }

  /** Queues a task `delayMs` from now. */
  delay(task: Task, delayMs: number): void {
    this.#backlog.delayed.add(task);
    task.setTimer(delayMs, () => {
      this.#backlog.delayed.delete(task);
      this.add(task);
    });
  }

  add(task: Task): void {
    const place = this.#lanes.of(task.type);
    const { pool } = place;
    if (task.isSubTask) pool.enqueueFirst(task, this.#tree.olderSibling(task));
    else if (task.isUnique && task.place !== undefined) pool.putInPlace(task);
    else pool.put(task);
    task.enqueue();
    this.#deadlines.startQueueTimeout(task);
    this.#events.emit('task:queued', task);
    this.#slots.take(place);
    if (task.hasSlot) return;
    this.#late.watch(task);
    this.#endIfPaused(task);
  }

  /** While the supervisor stops, nobody is to wait for what is paused. */
  #endIfPaused(task: Task): void {
    if (!this.#backlog.isStopping || !this.#lanes.of(task.type).pool.isPaused(task)) return;
    this.#settlement.end(task, shutDown(task));
  }

  /** Queues a task that waits in its lane, for one host. */
  pass(task: Task): void {
    task.hasSlot = true;
    task.enqueue();
    this.#deadlines.startQueueTimeout(task);
    this.#events.emit('task:queued', task);
  }

  /** A deeper task waits for it: it goes before others, as that would. */
  deepen(task: Task, depth: number): void {
    if (task.depth >= depth || task.hasSlot || task.isPrefetched) return;
    if (task.status !== 'queued') {
      task.deepen(depth);
      return;
    }
    const place = this.#lanes.of(task.type);
    place.pool.remove(task);
    task.deepen(depth);
    place.pool.enqueueFirst(task);
    this.#slots.take(place);
  }

  /** Puts back a task that was handed to its lane and did not begin. */
  putBack(task: Task): void {
    task.putBack();
    this.#lanes.of(task.type).pool.putBack(task);
    this.#deadlines.startQueueTimeout(task);
    this.#endIfPaused(task);
  }
}
