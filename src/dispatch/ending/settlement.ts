/**
 * How tasks end. Whatever ends a task goes through `settle()`, where the first cause wins: a result, a failure,
 * `cancel()`, a time-out, the end of the task that called it, or the stop of the supervisor.
 */
import type { TaskwardenError } from '../../base/errors.ts';
import { type Moment, now, thisMoment } from '../../platform/clock.ts';
import type { Task } from '../../task/record/task.ts';
import type { EndReason } from '../../task/record/task-info.ts';
import type { EndRequest } from '../../task/record/task-record.ts';
import type { TaskTable } from '../../task/record/task-table.ts';
import type { Backlog } from '../backlog.ts';
import type { TaskEvents } from '../events/task-events.ts';
import type { LaneRegistry } from '../lane-registry.ts';
import { mayRetry } from '../retries/retry-policy.ts';
import type { Slots } from '../slots.ts';
import type { TaskCounters } from '../task-counters.ts';
import type { TaskTree } from '../task-tree.ts';
import { callerEnded, canceled, hopeless, stopRequested } from './end-reasons.ts';

interface SettlementParts {
  readonly lanes: LaneRegistry;
  readonly backlog: Backlog;
  readonly tree: TaskTree;
  readonly slots: Slots;
  readonly counters: TaskCounters;
  readonly table: TaskTable;
  readonly events: TaskEvents;
}

/** Knows the bulks, and which parts each of them has. */
export interface BulkEndings {
  /** A part was settled. */
  onPartEnded(part: Task, reason: EndReason, outcome: unknown): void;
  /** Returns false if the bulk has ended. */
  end(bulk: Task, request: EndRequest): boolean;
}

/** Knows which tasks others have joined. */
export interface SharedEndings {
  /** A task of which there is one at a time has ended. */
  onEnded(task: Task, reason: EndReason, outcome: unknown): void;
  /** A caller of a task that others have joined, or that has joined one, does not want it any more. */
  leave(task: Task, request: EndRequest): boolean;
  /** The task that runs for it: that which it has joined, or itself. */
  leaderOf(task: Task): Task;
}

export class Settlement {
  readonly #lanes: LaneRegistry;
  readonly #backlog: Backlog;
  readonly #tree: TaskTree;
  readonly #slots: Slots;
  readonly #counters: TaskCounters;
  readonly #table: TaskTable;
  readonly #events: TaskEvents;
  #bulks!: BulkEndings;
  #sharers!: SharedEndings;

  constructor({ lanes, backlog, tree, slots, counters, table, events }: SettlementParts) {
    this.#lanes = lanes;
    this.#backlog = backlog;
    this.#tree = tree;
    this.#slots = slots;
    this.#counters = counters;
    this.#table = table;
    this.#events = events;
    slots.subscribe({ hopeless: (task, held) => this.end(task, hopeless(task, held)) });
  }

  /** Called once, before a bulk begins. */
  subscribe(bulks: BulkEndings): void {
    this.#bulks = bulks;
  }

  /** Called once, before a task is submitted. */
  subscribeSharers(sharers: SharedEndings): void {
    this.#sharers = sharers;
  }

  settle(task: Task, endReason: EndReason, outcome: unknown, noticed: Moment = thisMoment()): void {
    if (!task.settle(endReason, outcome, noticed)) return;
    if (task.isParent) {
      this.abandonChildren(task, endReason === 'completed' || endReason === 'failed' ? undefined : outcome);
    }
    if (task.isSubTask) this.leaveParent(task, endReason, outcome);
    if (task.isUnique) this.#sharers.onEnded(task, endReason, outcome);
    if (task.isFollower) {
      this.#table.drop(task);
      return;
    }
    if (task.isPart) {
      this.#bulks.onPartEnded(task, endReason, outcome);
      return;
    }
    if (task.isBulk) this.#counters.closeBulk();
    else this.#counters.countEnded(endReason);
    this.#table.keep(task);
    this.#events.ended(task, outcome);
    if (!this.#events.isEmitting) this.#counters.checkDrained(); // else after the last event
  }

  /** Settles a task that is not admitted: it is counted nowhere. */
  refuse(task: Task, error: TaskwardenError): void {
    if (!task.settle('failed', error)) return;
    if (task.isSubTask) this.leaveParent(task, 'failed', error);
    this.#events.failed(task, error);
  }

  /** The task that has called it does not wait for it any more. */
  leaveParent(task: Task, endReason: EndReason, outcome: unknown): void {
    this.#slots.endLoan(task);
    this.#tree.removeChild(task, { kind: 'ended', endReason, outcome, ...(task.isBulk && { holdsErrors: true }) });
  }

  /** One who has called the task cancels it: others who have joined it keep it. */
  leave(task: Task, reason: unknown): boolean {
    return !task.isSettled && this.leaveBy(task, canceled(task, reason));
  }

  /** The same for another reason than a cancel. */
  leaveBy(task: Task, request: EndRequest): boolean {
    return task.isShared || task.isFollower ? this.#sharers.leave(task, request) : this.end(task, request);
  }

  /** The task that runs for it: that which it has joined, or itself. */
  leaderOf(task: Task): Task {
    return this.#sharers.leaderOf(task);
  }

  /** Cancels the task, whoever waits for it. */
  cancel(task: Task, reason: unknown): boolean {
    return !task.isSettled && this.end(task, canceled(task, reason));
  }

  /** Asks a task to finish: now, or when it begins. */
  stop(task: Task): void {
    if (task.isSettled || task.isStopRequested) return;
    task.isStopRequested = true;
    if (task.status === 'started' && task.endRequest === undefined) this.askToFinish(task);
  }

  askToFinish(task: Task): void {
    this.#lanes.of(task.type).lane.stop(task, stopRequested(task), false);
  }

  /**
   * A task that waits is settled at once; one that runs is asked to stop, and settled when it has stopped.
   * @returns False if it has ended, or if it is left to run.
   */
  end(task: Task, request: EndRequest, onlyIfWaiting = false): boolean {
    if (task.isSettled) return false;
    if (task.isBulk) return this.#bulks.end(task, request);
    if (task.endRequest?.isTentative) {
      // It is not known yet whether the task is withdrawn: it is not to begin, or to stop if it has begun.
      if (!onlyIfWaiting) this.#stopFor(task, { at: now(), ...request });
      return !onlyIfWaiting;
    }
    if (task.endRequest !== undefined) {
      // A timeout ends an attempt, and with retries not the task: then this is the first cause that does.
      const { reason, isFinal } = task.endRequest;
      const isRetried = reason === 'timeout' && !isFinal && mayRetry(task) && !this.#backlog.isClosed;
      if (isRetried) task.endRequest = request;
      return true;
    }
    if (this.#slots.withdraw(task)) {
      this.#backlog.delayed.delete(task);
      this.settle(task, request.reason, request.error);
      this.#slots.reopen(task.bulkhead);
      this.#slots.wake();
      return true;
    }
    const { lane } = this.#lanes.of(task.type);
    const reach = lane.reachOf(task);
    if (task.isSettled) return false;
    if (reach === 'ended') {
      // The lane has not reported its outcome yet: a result counts, and anything else comes too late for another attempt.
      if (!onlyIfWaiting) task.endRequest = { at: now(), ...request };
      return !onlyIfWaiting;
    }
    task.endRequest = { at: now(), ...request };
    if (task.isParent) this.abandonChildren(task, request.error);
    const withdrawal = lane.withdraw(task);
    if (withdrawal === true) {
      this.settle(task, request.reason, request.error);
      this.#killLater(task);
      return true;
    }
    if (onlyIfWaiting) {
      // If it has begun after all, or does so now, it runs on.
      task.endRequest = withdrawal === 'asked' ? { ...request, isTentative: true } : undefined;
      return false;
    }
    this.#stopFor(task, task.endRequest);
    return true;
  }

  /** It runs, or may be about to. */
  #stopFor(task: Task, request: EndRequest): void {
    task.endRequest = request;
    this.#lanes.of(task.type).lane.stop(task, request.error, true);
    this.#killLater(task);
  }

  /** A thread that is still loading a module can hang there with its slot, though the task is settled. */
  #killLater(task: Task): void {
    if (task.hasSlot) task.setTimer(task.options.stopGraceMs, () => this.#lanes.of(task.type).lane.kill(task));
  }

  /** Nobody waits for the children of a task any more. With a reason, they are canceled. */
  abandonChildren(parent: Task, reason: unknown): void {
    const children = this.#tree.removeChildren(parent);
    if (children === undefined) return;
    if (children.awaited.size > 0 && !parent.isSettled) this.#slots.resume(parent);
    if (reason === undefined) {
      for (const child of children.all) this.#leaveAlone(child, parent);
    } else {
      const cause = callerEnded(parent, reason);
      for (const child of children.all) this.leave(child, cause);
    }
  }

  /** The child goes on without its parent, and need not wait until somebody reads what it sends. */
  #leaveAlone(child: Task, parent: Task): void {
    if (this.#tree.endUpdates(child)) {
      if (child.definition.callKind !== undefined) child.isAwaited = false;
      child.release();
      if (child.isFollower) return;
      for (const topic of ['message', 'yield'] as const)
        this.#lanes.send(child, { topic, message: { kind: 'unthrottled' } });
    }
    if (child.definition.callKind === 'wait') {
      this.leave(child, `task "${parent.name}", which called it, has ended`);
    }
  }
}
