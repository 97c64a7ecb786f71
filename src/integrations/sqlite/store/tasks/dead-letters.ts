/** The tasks that have failed for good, the oldest first. */

import type { Row } from '../../driver.ts';
import type { StoredLetter } from '../../protocol.ts';
import { priorityOf, rankOf } from './ranks.ts';
import type { Transaction } from './transaction.ts';
import { forgetWork } from './work.ts';

export function listDead(tx: Transaction, queue: string, offset: number, max: number): StoredLetter[] {
  const sql = `SELECT id, data, priority, attempts, outcome, time_ended FROM tasks
    WHERE queue = ? AND state = 'failed' ORDER BY rank LIMIT ? OFFSET ?`;
  return tx.database.all(sql, queue, max === Infinity ? -1 : max, offset).map((row) => ({
    id: row['id'] as string,
    data: row['data'] as string | null,
    priority: priorityOf(row['priority']),
    attempts: row['attempts'] as number,
    outcome: row['outcome'] as string | null,
    timeFailed: row['time_ended'] as number,
  }));
}

/** Without ids: all. */
function find(tx: Transaction, queue: string, ids: readonly string[] | undefined): readonly Row[] {
  const sql = `SELECT number, id, name, key, priority FROM tasks WHERE queue = ? AND state = 'failed'`;
  if (ids === undefined) return tx.database.all(`${sql} ORDER BY rank`, queue);
  return [...new Set(ids)].flatMap((id) => tx.database.all(`${sql} AND id = ?`, queue, id));
}

export function redrive(tx: Transaction, queue: string, ids: readonly string[] | undefined): number {
  const rows = find(tx, queue, ids);
  const sql = `UPDATE tasks SET state = 'waiting', rank = ?, place = ?, attempts = 0, failures = 0, stalls = 0, lease = NULL,
    outcome = NULL, failure = NULL, deadline = ? + deadline_ms, time_queued = ?, time_started = NULL, time_ended = NULL WHERE number = ?`;
  for (const row of rows) {
    const place = tx.next();
    tx.database.run(sql, rankOf(Number(row['priority']), place), place, tx.now, tx.now, row['number'] as number);
    tx.tell(queue, 'added', { id: row['id'], name: row['name'], key: row['key'] });
  }
  tx.changed.add(queue);
  return rows.length;
}

export function removeDead(tx: Transaction, queue: string, ids: readonly string[] | undefined): number {
  const rows = find(tx, queue, ids);
  for (const { number } of rows) {
    forgetWork(tx, number as number);
    tx.database.run('DELETE FROM tasks WHERE number = ?', number as number);
  }
  return rows.length;
}
