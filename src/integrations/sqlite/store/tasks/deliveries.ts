/** How workers get tasks: the most urgent first, and inside a priority the first, as far as the limits of the queue let them. */
import type { Priority, QueueLimits } from '../../../../index.ts';
import type { Row } from '../../driver.ts';
import type { DeliveredTask, StoreSettings } from '../../protocol.ts';
import { arrivalAfter, countStart, hasKeyLimits, mayStart, opensAt } from './limits.ts';
import { numberOf, priorityOf, rankAfter } from './ranks.ts';
import type { Transaction } from './transaction.ts';
import { workOf } from './work.ts';

/** How many tasks are looked at together, where a limit may hold some of them back. */
const page = 50;

const started = `UPDATE tasks SET state = 'leased', attempts = attempts + 1, lease = ? || number, due = ?, rank = ?,
  time_started = ?, max_stalls = ?, counts = ? WHERE number `;
const what = ` RETURNING number, id, name, data, priority, place, attempts, retries, delay_ms, key,
  deadline, has_work, time_queued, lease`;

export class Deliveries {
  readonly #leaseMs: number;
  readonly #maxStalls: number;
  /** Unique for this store: leases are, too, though a copy of the file is used. */
  readonly #prefix: string;

  constructor({ leaseMs, maxStalls }: Pick<StoreSettings, 'leaseMs' | 'maxStalls'>, prefix: string) {
    this.#leaseMs = leaseMs;
    this.#maxStalls = maxStalls;
    this.#prefix = prefix;
  }

  /** Whether a task may be there for a worker. */
  static hasSome(tx: Transaction, queue: string, minPriority: Priority): boolean {
    const sql = `SELECT 1 AS found FROM tasks WHERE queue = ? AND state = 'waiting' AND rank < ? LIMIT 1`;
    return tx.database.get(sql, queue, rankAfter(numberOf(minPriority))) !== undefined;
  }

  take(tx: Transaction, queue: string, max: number, minPriority: Priority): DeliveredTask[] {
    const { isPaused, limits } = tx.queue(queue);
    if (isPaused || max < 1 || !Deliveries.hasSome(tx, queue, minPriority)) return [];
    const below = rankAfter(numberOf(minPriority));
    const rows =
      limits === undefined ? this.#takeFirst(tx, queue, max, below) : this.#takeLimited(tx, queue, max, below, limits);
    for (const row of rows) tx.tell(queue, 'started', row as Row & { id: string; name: string; key: string });
    return rows.map((row) => deliveredTask(tx, row));
  }

  #takeFirst(tx: Transaction, queue: string, max: number, below: number): readonly Row[] {
    const sql = `${started} IN (SELECT number FROM tasks WHERE queue = ? AND state = 'waiting' AND rank < ?
      ORDER BY rank LIMIT ?) ${what}`;
    const rows = tx.database.all(sql, ...this.#lease(tx), 0, queue, below, max === Infinity ? -1 : max);
    return [...rows].sort(
      (a, b) => Number(a['priority']) - Number(b['priority']) || Number(a['place']) - Number(b['place']),
    );
  }

  #lease(tx: Transaction): [prefix: string, due: number, rank: number, timeStarted: number, maxStalls: number] {
    const number = tx.next();
    return [`${this.#prefix}.${number}.`, tx.now + this.#leaseMs, number, tx.now, this.#maxStalls];
  }

  #takeLimited(tx: Transaction, queue: string, max: number, below: number, limits: QueueLimits): readonly Row[] {
    const rows: Row[] = [];
    const candidates = `SELECT number, key, rank FROM tasks WHERE queue = ? AND state = 'waiting' AND rank > ? AND rank < ?
      ORDER BY rank LIMIT ${page}`;
    let after = -1;
    for (;;) {
      const found = tx.database.all(candidates, queue, after, below);
      for (const { number, key, rank } of found) {
        if (rows.length >= max || !this.#isOpen(tx, queue)) return rows;
        after = Number(rank);
        if (typeof key === 'string' && hasKeyLimits(limits) && !mayStart(tx, queue, key, limits)) {
          tx.database.run(`UPDATE tasks SET state = 'held' WHERE number = ?`, number as number);
        } else {
          rows.push(this.#start(tx, queue, number as number, key, limits));
        }
      }
      if (found.length < page) return rows;
    }
  }

  /** Whether the rate of the queue lets a task start. */
  #isOpen(tx: Transaction, queue: string): boolean {
    const { limits, arrival } = tx.queue(queue);
    if (limits?.rate === undefined || limits.rate.perKey === true) return true;
    const at = opensAt(limits.rate, arrival);
    if (at <= tx.now) return true;
    tx.opens.set(queue, at);
    return false;
  }

  #start(tx: Transaction, queue: string, number: number, key: unknown, limits: QueueLimits): Row {
    const { rate } = limits;
    const counts = typeof key === 'string' && hasKeyLimits(limits);
    if (rate !== undefined && rate.perKey !== true) {
      const state = tx.queue(queue);
      state.arrival = arrivalAfter(rate, state.arrival, tx.now);
      tx.database.run('UPDATE queues SET arrival = ? WHERE queue = ?', state.arrival, queue);
    }
    if (counts) countStart(tx, queue, key, limits);
    return tx.database.get(`${started} = ? ${what}`, ...this.#lease(tx), counts ? 1 : 0, number) as Row;
  }
}

function deliveredTask(tx: Transaction, row: Row): DeliveredTask {
  return {
    id: row['id'] as string,
    data: row['data'] as string | null,
    priority: priorityOf(row['priority']),
    attempt: row['attempts'] as number,
    retries: (row['retries'] as number | null) ?? undefined,
    delayMs: (row['delay_ms'] as number | null) ?? undefined,
    key: (row['key'] as string | null) ?? undefined,
    deadline: (row['deadline'] as number | null) ?? undefined,
    timeQueued: row['time_queued'] as number,
    kept: row['has_work'] === 1 ? workOf(tx, row['number'] as number) : undefined,
    lease: row['lease'] as string,
  };
}
