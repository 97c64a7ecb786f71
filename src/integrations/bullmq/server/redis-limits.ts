/**
 * Keys and limits of a queue on Redis: scripts, each of them atomic. A job that its key holds back is a delayed one whose time never
 * comes; beside BullMQ's keys there are, below `taskwarden:`,
 *
 *   held         all jobs that are held back, by their scores in `prioritized`
 *   held:KEY     those of a key
 *   running:KEY  the jobs of a key that workers hold: those of them that have no lock any more don't count
 *   rate, rate:KEY  when the next start would be due by the rate, until then
 *   ready        keys that may be open and hold jobs back, by the score of the first of these
 *   checks       keys that are to be looked at again, by when: their rate opens, or a lock runs out
 *
 * So that BullMQ's own scripts give no job of such a queue away, its rate limit is set to none at all.
 */

/** As long as BullMQ's own rate limit holds at least while a queue has limits, in milliseconds: more than 17 years. */
export const guardedMs: number = 2 ** 39;

const guard = `redis.call('SET', KEYS[7], '9007199254740991', 'PX', ${2 * guardedMs})`;

/** In `meta`. */
export const limitsField = 'taskwarden:limits';

/** The time of a delayed job that is held back, in epoch milliseconds: a score of BullMQ has room for no later one. */
const farMs = 2 ** 41 - 1;

/** Its score among those that are delayed. */
export const heldScore: number = farMs * 4096;

/** To be put after what declares `found`, `most`, `max` and `take`. Tells keys apart, and takes jobs that may start. */
export const claimLimited: string = `
local own = ARGV[1] .. 'taskwarden:'
local checks, ready, allHeld = own .. 'checks', own .. 'ready', own .. 'held'
local limits = cjson.decode(meta[5])
local rate = limits.rate
if not rate and not limits.maxPerKey and redis.call('EXISTS', checks, ready) == 0 then
  redis.call('HDEL', KEYS[6], '${limitsField}')
  if meta[3] == '0' then redis.call('HDEL', KEYS[6], 'max', 'duration') end
  redis.call('DEL', KEYS[7], own .. 'rate')
  redis.call('ZADD', KEYS[8], 0, '0')
  return {0, 0}
end
if redis.call('EXISTS', KEYS[7]) == 0 then ${guard} end
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local interval = rate and rate.perMs / rate.max
local tolerance = rate and ((rate.burst or 1) - 1) * interval
local perKey = rate and rate.perKey
local function text(number) return string.format('%.3f', number) end
local function opens(name)
  local at = tonumber(redis.call('GET', name) or 0) - tolerance
  return at > now and at or 0
end
local function count(name)
  local arrival = math.max(tonumber(redis.call('GET', name) or 0), now) + interval
  redis.call('SET', name, text(arrival), 'PX', math.ceil(arrival - now))
end
-- Of those that hold the key, the time when the first lock runs out, and how many there are.
local function runners(key)
  local first, left = nil, 0
  for _, id in ipairs(redis.call('SMEMBERS', own .. 'running:' .. key)) do
    local ms = redis.call('PTTL', ARGV[1] .. id .. ':lock')
    if ms < 0 then
      redis.call('SREM', own .. 'running:' .. key, id)
    else
      left = left + 1
      first = math.min(first or now + ms + 1, now + ms + 1)
    end
  end
  return first, left
end
-- When a key lets its next job start; 0: now.
local function openAt(key)
  if limits.maxPerKey and redis.call('SCARD', own .. 'running:' .. key) >= limits.maxPerKey then
    local first, left = runners(key)
    if left >= limits.maxPerKey then return first end
  end
  return perKey and opens(own .. 'rate:' .. key) or 0
end
-- The first job that a key holds back, and its score. What is not delayed any more has left.
local function head(key)
  while true do
    local first = redis.call('ZRANGE', own .. 'held:' .. key, 0, 0, 'WITHSCORES')
    if not first[1] then return nil end
    if redis.call('ZSCORE', KEYS[3], first[1]) then return first[1], first[2] end
    redis.call('ZREM', own .. 'held:' .. key, first[1])
    redis.call('ZREM', allHeld, first[1])
  end
end
local function keyOf(id)
  if not limits.maxPerKey and not perKey and redis.call('ZCARD', allHeld) == 0 then return nil end
  local opts = redis.pcall('HGET', ARGV[1] .. id, 'opts')
  local isRead, read = pcall(cjson.decode, opts)
  local key = isRead and type(read) == 'table' and read['taskwarden:key']
  return type(key) == 'string' and key or nil
end
local function start(id, key)
  take(id)
  if rate and not perKey then count(own .. 'rate') end
  if not key then return end
  if perKey then count(own .. 'rate:' .. key) end
  if limits.maxPerKey then
    redis.call('SADD', own .. 'running:' .. key, id)
    redis.call('ZADD', checks, 'NX', text(now + ARGV[4]), key)
  end
end
local changed = false
local function hold(id, key, score)
  redis.call('ZREM', KEYS[2], id)
  redis.call('ZADD', own .. 'held:' .. key, score, id)
  redis.call('ZADD', allHeld, score, id)
  redis.call('ZADD', KEYS[3], '${farMs * 4096}', id)
  if redis.call('ZSCORE', ready, key) then redis.call('ZADD', ready, redis.call('ZRANGE', own .. 'held:' .. key, 0, 0, 'WITHSCORES')[2], key)
  elseif not redis.call('ZSCORE', checks, key) then redis.call('ZADD', checks, text(now), key) end
  changed = true
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], 0, string.format('%.0f', (tonumber(ARGV[5]) + 1) * 4096 - 1), 'LIMIT', 0, 1000)) do
  redis.call('ZREM', KEYS[3], id)
  local priority = redis.pcall('HGET', ARGV[1] .. id, 'priority')
  priority = type(priority) == 'string' and tonumber(priority) or 0
  if priority == 0 then
    redis.call('LPUSH', KEYS[1], id)
  else
    redis.call('ZADD', KEYS[2], string.format('%.0f', priority * 4294967296 + redis.call('INCR', ARGV[1] .. 'pc') % 4294967296), id)
  end
  redis.call('XADD', KEYS[5], '*', 'event', 'waiting', 'jobId', id, 'prev', 'delayed')
  redis.pcall('HSET', ARGV[1] .. id, 'delay', 0)
end
for _, key in ipairs(redis.call('ZRANGEBYSCORE', checks, '-inf', text(now), 'LIMIT', 0, 100)) do
  local id, score = head(key)
  local first = not id and runners(key)
  if first then
    redis.call('ZADD', checks, text(first), key)
  else
    redis.call('ZREM', checks, key)
    if id then redis.call('ZADD', ready, score, key) end
  end
end
local below = '(' .. string.format('%.0f', (max + 1) * 4294967296)
local steps, waitsUntil = 0, nil
while left() > 0 and steps < 1000 do
  steps = steps + 1
  local at = rate and not perKey and opens(own .. 'rate') or 0
  if at > 0 then
    waitsUntil = at
    break
  end
  local plain = max >= tonumber(ARGV[3]) and redis.call('RPOP', KEYS[1])
  local next = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', below, 'WITHSCORES', 'LIMIT', 0, 1)
  local open = redis.call('ZRANGEBYSCORE', ready, '-inf', below, 'WITHSCORES', 'LIMIT', 0, 1)
  local plainKey = plain and keyOf(plain)
  if plainKey then -- it has lost its lease
    local priority = redis.call('HGET', ARGV[1] .. plain, 'priority')
    redis.call('ZADD', KEYS[2], string.format('%.0f', (tonumber(priority) or 3) * 4294967296), plain)
  elseif plain then
    start(plain)
  elseif open[1] and (not next[1] or tonumber(open[2]) < tonumber(next[2])) then
    local key = open[1]
    local id, score = head(key)
    local at = id and openAt(key)
    if not id then
      redis.call('ZREM', ready, key)
    elseif at > 0 then
      redis.call('ZREM', ready, key)
      redis.call('ZADD', checks, text(at), key)
      changed = true
    elseif score ~= open[2] then
      redis.call('ZADD', ready, score, key)
    else
      redis.call('ZREM', own .. 'held:' .. key, id)
      redis.call('ZREM', allHeld, id)
      redis.call('ZREM', KEYS[3], id)
      start(id, key)
      id, score = head(key)
      if id then redis.call('ZADD', ready, score, key) else redis.call('ZREM', ready, key) end
    end
  elseif next[1] then
    local id, score = next[1], next[2]
    local key = keyOf(id)
    local first, firstScore
    if key then first, firstScore = head(key) end
    local at = key and openAt(key) or 0
    if at > 0 then
      redis.call('ZREM', ready, key)
      redis.call('ZADD', checks, text(at), key)
      hold(id, key, score)
    elseif first and tonumber(firstScore) < tonumber(score) then
      hold(id, key, score)
    else
      redis.call('ZREM', KEYS[2], id)
      start(id, key)
    end
  else
    break
  end
end
if steps == 1000 then waitsUntil = now end
local check = redis.call('ZRANGE', checks, 0, 0, 'WITHSCORES')[2]
if check then waitsUntil = math.min(waitsUntil or tonumber(check), tonumber(check)) end
local waitMs = waitsUntil and math.max(waitsUntil - now, 0)
local delayed = redis.call('ZRANGE', KEYS[3], 0, 0, 'WITHSCORES')[2]
if delayed and tonumber(delayed) < ${farMs * 4096} then
  local ms = math.max(tonumber(delayed) / 4096 - ARGV[5], 0)
  waitMs = math.min(waitMs or ms, ms)
end
-- Others may start, or are to know when: who waits here is woken, one after the other.
if changed or #found > 0 then redis.call('ZADD', KEYS[8], 0, '0') end
return {1, waitMs and math.ceil(waitMs) or -1, unpack(found)}`;

/** KEYS: 1 to 5 none, 6 meta, 7 limiter, 8 marker. ARGV: prefix of jobs, limits. Gives the limits that it had. */
export const setLimits: string = `
local before = redis.call('HGET', KEYS[6], '${limitsField}')
if not before and ARGV[2] == '{}' then return nil end
redis.call('HSET', KEYS[6], '${limitsField}', ARGV[2])
redis.call('HSETNX', KEYS[6], 'max', '0')
redis.call('HSETNX', KEYS[6], 'duration', '1')
${guard}
local checks = ARGV[1] .. 'taskwarden:checks'
if redis.call('EXISTS', checks) == 1 then redis.call('ZUNIONSTORE', checks, 1, checks, 'WEIGHTS', 0) end
redis.call('ZADD', KEYS[8], 0, '0')
return before`;

/**
 * KEYS: marker. ARGV: prefix of jobs, key, id. A worker does not hold the job any more, though another one may already: another
 * of its key may start.
 */
export const leaveKey: string = `
local own = ARGV[1] .. 'taskwarden:'
if redis.call('EXISTS', ARGV[1] .. ARGV[3] .. ':lock') == 0 then redis.call('SREM', own .. 'running:' .. ARGV[2], ARGV[3]) end
local first = redis.call('ZRANGE', own .. 'held:' .. ARGV[2], 0, 0, 'WITHSCORES')
if first[1] then
  redis.call('ZADD', own .. 'ready', first[2], ARGV[2])
  redis.call('ZADD', KEYS[1], 0, '0')
elseif redis.call('EXISTS', own .. 'running:' .. ARGV[2]) == 0 then
  redis.call('ZREM', own .. 'checks', ARGV[2])
end`;

/** KEYS: meta, all that are held back. Gives whether the queue is paused, its limits, and how many of each priority are held back. */
export const queueState: string = `
local state = {redis.call('HEXISTS', KEYS[1], 'paused'), redis.call('HGET', KEYS[1], '${limitsField}') or '{}'}
for priority = 1, 4 do
  local from, to = priority * 4294967296, (priority + 1) * 4294967296
  state[#state + 1] = redis.call('ZCOUNT', KEYS[2], string.format('%.0f', from), '(' .. string.format('%.0f', to))
end
return state`;

/**
 * KEYS: the key of BullMQ's deduplication, wait, prioritized, delayed, active, events, all that are held back. ARGV: prefix of
 * jobs, id of the other, token, lockMs, now. BullMQ takes the key of a job that is not there for a free one.
 */
export const replace: string = `
local id = redis.call('GET', KEYS[1])
if not id or id == ARGV[2] then return nil end
local place = redis.call('ZSCORE', KEYS[3], id) or redis.call('ZSCORE', KEYS[7], id)
if redis.call('LREM', KEYS[2], -1, id) + redis.call('ZREM', KEYS[3], id) + redis.call('ZREM', KEYS[4], id) == 0 then
  redis.call('DEL', KEYS[1]) -- it runs, or has ended
  return nil
end
redis.call('ZREM', KEYS[7], id)
redis.call('LPUSH', KEYS[5], id)
redis.pcall('HSET', ARGV[1] .. id, 'processedOn', ARGV[5])
redis.call('XADD', KEYS[6], '*', 'event', 'active', 'jobId', id, 'prev', 'waiting')
redis.call('SET', ARGV[1] .. id .. ':lock', ARGV[3], 'PX', ARGV[4])
redis.call('SET', KEYS[1], ARGV[2])
return {id, place or ''}`;

/** KEYS: the key of BullMQ's deduplication, lock. ARGV: id, token, ms. What has a time to live stays when its job ends. */
export const keepUnique: string = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return end
if ARGV[3] == '0' then redis.call('PERSIST', KEYS[1])
elseif redis.call('GET', KEYS[2]) == ARGV[2] then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end`;
