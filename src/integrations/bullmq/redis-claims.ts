/** Claims on Redis: scripts over BullMQ's keys. Each is atomic, and leaves a queue as BullMQ's own scripts would. */
import type { IQueueBackend } from 'bullmq';
import type { Redis } from 'ioredis';
import type { Claims, TakenFrom } from './server.ts';

/** KEYS: job, lock, wait, prioritized, delayed, active, events. ARGV: id, token, lockMs, now. */
const seize = `
if redis.call('EXISTS', KEYS[1]) == 0 then return nil end
local from = 'active'
if redis.call('LREM', KEYS[3], -1, ARGV[1]) + redis.call('ZREM', KEYS[4], ARGV[1]) + redis.call('ZREM', KEYS[5], ARGV[1]) > 0 then
  from = 'waiting'
  redis.call('LPUSH', KEYS[6], ARGV[1])
  redis.call('HSET', KEYS[1], 'processedOn', ARGV[4])
  redis.call('XADD', KEYS[7], '*', 'event', 'active', 'jobId', ARGV[1], 'prev', 'waiting')
elseif not redis.call('LPOS', KEYS[6], ARGV[1]) then -- it has ended, or waits for its children
  return nil
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return from`;

/**
 * KEYS: wait, prioritized, delayed, active, events, meta. ARGV: prefix of jobs, maxPriority, lowest priority that is as
 * urgent as none, lockMs, now, tokens...
 * A score of `prioritized` is priority x 2^32 + a counter; one of `delayed` is the time x 2^12 + a counter.
 */
const claim = `
if redis.call('HEXISTS', KEYS[6], 'paused') == 1 then return {} end
local found = {}
local function take(id)
  local job = ARGV[1] .. id
  found[#found + 1] = id
  redis.call('LPUSH', KEYS[4], id)
  redis.call('SET', job .. ':lock', ARGV[5 + #found], 'PX', ARGV[4])
  redis.call('HSET', job, 'processedOn', ARGV[5])
  redis.call('HINCRBY', job, 'ats', 1)
  redis.call('XADD', KEYS[5], '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
end
local function left() return #ARGV - 5 - #found end
local max = tonumber(ARGV[2])
while max >= tonumber(ARGV[3]) and left() > 0 do
  local id = redis.call('RPOP', KEYS[1])
  if not id then break end
  take(id)
end
if left() > 0 then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. string.format('%.0f', (max + 1) * 4294967296), 'LIMIT', 0, left())) do
    redis.call('ZREM', KEYS[2], id)
    take(id)
  end
end
if left() > 0 then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], 0, string.format('%.0f', (tonumber(ARGV[5]) + 1) * 4096 - 1), 'LIMIT', 0, 1000)) do
    local priority = tonumber(redis.call('HGET', ARGV[1] .. id, 'priority')) or 0
    if left() > 0 and priority > 0 and priority <= max then
      redis.call('ZREM', KEYS[3], id)
      take(id)
    end
  end
end
return found`;

export class RedisClaims implements Claims {
  readonly #redis: Redis;
  readonly #backend: IQueueBackend;
  readonly #normal: number;

  /** @param normal The priority number of jobs that are as urgent as those without one. */
  constructor(redis: Redis, backend: IQueueBackend, normal: number) {
    this.#redis = redis;
    this.#backend = backend;
    this.#normal = normal;
  }

  #key(name: string): string {
    return this.#backend.toKey(name);
  }

  async seize(id: string, token: string, lockMs: number): Promise<TakenFrom | undefined> {
    const states = ['wait', 'prioritized', 'delayed', 'active', 'events'];
    const keys = [id, `${id}:lock`, ...states].map((name) => this.#key(name));
    const from = await this.#redis.eval(seize, keys.length, ...keys, id, token, lockMs, Date.now());
    return (from ?? undefined) as TakenFrom | undefined;
  }

  async claim(maxPriority: number, tokens: readonly string[], lockMs: number): Promise<string[]> {
    const keys = ['wait', 'prioritized', 'delayed', 'active', 'events', 'meta'].map((name) => this.#key(name));
    const args = [this.#key(''), maxPriority, this.#normal, lockMs, Date.now(), ...tokens];
    return (await this.#redis.eval(claim, keys.length, ...keys, ...args)) as string[];
  }

  /** Redis does one after the other, in the order in which it is asked. */
  async inOrder(ids: readonly string[]): Promise<readonly string[]> {
    return ids;
  }

  async withLogs(ids: readonly string[]): Promise<string[]> {
    const keys = ids.map((id) => this.#key(`${id}:logs`));
    if ((await this.#redis.exists(...keys)) === 0) return [];
    const found = await Promise.all(keys.map((key) => this.#redis.exists(key)));
    return ids.filter((_, n) => found[n] === 1);
  }

  async forgetStalls(id: string): Promise<void> {
    await this.#redis.hdel(this.#key(id), 'stc');
  }

  /** Several that are given back stand in the order of their ids. */
  async giveBack(id: string, token: string): Promise<boolean> {
    try {
      await this.#backend.moveJobFromActiveToWait(id, token);
    } catch (error) {
      if (typeof (error as { readonly code?: unknown }).code === 'number') return false;
      throw error;
    }
    await this.#redis.zadd(this.#key('marker'), 0, '0'); // wakes a worker, which BullMQ does not do here
    return true;
  }

  async giveBackStalled(): Promise<string[]> {
    const ids = await this.#backend.moveStalledJobsToWait();
    // BullMQ puts them before all, whatever their priority is.
    for (const id of ids) {
      const priority = Number((await this.#redis.hget(this.#key(id), 'priority')) ?? 0);
      if (priority > 0) await this.#backend.changePriority(id, priority, true).catch(ignoreIfGone);
    }
    return ids;
  }
}

/** BullMQ's errors of jobs that are not there any more have numbers. */
function ignoreIfGone(error: unknown): void {
  if (typeof (error as { readonly code?: unknown }).code !== 'number') throw error;
}
