/**
 * The database of tasks in its thread. Calls that have come together are one transaction: one write to the disk for all. What
 * they give is told when that is done. While something is waited for, it looks every few milliseconds whether others have
 * committed; nothing runs when nothing is waited for.
 */

import type { DriverName } from '../driver.ts';
import type { CallName, Failure, FromThread, Notice, Reply, StoreSettings, ToThread } from '../protocol.ts';
import { Checkpoints } from './file/checkpoints.ts';
import { Database } from './file/database.ts';
import { failureOf } from './file/problems.ts';
import { later, type Operations, operations } from './operations.ts';
import { TaskWaits } from './task-waits.ts';
import { Deliveries } from './tasks/deliveries.ts';
import { forgetOld } from './tasks/messages.ts';
import { Refusal } from './tasks/refusal.ts';
import { Transaction } from './tasks/transaction.ts';
import { doUpkeep, isUpkeepDue, nextDue } from './tasks/upkeep.ts';
import { Watches } from './watches.ts';

/** How often it looks whether others have committed, in milliseconds: soon after they did, later, and long after that. */
const paces = [
  { forMs: 300, everyMs: 3 },
  { forMs: 5_000, everyMs: 20 },
  { forMs: Infinity, everyMs: 40 },
] as const;
/** The pause after a failure, in milliseconds. */
const retryMs = 200;
/** How often old events are removed, in milliseconds. */
const forgetEveryMs = 10_000;

type Call = Extract<ToThread, { readonly call: CallName }>;

/** These change nothing. */
const reads: ReadonlySet<CallName> = new Set([
  'endOf',
  'waitForEnd',
  'deadLetters',
  'list',
  'info',
  'queueNames',
  'watch',
  'unwatch',
]);

interface StoreParts {
  readonly settings: StoreSettings;
  readonly driver: DriverName;
  readonly send: (what: FromThread) => void;
  /** Tells other stores of this program that something was committed. */
  readonly committed: () => void;
}

export class Store {
  readonly #parts: StoreParts;
  readonly #answered: Float64Array;
  readonly #waits: TaskWaits;
  readonly #watches: Watches;
  readonly #operations: Operations;
  readonly #checkpoints: Checkpoints;
  #database: Database | undefined;
  #version = 0;
  #timer: NodeJS.Timeout | undefined;
  /** When others have last committed, or something was asked here; in epoch milliseconds. */
  #livelyAt = 0;
  /** When time changes something, as far as is known, in epoch milliseconds. */
  #dueAt = Infinity;
  #retryAt = 0;
  #forgetAt = 0;

  constructor(parts: StoreParts) {
    const { settings } = parts;
    this.#parts = parts;
    this.#answered = new Float64Array(settings.answered);
    const name = crypto.randomUUID().slice(0, 13);
    const deliveries = new Deliveries(settings, name);
    this.#waits = new TaskWaits(deliveries, settings);
    this.#watches = new Watches(name);
    this.#operations = operations(settings, deliveries, this.#waits, this.#watches);
    this.#checkpoints = new Checkpoints(parts.driver, settings.path);
  }

  /** What has come together. */
  receive(messages: readonly ToThread[]): void {
    const calls: Call[] = [];
    const replies: Reply[] = [];
    for (const message of messages) {
      if ('call' in message) calls.push(message);
      else if ('cancel' in message) this.#cancel(message.cancel, calls, replies);
    }
    if (replies.length > 0) this.#parts.send({ notices: [], replies });
    if (calls.length > 0) this.#perform(calls);
    this.#livelyAt = Math.max(this.#livelyAt, Date.now() - paces[0].forMs);
    this.#look();
  }

  #cancel(n: number, calls: Call[], replies: Reply[]): void {
    const place = calls.findIndex((call) => call.n === n);
    if (place >= 0) {
      const [call] = calls.splice(place, 1);
      const isTasks = call?.call === 'waitForTasks';
      replies.push(isTasks ? { n, value: [] } : { n, failure: { code: 'over' } });
      return;
    }
    const reply = this.#waits.cancel(n);
    if (reply !== undefined) replies.push(reply);
    else if (this.#watches.cancel(n)) replies.push({ n, failure: { code: 'over' } });
  }

  #open(): Database {
    const { driver, settings } = this.#parts;
    if (this.#database === undefined) {
      this.#database = new Database(driver, settings.path, settings.busyTimeoutMs);
      this.#version = this.#database.version;
    }
    return this.#database;
  }

  /** All calls in one transaction; if one of them breaks it, each in its own. */
  #perform(calls: readonly Call[]): void {
    const failure = this.#transact(calls);
    if (failure === undefined) return;
    if (failure.isOfOneCall && calls.length > 1) {
      for (const call of calls) this.#perform([call]);
      return;
    }
    const replies = calls.map(({ n }) => ({ n, failure: failure.failure }));
    const notices: Notice[] = calls.length === 0 ? [{ kind: 'outage', failure: failure.failure }] : [];
    this.#parts.send({ notices, replies });
  }

  #transact(calls: readonly Call[]): { readonly failure: Failure; readonly isOfOneCall: boolean } | undefined {
    const replies: Reply[] = [];
    let tx: Transaction | undefined;
    let isWriting = false;
    try {
      const database = this.#open();
      isWriting = calls.length === 0 || calls.some(({ call }) => !reads.has(call)) || isUpkeepDue(database, Date.now());
      if (isWriting) database.begin();
      else database.beginReading();
      tx = new Transaction(database);
      if (isWriting) doUpkeep(tx);
      if (isWriting && tx.now >= this.#watches.renewalDue) this.#watches.renew(tx);
      if (isWriting && tx.now >= this.#forgetAt) this.#forget(tx);
      for (const call of calls) this.#call(tx, call, replies);
      if (calls.length === 0) for (const queue of this.#waits.queues) tx.changed.add(queue);
      this.#waits.serve(tx, replies);
      tx.finish();
      this.#watches.onOwn(tx, replies);
      database.commit();
      this.#done(tx, isWriting, replies);
      return undefined;
    } catch (error) {
      this.#database?.rollback();
      for (const undo of (tx?.undo ?? []).reverse()) undo();
      const failure = failureOf(this.#parts.settings.path, error);
      const isOfOneCall =
        tx !== undefined &&
        (failure.code === 'invalid' || (failure.code === 'unreachable' && failure.cause.code === undefined));
      if (!isOfOneCall) this.#retryAt = Date.now() + retryMs;
      this.#reopen(failure);
      return { failure, isOfOneCall };
    }
  }

  /** Of a file that failed, nothing is kept: it may be another one, or mended, when it is opened again. */
  #reopen(failure: Failure): void {
    if (failure.code !== 'unusable' && !('cause' in failure && failure.cause.code === 'SQLITE_IOERR')) return;
    const database = this.#database;
    this.#database = undefined;
    try {
      database?.close();
    } catch {
      // it can't even be closed
    }
  }

  #call(tx: Transaction, { call, n, args }: Call, replies: Reply[]): void {
    const operation = this.#operations[call] as (tx: Transaction, n: number, ...args: readonly unknown[]) => unknown;
    try {
      const value = operation(tx, n, ...args);
      if (value !== later) replies.push({ n, value });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      replies.push({ n, failure: error.failure });
    }
  }

  #done(tx: Transaction, isWriting: boolean, replies: readonly Reply[]): void {
    this.#answered[0] = Date.now();
    this.#retryAt = 0;
    if (tx.notices.length > 0 || replies.length > 0) this.#parts.send({ notices: tx.notices, replies });
    if (!isWriting) return;
    this.#dueAt = 0; // it is looked up again
    for (const at of tx.opens.values()) this.#rateAt = Math.min(this.#rateAt, at);
    this.#parts.committed();
    this.#checkpoints.onCommit();
  }

  /** When the rate of a queue that is waited for opens. */
  #rateAt = Infinity;

  #forget(tx: Transaction): void {
    forgetOld(tx);
    this.#forgetAt = tx.now + forgetEveryMs;
  }

  get #isAwaited(): boolean {
    return this.#waits.areAny || this.#watches.areAny;
  }

  /** Looks at what others have done, and what time has, and again as long as something is waited for. */
  #look(): void {
    clearTimeout(this.#timer);
    if (!this.#isAwaited) return;
    const now = Date.now();
    try {
      if (now >= this.#retryAt) this.#lookNow(now);
    } catch (error) {
      this.#retryAt = now + retryMs;
      this.#parts.send({
        notices: [{ kind: 'outage', failure: failureOf(this.#parts.settings.path, error) }],
        replies: [],
      });
    }
    const { everyMs: pollMs } = paces.find(({ forMs }) => now - this.#livelyAt < forMs) ?? paces[2];
    const nextMs = Math.max(this.#retryAt - now, Math.min(pollMs, this.#alarmAt - now));
    this.#timer = setTimeout(() => this.#look(), Math.max(nextMs, 0));
  }

  get #alarmAt(): number {
    return Math.min(this.#dueAt, this.#rateAt, this.#watches.renewalDue);
  }

  #lookNow(now: number): void {
    const database = this.#open();
    const { version } = database;
    this.#answered[0] = now;
    const isChanged = version !== this.#version;
    if (isChanged) {
      this.#version = version;
      this.#livelyAt = now;
      if (this.#read(database)) this.#perform([]);
    }
    if (isChanged || this.#dueAt <= now) this.#dueAt = nextDue(database);
    if (this.#alarmAt > now) return;
    this.#rateAt = Infinity;
    this.#perform([]);
    this.#dueAt = nextDue(database);
  }

  /** Reads what others have done. Returns whether a call that waits may get something. */
  #read(database: Database): boolean {
    const replies: Reply[] = [];
    database.beginReading();
    const tx = new Transaction(database);
    try {
      this.#watches.onOthers(tx, replies);
      const mayServe = this.#waits.mayServe(tx);
      database.commit();
      if (tx.notices.length > 0 || replies.length > 0) this.#parts.send({ notices: tx.notices, replies });
      return mayServe;
    } catch (error) {
      database.rollback();
      for (const undo of tx.undo.reverse()) undo();
      this.#version = -1; // it is read again
      throw error;
    }
  }

  /** Another store of this program has committed. */
  onCommitted(): void {
    this.#look();
  }

  close(): void {
    clearTimeout(this.#timer);
    const database = this.#database;
    if (database === undefined) return;
    try {
      if (this.#watches.renewalDue < Infinity) {
        database.begin();
        this.#watches.forget(new Transaction(database));
        database.commit();
      }
    } catch {
      database.rollback(); // it is not renewed, and ends by itself
    }
    this.#checkpoints.close();
    database.close();
  }
}
