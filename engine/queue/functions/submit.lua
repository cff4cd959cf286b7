-- What clients call.

local BUSY_FROM = 0.8    -- of maxmemory: the rest is for replies
local LOOK_EVERY_MS = 50 -- at Redis' memory
local RETRY_MS = '200'

local looked_ms, busy = 0, false

-- Whether Redis is so full that it should take no more jobs.
local function is_busy(now)
  if now >= looked_ms and now < looked_ms + LOOK_EVERY_MS then return busy end
  local memory = redis.call('INFO', 'memory')
  local used, most = tonumber(memory:match('used_memory:(%d+)')), tonumber(memory:match('maxmemory:(%d+)'))
  looked_ms, busy = now, most > 0 and used > BUSY_FROM * most
  return busy
end

-- The last field of this name counts.
local function field_of(argv, name)
  for i = #argv - 1, 1, -2 do
    if argv[i] == name then return argv[i + 1] end
  end
end

-- What has become of the job that the client sent before under this id; nil: nothing is known of it.
local function earlier(part, to, id, now)
  local found = find_kept(kept_keys(part, to, now), id)
  if not found then return end
  if found:sub(1, 1) == 'r' then
    local refused = push_replies(part, part .. 'r:' .. to, {found:sub(2)})
    return refused and redis.error_reply(refused) or {'ANSWERED', ''}
  end
  local stream, entry = found:match('^q(%S+) (%S+)$')
  if #redis.call('XRANGE', part .. stream, entry, entry) == 1 then return {'WAITING', entry} end
end

-- Sends a job, unless the client sent one of the same id before: then the answer to that one is its answer.
-- KEYS: the stream. ARGV: the fields' names and values in turn.
-- Returns {'QUEUED', entry}; {'WAITING', entry}: it was queued before; {'ANSWERED', ''}: its reply was pushed again; or
-- {'EBUSY', ms}: Redis is nearly full, send it again after so long.
local function submit(keys, argv)
  local part, to, id, now = stream_part(keys[1]), field_of(argv, 'to'), field_of(argv, 'id'), now_ms()
  local known = earlier(part, to, id, now)
  if known then return known end
  if is_busy(now) then return {'EBUSY', RETRY_MS} end
  local entry = redis.call('XADD', keys[1], '*', unpack(argv))
  note_queued(part, keys[1], entry, to, id, now)
  return {'QUEUED', entry}
end

-- The client has these answers, so they need not be kept. KEYS: its list of replies. ARGV: ids.
local function forget(keys, argv)
  local to, part = client_of(keys[1])
  local kept = kept_keys(part, to, now_ms())
  for _, id in ipairs(argv) do forget_kept(kept, id) end
  return #argv
end

-- Cancels jobs of a client: whoever takes one of them answers it with ECANCELLED. KEYS: the gallery's cancelled jobs.
-- ARGV: the client, ids; without ids: all jobs that it has sent so far.
local function cancel(keys, argv)
  local now = string.format('%.0f', now_ms())
  if #argv == 1 then redis.call('HSET', keys[1], argv[1], now) end
  for i = 2, #argv do redis.call('HSET', keys[1], argv[1] .. '\n' .. argv[i], now) end
  redis.call('PEXPIRE', keys[1], DAY_MS)
  return #argv - 1
end

local function lag_of(stream, group)
  for _, info in ipairs(infos_of('GROUPS', stream)) do
    if info['name'] == group then return info['lag'] or 0 end
  end
  return redis.call('XLEN', stream)
end

-- Where a job is. KEYS: the stream, the gallery's workers. ARGV: group, entry. Returns: UNSERVED (no worker lives), QUEUED,
-- HELD (a worker took it) or GONE (it was answered, or deleted); if it is queued, how many jobs are queued in this stream;
-- if it is held, the worker, for how long (ms), and 1 if that worker lives, else 0.
local function where(keys, argv)
  local stream, now = keys[1], now_ms()
  local found = redis.pcall('XPENDING', stream, argv[1], argv[2], argv[2], 1)
  local held = not found.err and found[1]
  if held and held[2] ~= 'returned' then
    local till = redis.call('ZSCORE', keys[2], held[2])
    return {'HELD', 0, held[2], held[3], till and tonumber(till) > now and 1 or 0}
  end
  if not held and #redis.call('XRANGE', stream, argv[2], argv[2]) == 0 then return {'GONE', 0, '', 0, 0} end
  local served = redis.call('ZCOUNT', keys[2], string.format('(%.0f', now), '+inf') > 0
  return {served and 'QUEUED' or 'UNSERVED', lag_of(stream, argv[1]), '', 0, 0}
end

local function submit_fault(keys, argv)
  local fault = counts_fault(keys, argv, 1, 1, 4, 128) or streams_fault(keys, 1)
  if fault then return fault end
  if #argv % 2 == 1 then return 'the last field has no value' end
  for _, name in ipairs({'id', 'to'}) do
    local value = field_of(argv, name)
    if not value or value == '' then return 'the field ' .. name .. ' is missing' end
    if #value > 128 then return 'the field ' .. name .. ' is longer than 128 bytes' end
  end
end

local function forget_fault(keys, argv)
  return counts_fault(keys, argv, 1, 1, 1) or empty_fault(argv, 1, #argv) or
    (not client_of(keys[1]) and 'key 1 is no list of replies' or nil)
end

local function cancel_fault(keys, argv)
  return counts_fault(keys, argv, 1, 1, 1) or empty_fault(argv, 1, #argv) or
    (not gallery_part(keys[1], 'cancelled') and 'key 1 is not the cancelled jobs of a gallery' or nil)
end

local function where_fault(keys, argv)
  local fault = counts_fault(keys, argv, 2, 2, 2, 2) or empty_fault(argv, 1, 1) or entries_fault(argv, 2)
  if fault then return fault end
  local part = stream_part(keys[1])
  if not part then return 'key 1 is not a stream of jobs' end
  if keys[2] ~= part .. 'workers' then return 'key 2 is not ' .. part .. 'workers' end
end

define('lk_submit_4', submit, submit_fault)
define('lk_forget_4', forget, forget_fault, 'allow-oom')
define('lk_cancel_4', cancel, cancel_fault, 'allow-oom')
define('lk_where_4', where, where_fault, 'no-writes')
