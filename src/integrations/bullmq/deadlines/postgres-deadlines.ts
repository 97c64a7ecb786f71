/** Deadlines on PostgreSQL: a table beside BullMQ's, made when a task with a deadline is added for the first time. */
import type { Pool } from 'pg';
import { type DeadlineStore, type DueDeadlines, dueAtOnce } from './deadline-store.ts';

const isMade = `SELECT to_regclass('taskwarden_deadline') IS NOT NULL AS is_made`;

/** All at once, in a transaction. */
const make = `
SELECT pg_advisory_xact_lock(hashtext('taskwarden:deadlines'));
CREATE TABLE IF NOT EXISTS taskwarden_deadline (
  queue text NOT NULL, mark text NOT NULL, at_ms double precision NOT NULL, taken_until_ms double precision,
  PRIMARY KEY (queue, mark)
);
CREATE INDEX IF NOT EXISTS taskwarden_deadline_idx ON taskwarden_deadline (queue, at_ms);`;

const now = '(extract(epoch FROM clock_timestamp()) * 1000)::double precision';

const start = `
INSERT INTO taskwarden_deadline (queue, mark, at_ms) SELECT $1, mark, ${now} + $3 FROM unnest($2::text[]) AS given(mark)
ON CONFLICT (queue, mark) DO UPDATE SET at_ms = excluded.at_ms, taken_until_ms = NULL`;

const left = `SELECT at_ms - ${now} AS left_ms FROM taskwarden_deadline WHERE queue = $1 AND mark = $2`;

const due = `
WITH clock AS MATERIALIZED (
  SELECT ${now} AS now
), due AS (
  SELECT mark FROM taskwarden_deadline, clock WHERE queue = $1 AND at_ms <= now AND coalesce(taken_until_ms, 0) <= now
   ORDER BY at_ms LIMIT ${dueAtOnce} FOR UPDATE OF taskwarden_deadline SKIP LOCKED
), taken AS (
  UPDATE taskwarden_deadline AS taken SET taken_until_ms = now + $2 FROM due, clock
   WHERE taken.queue = $1 AND taken.mark = due.mark
)
SELECT ARRAY(SELECT mark FROM due) AS marks, (SELECT (now + $2)::text FROM clock) AS taken_until,
       (SELECT min(coalesce(taken_until_ms, at_ms)) - min(now) FROM taskwarden_deadline, clock WHERE queue = $1) AS next_ms`;

const end = `
DELETE FROM taskwarden_deadline WHERE queue = $1 AND mark = $2 AND ($3::text IS NULL OR taken_until_ms = $3::double precision)`;

export class PostgresDeadlines implements DeadlineStore {
  readonly #pool: Pool;
  readonly #queue: string;
  #isMade = false;

  constructor(pool: Pool, queue: string) {
    this.#pool = pool;
    this.#queue = queue;
  }

  /** Whether there may be any. */
  async #hasTable(): Promise<boolean> {
    this.#isMade ||= (await this.#pool.query(isMade)).rows[0].is_made as boolean;
    return this.#isMade;
  }

  async start(marks: readonly string[], ms: number): Promise<void> {
    if (!(await this.#hasTable())) await this.#pool.query(make);
    await this.#pool.query(start, [this.#queue, marks, ms]);
  }

  async left(mark: string): Promise<number | undefined> {
    if (!(await this.#hasTable())) return undefined;
    const { rows } = await this.#pool.query(left, [this.#queue, mark]);
    return rows[0]?.left_ms;
  }

  async due(lockMs: number): Promise<DueDeadlines> {
    if (!(await this.#hasTable())) return { marks: [], takenUntil: '', nextMs: undefined };
    const { rows } = await this.#pool.query(due, [this.#queue, lockMs]);
    const { marks, taken_until: takenUntil, next_ms: nextMs } = rows[0];
    return { marks, takenUntil, nextMs: nextMs ?? undefined };
  }

  async end(mark: string, takenUntil?: string): Promise<void> {
    if (await this.#hasTable()) await this.#pool.query(end, [this.#queue, mark, takenUntil]);
  }
}
