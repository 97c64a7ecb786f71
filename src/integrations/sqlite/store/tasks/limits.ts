/**
 * The limits of a queue. A task whose key may not start now is put aside, as `held`, when it is met; as soon as its key may
 * start some again, so many of those that it holds wait as before, in their places. So each step looks at few tasks, however
 * many wait. Rates are the generic cell rate algorithm, as in `src/queue/keys/rate.ts`.
 */
import type { QueueLimits, RateOptions } from '../../../../index.ts';
import type { Transaction } from './transaction.ts';

/** Sums of times since the epoch are rounded by less than this, in milliseconds. */
const roundedMs = 0.01;

/** From when on the next may start. */
export function opensAt({ max, perMs, burst = 1 }: RateOptions, arrival: number): number {
  return arrival - ((burst - 1) * perMs) / max - roundedMs;
}

export function arrivalAfter({ max, perMs }: RateOptions, arrival: number, now: number): number {
  return Math.max(arrival, now) + perMs / max;
}

export function hasKeyLimits(limits: QueueLimits | undefined): boolean {
  return limits?.maxPerKey !== undefined || limits?.rate?.perKey === true;
}

function freeOf(tx: Transaction, queue: string, key: string, { maxPerKey = Infinity }: QueueLimits): number {
  if (maxPerKey === Infinity) return Infinity;
  const sql = `SELECT count(*) AS n FROM tasks WHERE queue = ? AND key = ? AND state = 'leased' AND counts = 1`;
  return maxPerKey - Number(tx.database.get(sql, queue, key)?.['n']);
}

function arrivalOf(tx: Transaction, queue: string, key: string): number {
  return Number(tx.database.get('SELECT arrival FROM keys WHERE queue = ? AND key = ?', queue, key)?.['arrival'] ?? 0);
}

/** Whether a task of this key may start now. If its rate says no, notes when it may. */
export function mayStart(tx: Transaction, queue: string, key: string, limits: QueueLimits): boolean {
  if (freeOf(tx, queue, key, limits) < 1) return false;
  const { rate } = limits;
  if (rate?.perKey !== true) return true;
  const at = opensAt(rate, arrivalOf(tx, queue, key));
  if (at <= tx.now) return true;
  tx.database.run('UPDATE keys SET opens = ? WHERE queue = ? AND key = ?', at, queue, key);
  return false;
}

export function countStart(tx: Transaction, queue: string, key: string, { rate }: QueueLimits): void {
  if (rate?.perKey !== true) return;
  const arrival = arrivalAfter(rate, arrivalOf(tx, queue, key), tx.now);
  const sql = `INSERT INTO keys (queue, key, arrival) VALUES (?, ?, ?)
    ON CONFLICT (queue, key) DO UPDATE SET arrival = excluded.arrival`;
  tx.database.run(sql, queue, key, arrival);
}

/** To be called when a task of the key has left a worker, or waits no more: lets those wait that may start in its place. */
export function openKey(tx: Transaction, queue: string, key: unknown): void {
  const { limits } = tx.queue(queue);
  if (typeof key !== 'string' || limits === undefined || !hasKeyLimits(limits)) return;
  const { rate } = limits;
  const atOnce = rate?.perKey === true ? Math.max(rate.burst ?? 1, 1) : Infinity;
  const count = Math.min(freeOf(tx, queue, key, limits), atOnce);
  if (count < 1) return;
  const sql = `UPDATE tasks SET state = 'waiting' WHERE number IN (
    SELECT number FROM tasks WHERE queue = ? AND key = ? AND state = 'held' ORDER BY rank LIMIT ?)`;
  tx.database.run(sql, queue, key, count === Infinity ? -1 : count);
  tx.changed.add(queue);
}

/** Opens the keys whose rate lets the next task start. */
export function openDueKeys(tx: Transaction): void {
  const due = tx.database.all('SELECT queue, key FROM keys WHERE opens <= ?', tx.now);
  for (const { queue, key } of due) {
    tx.database.run('UPDATE keys SET opens = NULL WHERE queue = ? AND key = ?', queue as string, key as string);
    openKey(tx, queue as string, key);
  }
}

/** Returns those that it had. */
export function setLimits(tx: Transaction, queue: string, limits: QueueLimits): QueueLimits | undefined {
  const before = tx.queue(queue).limits;
  const text = Object.keys(limits).length === 0 ? null : JSON.stringify(limits);
  const sql = `INSERT INTO queues (queue, limits) VALUES (?, ?) ON CONFLICT (queue) DO UPDATE SET limits = excluded.limits`;
  tx.database.run(sql, queue, text);
  tx.database.run(`UPDATE tasks SET state = 'waiting' WHERE queue = ? AND state = 'held'`, queue);
  tx.database.run('UPDATE keys SET opens = NULL WHERE queue = ?', queue);
  tx.forgetQueue(queue);
  tx.changed.add(queue);
  return before;
}

export function setPaused(tx: Transaction, queue: string, isPaused: boolean): void {
  if (tx.queue(queue).isPaused !== isPaused) tx.tellPause(queue, isPaused);
  const sql = `INSERT INTO queues (queue, is_paused) VALUES (?, ?)
    ON CONFLICT (queue) DO UPDATE SET is_paused = excluded.is_paused`;
  tx.database.run(sql, queue, isPaused ? 1 : 0);
  tx.forgetQueue(queue);
  tx.changed.add(queue);
}
