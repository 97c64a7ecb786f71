/**
 * The way of a task from submit to settle: it waits in the pool of its type, is handed to the lane when it may start,
 * and what the lane reports of it comes back here. It contains no queue code and no thread code.
 */
import type { Lane, LaneHost, LaneListener, LaneOutcome } from '../lanes/lane.ts';
import type { Moment } from '../platform/clock.ts';
import type { Capacity } from '../queue/capacity.ts';
import type { FreeCapacity } from '../queue/free-capacity.ts';
import type { ChildCommandMessage, SubmitMessage, TaskMessage } from '../task/inside/task-message.ts';
import type { Progress } from '../task/record/progress.ts';
import type { Task } from '../task/record/task.ts';
import type { TaskTable } from '../task/record/task-table.ts';
import type { TaskType } from '../task/record/task-type.ts';
import type { Backlog } from './backlog.ts';
import type { Batcher } from './batcher.ts';
import { Bulks } from './bulk/bulks.ts';
import { Pauses } from './changes/pauses.ts';
import { PriorityChanges } from './changes/priority-changes.ts';
import { Deadlines } from './ending/deadlines.ts';
import { afterBegin, crashed, isInTime, overtime, shutDown } from './ending/end-reasons.ts';
import { PendingTasks } from './ending/pending-tasks.ts';
import { Settlement } from './ending/settlement.ts';
import type { LateTasks } from './events/late-tasks.ts';
import type { TaskEvents } from './events/task-events.ts';
import { UniqueTasks } from './keys/unique-tasks.ts';
import type { LaneRegistry } from './lane-registry.ts';
import { keepWork } from './retries/kept-work.ts';
import { Retries } from './retries/retries.ts';
import { isPassing } from './retries/retry-policy.ts';
import { Slots } from './slots.ts';
import type { TaskCounters } from './task-counters.ts';
import { TaskQueues } from './task-queues.ts';
import { TaskTree } from './task-tree.ts';

interface DispatcherParts {
  readonly lanes: LaneRegistry;
  readonly backlog: Backlog;
  readonly counters: TaskCounters;
  readonly table: TaskTable;
  readonly events: TaskEvents;
  readonly late: LateTasks;
  readonly batcher: Batcher;
  readonly capacity: Capacity;
  readonly freeCapacity: FreeCapacity<TaskType>;
}

/** A host has died before it began with a task, and how is not known here. */
const noExit = { exitCode: undefined, signal: undefined, cause: undefined };

export interface SubmissionListener {
  /** A task that runs in a thread or child calls another. */
  submitChild(parent: Task, message: SubmitMessage): void;
}

export class Dispatcher implements LaneListener<Task> {
  readonly #lanes: LaneRegistry;
  readonly #backlog: Backlog;
  readonly #counters: TaskCounters;
  readonly #table: TaskTable;
  readonly #events: TaskEvents;
  readonly #late: LateTasks;
  readonly #batcher: Batcher;
  readonly tree: TaskTree = new TaskTree();
  readonly slots: Slots;
  readonly settlement: Settlement;
  readonly pending: PendingTasks;
  readonly bulks: Bulks;
  readonly pauses: Pauses;
  readonly unique: UniqueTasks;
  readonly priorityChanges: PriorityChanges;
  readonly #deadlines: Deadlines;
  readonly #queues: TaskQueues;
  readonly #retries: Retries;
  #listener!: SubmissionListener;

  constructor(parts: DispatcherParts) {
    const { lanes, backlog, counters, table, events, late, batcher } = parts;
    const { tree } = this;
    this.#lanes = lanes;
    this.#backlog = backlog;
    this.#counters = counters;
    this.#table = table;
    this.#events = events;
    this.#late = late;
    this.#batcher = batcher;
    const slots = new Slots({ ...parts, tree });
    const settlement = new Settlement({ ...parts, tree, slots });
    const deadlines = new Deadlines(lanes, settlement);
    const queues = new TaskQueues({ ...parts, tree, slots, settlement, deadlines });
    this.slots = slots;
    this.settlement = settlement;
    this.bulks = new Bulks({ ...parts, tree, slots, settlement, deadlines, queues });
    this.pending = new PendingTasks({ lanes, backlog, slots, settlement, bulks: this.bulks });
    this.priorityChanges = new PriorityChanges({ ...parts, slots, bulks: this.bulks });
    this.pauses = new Pauses({ ...parts, slots, pending: this.pending });
    this.#deadlines = deadlines;
    this.#queues = queues;
    this.unique = new UniqueTasks({ ...parts, tree, settlement, deadlines, queues });
    this.#retries = new Retries({ ...parts, tree, settlement, queues, bulks: this.bulks });
    lanes.subscribe(this);
  }

  /** Its one listener, from now on. Called once, before a task is submitted. */
  subscribe(listener: SubmissionListener): void {
    this.#listener = listener;
  }

  submit(task: Task): void {
    this.#counters.countSubmitted();
    if (task.options.taskId !== undefined) void task.id; // found by it from now on
    const { signal, delayMs = 0, deadlineMs } = task.options;
    if (signal?.aborted) {
      this.settlement.leave(task, signal.reason);
      return;
    }
    if (signal !== undefined) task.listenToSignal(signal, () => this.settlement.leave(task, signal.reason));
    if (deadlineMs !== undefined) this.#deadlines.startDeadline(task, deadlineMs);
    if (task.isForHost) this.#queues.pass(task);
    else if (delayMs > 0) this.#queues.delay(task, delayMs);
    else this.#queues.add(task);
  }

  /** Submits a task that runs in that thread or child, and waits for its turn there. */
  submitTo(host: LaneHost, task: Task): void {
    task.isForHost = true;
    this.submit(task);
    if (!task.isSettled) this.#lanes.of(task.type).lane.hosts?.run(host, task);
  }

  // What the lanes report.

  started(task: Task, hostId: number | undefined, at: number, noticed: Moment): void {
    if (task.isSettled) return;
    task.start(hostId, noticed, at);
    const { endRequest } = task;
    if (endRequest !== undefined) task.endRequest = afterBegin(task, endRequest);
    if (task.endRequest === undefined) this.#deadlines.startRunTimeout(task, noticed.at - at);
    if (task.isStopRequested) this.settlement.askToFinish(task);
    if (task.isSubTask || task.isShared) this.tree.update(task, { kind: 'started', hostId });
    if (task.isUnique) this.unique.onStarted(task);
    if (task.isPart) this.bulks.onStarted(task);
    else this.#events.emit('task:started', task);
  }

  progress(task: Task, progress: Progress): void {
    if (task.isSettled) return;
    if (task.isSubTask || task.isShared) this.tree.update(task, { kind: 'progress', progress });
    this.#events.progress(task, progress);
  }

  message(task: Task, message: TaskMessage): void {
    if (task.isSettled) return;
    switch (message.topic) {
      case 'submit':
        this.#listener.submitChild(task, message);
        break;
      case 'child-command':
        this.#onChildCommand(task, message);
        break;
      case 'chunk-begun':
        this.bulks.onChunkBegun(task);
        break;
      case 'chunk-recalled':
        this.bulks.onChunkRecalled(task, message.begun);
        break;
      case 'keep':
        keepWork(task, message, (answer) => this.#lanes.send(task, answer));
        break;
      case 'input-outcome':
        this.bulks.onOutcome(task, message);
        break;
      case 'message':
      case 'yield':
        if (!this.tree.update(task, { kind: 'data', data: message })) task.channels.handle(message);
    }
  }

  /** Does what a task wants of a task that it has called. */
  #onChildCommand(parent: Task, { id, command }: ChildCommandMessage): void {
    const child = this.#table.findLive(id);
    if (child === undefined || !this.tree.isChild(child, parent)) {
      const ended = command.kind === 'await' ? this.tree.justEnded(id) : undefined;
      if (ended !== undefined) ended.isAwaited = true;
      return;
    }
    switch (command.kind) {
      case 'cancel':
        this.settlement.leave(child, command.reason);
        break;
      case 'stop':
        this.settlement.stop(this.unique.leaderOf(child));
        break;
      case 'set-priority':
        this.priorityChanges.change(this.unique.leaderOf(child), command.priority);
        break;
      case 'await':
        this.slots.lendTo(child, parent);
        if (child.isBulk) this.bulks.onAwaited(child, parent);
        break;
      case 'data':
        if (child.isFollower) break; // its messages would mix with those of the others
        try {
          this.#lanes.send(child, command.data);
        } catch (problem) {
          // The parent took it for sent: more can be copied to a thread than to a child process.
          this.settlement.cancel(child, problem);
        }
    }
  }

  ended(task: Task, outcome: LaneOutcome, noticed: Moment): void {
    this.#freeSlot(task);
    this.slots.reopen(task.bulkhead);
    if (!task.isSettled) this.#conclude(task, outcome, noticed);
  }

  returned(tasks: readonly Task[]): void {
    for (const task of tasks.toReversed()) {
      this.#freeSlot(task);
      const request = task.endRequest ?? (this.#backlog.isClosed ? shutDown(task) : undefined);
      if (task.isSettled) continue;
      if (request === undefined && task.isForHost) this.settlement.settle(task, 'crashed', crashed(task, noExit).error);
      else if (request === undefined) this.#queues.putBack(task);
      else this.settlement.settle(task, request.reason, request.error);
    }
    for (const { bulkhead } of tasks) this.slots.reopen(bulkhead);
    this.slots.wake();
    this.#late.rearm();
  }

  prefetchedBegan(task: Task): void {
    this.slots.onPrefetchedBegan(task);
  }

  prefetchedReturned(task: Task): void {
    this.slots.onPrefetchedReturned(task);
  }

  slotTaken(task: Task): void {
    this.#lanes.of(task.type).pool.occupy();
  }

  slotReleased(lane: Lane<Task>, wasLent: boolean): void {
    for (const each of this.#lanes) if (each.lane === lane) each.pool.release(wasLent);
    this.slots.wake();
  }

  idleHostExited(): void {
    this.slots.wake();
  }

  #freeSlot(task: Task): void {
    this.slots.free(task);
    if (task.status === 'started' || task.isSettled) task.stopTimer();
  }

  #conclude(task: Task, outcome: LaneOutcome, noticed: Moment): void {
    task.runMs = 'runMs' in outcome ? outcome.runMs : task.runMs;
    if (outcome.kind === 'result' || outcome.kind === 'thrown') this.#batcher.record(task, outcome.runMs);
    const request = task.endRequest ?? overtime(task, outcome);
    if (request !== undefined && !isInTime(task, request, outcome)) {
      if (outcome.kind === 'died' && request.reason === 'shutdown') this.#counters.countTerminated();
      if (request.reason === 'timeout' && !request.isFinal) this.#retries.after(task, request);
      else this.settlement.settle(task, request.reason, request.error, noticed);
      return;
    }
    switch (outcome.kind) {
      case 'result':
        this.settlement.settle(task, 'completed', outcome.value, noticed);
        break;
      case 'thrown':
      case 'unloadable':
      case 'uncloneable':
        if (isPassing(outcome.kind, outcome.error)) {
          this.#retries.after(task, { reason: 'failed', error: outcome.error });
        } else {
          this.settlement.settle(task, 'failed', outcome.error, noticed);
        }
        break;
      case 'broken':
        this.settlement.settle(task, 'failed', outcome.cause, noticed);
        break;
      case 'died':
        this.#retries.afterCrash(task, crashed(task, outcome));
        break;
      case 'withdrawn':
        throw new Error(`task ${task.id} was withdrawn, and by nobody`);
    }
  }
}
