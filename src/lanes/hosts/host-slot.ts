/**
 * A host with the batch that runs in it: how the batch is told to it, what becomes of each task of the batch, and what
 * the host's death means for each.
 */
import type { Exit } from '../../base/exit.ts';
import { type Moment, now, type Timer, thisMoment } from '../../platform/clock.ts';
import { type Deferred, defer } from '../../platform/deferred.ts';
import { type WireDefinition, wireDefinition } from '../../task/definition/definition.ts';
import type { TaskMessage } from '../../task/inside/task-message.ts';
import type { Progress } from '../../task/record/progress.ts';
import type { LaneListener, LaneOutcome, LaneTask, TaskReach, Withdrawal } from '../lane.ts';
import type { ControlBlock } from '../wire/control-block.ts';
import { encodeThrown } from '../wire/error-codec.ts';
import type { ItemReply } from '../wire/protocol.ts';
import { packWord, standInFor } from '../wire/wire-message.ts';
import type { Host } from './host.ts';
import { outcomeOf } from './outcome.ts';
import { definitionsOf, tellBatch } from './run-message.ts';
import { isTransferring, type Refusal, unreadable, unsayable } from './send-failure.ts';
import type { Suspects } from './suspects.ts';

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
  /** What the host has loaded, as it has said itself. */
  readonly #definitions = new Map<number, WireDefinition>();
  /** What the batch, which is one task then, brings along: until the host says that it has loaded it, nothing has begun. */
  #loading: readonly WireDefinition[] | undefined;
  #warming: readonly WireDefinition[] | undefined;
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

  /** The definition of the batch is being loaded. */
  get loading(): boolean {
    return this.#loading !== undefined;
  }

  /** Whether the host has what the task runs. */
  knows(task: T): boolean {
    const { definition, carried } = task;
    return this.#definitions.has(definition.index) && (!carried || this.#definitions.has(carried.definition.index));
  }

  /** Lets it load what its predecessor has loaded. False: there is nothing to load. */
  warm(): boolean {
    if (this.predecessor === undefined || this.predecessor.#definitions.size === 0) return false;
    this.#warming = [...this.predecessor.#definitions.values()];
    this.host?.post({ kind: 'warm', definitions: this.#warming.map(wireDefinition) }, []);
    return true;
  }

  /** The host has loaded what it was to load, but for these; its predecessor may have more by now. */
  warmed(missing: readonly number[]): void {
    if (this.#warming === undefined) throw new Error('it has loaded what nobody asked for');
    for (const each of this.#warming) if (!missing.includes(each.index)) this.#definitions.set(each.index, each);
    this.#warming = undefined;
  }

  // A batch goes.

  take(batch: readonly T[]): void {
    this.#batch = batch;
    this.#isPosted = false;
    this.#item = 0;
    this.#isStartTold = false;
    this.#loading = undefined;
    this.recallAskedAt = undefined;
  }

  /** Sends the batch to the host, which is up. Gives the tasks that can't be sent. */
  post(): readonly Refusal<T>[] {
    const batch = this.#batch as readonly T[];
    const [first] = batch as readonly [T];
    this.#isPosted = true;
    this.since = now();
    this.#loading = this.knows(first) ? undefined : definitionsOf(first);
    this.#control.reset(batch.length);
    const refusals = tellBatch(this.host as Host, batch, this.loading ? this.#definitions : undefined);
    if (batch.length > 1) this.#drop(new Set(refusals.map(({ task }) => task)));
    return refusals;
  }

  /** Tasks of the batch that are no concern of the seat any more. */
  #drop(tasks: ReadonlySet<T>): void {
    if (tasks.size > 0) this.#batch = this.#batch.map((task) => (task && tasks.has(task) ? undefined : task));
  }

  // What becomes of it.

  /** The host begins with the batch. */
  begin(): void {
    this.#tellStart(thisMoment());
  }

  /** The host has loaded the definition that came with the batch, and begins. */
  loaded(): void {
    if (this.#loading === undefined) throw new Error('it has loaded what nobody asked for');
    for (const each of this.#loading) this.#definitions.set(each.index, each);
    this.#loading = undefined;
    this.begin();
  }

  /** Tells what has ended by now, and what runs. */
  update(): void {
    if (this.host === undefined || this.#loading !== undefined || this.#item === this.#batch.length) return;
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

  /**
   * What the host says that an item came to; `conclude` tells it. Throws, and changes nothing, if the host can't say that
   * now.
   */
  read(reply: ItemReply): LaneOutcome {
    this.update();
    const item = this.#item;
    const isAwaited = reply.item === item && item < this.size && this.#control.state(item) === 'posted';
    const neverBegan = reply.kind === 'unloadable' || reply.kind === 'unread';
    if (!isAwaited || (this.loading && !neverBegan)) throw new Error(`a "${reply.kind}" that nobody waits for`);
    return outcomeOf(reply, this.#batch[item] as T, { runMs: this.#runMs(), endedAt: this.#control.endedAt(item) });
  }

  /** Whether only one item is left whose end has not been told. */
  get isAtLast(): boolean {
    return this.#item === this.size - 1;
  }

  /** Tells what the next item came to. */
  conclude(outcome: LaneOutcome): void {
    this.#tellEnd(outcome, thisMoment());
    this.update();
  }

  /** The host says that nothing of the batch runs any more. Throws if that can't be. */
  checkDone(): void {
    this.update();
    const isOpen = this.#item < this.size && ['running', 'posted'].includes(this.#control.state(this.#item));
    if (this.size === 0 || isOpen) throw new Error('it is done with what it has not ended');
  }

  /** Whether the next message can only be what the item has come to that has not been told of. */
  get isOutcomeNext(): boolean {
    this.update();
    return this.#item < this.size && this.#control.isOutcomeNext(this.#item);
  }

  /** What the host has said, most likely of that item, can't be read. True: it was the last item. */
  mishear(problem: unknown): boolean {
    const isLast = this.isAtLast;
    const outcome: LaneOutcome = { kind: 'uncloneable', error: unreadable(problem), runMs: this.#runMs() };
    if (this.#item < this.size) this.conclude(outcome);
    return isLast;
  }

  /** Gives up what the host is loading. */
  abandonLoad(error: unknown): void {
    this.#loading = undefined;
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

  said(item: number, word: TaskMessage): void {
    this.update();
    const task = this.#batch[item];
    if (task !== undefined) this.#listener.said(task, word);
  }

  tell(task: T, word: TaskMessage): void {
    const item = this.#batch.indexOf(task);
    if (item < this.#item) return; // it has ended
    try {
      const standIn = standInFor(word);
      if (standIn !== undefined) this.host?.post({ kind: 'stand-in', item, word: packWord(standIn) }, []);
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
   * kills its host as it loads was loaded for its task; and what was transferred died with the host. Where none had begun,
   * the host may have died of what it was handed.
   */
  die(exit: Exit, isFinal: boolean, suspects: Suspects<T>): readonly T[] {
    const left: T[] = [];
    if (this.wasUp) this.update();
    const areSuspect = this.#isPosted && this.#item === 0 && !this.#hasBegun;
    const isAlone = [...this].length === 1;
    while (this.#item < this.#batch.length) {
      const task = this.#batch[this.#item];
      const isToBlame = areSuspect && task !== undefined && suspects.note(task, isAlone);
      const isLost = isToBlame || (this.wasUp && task !== undefined && this.#isLost(task));
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
    const isBlamed = this.loading && this.#hasBegun;
    return isBlamed || this.#control.state(this.#item) !== 'waiting' || isTransferring(task);
  }

  /** Whether the host has begun with the batch: then it had read it. */
  get #hasBegun(): boolean {
    return this.#control.hasBegunLoading || this.#control.state(0) !== 'waiting';
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
