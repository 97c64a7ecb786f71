/** Claims on PostgreSQL: statements over BullMQ's tables. Each is atomic, and leaves a queue as BullMQ's own would. */
import type { Pool, PoolClient } from 'pg';
import { canceledKey } from '../job/job-format.ts';
import * as limitsSql from './postgres-limits.ts';
import {
  type Claimed,
  type Claims,
  type ListedRange,
  type QueueState,
  type Replaced,
  releasedEvent,
  type TakenFrom,
} from './server.ts';

const seize = `
WITH before AS (
  SELECT id, state FROM job
   WHERE queue = $1 AND id = $2 AND state IN ('waiting', 'delayed', 'active') FOR UPDATE
), taken AS (
  UPDATE job SET state = 'active', lock_token = $3, locked_until_ms = $5::bigint + $4::bigint, processed_at_ms = $5::bigint
    FROM before WHERE job.queue = $1 AND job.id = before.id RETURNING before.state AS state
)
SELECT CASE WHEN state = 'active' THEN 'active' ELSE 'waiting' END AS taken_from FROM taken`;

/** What BullMQ's global limits leave: under a rate limit one at a time. */
const claim = `
WITH limits AS (
  SELECT max(value::bigint) FILTER (WHERE field = 'concurrency') AS concurrency,
         max(value::bigint) FILTER (WHERE field = 'max') AS most,
         max(value::bigint) FILTER (WHERE field = 'duration') AS duration
    FROM meta WHERE queue = $1 AND field IN ('concurrency', 'max', 'duration')
), room AS (
  SELECT greatest(0, least(
    cardinality($4::text[]),
    concurrency - (SELECT count(*) FROM job WHERE queue = $1 AND state = 'active' AND concurrency IS NOT NULL),
    CASE WHEN most IS NULL THEN NULL WHEN rate_limit_effective($1, NULL, $6::bigint) > 0 THEN 0 ELSE 1 END
  )) AS room FROM limits
), next AS (
  SELECT id, priority, seq FROM job
   WHERE queue = $1 AND (state = 'waiting' OR (state = 'delayed' AND process_at_ms <= $6::bigint))
     AND priority <= $2 AND (priority > 0 OR $2 >= $3)
     AND NOT EXISTS (SELECT 1 FROM meta WHERE queue = $1 AND field = 'paused' AND value = '1')
   ORDER BY priority, seq LIMIT (SELECT room FROM room) FOR UPDATE SKIP LOCKED
), numbered AS (
  SELECT id, row_number() OVER (ORDER BY priority, seq) AS place FROM next
), taken AS (
  UPDATE job SET state = 'active', delay_ms = 0, lock_token = ($4::text[])[place], locked_until_ms = $6::bigint + $5::bigint,
                 processed_at_ms = $6::bigint, attempts_started = attempts_started + 1
    FROM numbered WHERE job.queue = $1 AND job.id = numbered.id RETURNING job.id, place
)
SELECT id, publish_event($1, 'active', jsonb_build_object('jobId', id, 'prev', 'waiting')),
       CASE WHEN most IS NOT NULL AND duration IS NOT NULL THEN rate_limit_consume($1, duration, $6::bigint) END
  FROM taken, limits ORDER BY place`;

const bury = `
WITH buried AS (
  UPDATE job SET state = 'failed', failed_reason = $3, stacktrace = jsonb_build_array($3::text), finished_at_ms = $4::bigint,
                 lock_token = NULL, locked_until_ms = NULL, deferred_failure = NULL
   WHERE queue = $1 AND id = $2 AND state IN ('waiting', 'delayed', 'active') RETURNING id
)
SELECT publish_event($1, 'failed', jsonb_build_object('jobId', id, 'failedReason', $3::text, 'prev', 'active')) FROM buried`;

const isCanceled = `coalesce(jsonb_typeof(return_value) = 'object' AND return_value ? '${canceledKey}', false)`;

const listed: Readonly<Record<ListedRange['state'], { readonly where: string; readonly order: string }>> = {
  waiting: {
    where: `(state = 'waiting' OR (state = 'delayed' AND process_at_ms = ${limitsSql.far}))`,
    order: 'priority',
  },
  delayed: { where: `state = 'delayed' AND process_at_ms < ${limitsSql.far}`, order: 'process_at_ms' },
  leased: { where: `state = 'active'`, order: 'processed_at_ms' },
  completed: { where: `state = 'completed' AND NOT ${isCanceled}`, order: 'finished_at_ms' },
  failed: { where: `state = 'failed'`, order: 'finished_at_ms' },
  canceled: { where: `state = 'completed' AND ${isCanceled}`, order: 'finished_at_ms' },
};

const keepPlace = 'UPDATE job SET seq = $3 WHERE queue = $1 AND id = $2';

const lockKey = 'SELECT pg_advisory_xact_lock(hashtext($1))';

/** Takes the job of which there is one with that key, if it waits. One that is held back has its time at the end of all. */
const replace = `
WITH one AS (
  SELECT job.id, state, seq, process_at_ms FROM dedup JOIN job ON job.queue = dedup.queue AND job.id = dedup.job_id
   WHERE dedup.queue = $1 AND dedup.dedup_id = $2 AND job_id <> $3 AND (expire_at_ms IS NULL OR expire_at_ms > $6::bigint)
     AND state IN ('waiting', 'delayed') FOR UPDATE OF job
), given AS (
  UPDATE dedup SET job_id = $3, expire_at_ms = NULL FROM one WHERE dedup.queue = $1 AND dedup.dedup_id = $2
), taken AS (
  UPDATE job SET state = 'active', lock_token = $4, locked_until_ms = $6::bigint + $5::bigint, processed_at_ms = $6::bigint
    FROM one WHERE job.queue = $1 AND job.id = one.id
)
SELECT id, CASE WHEN state = 'waiting' OR process_at_ms >= ${limitsSql.far} THEN seq::text END AS place FROM one`;

const freeKey = 'DELETE FROM dedup WHERE queue = $1 AND dedup_id = $2 AND job_id <> $3';

/** What has a time to live stays when its job ends. */
const keepUnique = `
UPDATE dedup SET expire_at_ms = $5::bigint WHERE queue = $1 AND dedup_id = $2 AND job_id = $3 AND ($5::bigint IS NULL
   OR EXISTS (SELECT 1 FROM job WHERE queue = $1 AND id = $3 AND state = 'active' AND lock_token = $4))`;

const forgetUnique = 'DELETE FROM dedup WHERE queue = $1 AND expire_at_ms <= $2';

/** BullMQ counts them in 32 bits; how many are too many is for the courier to say. */
const mostStalls = 2 ** 31 - 1;

export class PostgresClaims implements Claims {
  readonly #pool: Pool;
  readonly #queue: string;
  readonly #normal: number;
  readonly #stalledIntervalMs: number;

  /** @param normal The priority number of jobs that are as urgent as those without one. */
  constructor(pool: Pool, queue: string, normal: number, stalledIntervalMs: number) {
    this.#pool = pool;
    this.#queue = queue;
    this.#normal = normal;
    this.#stalledIntervalMs = stalledIntervalMs;
  }

  async seize(id: string, token: string, lockMs: number): Promise<TakenFrom | undefined> {
    const { rows } = await this.#pool.query(seize, [this.#queue, id, token, lockMs, Date.now()]);
    return rows[0]?.taken_from;
  }

  async claim(maxPriority: number, tokens: readonly string[], lockMs: number): Promise<Claimed> {
    const values = [this.#queue, maxPriority, this.#normal, tokens, lockMs, Date.now()];
    const limits = await this.#pool.query(limitsSql.isLimited, [this.#queue]);
    if (limits.rows.length === 0) {
      const { rows } = await this.#pool.query(claim, values);
      return { ids: rows.map(({ id }) => id as string), isLimited: false, waitMs: undefined };
    }
    const { rows } = await this.#pool.query(limitsSql.claimLimited, values);
    const { waitMs, ...claimed } = rows[0].claimed as Claimed & { readonly waitMs: number | null };
    return { ...claimed, waitMs: waitMs ?? undefined };
  }

  async setLimits(limits: string): Promise<string | undefined> {
    const { rows } = await this.#pool.query(limitsSql.areMade);
    if (!rows[0].are_made) await this.#pool.query(limitsSql.make);
    return this.#together(async (client) => {
      const { lock, read, write } = limitsSql.setLimits;
      await client.query(lock, [this.#queue]);
      const before = (await client.query(read, [this.#queue])).rows[0]?.value as string | undefined;
      if (before === undefined && limits === '{}') return undefined;
      await client.query(write, [this.#queue, limits, Date.now()]);
      return before;
    });
  }

  async leaveKey(_id: string, key: string): Promise<void> {
    await this.#together(async (client) => {
      await client.query(limitsSql.setLimits.lock, [this.#queue]); // who claims has seen that the job is held
      await client.query(limitsSql.leaveKey, [this.#queue, key]);
    });
  }

  async state(): Promise<QueueState> {
    const { rows } = await this.#pool.query(limitsSql.queueState, [this.#queue]);
    const { is_paused: isPaused, limits, held } = rows[0];
    return { isPaused, limits: limits ?? '{}', held };
  }

  replace(key: string, by: string, token: string, lockMs: number): Promise<Replaced | undefined> {
    return this.#together(async (client) => {
      await client.query(lockKey, [`bullmq:dedup:${this.#queue}:${key}`]); // as BullMQ does
      const { rows } = await client.query(replace, [this.#queue, key, by, token, lockMs, Date.now()]);
      const [replaced] = rows;
      if (replaced === undefined) {
        await client.query(freeKey, [this.#queue, key, by]);
        return undefined;
      }
      return { id: replaced.id as string, place: (replaced.place ?? undefined) as string | undefined };
    });
  }

  async takePlace(id: string, place: string): Promise<void> {
    await this.#pool.query(`${keepPlace} AND state = 'waiting'`, [this.#queue, id, place]);
  }

  async keepUnique(id: string, token: string, key: string, ms: number): Promise<void> {
    const until = ms === 0 ? null : Date.now() + Math.ceil(ms);
    await this.#pool.query(keepUnique, [this.#queue, key, id, token, until]);
  }

  async inOrder(ids: readonly string[]): Promise<readonly string[]> {
    const text = 'SELECT id FROM job WHERE queue = $1 AND id = ANY($2::text[]) ORDER BY priority, seq';
    const { rows } = await this.#pool.query(text, [this.#queue, ids]);
    return rows.map(({ id }) => id as string);
  }

  async withLogs(ids: readonly string[]): Promise<string[]> {
    const text = 'SELECT DISTINCT job_id FROM job_log WHERE queue = $1 AND job_id = ANY($2::text[])';
    const { rows } = await this.#pool.query(text, [this.#queue, ids]);
    return rows.map(({ job_id }) => job_id as string);
  }

  async renew(id: string): Promise<void> {
    const text = 'UPDATE job SET stalled_count = 0, added_at_ms = $3 WHERE queue = $1 AND id = $2';
    await this.#pool.query(text, [this.#queue, id, Date.now()]);
  }

  /** It keeps its place: BullMQ would give it a new one. */
  giveBack(id: string, token: string): Promise<boolean> {
    return this.#together(async (client) => {
      const held = `SELECT seq FROM job WHERE queue = $1 AND id = $2 AND lock_token = $3 AND state = 'active' FOR UPDATE`;
      const { rows } = await client.query(held, [this.#queue, id, token]);
      if (rows.length === 0) return false;
      await client.query(`SELECT publish_event($1, '${releasedEvent}', jsonb_build_object('jobId', $2::text))`, [
        this.#queue,
        id,
      ]);
      await client.query('SELECT move_active_to_wait($1, $2, $3, $4)', [this.#queue, id, token, Date.now()]);
      await client.query(keepPlace, [this.#queue, id, rows[0].seq]);
      return true;
    });
  }

  async heldBy(token: string): Promise<string | undefined> {
    const text = `SELECT id FROM job WHERE queue = $1 AND state = 'active' AND lock_token = $2`;
    const { rows } = await this.#pool.query(text, [this.#queue, token]);
    return rows[0]?.id;
  }

  async bury(id: string, reason: string): Promise<void> {
    await this.#pool.query(bury, [this.#queue, id, reason, Date.now()]);
  }

  /** Its columns have their types. */
  async unsound(): Promise<string[]> {
    return [];
  }

  async list({ state, offset, max }: ListedRange, since: number): Promise<string[]> {
    const { where, order } = listed[state];
    const text = `SELECT id FROM job WHERE queue = $1 AND ${where} AND coalesce(finished_at_ms, $4::bigint) >= $4::bigint
      ORDER BY ${order}, seq OFFSET $2 LIMIT $3`;
    const from = state === 'failed' ? 0 : Math.max(Math.floor(since), 0);
    const { rows } = await this.#pool.query(text, [this.#queue, offset, max, from]);
    return rows.map(({ id }) => id as string);
  }

  async timeFailed(id: string): Promise<number | undefined> {
    const text = 'SELECT finished_at_ms FROM job WHERE queue = $1 AND id = $2';
    const { rows } = await this.#pool.query(text, [this.#queue, id]);
    const time = rows[0]?.finished_at_ms;
    return time === undefined || time === null ? undefined : Number(time);
  }

  giveBackStalled(): Promise<string[]> {
    const now = Date.now(); // for both: a lease that ended between them would be given back without its place
    return this.#together(async (client) => {
      // Not the others: to lock them would stand in the way of who extends or returns them.
      const stalled = `SELECT id, seq FROM job WHERE queue = $1 AND state = 'active' AND locked_until_ms < $2 FOR UPDATE SKIP LOCKED`;
      const places = new Map((await client.query(stalled, [this.#queue, now])).rows.map(({ id, seq }) => [id, seq]));
      await client.query(forgetUnique, [this.#queue, now]);
      const moved = 'SELECT id FROM move_stalled_jobs_to_wait($1, $2, $3, $4) AS stalled(id)';
      const { rows } = await client.query(moved, [this.#queue, mostStalls, now, this.#stalledIntervalMs]);
      for (const { id } of rows) {
        if (places.has(id)) await client.query(keepPlace, [this.#queue, id, places.get(id)]);
      }
      return rows.map(({ id }) => id as string);
    });
  }

  async #together<R>(act: (client: PoolClient) => Promise<R>): Promise<R> {
    const client = await this.#pool.connect();
    let problem: Error | undefined;
    try {
      await client.query('BEGIN');
      const result = await act(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      problem = error as Error;
      throw error;
    } finally {
      client.release(problem); // a connection that failed is closed, and with it what it had begun
    }
  }
}
