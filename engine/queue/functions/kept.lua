-- What becomes of jobs that lk_submit_5 sent, and of all changes. A hash for each client and hour has the field of each
-- job's id: `q` with the stream and the entry until the job is answered, `m` with the number of its entry in the log while
-- it is there and not answered, and afterwards `r` with the reply, or `c` with that to an entry of the log. The empty
-- field counts the replies' bytes.

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

-- The same, without keys that hold something else.
local function sound_keys(part, to, now)
  local sound, kept, expires_ms = {}, kept_keys(part, to, now)
  for _, key in ipairs(kept) do
    if redis.call('TYPE', key).ok == 'hash' then table.insert(sound, key) end
  end
  return sound, kept[1], expires_ms
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

local function logged_text(seq) return 'm' .. seq end

-- The reply that is kept; nil: the job is not answered yet.
local function reply_of(kept) return kept:match('^[rc](.*)$') end

-- Whether the job is or was in the log. A search that had its id is no reason not to make a change.
local function is_logged(kept) return kept:find('^[mc]') end

-- How much of the client's share a field takes. A job that is queued takes nothing, so that nobody need look what a field
-- holds when it goes.
local function weight_of(bytes) return math.max(0, bytes - QUEUED_BYTES) end

-- Notes that the job was logged at this time (Unix, ms) as this entry, unless it is answered, or would be forgotten by now.
local function note_logged(part, to, id, seq, at)
  local sound, key, expires_ms = sound_keys(part, to, at)
  local found = find_kept(sound, id)
  if expires_ms <= now_ms() or (found and found:sub(1, 1) == 'c') then return end
  for _, other in ipairs(sound) do
    local freed = weight_of(#(redis.call('HGET', other, id) or ''))
    redis.call('HDEL', other, id)
    if freed > 0 then redis.call('HINCRBY', other, '', -freed) end
  end
  local kind = redis.call('TYPE', key).ok
  if kind == 'hash' or kind == 'none' then note_queued(key, expires_ms, id, logged_text(seq)) end
end

local function forget_kept(key, ids)
  if redis.call('EXISTS', key) == 0 then return end
  local freed = 0
  for _, id in ipairs(ids) do freed = freed + weight_of(redis.call('HSTRLEN', key, id)) end
  in_chunks(ids, function(...) return redis.call('HDEL', key, ...) end)
  if freed > 0 then redis.call('HINCRBY', key, '', -freed) end
  if redis.call('HLEN', key) == 1 and redis.call('HEXISTS', key, '') == 1 then redis.call('DEL', key) end
end

-- Keeps these replies, {id, reply, what is kept until then}; of other jobs nothing is known. A reply beyond the client's
-- share is not kept: sent again, its job is searched again. A change has the same share once more, which no searches fill;
-- beyond that it stays noted as logged, so that it is not made again.
local function keep_replies(part, key, replies)
  local ids, pairs_kept, dropped, not_kept = {''}, {}, {}, 0
  for _, job in ipairs(replies) do table.insert(ids, job[1]) end
  local found = redis.call('HMGET', key, unpack(ids))
  local bytes = tonumber(found[1]) or 0
  for i, job in ipairs(replies) do
    if found[i + 1] == job[3] then
      local more, logged = weight_of(#job[2] + 1), is_logged(job[3])
      if bytes + more <= (logged and 2 or 1) * KEPT_BYTES then
        bytes = bytes + more
        table.insert(pairs_kept, job[1])
        table.insert(pairs_kept, (logged and 'c' or 'r') .. job[2])
      else
        not_kept = not_kept + 1
        if not logged then table.insert(dropped, job[1]) end
      end
    end
  end
  if #pairs_kept > 0 then redis.call('HSET', key, '', string.format('%.0f', bytes), unpack(pairs_kept)) end
  if #dropped > 0 then redis.call('HDEL', key, unpack(dropped)) end
  if not_kept > 0 then count_up(part, 'replies_not_kept', not_kept) end
end
