/** How a task leaves its worker, or its queue: its end, a retry, a release, a cancel. Each says whether it has happened. */
import { backoffMs } from '../../../../base/backoff.ts';
import type { Row } from '../../driver.ts';
import type { HeldTask, NewFailure, PassedDeadline, StoredEnd } from '../../protocol.ts';
import { openKey } from './limits.ts';
import { rankOf } from './ranks.ts';
import type { Subject, Transaction } from './transaction.ts';
import { forgetWork } from './work.ts';

const held = `WHERE queue = ? AND id = ? AND state = 'leased' AND lease = ?`;

/** When what ends now is forgotten. */
function forgetAt(tx: Transaction, resultTtlMs: number): number | null {
  return resultTtlMs === Infinity ? null : tx.now + resultTtlMs;
}

/** Its work is kept as long as it may be redriven. */
function onEnded(tx: Transaction, queue: string, row: Row, end: StoredEnd, more: object = {}): void {
  tx.database.run('DELETE FROM commands WHERE task = ?', row['number'] as number);
  if (end.state !== 'failed') forgetWork(tx, row['number'] as number);
  tx.tell(queue, end.state, subjectOf(row), more);
  tx.end(queue, row['id'] as string, end);
  openKey(tx, queue, row['key']);
  tx.changed.add(queue);
}

function subjectOf({ id, name, key }: Row): Subject {
  return { id, name, key };
}

export function completeTask(
  tx: Transaction,
  queue: string,
  { id, lease }: HeldTask,
  outcome: string | null,
  resultTtlMs: number,
): boolean {
  const sql = `UPDATE tasks SET state = 'completed', rank = ?, due = ?, time_ended = ?, outcome = ?, data = NULL,
    deadline = NULL, failure = NULL, has_work = 0, is_unique = is_unique AND unique_for_ms > 0 ${held} RETURNING number, id, name, key`;
  const row = tx.database.get(sql, tx.next(), forgetAt(tx, resultTtlMs), tx.now, outcome, queue, id, lease);
  if (row === undefined) return false;
  tx.returned.push(lease);
  onEnded(tx, queue, row, { state: 'completed', outcome });
  return true;
}

export function failTask(tx: Transaction, queue: string, task: HeldTask, failure: NewFailure): boolean {
  const sql = `SELECT number, id, name, key, priority, attempts, failures, retries, retry_delay, deadline_ms, deadline
    FROM tasks ${held}`;
  const row = tx.database.get(sql, queue, task.id, task.lease);
  if (row === undefined) return false;
  tx.returned.push(task.lease);
  const failures = Number(row['failures']);
  const { isFinal, retries, retryDelayMs, outcome, message } = failure;
  if (isFinal || failures >= Number(row['retries'] ?? retries)) {
    buryTask(tx, queue, row, outcome, { message });
    return true;
  }
  const own = row['retry_delay'] as string | null;
  const delay = row['retries'] === null ? (own ?? retryDelayMs) : own;
  const pauseMs = backoffMs(delay === undefined || delay === null ? {} : JSON.parse(delay), failures + 1);
  if (row['deadline'] !== null && Number(row['deadline']) <= tx.now + pauseMs) {
    passDeadline(tx, queue, { ...row, failure: outcome }); // no other attempt could begin in time
    return true;
  }
  tx.tell(queue, 'retried', subjectOf(row), { message });
  delayTask(tx, row, pauseMs, row['deadline'] === null ? null : outcome);
  openKey(tx, queue, row['key']);
  tx.changed.add(queue);
  return true;
}

function delayTask(tx: Transaction, row: Row, pauseMs: number, failure: string | null): void {
  const place = tx.next();
  const due = pauseMs > 0 ? tx.now + pauseMs : null;
  const rank = due ?? rankOf(Number(row['priority']), place);
  const sql = `UPDATE tasks SET state = ?, rank = ?, place = ?, due = ?, failures = failures + 1, failure = ?
    WHERE number = ?`;
  tx.database.run(sql, due === null ? 'waiting' : 'delayed', rank, place, due, failure, row['number'] as number);
}

/** It has failed for good. */
export function buryTask(tx: Transaction, queue: string, row: Row, outcome: string, more: object): void {
  const sql = `UPDATE tasks SET state = 'failed', rank = ?, due = NULL, deadline = NULL, time_ended = ?, outcome = ?,
    is_unique = 0 WHERE number = ?`;
  tx.database.run(sql, tx.next(), tx.now, outcome, row['number'] as number);
  onEnded(tx, queue, row, { state: 'failed', outcome }, more);
}

/** The deadline of a task is over that has not ended. */
export function passDeadline(tx: Transaction, queue: string, row: Row): void {
  const passed: PassedDeadline = {
    deadlineMs: Number(row['deadline_ms']),
    hasBegun: Number(row['attempts']) > 0,
    last: row['failure'] as string | null,
  };
  tx.touch(queue, row['id'] as string);
  buryTask(tx, queue, row, JSON.stringify(passed), { passed });
}

export function releaseTask(tx: Transaction, queue: string, { id, lease }: HeldTask): boolean {
  const row = tx.database.get(`SELECT number, id, key, priority, place FROM tasks ${held}`, queue, id, lease);
  if (row === undefined) return false;
  tx.returned.push(lease);
  putBack(tx, queue, row, 'attempts = attempts - 1');
  return true;
}

/** Back to where it was. */
export function putBack(tx: Transaction, queue: string, row: Row, change: string): void {
  const sql = `UPDATE tasks SET state = 'waiting', rank = ?, due = NULL, ${change} WHERE number = ?`;
  tx.database.run(sql, rankOf(Number(row['priority']), Number(row['place'])), row['number'] as number);
  openKey(tx, queue, row['key']);
  tx.changed.add(queue);
}

export function extendLease(tx: Transaction, queue: string, { id, lease }: HeldTask, leaseMs: number): boolean {
  return tx.database.run(`UPDATE tasks SET due = ? ${held}`, tx.now + leaseMs, queue, id, lease) > 0;
}

/** Ends a task that waits, or that a worker holds: which is told by its watch. */
export function cancelTask(tx: Transaction, queue: string, id: string, outcome: string, resultTtlMs: number): boolean {
  const sql = `UPDATE tasks SET state = 'canceled', rank = ?, due = ?, time_ended = ?, outcome = ?, data = NULL,
    deadline = NULL, failure = NULL, has_work = 0, is_unique = 0 WHERE queue = ? AND id = ? AND state IN ('waiting', 'held', 'delayed', 'leased') RETURNING number, id, name, key`;
  const row = tx.database.get(sql, tx.next(), forgetAt(tx, resultTtlMs), tx.now, outcome, queue, id);
  if (row === undefined) return false;
  tx.touch(queue, id);
  onEnded(tx, queue, row, { state: 'canceled', outcome });
  return true;
}
