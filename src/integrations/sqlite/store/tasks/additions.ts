/** How tasks are added: while there is room, and of a key one at a time, where that is wanted. */
import type { NewTask, NewTaskOptions, StoredFailure } from '../../protocol.ts';
import { cancelTask } from './endings.ts';
import { numberOf, rankOf } from './ranks.ts';
import { Refusal } from './refusal.ts';
import type { Transaction } from './transaction.ts';

export interface RoomSettings {
  readonly maxQueued: number;
  readonly resultTtlMs: number;
}

/** How many more tasks may be added; 0 or less if the queue is full. */
export function roomOf(tx: Transaction, queue: string, { maxQueued }: RoomSettings): number {
  if (maxQueued === Infinity) return Infinity;
  const sql = `SELECT count(*) AS n FROM tasks WHERE queue = ? AND state IN ('waiting', 'held', 'delayed')`;
  return maxQueued - Number(tx.database.get(sql, queue)?.['n']);
}

/** Adds all, or throws and adds none. Returns their ids; in place of one that has joined another, the id of that. */
export function addTasks(
  tx: Transaction,
  queue: string,
  tasks: readonly NewTask[],
  options: NewTaskOptions,
  settings: RoomSettings,
): string[] {
  const [first] = tasks;
  if (first === undefined) return [];
  if (options.unique !== undefined) return [addUnique(tx, queue, first, options, settings)];
  for (const { id } of tasks) refuseKnown(tx, queue, id);
  refuseIfFull(tx, queue, tasks.length, settings);
  let place = tx.next(tasks.length);
  for (const task of tasks) {
    insert(tx, queue, task, options, place);
    place += 1;
  }
  return tasks.map(({ id }) => id);
}

function addUnique(
  tx: Transaction,
  queue: string,
  task: NewTask,
  options: NewTaskOptions,
  settings: RoomSettings,
): string {
  const { unique, key = '', priority = 'normal' } = options;
  const other = findUnique(tx, queue, key);
  const otherId = other?.['id'] as string;
  if (other !== undefined && unique === 'join') return otherId;
  if (other !== undefined && unique === 'refuse') throw new Refusal({ code: 'TASK_EXISTS', key, id: otherId });
  refuseKnown(tx, queue, task.id);
  const waits = other?.['state'] === 'waiting' || other?.['state'] === 'held';
  if (waits || other?.['state'] === 'delayed') {
    const outcome: StoredFailure = { replacedBy: task.id };
    cancelTask(tx, queue, otherId, JSON.stringify(outcome), settings.resultTtlMs);
    const takesPlace = waits && other?.['priority'] === numberOf(priority);
    insert(tx, queue, task, options, takesPlace ? Number(other?.['place']) : tx.next());
  } else {
    refuseIfFull(tx, queue, 1, settings);
    if (other !== undefined) forgetUnique(tx, other['number'] as number);
    insert(tx, queue, task, options, tx.next());
  }
  return task.id;
}

/** The one of its key. One that has completed is that as long as `uniqueForMs` says. */
function findUnique(tx: Transaction, queue: string, key: string) {
  const sql = `SELECT number, id, state, priority, place, time_ended + unique_for_ms AS until
    FROM tasks WHERE queue = ? AND key = ? AND is_unique = 1`;
  const other = tx.database.get(sql, queue, key);
  if (other?.['state'] !== 'completed' || Number(other['until']) > tx.now) return other;
  forgetUnique(tx, other['number'] as number);
  return undefined;
}

function forgetUnique(tx: Transaction, number: number): void {
  tx.database.run('UPDATE tasks SET is_unique = 0 WHERE number = ?', number);
}

function refuseKnown(tx: Transaction, queue: string, id: string): void {
  if (tx.database.get('SELECT 1 AS found FROM tasks WHERE queue = ? AND id = ?', queue, id) === undefined) return;
  throw new Refusal({ code: 'DUPLICATE_TASK_ID', id });
}

function refuseIfFull(tx: Transaction, queue: string, count: number, settings: RoomSettings): void {
  if (count > roomOf(tx, queue, settings)) throw new Refusal({ code: 'QUEUE_FULL' });
}

const inserted = `INSERT INTO tasks (queue, id, name, key, state, priority, rank, place, due, data, delay_ms, retries,
  retry_delay, deadline_ms, deadline, is_unique, unique_for_ms, time_queued)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

function insert(tx: Transaction, queue: string, task: NewTask, options: NewTaskOptions, place: number): void {
  const { id, name, data } = task;
  const { priority = 'normal', delayMs = 0, retries, retryDelayMs, deadlineMs } = options;
  const { key, unique, uniqueForMs = 0 } = options;
  const isDelayed = delayMs > 0;
  const due = tx.now + delayMs;
  tx.database.run(
    inserted,
    queue,
    id,
    name ?? null,
    key ?? null,
    isDelayed ? 'delayed' : 'waiting',
    numberOf(priority),
    isDelayed ? due : rankOf(numberOf(priority), place),
    place,
    isDelayed ? due : null,
    data,
    options.delayMs ?? null,
    retries ?? null,
    retryDelayMs === undefined ? null : JSON.stringify(retryDelayMs),
    deadlineMs ?? null,
    deadlineMs === undefined ? null : tx.now + deadlineMs,
    unique === undefined ? 0 : 1,
    uniqueForMs,
    tx.now,
  );
  tx.tell(queue, 'added', { id, name, key });
  tx.changed.add(queue);
}
