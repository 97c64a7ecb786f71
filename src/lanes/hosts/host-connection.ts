/**
 * The lane's side of one thread or child, or of one of its slots if tasks share it: its state, what it has loaded, and how a
 * batch is sent to it, is taken back, is stopped, and is settled when the host exits.
 */
import type { Exit } from '../../base/exit.ts';
import { now, thisMoment } from '../../platform/clock.ts';
import type { TaskMessage } from '../../task/inside/task-message.ts';
import type { HostState, PooledHost } from '../host-pool/pooled-host.ts';
import type { LaneListener, LaneTask, Withdrawal } from '../lane.ts';
import { LoadedDefinitions, type Preload } from '../loading/loaded-definitions.ts';
import { ControlBlock } from '../wire/control-block.ts';
import { encodeThrown } from '../wire/error-codec.ts';
import { fallbackFor, packMessage } from '../wire/wire-message.ts';
import type { Host } from './host.ts';
import { HostBatch } from './host-batch.ts';
import { definitionsOf, sendAhead, sendBatch } from './run-message.ts';
import { isTransferring, messageSendError, type SendFailure } from './send-failure.ts';
import type { Suspects } from './suspects.ts';

export class HostConnection<T extends LaneTask> extends HostBatch<T> {
  /** The thread or child, which may have more slots than this one. */
  readonly owner: PooledHost<HostConnection<T>>;
  #state: HostState = 'starting';
  /** When it was sent its batch, or became idle, on the clock of `now()`. */
  since = 0;
  /** Its slot is lent, because the task that runs in it waits for other tasks. */
  isLent = false;
  /** When it was asked to give back waiting items, until it has answered. */
  recallAskedAt: number | undefined;
  readonly loaded: LoadedDefinitions = new LoadedDefinitions();
  /** The batch was sent to the host. */
  #isSent = false;
  /** The task that the host begins after its batch, if it is not taken back before. */
  #prefetched: T | undefined;
  #prefetchedItem = 0;
  /** The number of the next item that is sent. */
  #next = 0;

  /** Adds a slot to a host. */
  constructor(listener: LaneListener<T>, owner: PooledHost<HostConnection<T>>) {
    super(listener);
    this.owner = owner;
    owner.slots.push(this);
  }

  get state(): HostState {
    return this.#state;
  }

  set state(state: HostState) {
    this.owner.idleSlots += Number(state === 'idle') - Number(this.#state === 'idle');
    this.#state = state;
  }

  // Loading.

  /** Whether the host has loaded what the task runs. */
  hasLoaded(task: T): boolean {
    return this.loaded.has(task);
  }

  /** The host has loaded the definitions that came with the batch, and begins. */
  onLoaded(): void {
    if (this.loading === undefined) throw new Error('it has loaded what nobody asked for');
    this.loaded.add(this.loading);
    this.loading = undefined;
    this.onBegun();
  }

  /** Gives up the load of the batch. */
  abandonLoad(error: unknown): void {
    this.loading = undefined;
    this.reportEnd({ kind: 'unloadable', error, runMs: 0 }, thisMoment());
  }

  /** Asks the host to load what its predecessor has loaded, and the preload. Returns false if there is nothing to load. */
  warm(preload?: Preload): boolean {
    const message = this.loaded.warmMessage(
      this.owner.predecessor?.slots.map(({ loaded }) => loaded),
      preload,
    );
    if (message !== undefined) this.host?.post(message, []);
    return message !== undefined;
  }

  /** The host has loaded what it was asked to load, except `missing`. */
  onWarmed(missing: readonly number[]): void {
    if (this.loaded.onWarmed(missing)) this.owner.hasLoadFailure = true;
  }

  // To the host.

  /** Sets the batch. `post` sends it, when the host is up. */
  take(batch: readonly T[]): void {
    this.setBatch(batch, this.#next);
    this.#isSent = false;
    this.recallAskedAt = undefined;
  }

  /** Sends the batch to the host, which is up. Returns the tasks that can't be sent. */
  post(): readonly SendFailure<T>[] {
    const batch = this.batch as readonly T[];
    const [first] = batch as readonly [T];
    this.#isSent = true;
    this.since = now();
    this.loading = this.hasLoaded(first) ? undefined : definitionsOf(first);
    this.control.resetLoading();
    const failures = sendBatch(this.host as Host, batch, this.first, this.loading ? this.loaded.byIndex : undefined);
    if (batch.length > 1 || failures.length === 0) this.#next = this.end;
    if (batch.length > 1) this.drop(new Set(failures.map(({ task }) => task)));
    return failures;
  }

  // A task is prefetched.

  get prefetched(): T | undefined {
    return this.#prefetched;
  }

  /** Whether the host can have a task that it begins after the one that runs, and that can be taken back until then. */
  canPrefetch(task: T): boolean {
    return (
      this.state === 'busy' &&
      this.#prefetched === undefined &&
      this.size === 1 &&
      !this.isLoading &&
      !this.isLent &&
      this.hasLoaded(task) &&
      (this.host?.recall === undefined || this.host.takeBack !== undefined) &&
      this.#next - this.first < ControlBlock.capacity
    );
  }

  /** Sends it. Returns false if it can't be sent. */
  prefetch(task: T): boolean {
    const item = this.#next;
    this.#next += 1;
    if (!sendAhead(this.host as Host, task, item)) return false;
    this.#prefetched = task;
    this.#prefetchedItem = item;
    return true;
  }

  /** Returns whether the prefetched task will not begin in the host. If it has begun, it belongs to the batch from now on. */
  takeBack(): boolean {
    const task = this.#prefetched as T;
    this.#prefetched = undefined;
    if (this.host?.takeBack?.(this.#prefetchedItem) ?? this.control.withdraw(this.#prefetchedItem)) return true;
    const gap = Array.from<undefined>({ length: this.#prefetchedItem - this.end });
    this.batch = [...this.batch, ...gap, task];
    this.listener.prefetchedBegan(task);
    return false;
  }

  /** Nothing is to follow what runs, if it has not begun yet. */
  dropPrefetched(): T | undefined {
    const task = this.#prefetched;
    if (task === undefined || !this.takeBack()) return undefined;
    this.listener.prefetchedReturned(task);
    return task;
  }

  /** Whether it is a child that goes on with others when it is done with those before that item. */
  goesOnAfter(end: number): boolean {
    return this.host?.recall !== undefined && (end < this.end || this.#prefetched !== undefined);
  }

  /** Nothing of the batch runs any more, and the prefetched task follows it. Returns false if there is none. */
  advance(): boolean {
    const task = this.#prefetched;
    if (task === undefined) return false;
    if (this.item < this.end) throw new Error('it is done with what it has not begun');
    this.#prefetched = undefined;
    this.setBatch([task], this.#prefetchedItem);
    this.since = now();
    this.recallAskedAt = undefined;
    this.host?.refresh?.();
    this.listener.prefetchedBegan(task);
    this.onBegun();
    return true;
  }

  sendMessage(task: T, message: TaskMessage): void {
    const item = this.itemOf(task);
    if (item < this.item) return; // it has ended
    try {
      const fallback = fallbackFor(message);
      if (fallback !== undefined) this.host?.post({ kind: 'fallback', item, message: packMessage(fallback) }, []);
      this.host?.post({ kind: 'task-message', item, message: packMessage(message) }, []);
    } catch (problem) {
      throw messageSendError(task, problem);
    }
  }

  /** Asks one task of the batch to stop. */
  stop(task: T, reason: unknown, isFinal: boolean): void {
    const item = this.itemOf(task);
    if (item >= 0) this.host?.post({ kind: 'stop', item, reason: encodeThrown(reason), isFinal }, []);
  }

  // Items are taken back.

  /** Withdraws one task. A child has to be asked: it answers with `onRecalled`, or with the outcome of the task. */
  withdraw(task: T): Withdrawal {
    if (this.host === undefined) return false;
    const item = this.itemOf(task);
    if (this.host.recall === undefined) return this.host.control.withdraw(item);
    if (this.reachOf(task) !== 'waits') return false;
    this.host.recall(item, this.end);
    return 'asked';
  }

  /**
   * Withdraws all items that have not begun, except one whose start was reported, and returns their tasks. A child has to
   * be asked: it answers with `onRecalled`.
   */
  recall(): readonly T[] {
    if (this.isLoading) return []; // it is one task, whose start is reported when the host has loaded it
    this.reportChanges();
    if (this.host?.recall !== undefined) {
      if (this.size > 1 && this.recallAskedAt === undefined) {
        this.recallAskedAt = now();
        this.host.recall(this.item + 1, this.end);
      }
      return [];
    }
    const recalled: T[] = [];
    // From the last to the first, because the host may begin items meanwhile: so none overtakes an earlier one.
    const first = this.isStartReported ? this.item + 1 : this.item;
    for (let item = this.end - 1; item >= first; item -= 1) {
      const task = this.taskOf(item);
      if (task !== undefined && this.control.withdraw(item)) recalled.unshift(task);
    }
    this.drop(new Set(recalled));
    this.reportChanges();
    return recalled;
  }

  /** The host has answered which items will never begin, and its memory now says which one runs. Returns their tasks. */
  onRecalled(items: readonly number[]): readonly T[] {
    this.recallAskedAt = undefined;
    const recalled = items.map((item) => this.taskOf(item)).filter((task) => task !== undefined);
    this.drop(new Set(recalled));
    this.reportChanges();
    return recalled;
  }

  /** Whether ending the host is the way to end the task: it runs, or hangs while it loads, or it alone keeps the host busy. */
  isHeldBy(task: T): boolean {
    const reach = this.reachOf(task);
    if (reach !== 'waits') return reach === 'runs';
    for (let item = this.item; item < this.end; item += 1) {
      const other = this.taskOf(item);
      if (other !== undefined && other !== task && this.control.state(item) !== 'withdrawn') return false;
    }
    return true;
  }

  /** Whether the task has not begun, most likely because others that share the thread block it. Ending that would end them. */
  isBehindOthers(task: T): boolean {
    if (!this.owner.isShared || this.reachOf(task) !== 'waits' || this.control.hasBegunLoading) return false;
    return this.owner.slots.some((slot) => slot !== this && slot.size > 0);
  }

  // The batch ends.

  /** Nothing of the batch runs any more. Reports what was not reported, and returns the tasks that never began. */
  endBatch(): readonly T[] {
    this.reportChanges();
    const left = [...this];
    this.take([]);
    return left;
  }

  /**
   * The host has exited. Reports the end of the tasks that died with it, and returns those that may be handed over again:
   *
   * - The batch was never sent, as when the host was not up yet: no task is concerned.
   * - The host died before it began with the batch: the tasks are suspects, because reading their arguments may have
   *   killed it. Only one that has been suspected too often dies.
   * - It had begun: the task that ran, or whose module loaded, dies; those behind it are not concerned.
   * - The arguments of a task were transferred: they are lost with the host, so the task dies, too.
   *
   * @param isFinal No host is started any more, so all of them die.
   */
  onExit(exit: Exit, isFinal: boolean, suspects: Suspects<T>): readonly T[] {
    const returned: T[] = [];
    const prefetched = this.dropPrefetched();
    if (prefetched !== undefined) suspects.note(prefetched, false); // reading its arguments may have killed the host
    if (this.#isSent) this.reportChanges();
    const areSuspect = this.#isSent && this.item === this.first && !this.#hasBegun;
    const isAlone = [...this].length === 1;
    while (this.item < this.end) {
      const task = this.taskOf(this.item);
      const isGuilty = areSuspect && task !== undefined && suspects.note(task, isAlone);
      const hasDied = isGuilty || (this.#isSent && task !== undefined && this.#diesWithHost(task));
      if (hasDied && !this.isStartReported) this.reportStart(thisMoment());
      if (hasDied || isFinal) {
        this.reportEnd({ kind: 'died', ...exit }, thisMoment());
      } else {
        if (task !== undefined) returned.push(task);
        this.moveOn();
      }
      if (this.#isSent) this.reportChanges();
    }
    this.take([]);
    return returned;
  }

  /** For the next item of a batch that was sent. */
  #diesWithHost(task: T): boolean {
    const wasLoading = this.isLoading && this.#hasBegun;
    return wasLoading || this.control.state(this.item) !== 'waiting' || isTransferring(task);
  }

  /** Whether the host has begun with the batch: then it has read all of it. */
  get #hasBegun(): boolean {
    return this.control.hasBegunLoading || this.control.state(this.first) !== 'waiting';
  }
}
