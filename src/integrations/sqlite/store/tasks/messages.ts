/**
 * What clients and workers send to each other by the database: commands to tasks are kept until the task has ended, and what
 * happens in a queue is written down for a short time while somebody, in any program, listens to it.
 */
import type { HeldTask, StoredCommand } from '../../protocol.ts';
import type { Transaction } from './transaction.ts';
import { endOf } from './views.ts';

/** How long a listener is written for that does not say again that it listens, in milliseconds. */
export const listenerMs = 30_000;

/** How long an event is kept: who reads later has missed it. In milliseconds. */
const keptMs = 30_000;

/** @throws Refusal `TASK_NOT_FOUND`. */
export function sendToTask(tx: Transaction, queue: string, id: string, command: string): void {
  if (endOf(tx, queue, id) !== undefined) return;
  const sql = 'INSERT INTO commands (task, command) SELECT number, ? FROM tasks WHERE queue = ? AND id = ?';
  tx.database.run(sql, command, queue, id);
  tx.touch(queue, id);
}

/** Whether the lease holds. */
export function sendToClient(
  tx: Transaction,
  queue: string,
  { id, lease }: HeldTask,
  kind: string,
  update: string,
): boolean {
  const sql = `SELECT id, name, key FROM tasks WHERE queue = ? AND id = ? AND state = 'leased' AND lease = ?`;
  const row = tx.database.get(sql, queue, id, lease);
  if (row === undefined) return false;
  tx.update(queue, id, update);
  if (kind === 'progress') {
    const { progress } = JSON.parse(update) as { readonly progress: unknown };
    tx.tell(queue, 'progress', { id: row['id'], name: row['name'], key: row['key'] }, { progress });
  }
  return true;
}

/** The commands to a task after the one of that number; or how its lease was lost. */
export function commandsTo(
  tx: Transaction,
  queue: string,
  { id, lease }: HeldTask,
  after: number,
): { readonly commands: StoredCommand[]; readonly last: number; readonly isOver: boolean } {
  const sql = 'SELECT number, state, lease, outcome FROM tasks WHERE queue = ? AND id = ?';
  const task = tx.database.get(sql, queue, id);
  if (task?.['lease'] !== lease || task['state'] !== 'leased') {
    const isCanceled = task?.['lease'] === lease && (task['state'] === 'canceled' || isPassed(task['outcome']));
    const end: StoredCommand = isCanceled
      ? { kind: 'cancel', number: Infinity, outcome: task['outcome'] as string | null }
      : { kind: 'lost', number: Infinity };
    return { commands: [end], last: after, isOver: true };
  }
  const found = tx.database.all(
    'SELECT number, command FROM commands WHERE task = ? AND number > ? ORDER BY number',
    task['number'] as number,
    after,
  );
  const commands = found.map(({ number, command }): StoredCommand => {
    return { kind: 'command', number: Number(number), command: command as string };
  });
  return { commands, last: Number(found.at(-1)?.['number'] ?? after), isOver: false };
}

/** Whether this is the outcome of a task whose deadline is over. */
function isPassed(outcome: unknown): boolean {
  return typeof outcome === 'string' && outcome.startsWith('{"deadlineMs":');
}

export function listen(tx: Transaction, listener: string, queue: string, wants: 'events' | 'updates'): void {
  const sql = `INSERT INTO listeners (listener, queue, wants, until) VALUES (?, ?, ?, ?)
    ON CONFLICT (queue, wants, listener) DO UPDATE SET until = excluded.until`;
  tx.database.run(sql, listener, queue, wants, tx.now + listenerMs);
}

export function unlisten(tx: Transaction, listener: string, queue: string, wants: 'events' | 'updates'): void {
  tx.database.run('DELETE FROM listeners WHERE queue = ? AND wants = ? AND listener = ?', queue, wants, listener);
}

/** Removes events that all have read, or should have, and listeners that are gone. */
export function forgetOld(tx: Transaction): void {
  tx.database.run('DELETE FROM listeners WHERE until < ?', tx.now - listenerMs);
  const sql = 'SELECT max(number) AS last FROM events WHERE time < ?';
  const last = tx.database.get(sql, tx.now - keptMs)?.['last'];
  tx.database.run('DELETE FROM keys WHERE arrival < ? AND opens IS NULL', tx.now);
  if (typeof last !== 'number') return;
  tx.database.run('DELETE FROM events WHERE number <= ?', last);
  tx.database.run(`UPDATE counters SET value = ? WHERE name = 'forgotten events'`, last);
}
