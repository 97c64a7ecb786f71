/** Kept work on Redis: fields of the job's own hash, which go when that goes. */
import type { IQueueBackend, Job } from 'bullmq';
import type { Redis } from 'ioredis';
import type { KeptWork } from '../../../../index.ts';
import { type StoredWork, textOfWork, workOf } from './stored-work.ts';

/** What the names of these fields begin with. */
const fieldPrefix = 'taskwarden:work:';

/** KEYS: job, lock. ARGV: token, field, work. */
const keep = `
if redis.call('GET', KEYS[2]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
return 1`;

/** KEYS: job. ARGV: what the fields begin with. Gives names and work in turn. */
const read = `
local found = {}
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then return found end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, #ARGV[1]) == ARGV[1] then
    found[#found + 1] = string.sub(field, #ARGV[1] + 1)
    found[#found + 1] = redis.call('HGET', KEYS[1], field)
  end
end
return found`;

/** KEYS: job, completed. ARGV: what the fields begin with, id. */
const drop = `
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' or not redis.call('ZSCORE', KEYS[2], ARGV[2]) then return end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, #ARGV[1]) == ARGV[1] then redis.call('HDEL', KEYS[1], field) end
end`;

export class RedisWork implements StoredWork {
  readonly #redis: Redis;
  readonly #backend: IQueueBackend;

  constructor(redis: Redis, backend: IQueueBackend) {
    this.#redis = redis;
    this.#backend = backend;
  }

  async keep(id: string, token: string, name: string, work: Uint8Array): Promise<boolean> {
    const keys = [id, `${id}:lock`].map((key) => this.#backend.toKey(key));
    return (await this.#redis.eval(keep, 2, ...keys, token, fieldPrefix + name, textOfWork(work))) === 1;
  }

  async of({ id }: Job): Promise<KeptWork | undefined> {
    const found = (await this.#redis.eval(read, 1, this.#backend.toKey(id as string), fieldPrefix)) as string[];
    return workOf(found.flatMap((name, n) => (n % 2 === 0 ? [[name, found[n + 1]] as const] : [])));
  }

  async drop(id: string): Promise<void> {
    const keys = [id, 'completed'].map((key) => this.#backend.toKey(key));
    await this.#redis.eval(drop, 2, ...keys, fieldPrefix, id);
  }
}
