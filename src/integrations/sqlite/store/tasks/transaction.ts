/**
 * One transaction of the store: the time in it, numbers that go up and are never given twice, what is known of queues while
 * it lasts, and what it will have done: that is told when it is committed, and not before.
 */
import type { QueueLimits } from '../../../../index.ts';
import type { Notice, StoredEnd } from '../../protocol.ts';
import type { Database } from '../file/database.ts';

export interface QueueState {
  readonly isPaused: boolean;
  readonly limits: QueueLimits | undefined;
  /** When the next start would be due by the rate of the queue, in epoch milliseconds. */
  arrival: number;
}

/** A task that something happens to. */
export interface Subject {
  readonly id: unknown;
  readonly name: unknown;
  readonly key: unknown;
}

export type EventKind = 'added' | 'started' | 'completed' | 'canceled' | 'failed' | 'retried' | 'progress';

type Wants = 'events' | 'updates';

export class Transaction {
  readonly database: Database;
  /** In epoch milliseconds. */
  readonly now: number = Date.now();
  readonly notices: Notice[] = [];
  readonly ends: { readonly queue: string; readonly id: string; readonly end: StoredEnd }[] = [];
  /** Leases that no worker of this store holds any more, because it has returned or released the task. */
  readonly returned: string[] = [];
  /** Queues whose tasks have changed. */
  readonly changed: Set<string> = new Set();
  /** When a rate lets the next task of a queue start, where one waits for that. */
  readonly opens: Map<string, number> = new Map();
  /** Tasks whose workers have to be told something. */
  readonly touched: Set<string> = new Set();
  /** Whether it has written events. */
  hasEvents = false;
  /** Sets back what was noted in memory, in case that it is rolled back. */
  readonly undo: (() => void)[] = [];
  readonly #queues = new Map<string, QueueState>();
  readonly #listened = new Map<string, boolean>();
  #sequence: number | undefined;

  constructor(database: Database) {
    this.database = database;
  }

  /** The first of so many new numbers. */
  next(count = 1): number {
    this.#sequence ??= Number(this.database.get(`SELECT value FROM counters WHERE name = 'sequence'`)?.['value']);
    const first = this.#sequence + 1;
    this.#sequence += count;
    return first;
  }

  /** To be called before it is committed. */
  finish(): void {
    if (this.#sequence === undefined) return;
    this.database.run(`UPDATE counters SET value = ? WHERE name = 'sequence'`, this.#sequence);
  }

  queue(name: string): QueueState {
    let state = this.#queues.get(name);
    if (state === undefined) {
      const row = this.database.get('SELECT is_paused, limits, arrival FROM queues WHERE queue = ?', name);
      const limits = row?.['limits'];
      state = {
        isPaused: row?.['is_paused'] === 1,
        limits: typeof limits === 'string' ? (JSON.parse(limits) as QueueLimits) : undefined,
        arrival: Number(row?.['arrival'] ?? 0),
      };
      this.#queues.set(name, state);
    }
    return state;
  }

  forgetQueue(name: string): void {
    this.#queues.delete(name);
  }

  /** Whether somebody, in any program, listens to the queue. */
  #isListened(queue: string, wants: Wants): boolean {
    const key = `${wants}:${queue}`;
    let isListened = this.#listened.get(key);
    if (isListened === undefined) {
      const sql = 'SELECT 1 AS found FROM listeners WHERE queue = ? AND wants = ? AND until > ? LIMIT 1';
      isListened = this.database.get(sql, queue, wants, this.now) !== undefined;
      this.#listened.set(key, isListened);
    }
    return isListened;
  }

  /** Tells those who listen to the queue. */
  tell(queue: string, kind: EventKind, { id, name, key }: Subject, more: object = {}): void {
    if (!this.#isListened(queue, 'events')) return;
    const event = { kind, id, name: name ?? undefined, key: key ?? undefined, time: this.now, ...more };
    this.#write(queue, String(id), 'event', JSON.stringify(event));
  }

  /** Tells them that the queue was paused, or is not any more. */
  tellPause(queue: string, isPaused: boolean): void {
    if (!this.#isListened(queue, 'events')) return;
    this.#write(queue, '', 'event', JSON.stringify({ kind: isPaused ? 'paused' : 'resumed', time: this.now }));
  }

  /** Tells those who have subscribed to the task. */
  update(queue: string, id: string, update: string): void {
    if (this.#isListened(queue, 'updates')) this.#write(queue, id, 'update', update);
  }

  #write(queue: string, id: string, kind: string, event: string): void {
    const sql = 'INSERT INTO events (queue, task, kind, event, time) VALUES (?, ?, ?, ?, ?)';
    this.database.run(sql, queue, id, kind, event, this.now);
    this.hasEvents = true;
  }

  /** A task has ended: those who wait for it in this program are told; others see it by themselves. */
  end(queue: string, id: string, end: StoredEnd): void {
    this.ends.push({ queue, id, end });
  }

  /** The worker of a task has to be told. */
  touch(queue: string, id: string): void {
    this.touched.add(nameOf(queue, id));
  }
}

/** One name for a task of a queue; ids have no colon. */
export function nameOf(queue: string, id: string): string {
  return `${id}:${queue}`;
}
