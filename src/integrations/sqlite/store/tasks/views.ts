/** What is seen of a queue: how one task has ended, the tasks in a state, and how many there are. */
import type { CourierTaskState } from '../../../../index.ts';
import type { StoredEnd, StoredQueue, StoredTask } from '../../protocol.ts';
import { priorityOf } from './ranks.ts';
import { Refusal } from './refusal.ts';
import type { Transaction } from './transaction.ts';

/** Undefined if it has not ended. @throws Refusal `TASK_NOT_FOUND`. */
export function endOf(tx: Transaction, queue: string, id: string): StoredEnd | undefined {
  const row = tx.database.get('SELECT state, outcome FROM tasks WHERE queue = ? AND id = ?', queue, id);
  if (row === undefined) throw new Refusal({ code: 'TASK_NOT_FOUND', id });
  const { state, outcome } = row;
  const hasEnded = state === 'completed' || state === 'failed' || state === 'canceled';
  return hasEnded ? { state, outcome: outcome as string | null } : undefined;
}

export function listTasks(
  tx: Transaction,
  queue: string,
  state: CourierTaskState,
  offset: number,
  max: number,
): StoredTask[] {
  const sql = `SELECT id, name, key, priority, attempts, time_queued, time_started, time_ended, outcome FROM tasks
    WHERE queue = ? AND state IN (?, ?) ORDER BY rank, number LIMIT ? OFFSET ?`;
  const rows = tx.database.all(sql, queue, state, state === 'waiting' ? 'held' : state, max, offset);
  return rows.map((row) => ({
    id: row['id'] as string,
    name: (row['name'] as string | null) ?? undefined,
    key: (row['key'] as string | null) ?? undefined,
    state,
    priority: priorityOf(row['priority']),
    attempts: row['attempts'] as number,
    timeQueued: row['time_queued'] as number,
    timeStarted: (row['time_started'] as number | null) ?? undefined,
    timeEnded: (row['time_ended'] as number | null) ?? undefined,
    outcome: state === 'failed' ? (row['outcome'] as string | null) : null,
  }));
}

/** Sorted. */
export function queueNames(tx: Transaction): string[] {
  const sql = `WITH RECURSIVE names (queue) AS (SELECT min(queue) FROM tasks UNION ALL
    SELECT (SELECT min(queue) FROM tasks WHERE queue > names.queue) FROM names WHERE names.queue IS NOT NULL)
    SELECT queue FROM names WHERE queue IS NOT NULL UNION SELECT queue FROM queues`;
  return tx.database
    .all(sql)
    .map(({ queue }) => queue as string)
    .sort();
}

export function queueInfo(tx: Transaction, queue: string): StoredQueue {
  const waiting = { critical: 0, high: 0, normal: 0, low: 0 };
  const waits = `SELECT priority, count(*) AS n FROM tasks WHERE queue = ? AND state IN ('waiting', 'held') GROUP BY priority`;
  for (const { priority, n } of tx.database.all(waits, queue)) waiting[priorityOf(priority)] = Number(n);
  const count = (state: CourierTaskState) => {
    const sql = 'SELECT count(*) AS n FROM tasks WHERE queue = ? AND state = ?';
    return Number(tx.database.get(sql, queue, state)?.['n']);
  };
  const { isPaused, limits } = tx.queue(queue);
  return {
    waiting,
    delayed: count('delayed'),
    leased: count('leased'),
    deadLetters: count('failed'),
    isPaused,
    limits,
  };
}
