/** What the attempts of a task keep for the next, by name. */
import type { HeldTask } from '../../protocol.ts';
import type { Transaction } from './transaction.ts';

/** Whether the lease holds; else nothing is kept. */
export function keepWork(
  tx: Transaction,
  queue: string,
  { id, lease }: HeldTask,
  name: string,
  work: Uint8Array,
): boolean {
  const sql = `UPDATE tasks SET has_work = 1 WHERE queue = ? AND id = ? AND state = 'leased' AND lease = ? RETURNING number`;
  const row = tx.database.get(sql, queue, id, lease);
  if (row === undefined) return false;
  // Node 22 binds no bytes as null.
  const kept = `INSERT INTO work (task, name, work) VALUES (?, ?, coalesce(?, x''))
    ON CONFLICT DO UPDATE SET work = excluded.work`;
  tx.database.run(kept, row['number'] as number, name, work);
  return true;
}

export function workOf(tx: Transaction, task: number): ReadonlyMap<string, Uint8Array> {
  const rows = tx.database.all('SELECT name, work FROM work WHERE task = ?', task);
  return new Map(rows.map(({ name, work }) => [name as string, work as Uint8Array]));
}

export function forgetWork(tx: Transaction, task: number): void {
  tx.database.run('DELETE FROM work WHERE task = ?', task);
}
