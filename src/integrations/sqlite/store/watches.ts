/**
 * What is waited for in this program and may happen in another: ends of tasks, commands to the tasks that its workers hold, and
 * what happens in queues. Own transactions tell of what they do; of others, all is read that has come since the last look.
 */
import type { HeldTask, Notice, Reply, StoredCommand, StoredEnd } from '../protocol.ts';
import { commandsTo, listen, listenerMs, unlisten } from './tasks/messages.ts';
import { Refusal } from './tasks/refusal.ts';
import { nameOf, type Transaction } from './tasks/transaction.ts';
import { endOf } from './tasks/views.ts';

/** How often it is looked whether what is waited for is still there, in milliseconds. */
const lookEveryMs = 1_000;

interface Watch extends HeldTask {
  readonly queue: string;
  /** The last command that its worker got. */
  last: number;
}

interface Awaited {
  readonly queue: string;
  readonly id: string;
  /** Calls that wait for the end. */
  readonly calls: Set<number>;
  /** How many have subscribed to its updates. */
  subscribers: number;
}

export class Watches {
  /** Of this store, among those that listen to a queue. */
  readonly #listener: string;
  /** By the name of the task. */
  readonly #awaited = new Map<string, Awaited>();
  /** By lease. */
  readonly #held = new Map<string, Watch>();
  /** How many listen to the events of a queue, and to updates of its tasks. */
  readonly #listens = { events: new Map<string, number>(), updates: new Map<string, number>() };
  /** All ends up to this number, and all events up to that, are known. */
  #seenEnd = 0;
  #seenEvent = 0;
  #listensUntil = Infinity;
  /** When it was last looked whether what is waited for is still there. */
  #lookedAt = 0;

  constructor(listener: string) {
    this.#listener = listener;
  }

  get areAny(): boolean {
    return this.#awaited.size + this.#held.size + this.#listens.events.size > 0;
  }

  get #isListening(): boolean {
    return this.#listens.events.size + this.#listens.updates.size > 0;
  }

  /** When it has to be said again that this store listens. */
  get renewalDue(): number {
    return this.#isListening ? this.#listensUntil - (listenerMs * 2) / 3 : Infinity;
  }

  #await(tx: Transaction, queue: string, id: string): Awaited {
    if (this.#awaited.size === 0) this.#seenEnd = sequence(tx);
    const name = nameOf(queue, id);
    const awaited = this.#awaited.get(name) ?? { queue, id, calls: new Set(), subscribers: 0 };
    this.#awaited.set(name, awaited);
    return awaited;
  }

  #leave(awaited: Awaited): void {
    if (awaited.calls.size === 0 && awaited.subscribers === 0) {
      this.#awaited.delete(nameOf(awaited.queue, awaited.id));
    }
  }

  waitForEnd(tx: Transaction, queue: string, id: string, n: number): void {
    const awaited = this.#await(tx, queue, id);
    awaited.calls.add(n);
    tx.undo.push(() => {
      awaited.calls.delete(n);
      this.#leave(awaited);
    });
  }

  /** Whether it waited. */
  cancel(n: number): boolean {
    for (const awaited of this.#awaited.values()) {
      if (!awaited.calls.delete(n)) continue;
      this.#leave(awaited);
      return true;
    }
    return false;
  }

  /** Whether its end is still to come. */
  subscribeToTask(tx: Transaction, queue: string, id: string): boolean {
    try {
      if (endOf(tx, queue, id) !== undefined) return false;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error; // it may be added later
    }
    this.#listen(tx, queue, 'updates');
    const awaited = this.#await(tx, queue, id);
    awaited.subscribers += 1;
    tx.undo.push(() => this.#unsubscribe(awaited));
    return true;
  }

  #unsubscribe(awaited: Awaited): void {
    awaited.subscribers -= 1;
    this.#leave(awaited);
  }

  unsubscribeFromTask(tx: Transaction, queue: string, id: string): void {
    const awaited = this.#awaited.get(nameOf(queue, id));
    if (awaited === undefined || awaited.subscribers === 0) return;
    this.#unsubscribe(awaited);
    this.#unlisten(tx, queue, 'updates');
  }

  subscribe(tx: Transaction, queue: string): void {
    this.#listen(tx, queue, 'events');
  }

  unsubscribe(tx: Transaction, queue: string): void {
    this.#unlisten(tx, queue, 'events');
  }

  #listen(tx: Transaction, queue: string, wants: 'events' | 'updates'): void {
    if (!this.#isListening) this.#seenEvent = lastEvent(tx);
    const counts = this.#listens[wants];
    const count = counts.get(queue) ?? 0;
    if (count === 0) listen(tx, this.#listener, queue, wants);
    if (!this.#isListening) this.#listensUntil = tx.now + listenerMs;
    counts.set(queue, count + 1);
    tx.undo.push(() => this.#count(queue, wants));
  }

  #unlisten(tx: Transaction, queue: string, wants: 'events' | 'updates'): void {
    if (this.#count(queue, wants) === 0) unlisten(tx, this.#listener, queue, wants);
  }

  /** One less. */
  #count(queue: string, wants: 'events' | 'updates'): number {
    const counts = this.#listens[wants];
    const left = (counts.get(queue) ?? 1) - 1;
    if (left > 0) counts.set(queue, left);
    else counts.delete(queue);
    return left;
  }

  /** Says again that this store listens. Who was silent for too long may have missed something. */
  renew(tx: Transaction): void {
    for (const wants of ['events', 'updates'] as const) {
      for (const queue of this.#listens[wants].keys()) {
        if (tx.now > this.#listensUntil && wants === 'events') tx.notices.push({ kind: 'missed', queue });
        listen(tx, this.#listener, queue, wants);
      }
    }
    this.#listensUntil = tx.now + listenerMs;
  }

  /** Says that it listens no more. */
  forget(tx: Transaction): void {
    tx.database.run('DELETE FROM listeners WHERE listener = ?', this.#listener);
  }

  /** All commands up to now. */
  watch(tx: Transaction, queue: string, task: HeldTask): StoredCommand[] {
    const { commands, last, isOver } = commandsTo(tx, queue, task, 0);
    if (isOver) return commands;
    this.#held.set(task.lease, { ...task, queue, last });
    tx.undo.push(() => this.#held.delete(task.lease));
    return commands;
  }

  unwatch(lease: string): void {
    this.#held.delete(lease);
  }

  /** Tells what an own transaction has done. To be called before it is committed. */
  onOwn(tx: Transaction, replies: Reply[]): void {
    for (const lease of tx.returned) this.#held.delete(lease);
    this.#readEvents(tx);
    for (const watch of [...this.#held.values()]) {
      if (tx.touched.has(nameOf(watch.queue, watch.id))) this.#readCommands(tx, watch);
    }
    for (const { queue, id, end } of tx.ends) this.#ended(tx, queue, id, end, replies);
  }

  /** Tells what others have done. */
  onOthers(tx: Transaction, replies: Reply[]): void {
    this.#readEvents(tx);
    for (const watch of [...this.#held.values()]) this.#readCommands(tx, watch);
    if (this.#awaited.size === 0) return;
    if (tx.now - this.#lookedAt > lookEveryMs) this.#refuseForgotten(tx, replies);
    const queues = new Set([...this.#awaited.values()].map(({ queue }) => queue));
    for (const queue of queues) {
      for (const state of ['completed', 'failed', 'canceled']) {
        const sql = 'SELECT id FROM tasks WHERE queue = ? AND state = ? AND rank > ? ORDER BY rank';
        for (const { id } of tx.database.all(sql, queue, state, this.#seenEnd)) {
          if (!this.#awaited.has(nameOf(queue, id as string))) continue;
          const end = endOf(tx, queue, id as string);
          if (end !== undefined) this.#ended(tx, queue, id as string, end, replies);
        }
      }
    }
    this.#seenEnd = sequence(tx);
  }

  /** A task may have been forgotten before its end was seen. */
  #refuseForgotten(tx: Transaction, replies: Reply[]): void {
    this.#lookedAt = tx.now;
    for (const awaited of [...this.#awaited.values()]) {
      const { queue, id, calls } = awaited;
      if (calls.size === 0) continue;
      const sql = 'SELECT 1 AS found FROM tasks WHERE queue = ? AND id = ?';
      if (tx.database.get(sql, queue, id) !== undefined) continue;
      for (const n of calls) replies.push({ n, failure: { code: 'TASK_NOT_FOUND', id } });
      calls.clear();
      this.#leave(awaited);
    }
  }

  #ended(tx: Transaction, queue: string, id: string, end: StoredEnd, replies: Reply[]): void {
    const name = nameOf(queue, id);
    const awaited = this.#awaited.get(name);
    if (awaited === undefined) return;
    this.#awaited.delete(name);
    tx.undo.push(() => this.#awaited.set(name, awaited));
    if (awaited.subscribers > 0) tx.notices.push({ kind: 'ended', queue, id });
    this.#leaveUpdates(tx, queue, awaited.subscribers);
    for (const n of awaited.calls) replies.push({ n, value: end });
  }

  /** Its row is left: it ends when it is not renewed. */
  #leaveUpdates(tx: Transaction, queue: string, subscribers: number): void {
    const { updates } = this.#listens;
    const before = updates.get(queue);
    if (before === undefined || subscribers === 0) return;
    for (let n = 0; n < subscribers; n += 1) this.#count(queue, 'updates');
    tx.undo.push(() => updates.set(queue, before));
  }

  #readEvents(tx: Transaction): void {
    if (!this.#isListening) return;
    const before = this.#seenEvent;
    const forgotten = Number(tx.database.get(`SELECT value FROM counters WHERE name = 'forgotten events'`)?.['value']);
    if (forgotten > before) {
      for (const queue of this.#listens.events.keys()) tx.notices.push({ kind: 'missed', queue });
      this.#seenEvent = forgotten;
    }
    const sql = 'SELECT number, queue, task, kind, event FROM events WHERE number > ? ORDER BY number';
    for (const row of tx.database.all(sql, before)) {
      const [queue, id, text] = [row['queue'] as string, row['task'] as string, row['event'] as string];
      const notice = this.#noticeOf(queue, id, row['kind'] as string, text);
      if (notice !== undefined) tx.notices.push(notice);
      this.#seenEvent = Number(row['number']);
    }
    tx.undo.push(() => {
      this.#seenEvent = before;
    });
  }

  #noticeOf(queue: string, id: string, kind: string, text: string): Notice | undefined {
    if (kind === 'event') return this.#listens.events.has(queue) ? { kind, queue, event: text } : undefined;
    const isFollowed = (this.#awaited.get(nameOf(queue, id))?.subscribers ?? 0) > 0;
    return isFollowed ? { kind: 'update', queue, id, update: text } : undefined;
  }

  #readCommands(tx: Transaction, watch: Watch): void {
    const { queue, lease, last: before } = watch;
    const { commands, last, isOver } = commandsTo(tx, queue, watch, before);
    for (const command of commands) tx.notices.push({ kind: 'command', lease, command });
    watch.last = last;
    if (isOver) this.#held.delete(lease);
    tx.undo.push(() => {
      watch.last = before;
      this.#held.set(lease, watch);
    });
  }
}

function sequence(tx: Transaction): number {
  return Number(tx.database.get(`SELECT value FROM counters WHERE name = 'sequence'`)?.['value']);
}

function lastEvent(tx: Transaction): number {
  return Number(tx.database.get(`SELECT seq FROM sqlite_sequence WHERE name = 'events'`)?.['seq'] ?? 0);
}
