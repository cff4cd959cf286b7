-- What becomes of jobs that lk_submit_4 sent. A hash for each client and hour has the field of each job's id: `q` with the
-- stream and the entry until the job is answered, `r` with the reply afterwards. The empty field counts the replies'
-- bytes. A job is found in this hour's hash and the last one's.

local HOUR_MS = 3600000
local KEPT_BYTES = 64 * 1024 * 1024 -- of a client, in an hour

local function kept_keys(part, to, now)
  local hour = math.floor(now / HOUR_MS)
  local function key(n) return string.format('%sj:%.0f:%s', part, n, to) end
  return {key(hour), key(hour - 1)}, (hour + 2) * HOUR_MS
end

-- What is kept of the job, and the key of the hash that has it.
local function find_kept(keys, id)
  for _, key in ipairs(keys) do
    local found = redis.call('HGET', key, id)
    if found then return found, key end
  end
end

local function queued_text(part, stream, entry) return 'q' .. short(part, stream) .. ' ' .. entry end

local function note_queued(part, stream, entry, to, id, now)
  local keys, till = kept_keys(part, to, now)
  redis.call('HSET', keys[1], id, queued_text(part, stream, entry))
  redis.call('PEXPIREAT', keys[1], string.format('%.0f', till), 'NX')
end

local function forget_kept(keys, id)
  for _, key in ipairs(keys) do
    local bytes = redis.call('HSTRLEN', key, id)
    if bytes > 0 then
      if redis.call('HGET', key, id):sub(1, 1) == 'r' then redis.call('HINCRBY', key, '', -bytes) end
      redis.call('HDEL', key, id)
      local left = redis.call('HLEN', key)
      if left == 0 or (left == 1 and redis.call('HEXISTS', key, '') == 1) then redis.call('DEL', key) end
    end
  end
end

-- Keeps a reply, if lk_submit_4 sent the job. Beyond the client's share it is not kept: sent again, the job is searched
-- again.
local function keep_reply(part, keys, queued, id, reply)
  local found, key = find_kept(keys, id)
  if found ~= queued then return end
  if redis.call('HINCRBY', key, '', #reply + 1) > KEPT_BYTES then
    redis.call('HINCRBY', key, '', -#reply - 1)
    redis.call('HDEL', key, id)
    count_up(part, 'replies_not_kept', 1)
  else
    redis.call('HSET', key, id, 'r' .. reply)
  end
end
