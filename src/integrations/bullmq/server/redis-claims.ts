/** Claims on Redis: scripts over BullMQ's keys. Each is atomic, and leaves a queue as BullMQ's own scripts would. */
import type { IQueueBackend } from 'bullmq';
import type { Redis } from 'ioredis';
import { RedisList } from './lists/redis-list.ts';
import { isReserved } from './names.ts';
import { claimLimited, keepUnique, leaveKey, limitsField, queueState, replace, setLimits } from './redis-limits.ts';
import {
  type Claimed,
  type Claims,
  type ListedRange,
  maxEvents,
  type QueueState,
  type Replaced,
  releasedEvent,
  type TakenFrom,
} from './server.ts';

/** KEYS: job, lock, wait, prioritized, delayed, active, events, all that are held back. ARGV: id, token, lockMs, now. */
const seize = `
if redis.call('EXISTS', KEYS[1]) == 0 then return nil end
local from = 'active'
if redis.call('LREM', KEYS[3], -1, ARGV[1]) + redis.call('ZREM', KEYS[4], ARGV[1]) + redis.call('ZREM', KEYS[5], ARGV[1]) > 0 then
  from = 'waiting'
  redis.call('ZREM', KEYS[8], ARGV[1])
  redis.call('LPUSH', KEYS[6], ARGV[1])
  redis.pcall('HSET', KEYS[1], 'processedOn', ARGV[4]) -- what is no hash is found out when it is read
  redis.call('XADD', KEYS[7], '*', 'event', 'active', 'jobId', ARGV[1], 'prev', 'waiting', 'taskwarden', 'seized')
elseif not redis.call('LPOS', KEYS[6], ARGV[1]) then -- it has ended, or waits for its children
  return nil
end
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
return from`;

/**
 * KEYS: wait, prioritized, delayed, active, events, meta, limiter, marker. ARGV: prefix of jobs, maxPriority, lowest priority that is as
 * urgent as none, lockMs, now, tokens...
 * A score of `prioritized` is priority x 2^32 + a counter; one of `delayed` is the time x 2^12 + a counter.
 * Gives whether the queue has limits, after how long to come again (-1: not known), and ids.
 */
const claim = `
local meta = redis.call('HMGET', KEYS[6], 'paused', 'concurrency', 'max', 'duration', '${limitsField}')
if meta[1] then return {meta[5] and 1 or 0, -1} end
local most, limit, max = #ARGV - 5, not meta[5] and tonumber(meta[3]), tonumber(ARGV[2])
if meta[2] then most = math.min(most, tonumber(meta[2]) - redis.call('LLEN', KEYS[4])) end
if limit then most = math.min(most, limit - tonumber(redis.call('GET', KEYS[7]) or 0)) end
local found = {}
local function take(id)
  local job = ARGV[1] .. id
  found[#found + 1] = id
  if limit and redis.call('INCR', KEYS[7]) == 1 then redis.call('PEXPIRE', KEYS[7], tonumber(meta[4]) or 1) end
  redis.call('LPUSH', KEYS[4], id)
  redis.call('SET', job .. ':lock', ARGV[5 + #found], 'PX', ARGV[4])
  redis.pcall('HSET', job, 'processedOn', ARGV[5]) -- what is no job is found out when it is read
  redis.pcall('HINCRBY', job, 'ats', 1)
  redis.call('XADD', KEYS[5], '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
end
local function left() return most - #found end
if meta[5] then
${claimLimited}
end
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
    local text = redis.pcall('HGET', ARGV[1] .. id, 'priority')
    local priority = type(text) == 'string' and tonumber(text) or 0
    if left() > 0 and priority > 0 and priority <= max then
      redis.call('ZREM', KEYS[3], id)
      take(id)
    end
  end
end
return {0, -1, unpack(found)}`;

/** Whether BullMQ's scripts can count in a job, or would fail at it and at all that they do with it. */
const isSound = `
local function isSound(job)
  local kind = redis.call('TYPE', job).ok
  if kind == 'none' then return true end
  if kind ~= 'hash' then return false end
  for _, count in ipairs(redis.call('HMGET', job, 'ats', 'atm', 'stc')) do
    if count and not string.match(count, '^-?%d+$') then return false end
  end
  return true
end`;

/** KEYS: active. ARGV: prefix of jobs, token. One that is no job may have none: BullMQ's scripts fail before they lock it. */
const heldBy = `${isSound}
local unsound
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  local lock = redis.pcall('GET', ARGV[1] .. id .. ':lock')
  if lock == ARGV[2] then return id end
  if not lock and not isSound(ARGV[1] .. id) then unsound = id end
end
return unsound`;

/** KEYS: stalled, stalled-check. ARGV: prefix of jobs. */
const unsound = `${isSound}
local found = {}
if redis.call('EXISTS', KEYS[2]) == 1 then return found end
for _, id in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if redis.call('EXISTS', ARGV[1] .. id .. ':lock') == 0 and not isSound(ARGV[1] .. id) then found[#found + 1] = id end
end
return found`;

/**
 * KEYS: job, lock, wait, active, stalled, prioritized, delayed, failed, events. ARGV: id, now, reason, stacktrace, and whether
 * it is one of BullMQ's own keys, which is left as it is. What else has the place of a job and is none makes room for the reason.
 */
const bury = `
local kind = redis.call('TYPE', KEYS[1]).ok
if ARGV[5] == '1' and kind == 'hash' then redis.call('HDEL', KEYS[1], 'processedOn', 'ats', 'pb') end -- set as it was taken
redis.call('LREM', KEYS[3], 0, ARGV[1])
redis.call('LREM', KEYS[4], 0, ARGV[1])
redis.call('SREM', KEYS[5], ARGV[1])
redis.call('ZREM', KEYS[6], ARGV[1])
redis.call('ZREM', KEYS[7], ARGV[1])
redis.call('DEL', KEYS[2])
if ARGV[5] == '1' then return end
if kind ~= 'hash' then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'failedReason', ARGV[3], 'stacktrace', ARGV[4], 'finishedOn', ARGV[2])
redis.call('ZADD', KEYS[8], ARGV[2], ARGV[1])
redis.call('XADD', KEYS[9], '*', 'event', 'failed', 'jobId', ARGV[1], 'failedReason', ARGV[3], 'prev', 'active')`;

/** Where a job can be that has not ended. */
const places = ['wait', 'active', 'stalled', 'prioritized', 'delayed'];

/** Of a queue, for claims. */
const queueKeys = ['wait', 'prioritized', 'delayed', 'active', 'events', 'meta', 'limiter', 'marker'];

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
    const states = ['wait', 'prioritized', 'delayed', 'active', 'events', 'taskwarden:held'];
    const keys = [id, `${id}:lock`, ...states].map((name) => this.#key(name));
    const from = await this.#redis.eval(seize, keys.length, ...keys, id, token, lockMs, Date.now());
    return (from ?? undefined) as TakenFrom | undefined;
  }

  async claim(maxPriority: number, tokens: readonly string[], lockMs: number): Promise<Claimed> {
    const keys = queueKeys.map((name) => this.#key(name));
    const args = [this.#key(''), maxPriority, this.#normal, lockMs, Date.now(), ...tokens];
    const claimed = await this.#redis.eval(claim, keys.length, ...keys, ...args);
    const [isLimited, waitMs, ...ids] = claimed as [number, number, ...string[]];
    return { ids, isLimited: isLimited === 1, waitMs: waitMs < 0 ? undefined : waitMs };
  }

  async setLimits(limits: string): Promise<string | undefined> {
    const keys = queueKeys.map((name) => this.#key(name));
    const before = await this.#redis.eval(setLimits, keys.length, ...keys, this.#key(''), limits);
    return (before ?? undefined) as string | undefined;
  }

  async leaveKey(id: string, key: string): Promise<void> {
    await this.#redis.eval(leaveKey, 1, this.#key('marker'), this.#key(''), key, id);
  }

  async state(): Promise<QueueState> {
    const state = await this.#redis.eval(queueState, 2, this.#key('meta'), this.#key('taskwarden:held'));
    const [isPaused, limits, ...held] = state as [number, string, ...number[]];
    return { isPaused: isPaused === 1, limits, held };
  }

  async replace(key: string, by: string, token: string, lockMs: number): Promise<Replaced | undefined> {
    const names = [`de:${key}`, 'wait', 'prioritized', 'delayed', 'active', 'events', 'taskwarden:held'];
    const keys = names.map((name) => this.#key(name));
    const args = [this.#key(''), by, token, lockMs, Date.now()];
    const replaced = await this.#redis.eval(replace, keys.length, ...keys, ...args);
    if (replaced === null) return undefined;
    const [id, place] = replaced as [string, string];
    return { id, place: place === '' ? undefined : place };
  }

  async takePlace(id: string, place: string): Promise<void> {
    await this.#redis.zadd(this.#key('prioritized'), 'XX', place, id);
  }

  async keepUnique(id: string, token: string, key: string, ms: number): Promise<void> {
    await this.#redis.eval(keepUnique, 2, this.#key(`de:${key}`), this.#key(`${id}:lock`), id, token, Math.ceil(ms));
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

  async renew(id: string): Promise<void> {
    await this.#redis.hset(this.#key(id), 'stc', 0, 'timestamp', Date.now());
  }

  /** Several that are given back stand in the order of their ids. */
  async giveBack(id: string, token: string): Promise<boolean> {
    await this.#backend.publishEvent({ event: releasedEvent, jobId: id }, maxEvents);
    try {
      await this.#backend.moveJobFromActiveToWait(id, token);
    } catch (error) {
      if (typeof (error as { readonly code?: unknown }).code === 'number') return false;
      throw error;
    }
    await this.#redis.zadd(this.#key('marker'), 0, '0'); // wakes a worker, which BullMQ does not do here
    return true;
  }

  async heldBy(token: string): Promise<string | undefined> {
    const id = await this.#redis.eval(heldBy, 1, this.#key('active'), this.#key(''), token);
    return (id ?? undefined) as string | undefined;
  }

  async bury(id: string, reason: string): Promise<void> {
    const keys = [id, `${id}:lock`, ...places, 'failed', 'events'].map((name) => this.#key(name));
    const isKey = isReserved(id) ? 1 : 0;
    await this.#redis.eval(bury, keys.length, ...keys, id, Date.now(), reason, JSON.stringify([reason]), isKey);
  }

  async unsound(): Promise<string[]> {
    const keys = ['stalled', 'stalled-check'].map((name) => this.#key(name));
    return (await this.#redis.eval(unsound, keys.length, ...keys, this.#key(''))) as string[];
  }

  list(range: ListedRange, since: number): Promise<string[]> {
    return new RedisList(this.#redis, (name) => this.#key(name)).of(range, since);
  }

  async timeFailed(id: string): Promise<number | undefined> {
    const score = await this.#redis.zscore(this.#key('failed'), id);
    return score === null ? undefined : Number(score);
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
