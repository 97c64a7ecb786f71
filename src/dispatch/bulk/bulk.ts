/**
 * One `all()`: many inputs of one task function, and one handle. It has a record, by which it is seen, and none for its
 * inputs. Inputs that run for a short time are sent in chunks, each as one task; the others as a task each, and so are
 * those that may be tried again or have a time limit. No more of these tasks, its parts, exist than are to run soon.
 *
 *   waiting ──▶ (read) ──▶ in a part ──▶ done
 *      ▲                      │
 *      └──────────────────────┘  it has not begun: the time of its chunk was over, or the host has died in another input
 *
 * An input that has begun never runs again, unless its options say so. At the end of the bulk, none of its parts is left.
 */
import { AsyncResource } from 'node:async_hooks';
import type { AllOptions } from '../../task/inputs/bulk-options.ts';
import { InputQueue, type InputRange } from '../../task/inputs/input-queue.ts';
import type { BulkInputs } from '../../task/inputs/input-source.ts';
import type { InputOutcomeMessage } from '../../task/inside/task-message.ts';
import type { Task } from '../../task/record/task.ts';
import type { EndReason } from '../../task/record/task-info.ts';
import type { EndRequest } from '../../task/record/task-record.ts';
import { canceled } from '../ending/end-reasons.ts';
import type { BulkHost } from './bulk-host.ts';
import { BulkResults } from './bulk-results.ts';
import { ChunkRecall } from './chunk-recall.ts';
import { ChunkSize, longestOnLoopMs } from './chunk-size.ts';
import { failureOf, lostResult } from './input-failure.ts';
import type { Part, PartMaker } from './part.ts';
import { ProgressReports } from './progress-reports.ts';

/** How many inputs run at a time where the pool has no limit. */
const concurrencyWithoutLimit = 64;
/** How many parts wait so that a slot that comes free has one at once. */
const partsAhead = 2;
/** So many inputs that wait for their next attempt leave their place to others. */
const maxResting = 1_000;

export class Bulk {
  readonly task: Task;
  readonly #host: BulkHost;
  readonly #options: AllOptions;
  readonly #queue: InputQueue;
  readonly #size: ChunkSize;
  readonly maker: PartMaker;
  readonly #parts = new Map<Task, Part>();
  /** Parts that wait for their next attempt. */
  readonly #resting = new Set<Task>();
  readonly #recall: ChunkRecall;
  readonly #results: BulkResults;
  readonly #reports: ProgressReports;
  /** The asynchronous context of the caller. */
  readonly #scope = new AsyncResource('taskwarden.all');
  #end: EndRequest | undefined;
  /** How many inputs are counted as submitted. */
  #counted = 0;
  #isPumping = false;
  #isWaiting = false;

  /** @throws TypeError if its inputs are not iterable. */
  constructor(task: Task, inputs: BulkInputs, options: AllOptions, host: BulkHost) {
    const { chunkMs = 5 } = options;
    this.task = task;
    this.#host = host;
    this.#options = options;
    this.#queue = this.#scope.runInAsyncScope(() => new InputQueue({ ...inputs, onChange: () => this.#pump() }));
    this.#size = new ChunkSize(chunkMs, task.type === 'loop' ? longestOnLoopMs : Infinity);
    const ask = (part: Task) => host.recall(part);
    const giveBack = (range: InputRange, begun: number, runMs: number) => this.#takeBack(range, begun, runMs);
    this.#recall = new ChunkRecall({ parts: this.#parts, chunkMs, ask, giveBack });
    this.maker = host.makeParts(task);
    const onResult = task.options.callback && ((result: unknown) => host.completed(task, result));
    this.#results = new BulkResults({ areOutcomes: options.settle === true, onResult });
    this.#reports = new ProgressReports(() => host.progress(task, this.#results.progress(this.#queue.total)));
    task.progress = this.#results.progress(this.#queue.total);
  }

  /** How many of its inputs wait, those of parts that wait included. */
  get waiting(): number {
    let waiting = this.#queue.known - this.#results.done;
    for (const [task, { range }] of this.#parts) if (task.status === 'started') waiting -= range.inputs.length;
    return waiting;
  }

  /** Its parts that have not ended. */
  get parts(): Iterable<Task> {
    return this.#parts.keys();
  }

  begin(): void {
    const { signal } = this.task.options;
    for (const each of new Set([signal, this.#options.signal])) {
      if (each === undefined) continue;
      const abort = () => this.end(canceled(this.task, each.reason));
      if (each.aborted) {
        abort();
        return;
      }
      this.task.listenToSignal(each, abort);
    }
    this.#countKnown();
    const { delayMs = 0 } = this.task.options;
    if (delayMs > 0) this.task.setTimer(delayMs, () => this.#start());
    else this.#start();
  }

  #start(): void {
    this.task.stopTimer();
    this.task.enqueue();
    this.#pump();
  }

  /** All inputs that are known are counted, also those that have not been read. */
  #countKnown(): void {
    const more = this.#queue.known - this.#counted;
    if (more > 0) this.#host.countSubmitted(more);
    this.#counted += Math.max(more, 0);
  }

  // Inputs become parts.

  get #mostParts(): number {
    const { concurrency } = this.#options;
    const slots = this.#host.slots(this.task);
    const most = concurrency ?? (slots === Infinity ? concurrencyWithoutLimit : slots + partsAhead);
    return most + Math.min(this.#resting.size, maxResting);
  }

  #pump(): void {
    if (this.#isPumping || this.#isWaiting || this.#end !== undefined || this.task.status === 'delayed') return;
    this.#isPumping = true;
    try {
      this.#fill();
    } finally {
      this.#isPumping = false;
    }
    const { problem } = this.#queue;
    if (problem !== undefined) this.end({ reason: 'failed', error: problem.error });
    else if (this.#end === undefined && this.#queue.isEmpty && this.#parts.size === 0) this.#complete();
  }

  #fill(): void {
    const slots = Math.min(this.#mostParts, Math.max(this.#host.slots(this.task), 1));
    while (this.#parts.size < this.#mostParts && this.#queue.problem === undefined && this.#end === undefined) {
      const room = this.#host.waitForRoom(this.task);
      if (room !== undefined) {
        void this.#waitFor(room);
        return;
      }
      const most = this.maker.areSingle ? 1 : this.#size.next(this.#queue.left, slots);
      const range = this.#scope.runInAsyncScope(() => this.#queue.take(most));
      this.#countKnown();
      if (range === undefined) return;
      this.#results.reserve(range.first + range.inputs.length, this.#queue.total);
      this.#submit(range);
    }
  }

  #submit(range: InputRange): void {
    let part: Part;
    try {
      part = this.#scope.runInAsyncScope(() => this.maker.make(range, this.#options));
    } catch (error) {
      if (range.inputs.length === 1) this.#fail(range, 0, 'failed', error);
      else this.#queue.giveBack({ ...range, areSingle: true }); // one of them can't be read
      return;
    }
    this.#size.noteWidth(part.task.args.length / range.inputs.length);
    this.#parts.set(part.task, part);
    this.#host.submit(part.task, this.task);
  }

  async #waitFor(room: Promise<void>): Promise<void> {
    this.#isWaiting = true;
    await room;
    this.#isWaiting = false;
    this.#pump();
  }

  // What becomes of its parts.

  onStarted(part: Task): void {
    this.#resting.delete(part);
    this.#recall.watch(part);
    if (this.task.status === 'queued') this.#host.started(this.task);
  }

  /** The part waits for its next attempt. */
  onRetried(part: Task): void {
    this.#resting.add(part);
    this.#pump();
  }

  onChunkBegun(task: Task): void {
    const part = this.#parts.get(task);
    if (part !== undefined) part.hasBegun = true;
  }

  onChunkRecalled(task: Task, begun: number): void {
    this.#recall.onRecalled(task, begun);
  }

  /** These wait in a chunk no more, of which so many inputs have taken so long. */
  #takeBack(range: InputRange, begun: number, runMs: number): void {
    this.#size.record(begun, runMs);
    this.#queue.giveBack(range);
    this.#pump();
  }

  /** The outcome of an input of a chunk was posted. */
  onOutcome(task: Task, { index, hasFailed, value }: InputOutcomeMessage): void {
    const part = this.#parts.get(task);
    if (part === undefined || part.arrived.has(index) || part.range.inputs[index] === undefined) return;
    part.arrived.add(index);
    if (hasFailed) this.#fail(part.range, index, 'failed', value);
    else this.#succeed(part.range.first + index, value);
  }

  onEnded(task: Task, reason: EndReason, outcome: unknown): void {
    const part = this.#parts.get(task);
    if (part === undefined) return;
    this.#parts.delete(task);
    this.#resting.delete(task);
    if (part.isChunk) this.#endChunk(part, reason, outcome);
    else this.#endSingle(part, reason, outcome);
    if (this.task.isSettled) return;
    this.#reports.note();
    if (this.#end === undefined) this.#pump();
    else this.#settleAtLast(this.#end);
  }

  #endSingle({ range, task }: Part, reason: EndReason, outcome: unknown): void {
    if (task.runMs !== undefined) this.#size.record(1, task.runMs);
    if (reason === 'completed') this.#succeed(range.first, outcome);
    else if (isForeign(reason)) this.#endWith(reason, outcome);
    else this.#fail(range, 0, reason, outcome);
  }

  #endChunk(part: Part, reason: EndReason, outcome: unknown): void {
    const { range } = part;
    const { inputs } = range;
    const { begun, ended } = part;
    this.#takeResults(part);
    let rest = ended;
    if (reason === 'completed') {
      this.#size.record(ended, part.task.runMs ?? 0);
      this.maker.release(part);
    } else if (isForeign(reason)) {
      this.#endWith(reason, outcome);
    } else if (begun > ended) {
      this.#fail(range, ended, reason, outcome);
      rest += 1;
    }
    // A chunk that could not even begin: one of its inputs can't be sent or read, or none can run.
    const areSingle = reason !== 'completed' && begun === 0;
    this.#queue.giveBack({ first: range.first + rest, inputs: inputs.slice(rest), areSingle });
  }

  /** Takes the results that were not posted from the memory that was shared. */
  #takeResults({ range, block, arrived }: Part): void {
    if (block === undefined) return;
    const { taken, posted } = this.#results.takeAll(block, range.first);
    if (taken > 0) this.#host.countEnded('completed', taken);
    for (const at of posted) if (!arrived.has(at)) this.#fail(range, at, 'failed', lostResult(this.task));
  }

  #succeed(index: number, result: unknown): void {
    this.#host.countEnded('completed', 1);
    this.#results.succeed(index, result);
  }

  #fail({ first, inputs }: InputRange, at: number, reason: EndReason, error: unknown): void {
    if (isForeign(reason) || this.task.isSettled) return;
    const index = first + at;
    this.#host.countEnded(reason, 1);
    this.#results.fail(index, error);
    if (!this.#options.settle) this.#endWith(reason, failureOf(this.task, index, inputs[at], error));
  }

  // How it ends.

  /** @returns False if it has ended. */
  end(request: EndRequest): boolean {
    if (this.task.isSettled) return false;
    if (this.#end === undefined) this.#endWith(request.reason, request.error);
    return true;
  }

  /** Nothing begins any more, and what runs is stopped. The first cause counts. */
  #endWith(reason: EndReason, error: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = { reason, error };
    this.#scope.runInAsyncScope(() => this.#queue.close());
    const partReason = reason === 'shutdown' ? 'shutdown' : 'canceled';
    for (const part of [...this.#parts.keys()]) this.#host.cancel(part, { reason: partReason, error });
    this.#settleAtLast(this.#end);
  }

  #settleAtLast({ reason, error }: EndRequest): void {
    if (this.#parts.size > 0 || this.task.isSettled) return;
    const rest = this.#counted - this.#results.done;
    if (rest > 0) this.#host.countEnded(reason === 'shutdown' ? 'shutdown' : 'canceled', rest);
    this.#settle(reason, error);
  }

  #complete(): void {
    if (this.task.status === 'queued') this.#host.started(this.task);
    this.#settle('completed', this.#results.values);
  }

  #settle(reason: EndReason, outcome: unknown): void {
    this.#recall.unwatch();
    this.#reports.flush();
    this.#host.settle(this.task, reason, outcome);
  }
}

/** A part has ended for a reason that is not its input's: its caller has ended, or the supervisor stops. */
function isForeign(reason: EndReason): boolean {
  return reason === 'canceled' || reason === 'shutdown';
}
