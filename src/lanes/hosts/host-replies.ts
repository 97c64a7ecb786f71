/** The replies of hosts: what each means for the batch in the host, for the host itself, and for its pool. */
import type { HostPool } from '../host-pool/host-pool.ts';
import type { LaneOutcome, LaneTask } from '../lane.ts';
import { isModuleFailure, type LoadFailures } from '../loading/load-failures.ts';
import { decodeThrown } from '../wire/error-codec.ts';
import { unpackMessage } from '../wire/wire-message.ts';
import type { LaneReply } from './host.ts';
import type { HostConnection } from './host-connection.ts';
import { onStuckLoad } from './load-watch.ts';

interface HostRepliesParts<T extends LaneTask> {
  readonly pool: HostPool<T>;
  readonly failures: LoadFailures;
  /** Reports that the host is free. */
  readonly vacate: (connection: HostConnection<T>) => void;
  /** Gives tasks back that never began. */
  readonly giveBack: (tasks: readonly T[]) => void;
  readonly teardownFailed: (connection: HostConnection<T>, problem: unknown) => void;
  readonly preloadFailed: (connection: HostConnection<T>, problem: unknown) => void;
}

export class HostReplies<T extends LaneTask> {
  readonly #parts: HostRepliesParts<T>;

  constructor(parts: HostRepliesParts<T>) {
    this.#parts = parts;
  }

  /** Throws if the host can't mean that. */
  handle(connection: HostConnection<T>, reply: LaneReply): void {
    const { pool, failures } = this.#parts;
    const [task] = connection;
    if (task === undefined && connection.state === 'ending' && reply.kind !== 'teardown') return; // its batch was given up
    switch (reply.kind) {
      case 'begin':
        if (task !== undefined) failures.forget(task);
        connection.onLoaded();
        break;
      case 'progress':
        connection.onProgress(reply.item, reply.progress);
        break;
      case 'task-message':
        connection.onTaskMessage(reply.item, unpackMessage(reply.message));
        break;
      case 'recalled':
        this.#onRecalled(connection, connection.onRecalled(reply.items));
        break;
      case 'has-teardown':
        connection.owner.hasTeardown = true;
        break;
      case 'warm':
        connection.onWarmed(reply.missing);
        if (connection === connection.owner.slots[0]) {
          for (const problem of reply.problems) this.#parts.preloadFailed(connection, decodeThrown(problem));
        }
        pool.onReady(connection);
        break;
      case 'heavy':
        pool.replace(connection);
        break;
      case 'teardown':
        this.#parts.teardownFailed(connection, decodeThrown(reply.error));
        break;
      case 'done':
        connection.reportChanges(reply.end === connection.end);
        if (connection.goesOnAfter(reply.end)) this.#parts.giveBack(connection.onPassed(reply.end));
        // Else it is about a prefetched task that was taken back, or one that has such a task behind it.
        if (connection.size === 0 || reply.end !== connection.end) break;
        connection.checkDone();
        this.#finish(connection);
        break;
      default:
        this.#conclude(connection, connection.read(reply));
    }
  }

  /** If the unreadable reply may not be an outcome, the host is ended: a later reply could be taken for that of another task. */
  onUnreadable(connection: HostConnection<T>, problem: unknown): void {
    const isOutcome = connection.isOutcomeNext;
    const isLast = connection.onUnreadable(problem);
    if (!isOutcome) this.#parts.pool.end(connection);
    else if (isLast) this.#finish(connection);
  }

  #onRecalled(connection: HostConnection<T>, tasks: readonly T[]): void {
    const [task] = tasks;
    if (connection.isLoading && task !== undefined) {
      onStuckLoad(connection, task.options.stopGraceMs, () => this.#parts.pool.end(connection));
    }
    this.#parts.giveBack(tasks);
  }

  #conclude(connection: HostConnection<T>, outcome: LaneOutcome): void {
    const [task] = connection;
    if (outcome.kind === 'unloadable' && task !== undefined) {
      connection.owner.hasLoadFailure ||= isModuleFailure(outcome.error);
      this.#parts.failures.note(task, outcome.error, connection.since);
    }
    if (connection.isAtLast) this.#finish(connection, () => connection.conclude(outcome));
    else connection.conclude(outcome);
  }

  /** Nothing of the batch runs any more. `reportLast` reports the outcome of its last task. */
  #finish(connection: HostConnection<T>, reportLast?: () => void): void {
    const { pool, vacate, giveBack } = this.#parts;
    const { size, prefetched } = connection;
    if (prefetched === undefined) vacate(connection);
    reportLast?.();
    if (connection.advance()) {
      pool.onTasksDone(connection, size);
      return;
    }
    // Whoever heard of the end may have tried to take it back: either it belongs to the batch now, or it never begins.
    if (connection.size > size) return;
    if (prefetched !== undefined) vacate(connection);
    giveBack(connection.endBatch());
    pool.onTasksDone(connection, size);
    pool.makeIdle(connection);
  }
}
