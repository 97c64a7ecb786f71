/** What time does: delays end, leases run out, keys open, and results are forgotten. Whoever uses the database does it. */
import type { Row } from '../../driver.ts';
import type { Database } from '../file/database.ts';
import { buryTask, passDeadline, putBack } from './endings.ts';
import { openDueKeys } from './limits.ts';
import { rankOf } from './ranks.ts';
import type { Transaction } from './transaction.ts';

/** So many tasks at a time, so that no transaction is long. */
const atOnce = 1_000;

/** Whether something is due. It only reads. */
export function isUpkeepDue(database: Database, now: number): boolean {
  return nextDue(database) <= now;
}

/** When something is due next, in epoch milliseconds; Infinity if nothing is. */
export function nextDue(database: Database): number {
  const sql = `SELECT (SELECT due FROM tasks WHERE due IS NOT NULL ORDER BY due LIMIT 1) AS task,
    (SELECT deadline FROM tasks WHERE deadline IS NOT NULL ORDER BY deadline LIMIT 1) AS deadline,
    (SELECT opens FROM keys WHERE opens IS NOT NULL ORDER BY opens LIMIT 1) AS key`;
  const row = database.get(sql);
  return Math.min(...['task', 'deadline', 'key'].map((name) => Number(row?.[name] ?? Infinity)));
}

export function doUpkeep(tx: Transaction): void {
  if (!isUpkeepDue(tx.database, tx.now)) return;
  passDeadlines(tx);
  openDueKeys(tx);
  const sql = `SELECT number, queue, id, name, key, state, priority, place, stalls, max_stalls FROM tasks
    WHERE due <= ? ORDER BY due, number LIMIT ${atOnce}`;
  for (const row of tx.database.all(sql, tx.now)) {
    const queue = row['queue'] as string;
    switch (row['state']) {
      case 'delayed':
        endDelay(tx, queue, row);
        break;
      case 'leased':
        loseLease(tx, queue, row);
        break;
      default:
        tx.database.run('DELETE FROM tasks WHERE number = ?', row['number'] as number);
    }
  }
}

/** All: none of them may begin. */
function passDeadlines(tx: Transaction): void {
  const sql = `SELECT number, queue, id, name, key, attempts, deadline_ms, failure FROM tasks
    WHERE deadline <= ? ORDER BY deadline`;
  for (const row of tx.database.all(sql, tx.now)) passDeadline(tx, row['queue'] as string, row);
}

function endDelay(tx: Transaction, queue: string, row: Row): void {
  const place = tx.next();
  const sql = `UPDATE tasks SET state = 'waiting', rank = ?, place = ?, due = NULL WHERE number = ?`;
  tx.database.run(sql, rankOf(Number(row['priority']), place), place, row['number'] as number);
  tx.changed.add(queue);
}

function loseLease(tx: Transaction, queue: string, row: Row): void {
  const stalls = Number(row['stalls']) + 1;
  tx.touch(queue, row['id'] as string);
  if (stalls < Number(row['max_stalls'])) putBack(tx, queue, row, 'stalls = stalls + 1');
  else buryTask(tx, queue, row, JSON.stringify({ stalls }), { stalls });
}
