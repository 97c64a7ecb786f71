/**
 * The scripts that a worker runs in the broker. Each does at once what kombu does in several commands, in kombu's format,
 * so that no message is ever nowhere. The score of a message in `unacked_index` says who has it: kombu writes the time at
 * which a message was taken or given back, and so does a worker here, with digits that no other worker has.
 */

/**
 * Takes messages, in the order of the lists. KEYS: unacked_index, unacked, the lists. ARGV: the score, how many, the most
 * bytes of a message. Returns for each: the number of its list, its delivery tag or '', the message. What is no message of
 * kombu, or too large, is gone then, and has no tag; of one that is too large the text is empty.
 */
export const takeScript = `
local taken = {}
local left = tonumber(ARGV[2])
for i = 3, #KEYS do
  while left > 0 do
    local text = redis.pcall('RPOP', KEYS[i])
    if type(text) == 'table' then
      if #taken == 0 then return text end
      break
    end
    if not text then break end
    left = left - 1
    local tag, exchange, key = '', '', ''
    if #text <= tonumber(ARGV[3]) then
      local isRead, message = pcall(cjson.decode, text)
      local properties = isRead and type(message) == 'table' and message.properties
      if type(properties) == 'table' and type(properties.delivery_tag) == 'string' then
        tag = properties.delivery_tag
        local info = properties.delivery_info
        if type(info) == 'table' then
          if type(info.exchange) == 'string' then exchange = info.exchange end
          if type(info.routing_key) == 'string' then key = info.routing_key end
        end
      end
    else
      text = ''
    end
    if tag ~= '' then
      redis.call('ZADD', KEYS[1], ARGV[1], tag)
      redis.call('HSET', KEYS[2], tag, '[' .. text .. ',' .. cjson.encode(exchange) .. ',' .. cjson.encode(key) .. ']')
    end
    taken[#taken + 1] = i - 3
    taken[#taken + 1] = tag
    taken[#taken + 1] = text
  end
end
return taken`;

/** The tags that have exactly this score. KEYS: unacked_index. ARGV: the score. */
export const takenScript = `return redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[1], ARGV[1])`;

/** KEYS: unacked_index. ARGV: the new score; then tags, each with the score it had. Returns the tags that others have now. */
export const renewScript = `
local lost = {}
for i = 2, #ARGV, 2 do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  score = score and tonumber(score)
  if score and (score == tonumber(ARGV[i + 1]) or score == tonumber(ARGV[1])) then
    redis.call('ZADD', KEYS[1], ARGV[1], ARGV[i])
  else
    lost[#lost + 1] = ARGV[i]
  end
end
return lost`;

/**
 * Ends a message: acknowledges it, stores and publishes its result, and sends what follows, all or nothing. KEYS:
 * unacked_index, unacked, the key of the result, the lists of what follows. ARGV: the tag, or '' if it was acknowledged
 * before; two scores that it may have; the record, or ''; how many seconds that is kept; what follows. Returns 0 if another worker has the
 * message now, and then does nothing. A result of success is never replaced.
 */
export const settleScript = `
if ARGV[1] ~= '' then
  local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
  score = score and tonumber(score)
  if not score or (score ~= tonumber(ARGV[2]) and score ~= tonumber(ARGV[3])) then return 0 end
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
end
if ARGV[4] ~= '' then
  local old = redis.call('GET', KEYS[3])
  if old == ARGV[4] then return 1 end
  local isDone = false
  if old then
    local isRead, record = pcall(cjson.decode, old)
    isDone = isRead and type(record) == 'table' and record.status == 'SUCCESS'
  end
  if not isDone then
    redis.call('SETEX', KEYS[3], ARGV[5], ARGV[4])
    redis.call('PUBLISH', KEYS[3], ARGV[4])
  end
end
for i = 4, #KEYS do redis.call('LPUSH', KEYS[i], ARGV[i + 2]) end
return 1`;

/**
 * Gives a message back. KEYS: unacked_index, unacked, the list. ARGV: the tag, or '' if it was acknowledged; two scores that it
 * may have; the message, or '' if it is gone; 'first' to be taken first, or 'last'. Returns 0 if another worker has it.
 */
export const requeueScript = `
if ARGV[1] ~= '' then
  local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
  score = score and tonumber(score)
  if not score or (score ~= tonumber(ARGV[2]) and score ~= tonumber(ARGV[3])) then return 0 end
  redis.call('ZREM', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
end
if ARGV[4] ~= '' then redis.call(ARGV[5] == 'first' and 'RPUSH' or 'LPUSH', KEYS[3], ARGV[4]) end
return 1`;
