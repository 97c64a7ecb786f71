/**
 * The ids of the jobs of a queue in a state, on Redis. Those that a limit holds back are delayed ones to BullMQ, and wait here, in the
 * places that they have among those that wait.
 */
import type { Redis } from 'ioredis';
import { canceledKey } from '../../job/job-format.ts';
import { heldScore } from '../redis-limits.ts';
import type { ListedRange } from '../server.ts';

/** KEYS: completed. ARGV: prefix of jobs, start of the value of a canceled one, whether these are wanted, least time, from, count. */
const ended = `
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[4], '+inf', 'LIMIT', ARGV[5], ARGV[6])
local found = {}
for _, id in ipairs(ids) do
  local value = redis.pcall('HGET', ARGV[1] .. id, 'returnvalue')
  local isCanceled = type(value) == 'string' and string.sub(value, 1, #ARGV[2]) == ARGV[2]
  if isCanceled == (ARGV[3] == '1') then found[#found + 1] = id end
end
return {#ids, found}`;

/** At how many jobs one script looks, so that no other call waits for long. */
const listedAtOnce = 1_000;

export class RedisList {
  readonly #redis: Redis;
  readonly #key: (name: string) => string;

  /** @param toKey The key of the queue with that name. */
  constructor(redis: Redis, toKey: (name: string) => string) {
    this.#redis = redis;
    this.#key = toKey;
  }

  /** Of those that completed, only the ones since then, in epoch milliseconds. */
  async of({ state, offset, max }: ListedRange, since: number): Promise<string[]> {
    switch (state) {
      case 'waiting':
        return this.#waiting(offset, max);
      case 'delayed':
        return this.#redis.zrangebyscore(this.#key('delayed'), '-inf', `(${heldScore}`, 'LIMIT', offset, max);
      case 'failed':
        return this.#redis.zrange(this.#key(state), offset, offset + max - 1);
      case 'leased': // the latest first
        return (await this.#redis.lrange(this.#key('active'), -offset - max, -offset - 1)).reverse();
      default:
        return this.#ended(state === 'canceled', offset, max, since);
    }
  }

  /** Jobs without a priority are delivered before all others, the last one of their list first. */
  async #waiting(offset: number, max: number): Promise<string[]> {
    const plain = await this.#redis.llen(this.#key('wait'));
    const first = (await this.#redis.lrange(this.#key('wait'), -offset - max, -offset - 1)).reverse();
    if (first.length === max) return first;
    const from = Math.max(offset - plain, 0);
    return [...first, ...(await this.#prioritized(from, max - first.length))];
  }

  async #prioritized(offset: number, max: number): Promise<string[]> {
    const [prioritized, held] = [this.#key('prioritized'), this.#key('taskwarden:held')];
    if ((await this.#redis.zcard(held)) === 0) return this.#redis.zrange(prioritized, offset, offset + max - 1);
    const lists = await Promise.all(
      [prioritized, held].map((key) => this.#redis.zrange(key, 0, offset + max - 1, 'WITHSCORES')),
    );
    const all = lists.flatMap((list) =>
      list.flatMap((id, n) => (n % 2 === 0 ? [{ id, score: Number(list[n + 1]) }] : [])),
    );
    return all
      .sort((a, b) => a.score - b.score)
      .slice(offset, offset + max)
      .map(({ id }) => id);
  }

  /** Canceled jobs are among those that have completed: they are told apart by looking at each, some at a time. */
  async #ended(isCanceled: boolean, offset: number, max: number, since: number): Promise<string[]> {
    const found: string[] = [];
    const args = [this.#key(''), `{"${canceledKey}"`, isCanceled ? 1 : 0, Number.isFinite(since) ? since : '-inf'];
    for (let from = 0; found.length < offset + max; from += listedAtOnce) {
      const [seen, ids] = (await this.#redis.eval(ended, 1, this.#key('completed'), ...args, from, listedAtOnce)) as [
        number,
        string[],
      ];
      found.push(...ids);
      if (seen < listedAtOnce) break;
    }
    return found.slice(offset, offset + max);
  }
}
