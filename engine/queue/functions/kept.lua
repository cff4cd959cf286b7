-- What becomes of jobs that lk_submit_4 sent. A hash for each client and hour has the field of each job's id: `q` with the
-- stream and the entry until the job is answered, `r` with the reply afterwards. The empty field counts the replies'
-- bytes.

local HOUR_MS = 3600000
local KEPT_BYTES = 64 * 1024 * 1024 -- of a client's replies, in an hour
local QUEUED_BYTES = 64             -- more than `q`, a stream and an entry have

-- The client's hashes: that of this hour, in which its jobs are noted, and the other one in which they are found: the last
-- hour's, or in the last minute of an hour the next one's, so that jobs are found when Redis' clock is set back by a minute.
local function kept_keys(part, to, now)
  local hour = math.floor(now / HOUR_MS)
  local other = math.floor((now + 60000) / HOUR_MS) > hour and hour + 1 or hour - 1
  return {part .. 'j:' .. hour .. ':' .. to, part .. 'j:' .. other .. ':' .. to}, (hour + 2) * HOUR_MS
end

-- What is kept of the job.
local function find_kept(keys, id)
  for _, key in ipairs(keys) do
    local found = redis.call('HGET', key, id)
    if found then return found end
  end
end

local function queued_text(part, stream, entry) return 'q' .. job_name(part, stream, entry) end

local function note_queued(key, expires_ms, id, text)
  redis.call('HSET', key, id, text)
  redis.call('PEXPIREAT', key, expires_ms, 'NX')
end

-- How much of the client's share a field takes. A job that is queued takes nothing, so that nobody need look what a field
-- holds when it goes.
local function weight_of(bytes) return math.max(0, bytes - QUEUED_BYTES) end

local function forget_kept(key, ids)
  if redis.call('EXISTS', key) == 0 then return end
  local freed = 0
  for _, id in ipairs(ids) do freed = freed + weight_of(redis.call('HSTRLEN', key, id)) end
  in_chunks(ids, function(...) return redis.call('HDEL', key, ...) end)
  if freed > 0 then redis.call('HINCRBY', key, '', -freed) end
  if redis.call('HLEN', key) == 1 and redis.call('HEXISTS', key, '') == 1 then redis.call('DEL', key) end
end

-- Keeps these replies, {id, reply, queued}, of jobs that lk_submit_4 sent; of the others nothing is known. A reply beyond
-- the client's share is not kept: sent again, its job is searched again.
local function keep_replies(part, key, replies)
  local ids, pairs_kept, dropped = {''}, {}, {}
  for _, job in ipairs(replies) do table.insert(ids, job[1]) end
  local found = redis.call('HMGET', key, unpack(ids))
  local bytes = tonumber(found[1]) or 0
  for i, job in ipairs(replies) do
    if found[i + 1] == job[3] then
      local more = weight_of(#job[2] + 1)
      if bytes + more > KEPT_BYTES then
        table.insert(dropped, job[1])
      else
        bytes = bytes + more
        table.insert(pairs_kept, job[1])
        table.insert(pairs_kept, 'r' .. job[2])
      end
    end
  end
  if #pairs_kept > 0 then redis.call('HSET', key, '', string.format('%.0f', bytes), unpack(pairs_kept)) end
  if #dropped > 0 then
    redis.call('HDEL', key, unpack(dropped))
    count_up(part, 'replies_not_kept', #dropped)
  end
end
