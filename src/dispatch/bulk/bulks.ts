/**
 * The bulks of a supervisor, each an `all()` with many inputs: gives their parts to the queues, and hands what becomes of
 * a part to its bulk.
 */
import type { Capacity } from '../../queue/capacity.ts';
import { type Priority, priorities } from '../../queue/priority.ts';
import type { AllOptions } from '../../task/inputs/bulk-options.ts';
import type { BulkInputs } from '../../task/inputs/input-source.ts';
import type { InputOutcomeMessage } from '../../task/inside/task-message.ts';
import type { Progress } from '../../task/record/progress.ts';
import type { Task } from '../../task/record/task.ts';
import type { EndReason } from '../../task/record/task-info.ts';
import type { TaskOwner } from '../../task/record/task-owner.ts';
import type { EndRequest } from '../../task/record/task-record.ts';
import type { TaskTable } from '../../task/record/task-table.ts';
import type { TaskType } from '../../task/record/task-type.ts';
import type { Backlog } from '../backlog.ts';
import type { Deadlines } from '../ending/deadlines.ts';
import type { Settlement } from '../ending/settlement.ts';
import type { TaskEvents } from '../events/task-events.ts';
import type { LaneRegistry } from '../lane-registry.ts';
import type { Slots } from '../slots.ts';
import type { TaskCounters } from '../task-counters.ts';
import type { TaskQueues } from '../task-queues.ts';
import type { TaskTree } from '../task-tree.ts';
import { Bulk } from './bulk.ts';
import type { BulkHost } from './bulk-host.ts';
import { PartMaker } from './part.ts';

interface BulksParts {
  readonly lanes: LaneRegistry;
  readonly backlog: Backlog;
  readonly capacity: Capacity;
  readonly counters: TaskCounters;
  readonly events: TaskEvents;
  readonly table: TaskTable;
  readonly tree: TaskTree;
  readonly slots: Slots;
  readonly settlement: Settlement;
  readonly deadlines: Deadlines;
  readonly queues: TaskQueues;
}

export class Bulks implements BulkHost {
  readonly #parts: BulksParts;
  readonly #byTask = new Map<Task, Bulk>();
  /** The bulk of each part. */
  readonly #byPart = new Map<Task, Bulk>();
  #owner!: TaskOwner<Task>;

  constructor(parts: BulksParts) {
    this.#parts = parts;
    parts.settlement.subscribe(this);
  }

  /** The owner of all tasks of the supervisor. Called once, before a bulk begins. */
  setOwner(owner: TaskOwner<Task>): void {
    this.#owner = owner;
  }

  /** The records of the bulks that have not ended. */
  [Symbol.iterator](): Iterator<Task> {
    return this.#byTask.keys();
  }

  /** @throws TypeError if its inputs are not iterable; then nothing has changed. */
  add(task: Task, inputs: BulkInputs, options: AllOptions): Bulk {
    task.isBulk = true;
    return new Bulk(task, inputs, options, this);
  }

  begin(bulk: Bulk): void {
    const { counters, events, deadlines } = this.#parts;
    const { deadlineMs } = bulk.task.options;
    this.#byTask.set(bulk.task, bulk);
    if (deadlineMs !== undefined) deadlines.startDeadline(bulk.task, deadlineMs);
    void bulk.task.id; // it is found by that from now on
    counters.openBulk();
    events.emit('task:queued', bulk.task);
    bulk.begin();
  }

  /** How many inputs wait without a task in the pool. */
  waitingOf(type: TaskType, priority: Priority): number {
    let waiting = 0;
    for (const bulk of this.#byTask.values()) {
      if (bulk.task.type !== type || bulk.task.priority !== priority) continue;
      waiting += bulk.waiting;
      for (const part of bulk.parts) if (part.status === 'queued') waiting -= 1;
    }
    return waiting;
  }

  /** Inputs of all priorities that wait without a task in the pool. */
  waiting(type: TaskType): Record<Priority, number> {
    const entries = priorities.map((priority) => [priority, this.waitingOf(type, priority)]);
    return Object.fromEntries(entries) as Record<Priority, number>;
  }

  /** The priority of the bulk was changed, and is that of its next parts. Gives those that it has. */
  changePriority(task: Task): readonly Task[] {
    const bulk = this.#byTask.get(task);
    bulk?.maker.changePriority(task.priority);
    return [...(bulk?.parts ?? [])];
  }

  /** The parent of the bulk waits for it from now on, and so for its parts. */
  onAwaited(task: Task, parent: Task): void {
    for (const part of this.#byTask.get(task)?.parts ?? []) this.#parts.slots.lendTo(part, parent);
  }

  // What becomes of parts.

  onStarted(part: Task): void {
    this.#byPart.get(part)?.onStarted(part);
  }

  onRetried(part: Task): void {
    this.#byPart.get(part)?.onRetried(part);
  }

  onChunkBegun(part: Task): void {
    this.#byPart.get(part)?.onChunkBegun(part);
  }

  onChunkRecalled(part: Task, begun: number): void {
    this.#byPart.get(part)?.onChunkRecalled(part, begun);
  }

  onOutcome(part: Task, message: InputOutcomeMessage): void {
    this.#byPart.get(part)?.onOutcome(part, message);
  }

  /** A part was settled. */
  onPartEnded(part: Task, reason: EndReason, outcome: unknown): void {
    const bulk = this.#byPart.get(part);
    this.#byPart.delete(part);
    bulk?.onEnded(part, reason, outcome);
  }

  /** Ends a bulk for a cause from outside. Returns false if it has ended. */
  end(task: Task, request: EndRequest): boolean {
    return this.#byTask.get(task)?.end(request) ?? false;
  }

  // What a bulk asks for.

  makeParts(bulk: Task): PartMaker {
    return new PartMaker(bulk, this.#owner, () => this.#parts.table.nextSequence());
  }

  slots({ type, priority }: Task): number {
    return this.#parts.lanes.of(type).pool.limit(priority === 'critical' ? 'high' : priority);
  }

  submit(part: Task, task: Task): void {
    const bulk = this.#byTask.get(task);
    if (bulk === undefined) return;
    const { tree, queues, slots } = this.#parts;
    this.#byPart.set(part, bulk);
    const parent = tree.parentOf(task);
    if (parent !== undefined) {
      tree.addChild(parent, part);
      part.isAwaited = true;
      if (task.isAwaited) slots.lendTo(part, parent);
    }
    queues.add(part);
  }

  waitForRoom({ type, priority, options: { module } }: Task): Promise<void> | undefined {
    const { backlog, lanes, capacity } = this.#parts;
    if (backlog.room > 0) return undefined;
    if (!module?.bulkhead.mayBeFull && lanes.of(type).pool.hasRoom(priority)) return undefined;
    return capacity.wait(priority);
  }

  cancel(part: Task, request: EndRequest): void {
    this.#parts.settlement.end(part, request);
  }

  recall(part: Task): void {
    this.#parts.lanes.send(part, { topic: 'chunk-recall' });
  }

  started(task: Task): void {
    const { tree, events } = this.#parts;
    task.start(undefined);
    if (task.isSubTask) tree.update(task, { kind: 'started', hostId: undefined });
    events.emit('task:started', task);
  }

  progress(task: Task, progress: Progress): void {
    const { tree, events } = this.#parts;
    if (task.isSubTask) tree.update(task, { kind: 'progress', progress });
    events.progress(task, progress);
  }

  completed(task: Task, result: unknown): void {
    this.#parts.events.callBack(task, result);
  }

  settle(task: Task, reason: EndReason, outcome: unknown): void {
    this.#byTask.delete(task);
    this.#parts.settlement.settle(task, reason, outcome);
  }

  countSubmitted(inputs: number): void {
    this.#parts.counters.countSubmitted(inputs);
  }

  countEnded(reason: EndReason, inputs: number): void {
    this.#parts.counters.countEnded(reason, inputs);
  }
}
