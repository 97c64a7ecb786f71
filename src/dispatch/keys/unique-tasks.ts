/**
 * One task of a definition and key at a time: knows those whose option `unique` says so, and what becomes of a second one.
 * It joins the first, is refused, or replaces it. A task that has joined another follows it: it has a record and a place in
 * the tree of calls, no slot, and ends when that ends or its caller cancels. The last caller that cancels cancels the task.
 */
import { TaskwardenError } from '../../base/errors.ts';
import { Timer } from '../../platform/clock.ts';
import { placeOf } from '../../queue/order/place.ts';
import type { Task } from '../../task/record/task.ts';
import type { EndReason } from '../../task/record/task-info.ts';
import type { EndRequest } from '../../task/record/task-record.ts';
import type { Deadlines } from '../ending/deadlines.ts';
import { replaced } from '../ending/end-reasons.ts';
import type { Settlement } from '../ending/settlement.ts';
import type { TaskEvents } from '../events/task-events.ts';
import type { TaskQueues } from '../task-queues.ts';
import type { TaskTree } from '../task-tree.ts';

interface UniqueParts {
  readonly settlement: Settlement;
  readonly deadlines: Deadlines;
  readonly tree: TaskTree;
  readonly queues: TaskQueues;
  readonly events: TaskEvents;
}

interface Entry {
  readonly task: Task;
  /** Its result, which is kept for a while. */
  kept?: { readonly result: unknown; readonly timer: Timer };
}

interface Sharers {
  /** The tasks that have joined it, and have not ended. */
  readonly followers: Set<Task>;
  /** Whether the one who called it first still waits for it. */
  hasFirst: boolean;
}

export class UniqueTasks {
  readonly #parts: UniqueParts;
  /** By the function, then by key. */
  readonly #entries = new Map<unknown, Map<string, Entry>>();
  readonly #sharers = new Map<Task, Sharers>();
  /** The task that each of those that have joined follows. */
  readonly #leaders = new Map<Task, Task>();

  constructor(parts: UniqueParts) {
    this.#parts = parts;
    parts.settlement.subscribeSharers(this);
  }

  /**
   * Decides about a task that is about to be queued. False: it is not to be queued, as it has joined another or was refused.
   */
  admit(task: Task): boolean {
    const entry = this.#entries.get(functionOf(task))?.get(task.key as string);
    if (entry === undefined) return true;
    switch (task.options.unique) {
      case 'join':
        this.#join(task, entry);
        return false;
      case 'refuse':
        this.#refuse(task, entry.task, `task "${task.name}" of key '${task.key}' exists already`);
        return false;
      default:
        this.#replace(task, entry.task);
        return true;
    }
  }

  /** From now on, it is the one of its definition and key. */
  register(task: Task): void {
    const identity = functionOf(task);
    const byKey = this.#entries.get(identity) ?? new Map<string, Entry>();
    byKey.get(task.key as string)?.kept?.timer.cancel();
    byKey.set(task.key as string, { task });
    this.#entries.set(identity, byKey);
    task.isUnique = true;
  }

  #forget(task: Task): void {
    const identity = functionOf(task);
    const byKey = this.#entries.get(identity);
    if (byKey?.get(task.key as string)?.task !== task) return;
    byKey.delete(task.key as string);
    if (byKey.size === 0) this.#entries.delete(identity);
  }

  #refuse(task: Task, other: Task, message: string): void {
    const error = new TaskwardenError('TASK_EXISTS', message, { taskId: other.id });
    task.isForgotten = true;
    this.#parts.settlement.refuse(task, error);
  }

  /** A task that has begun is left to run. */
  #replace(task: Task, other: Task): void {
    const takesPlace = other.status === 'queued' && !task.options.delayMs && other.priority === task.priority;
    const place = takesPlace && other.type === task.type ? (other.place ?? placeOf(other)) : undefined;
    const waits = other.status === 'queued' || other.status === 'delayed';
    if (waits && this.#parts.settlement.end(other, replaced(other, task), true) && place !== undefined) {
      task.place = place;
    }
  }

  // Tasks that have joined another.

  #join(task: Task, { task: leader, kept }: Entry): void {
    const { settlement, deadlines, tree, queues } = this.#parts;
    if (task.isSubTask && tree.isAbove(leader, task)) {
      this.#refuse(
        task,
        leader,
        `task "${task.name}" of key '${task.key}' can't join itself, or one that waits for it`,
      );
      return;
    }
    const { signal, deadlineMs } = task.options;
    task.follow(leader);
    if (kept !== undefined) {
      settlement.settle(task, 'completed', kept.result);
      this.#callBack(task, kept.result);
      return;
    }
    this.#leaders.set(task, leader);
    this.#sharersOf(leader).followers.add(task);
    leader.isShared = true;
    if (deadlineMs !== undefined) deadlines.startDeadline(task, deadlineMs);
    if (task.isSubTask) {
      tree.follow(task, leader);
      if (leader.status === 'started') tree.update(task, { kind: 'started', hostId: leader.threadId ?? leader.pid });
      else queues.deepen(leader, task.depth);
    }
    if (signal?.aborted) settlement.leave(task, signal.reason);
    else if (signal !== undefined) task.listenToSignal(signal, () => settlement.leave(task, signal.reason));
  }

  #sharersOf(leader: Task): Sharers {
    const known = this.#sharers.get(leader);
    if (known !== undefined) return known;
    const sharers: Sharers = { followers: new Set(), hasFirst: true };
    this.#sharers.set(leader, sharers);
    return sharers;
  }

  #callBack(task: Task, result: unknown): void {
    this.#parts.events.callBack(task, result);
  }

  /** A caller does not want the task any more. Returns false if it has left before. */
  leave(task: Task, request: EndRequest): boolean {
    const { settlement } = this.#parts;
    const leader = this.#leaders.get(task) ?? task;
    const sharers = this.#sharers.get(leader);
    if (sharers === undefined) return settlement.end(task, request);
    if (task === leader) {
      if (!sharers.hasFirst) return false;
      sharers.hasFirst = false;
      if (sharers.followers.size > 0) {
        settlement.leaveParent(task, request.reason, request.error);
        task.share?.leave(request);
      }
    } else {
      this.#unfollow(task, leader);
      settlement.settle(task, request.reason, request.error);
    }
    if (sharers.followers.size === 0 && !sharers.hasFirst) settlement.end(leader, request);
    return true;
  }

  /** The task that runs for it: that which it has joined, or itself. */
  leaderOf(task: Task): Task {
    return this.#leaders.get(task) ?? task;
  }

  #unfollow(task: Task, leader: Task): void {
    this.#leaders.delete(task);
    this.#sharers.get(leader)?.followers.delete(task);
    this.#parts.tree.unfollow(task);
  }

  /** The task has begun. */
  onStarted(task: Task): void {
    if (task.options.uniqueWhile === 'waiting') this.#forget(task);
  }

  /** The task has ended, and so have those that have joined it. A result is kept for others that join. */
  onEnded(task: Task, reason: EndReason, outcome: unknown): void {
    const { uniqueForMs = 0 } = task.options;
    const entry = this.#entries.get(functionOf(task))?.get(task.key as string);
    if (reason === 'completed' && uniqueForMs > 0 && entry?.task === task) {
      entry.kept = { result: outcome, timer: new Timer(uniqueForMs, () => this.#forget(task)) };
    } else {
      this.#forget(task);
    }
    const sharers = this.#sharers.get(task);
    this.#sharers.delete(task);
    for (const follower of sharers?.followers ?? []) {
      this.#unfollow(follower, task);
      this.#parts.settlement.settle(follower, reason, outcome);
      if (reason === 'completed') this.#callBack(follower, outcome);
    }
  }

  /** The supervisor has stopped: no result is kept any more. */
  close(): void {
    for (const byKey of this.#entries.values()) for (const { kept } of byKey.values()) kept?.timer.cancel();
    this.#entries.clear();
  }
}

/** What makes two definitions one: the function itself, if it may be a closure, as on the event loop; else where it is found. */
function functionOf({ definition, type }: Task): unknown {
  const { fn, index, moduleUrl } = definition;
  return type === 'loop' && moduleUrl === undefined && fn !== undefined ? fn : index;
}
