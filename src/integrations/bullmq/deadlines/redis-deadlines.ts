/**
 * Deadlines on Redis: below `taskwarden:`, beside the keys of BullMQ, `deadlines` has marks by when they are over, and `due` those
 * that somebody looks at, by until when nobody else does.
 */
import type { Redis } from 'ioredis';
import { type DeadlineStore, type DueDeadlines, dueAtOnce } from './deadline-store.ts';

const now = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local function text(number) return string.format('%.3f', number) end`;

/** KEYS: deadlines, due. ARGV: ms, marks... */
const start = `${now}
for n = 2, #ARGV do
  redis.call('ZADD', KEYS[1], text(now + ARGV[1]), ARGV[n])
  redis.call('ZREM', KEYS[2], ARGV[n])
end`;

/** KEYS: deadlines, due. ARGV: mark. */
const left = `${now}
if redis.call('ZSCORE', KEYS[2], ARGV[1]) then return '0' end
local at = redis.call('ZSCORE', KEYS[1], ARGV[1])
return at and text(at - now)`;

/** KEYS: deadlines, due. ARGV: ms, most. */
const due = `${now}
local found = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', text(now), 'LIMIT', 0, ARGV[2])
for _, mark in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now), 'LIMIT', 0, ARGV[2] - #found)) do
  redis.call('ZREM', KEYS[1], mark)
  found[#found + 1] = mark
end
for _, mark in ipairs(found) do redis.call('ZADD', KEYS[2], text(now + ARGV[1]), mark) end
local next
for _, key in ipairs(KEYS) do
  local at = tonumber(redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')[2])
  next = at and math.min(next or at, at) or next
end
return {next and text(next - now) or '', text(now + ARGV[1]), unpack(found)}`;

/** KEYS: due. ARGV: mark, the score that it must have. */
const endTaken = `
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and tonumber(score) == tonumber(ARGV[2]) then redis.call('ZREM', KEYS[1], ARGV[1]) end`;

export class RedisDeadlines implements DeadlineStore {
  readonly #redis: Redis;
  readonly #keys: readonly [string, string];

  /** @param toKey The key of the queue with that name. */
  constructor(redis: Redis, toKey: (name: string) => string) {
    this.#redis = redis;
    this.#keys = [toKey('taskwarden:deadlines'), toKey('taskwarden:due')];
  }

  async start(marks: readonly string[], ms: number): Promise<void> {
    await this.#redis.eval(start, 2, ...this.#keys, ms, ...marks);
  }

  async left(mark: string): Promise<number | undefined> {
    const ms = await this.#redis.eval(left, 2, ...this.#keys, mark);
    return ms === null ? undefined : Number(ms);
  }

  async due(lockMs: number): Promise<DueDeadlines> {
    const found = await this.#redis.eval(due, 2, ...this.#keys, lockMs, dueAtOnce);
    const [nextMs, takenUntil, ...marks] = found as [string, string, ...string[]];
    return { marks, takenUntil, nextMs: nextMs === '' ? undefined : Number(nextMs) };
  }

  async end(mark: string, takenUntil?: string): Promise<void> {
    const [, dueKey] = this.#keys;
    if (takenUntil !== undefined) await this.#redis.eval(endTaken, 1, dueKey, mark, takenUntil);
    else await Promise.all(this.#keys.map((key) => this.#redis.zrem(key, mark)));
  }
}
