/** Kept work on PostgreSQL: one of the options of the job, which come with it, and go when it goes. */
import type { Job } from 'bullmq';
import type { Pool } from 'pg';
import { courierKit, type KeptWork } from '../../../../index.ts';
import { type StoredWork, textOfWork, workOf } from './stored-work.ts';

const { fieldOf } = courierKit;

const workOption = 'taskwarden:work';

const keep = `
UPDATE job SET opts = coalesce(opts, '{}') || jsonb_build_object('${workOption}',
         coalesce(opts->'${workOption}', '{}') || jsonb_build_object($4::text, $5::text))
 WHERE queue = $1 AND id = $2 AND lock_token = $3 AND state = 'active'`;

const drop = `UPDATE job SET opts = opts - '${workOption}' WHERE queue = $1 AND id = $2 AND state = 'completed'`;

export class PostgresWork implements StoredWork {
  readonly #pool: Pool;
  readonly #queue: string;

  constructor(pool: Pool, queue: string) {
    this.#pool = pool;
    this.#queue = queue;
  }

  async keep(id: string, token: string, name: string, work: Uint8Array): Promise<boolean> {
    const { rowCount } = await this.#pool.query(keep, [this.#queue, id, token, name, textOfWork(work)]);
    return rowCount === 1;
  }

  async of({ opts }: Job): Promise<KeptWork | undefined> {
    const stored = fieldOf(opts, workOption);
    return typeof stored === 'object' && stored !== null ? workOf(Object.entries(stored)) : undefined;
  }

  async drop(id: string): Promise<void> {
    await this.#pool.query(drop, [this.#queue, id]);
  }
}
