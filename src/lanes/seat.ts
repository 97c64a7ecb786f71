/**
 * A host with the batch that runs in it: how the batch is told to it, what becomes of each task of the batch, and what
 * the host's death means for each.
 */
import { type Moment, now, type Timer, thisMoment } from '../clock.ts';
import { type Deferred, defer } from '../deferred.ts';
import type { Exit } from '../exit.ts';
import type { Progress } from '../task/context.ts';
import { type WireDefinition, wireDefinition } from '../task/definition.ts';
import type { TaskWord } from '../task/word.ts';
import { findBuffers, restoreBuffers } from './buffers.ts';
import type { ControlBlock } from './control-block.ts';
import { decodeThrown, encodeThrown } from './error-codec.ts';
import type { Host } from './host.ts';
import type { LaneListener, LaneOutcome, LaneTask, TaskReach, Withdrawal } from './lane.ts';
import type { FailureKind, ItemReply, RunMessage } from './protocol.ts';
import { isTransferring, type Refusal, transfersOf, unreadable, unsayable, unsendable } from './refusal.ts';
import { definitionsOf, runMessage } from './run-message.ts';
import { packWord } from './words.ts';

/**
 *   starting ──▶ idle ◀──▶ busy
 *       └──────────┴────────┴──▶ ending ──▶ (gone)
 */
export type SeatState = 'starting' | 'idle' | 'busy' | 'ending';

export class Seat<T extends LaneTask> {
  state: SeatState = 'starting';
  /** Absent until it has been made, which can fail. */
  host: Host | undefined;
  wasUp = false;
  /** The definition of the batch, which is one task then, is being loaded: it has not begun. */
  loading = false;
  /** When it was handed its batch, or became idle, on the clock of `now()`. */
  since = 0;
  /** Something has come back from it. */
  hasAnswered = false;
  /** A module could not be loaded in it, and never will be there. */
  isSpoiled = false;
  /** Its slot is lent: what runs in it waits for other tasks. */
  isLent = false;
  /** When it was asked to give back what it has not begun, if it has not answered that. */
  recallAskedAt: number | undefined;
  /** Resolves when it is up, or gone. */
  readonly settled: Deferred = defer();
  readonly gone: Deferred = defer();
  readonly #listener: LaneListener<T>;
  readonly #definitions = new Map<number, WireDefinition>();
  /** The one that it is to replace, and has to be as warm as. */
  predecessor: Seat<T> | undefined;
  /** Are called when its successor has died. */
  readonly onUnreplaced: (() => void)[] = [];
  startTimer: Timer | undefined;
  hasTeardown = false;
  /** What runs in it, or will as soon as it is up; without those that were given back. */
  #batch: readonly (T | undefined)[] = [];
  #isPosted = false;
  /** The first item whose end has not been told. */
  #item = 0;
  /** Whether its start has. */
  #isStartTold = false;

  constructor(listener: LaneListener<T>) {
    this.#listener = listener;
  }

  get id(): number {
    return this.host?.id ?? -1;
  }

  get #control(): ControlBlock {
    return (this.host as Host).control;
  }

  /** How many items the batch has, told of or not. */
  get size(): number {
    return this.#batch.length;
  }

  /** The tasks whose end or return has not been told. */
  *[Symbol.iterator](): Generator<T> {
    for (let item = this.#item; item < this.#batch.length; item += 1) {
      const task = this.#batch[item];
      if (task !== undefined) yield task;
    }
  }

  /** Whether the host has what the task runs. */
  knows(task: T): boolean {
    const { definition, carried } = task;
    return this.#definitions.has(definition.index) && (!carried || this.#definitions.has(carried.definition.index));
  }

  /** Lets it load what its predecessor has loaded. False: there is nothing to load. */
  warm(): boolean {
    if (this.predecessor === undefined || this.predecessor.#definitions.size === 0) return false;
    const definitions = [...this.predecessor.#definitions.values()];
    for (const definition of definitions) this.#definitions.set(definition.index, definition);
    this.host?.post({ kind: 'warm', definitions: definitions.map(wireDefinition) }, []);
    return true;
  }

  // A batch goes.

  take(batch: readonly T[]): void {
    this.#batch = batch;
    this.#isPosted = false;
    this.#item = 0;
    this.#isStartTold = false;
    this.recallAskedAt = undefined;
  }

  /** Sends the batch to the host, which is up. Gives the tasks that can't be sent. */
  post(): readonly Refusal<T>[] {
    const batch = this.#batch as readonly T[];
    const [first] = batch as readonly [T];
    this.#isPosted = true;
    this.since = now();
    this.loading = !this.knows(first);
    this.#control.reset(batch.length);
    const message = runMessage(batch, this.loading);
    return batch.length === 1 ? this.#postOne(message, first) : this.#postMany(message, batch);
  }

  #postOne(message: RunMessage, task: T): readonly Refusal<T>[] {
    try {
      const buffers = findBuffers(task.args);
      (this.host as Host).post(buffers === undefined ? message : { ...message, buffers }, transfersOf(task));
    } catch (problem) {
      return [{ task, problem }];
    }
    for (const each of definitionsOf(task)) this.#definitions.set(each.index, each);
    return [];
  }

  /** The host waits for all arguments before it begins, so those that can't be sent are withdrawn in time. */
  #postMany(message: RunMessage, batch: readonly T[]): readonly Refusal<T>[] {
    const host = this.host as Host;
    const refusals: Refusal<T>[] = [];
    host.post(message, []);
    if ('arity' in message.args) return refusals;
    for (const [item, task] of batch.entries()) {
      if (message.args[item] !== null) continue;
      const buffers = findBuffers(task.args);
      try {
        host.post({ kind: 'args', args: task.args, ...(buffers && { buffers }) }, []);
      } catch (problem) {
        host.control.withdraw(item);
        host.post({ kind: 'args', args: null }, []); // its memory may be another
        refusals.push({ task, problem });
      }
    }
    this.#drop(new Set(refusals.map(({ task }) => task)));
    return refusals;
  }

  /** Tasks of the batch that are no concern of the seat any more. */
  #drop(tasks: ReadonlySet<T>): void {
    if (tasks.size > 0) this.#batch = this.#batch.map((task) => (task && tasks.has(task) ? undefined : task));
  }

  /** The host is to be told these definitions again. */
  forget(indexes: readonly number[]): void {
    for (const index of indexes) this.#definitions.delete(index);
  }

  #forgetOwn(): void {
    for (const task of this) this.forget(definitionsOf(task).map(({ index }) => index));
  }

  // What becomes of it.

  /** The host begins with the batch. */
  begin(): void {
    this.loading = false;
    this.#tellStart(thisMoment());
  }

  /** Tells what has ended by now, and what runs. */
  update(): void {
    if (this.host === undefined || this.loading || this.#item === this.#batch.length) return;
    const control = this.#control;
    const heard = thisMoment();
    // Who hears of one item may ask for another, and so come here again: each is passed before it is told of.
    while (this.#item < this.#batch.length) {
      const item = this.#item;
      const state = control.state(item);
      if (state === 'withdrawn') this.#tellEnd({ kind: 'withdrawn' }, heard);
      else if (state === 'waiting') return;
      else if (!this.#isStartTold) this.#tellStart(heard);
      else if (state === 'finished') this.#tellResult(control.result(item), heard);
      else return; // it runs, or a message is on its way that says what it came to
    }
  }

  /** How far one task of the batch is; it may have ended though that has not been told. */
  look(task: T): TaskReach {
    const item = this.#batch.indexOf(task);
    if (item < this.#item || this.host === undefined) return item < this.#item ? 'ended' : 'waits';
    const state = this.#control.state(item);
    if (state === 'waiting' || state === 'withdrawn') return 'waits';
    return state === 'running' ? 'runs' : 'ended';
  }

  /** The host has said what an item came to. */
  hear(reply: ItemReply): void {
    this.update();
    if (reply.kind === 'result') {
      const values = [reply.value];
      if (reply.isBuffer) restoreBuffers(values, [0]);
      this.#tellResult(values[0], thisMoment());
    } else if (reply.kind === 'unread') {
      this.#forgetOwn(); // if the definition was in there, too, it has not arrived
      this.#tellFailure('uncloneable', unsendable(this.#batch[this.#item] as T, decodeThrown(reply.error)));
    } else {
      if (reply.kind === 'unloadable') this.#forgetOwn(); // it may be there the next time: the host is to look again
      this.#tellFailure(reply.kind, decodeThrown(reply.error));
    }
    this.update();
  }

  /** Whether the next message can only be what the item has come to that has not been told of. */
  get isOutcomeNext(): boolean {
    this.update();
    return this.#item < this.size && this.#control.isOutcomeNext(this.#item);
  }

  /** What the host has said, most likely of that item, can't be read. True: it was the last item. */
  mishear(problem: unknown): boolean {
    const isLast = this.#item === this.size - 1;
    if (this.#item < this.size) this.#tellFailure('uncloneable', unreadable(problem));
    this.update();
    return isLast;
  }

  /** Gives up what the host is loading. */
  abandonLoad(error: unknown): void {
    this.loading = false;
    this.#tellEnd({ kind: 'unloadable', error, runMs: 0 }, thisMoment());
  }

  #tellStart(heard: Moment): void {
    const control = this.#control;
    const item = this.#item;
    const task = this.#batch[item];
    this.#isStartTold = true;
    const at = control.state(item) === 'waiting' ? heard.at : control.begunAt(item);
    if (task !== undefined) this.#listener.started(task, this.id, at, heard);
  }

  #tellResult(value: unknown, heard: Moment): void {
    const endedAt = this.#control.endedAt(this.#item);
    this.#tellEnd({ kind: 'result', value, runMs: this.#runMs(), endedAt }, heard);
  }

  #tellFailure(kind: FailureKind, error: unknown): void {
    this.#tellEnd({ kind, error, runMs: this.#runMs() }, thisMoment());
  }

  #runMs(): number {
    return this.#control.endedAt(this.#item) - this.#control.begunAt(this.#item);
  }

  /** What could not be loaded was an attempt all the same, as is one whose host dies of it. */
  #tellEnd(outcome: LaneOutcome, heard: Moment): void {
    const task = this.#batch[this.#item];
    if (outcome.kind === 'unloadable' && !this.#isStartTold) this.#tellStart(heard);
    this.#pass();
    if (task !== undefined) this.#listener.ended(task, outcome, heard);
  }

  #pass(): void {
    this.#item += 1;
    this.#isStartTold = false;
  }

  progress(item: number, progress: Progress): void {
    this.update();
    const task = this.#batch[item];
    if (task !== undefined) this.#listener.progress(task, progress);
  }

  said(item: number, word: TaskWord): void {
    this.update();
    const task = this.#batch[item];
    if (task !== undefined) this.#listener.said(task, word);
  }

  tell(task: T, word: TaskWord): void {
    const item = this.#batch.indexOf(task);
    if (item < this.#item) return; // it has ended
    try {
      this.host?.post({ kind: 'word', item, word: packWord(word) }, []);
    } catch (problem) {
      throw unsayable(task, problem);
    }
  }

  /**
   * Takes back all that has not begun, but for one whose start was told. A host that has to be asked answers later: see
   * `recalled`.
   */
  recall(): readonly T[] {
    if (this.loading) return []; // it is one task, and its start is told when the host says so
    this.update();
    if (this.host?.recall !== undefined) {
      if (this.size > 1 && this.recallAskedAt === undefined) {
        this.recallAskedAt = now();
        this.host.recall(this.#item + 1);
      }
      return [];
    }
    const recalled: T[] = [];
    // From the last: none is to be overtaken by one behind it, which the host may begin meanwhile.
    const first = this.#isStartTold ? this.#item + 1 : this.#item;
    for (let item = this.#batch.length - 1; item >= first; item -= 1) {
      const task = this.#batch[item];
      if (task !== undefined && this.#control.withdraw(item)) recalled.unshift(task);
    }
    this.#drop(new Set(recalled));
    this.update();
    return recalled;
  }

  /** The host has said what will never begin, and the memory now says what runs. */
  recalled(items: readonly number[]): readonly T[] {
    this.recallAskedAt = undefined;
    const recalled = items.map((item) => this.#batch[item]).filter((task) => task !== undefined);
    this.#drop(new Set(recalled));
    this.update();
    return recalled;
  }

  /** The batch is over: tells what was not told, and gives what never began. */
  leave(): readonly T[] {
    this.update();
    const left = [...this];
    this.take([]);
    return left;
  }

  /**
   * The host has died: tells what that means for each task, and gives those that may be handed over again. A module that
   * kills its host as it loads was loaded for its task; and what was transferred died with the host.
   */
  die(exit: Exit, isFinal: boolean): readonly T[] {
    const left: T[] = [];
    if (this.wasUp) this.update();
    while (this.#item < this.#batch.length) {
      const task = this.#batch[this.#item];
      const isLost = this.wasUp && task !== undefined && this.#isLost(task);
      if (isLost && !this.#isStartTold) this.#tellStart(thisMoment());
      if (isLost || isFinal) {
        this.#tellEnd({ kind: 'died', ...exit }, thisMoment());
      } else {
        if (task !== undefined) left.push(task);
        this.#pass();
      }
      if (this.wasUp) this.update();
    }
    this.take([]);
    return left;
  }

  #isLost(task: T): boolean {
    if (!this.#isPosted) return false;
    const isBlamed = this.loading && this.#control.hasBegunLoading;
    return isBlamed || this.#control.state(this.#item) !== 'waiting' || isTransferring(task);
  }

  // Endings.

  /** Asks one task of the batch to stop. */
  stop(task: T, reason: unknown, isFinal: boolean): void {
    const item = this.#batch.indexOf(task);
    if (item >= 0) this.host?.post({ kind: 'stop', item, reason: encodeThrown(reason), isFinal }, []);
  }

  /** Where the host has to be asked, it says so by `recalled`, or by what becomes of the task. */
  withdraw(task: T): Withdrawal {
    if (this.host === undefined) return false;
    const item = this.#batch.indexOf(task);
    if (this.host.recall === undefined) return this.host.control.withdraw(item);
    if (this.look(task) !== 'waits') return false;
    this.host.recall(item);
    return 'asked';
  }

  /** Whether ending the host is the way to end the task: it runs, or hangs while its module loads, or alone keeps it. */
  isHeldBy(task: T): boolean {
    const reach = this.look(task);
    if (reach !== 'waits') return reach === 'runs';
    return this.#batch.every(
      (other, item) => item < this.#item || other === task || !other || this.#control.state(item) === 'withdrawn',
    );
  }
}
