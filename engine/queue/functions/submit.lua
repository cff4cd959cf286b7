-- What clients call.

local BUSY_FROM = 0.8    -- of maxmemory: the rest is for replies
local LOOK_EVERY_MS = 50 -- at Redis' memory
local RETRY_MS = '200'

local looked_ms, busy = 0, false

-- Whether Redis is so full that it should take no more jobs. INFO is too dear to ask for each.
local function is_busy(now)
  if now >= looked_ms and now < looked_ms + LOOK_EVERY_MS then return busy end
  local memory = redis.call('INFO', 'memory')
  local used, most = tonumber(memory:match('used_memory:(%d+)')), tonumber(memory:match('maxmemory:(%d+)'))
  looked_ms, busy = now, most > 0 and used > BUSY_FROM * most
  return busy
end

-- The job's client and id. The last field of a name counts.
local function sender_of(argv)
  local to, id
  for i = 1, #argv, 2 do
    if argv[i] == 'to' then to = argv[i + 1] elseif argv[i] == 'id' then id = argv[i + 1] end
  end
  return to, id
end

-- Whether somebody will answer the job in this entry: it is there, and a group that is alive needs it, or none is alive, and
-- the next one begins at the stream's beginning.
local function waits(part, stream, entry, now)
  if #redis.call('XRANGE', stream, entry, entry) == 0 then return false end
  local groups = living_groups(part, stream, nil, now)
  return next(groups) == nil or is_needed(stream, entry, groups)
end

-- What has become of the job that the client sent before under this id; nil: nothing is known of it.
local function earlier(part, to, id, kept, now)
  local found = find_kept(kept, id)
  if not found then return end
  if reply_of(found) then
    local list, replies = part .. 'r:' .. to, {reply_of(found)}
    local refused = push_replies(list, replies)
    if refused then return redis.error_reply(refused) end
    bound_list(part, list, replies)
    return {'ANSWERED', ''}
  end
  if found:sub(1, 1) == 'm' then return {'WAITING', ''} end
  local stream, entry = found:match('^q(%S+) (%S+)$')
  if waits(part, part .. stream, entry, now) then return {'WAITING', entry} end
end

-- Sends a job, unless the client sent one of the same id before: then the answer to that one is its answer.
-- KEYS: the stream. ARGV: the fields' names and values in turn.
-- Returns {'QUEUED', entry}; {'WAITING', entry}: it was queued before, with '' it is in the log; {'ANSWERED', ''}: its reply
-- was pushed again; or {'EBUSY', ms}: Redis is nearly full, send it again after so long.
local function submit(keys, argv)
  local part, now, to, id = stream_part(keys[1]), now_ms(), sender_of(argv)
  local kept, expires_ms = kept_keys(part, to, now)
  local known = earlier(part, to, id, kept, now)
  if known then return known end
  if is_busy(now) then return {'EBUSY', RETRY_MS} end
  local entry = redis.call('XADD', keys[1], '*', unpack(argv))
  note_queued(kept[1], expires_ms, id, queued_text(part, keys[1], entry))
  return {'QUEUED', entry}
end

-- The client has these answers, so they need not be kept. KEYS: its list of replies. ARGV: ids.
local function forget(keys, argv)
  local to, part = client_of(keys[1])
  local kept = kept_keys(part, to, now_ms())
  for _, key in ipairs(kept) do forget_kept(key, argv) end
  return #argv
end

-- Forgets some cancelled jobs that are as old as a job can be; more than come with a call, so that few are kept.
local function forget_cancelled(key, number, now)
  local fields, old = redis.call('HRANDFIELD', key, number, 'WITHVALUES'), {}
  for i = 1, #fields, 2 do
    if now - (tonumber(fields[i + 1]) or 0) > DAY_MS then table.insert(old, fields[i]) end
  end
  in_chunks(old, function(...) return redis.call('HDEL', key, ...) end)
end

-- Cancels jobs of a client: whoever takes one of them answers it with ECANCELLED. KEYS: the gallery's cancelled jobs.
-- ARGV: the client, ids; without ids: all jobs that it has sent so far.
local function cancel(keys, argv)
  local now = now_ms()
  local text = string.format('%.0f', now)
  forget_cancelled(keys[1], 2 * #argv, now)
  if #argv == 1 then redis.call('HSET', keys[1], argv[1], text) end
  for i = 2, #argv do redis.call('HSET', keys[1], argv[1] .. '\n' .. argv[i], text) end
  redis.call('PEXPIRE', keys[1], DAY_MS)
  return #argv - 1
end

-- The group's last delivered entry, and how many entries it was not given yet: at most, where Redis does not know, since
-- entries in between were deleted.
local function position_of(stream, group)
  for _, info in ipairs(infos_of('GROUPS', stream)) do
    if info['name'] == group then
      return info['last-delivered-id'], info['lag'] or math.max(0, redis.call('XLEN', stream) - info['pending'])
    end
  end
  return '0-0', redis.call('XLEN', stream)
end

local function lives(workers, consumer, now)
  local till = redis.call('ZSCORE', workers, consumer)
  return till and tonumber(till) > now
end

-- Where a job is. KEYS: the stream, the gallery's workers. ARGV: group, entry. Returns: UNSERVED (no worker lives), QUEUED,
-- HELD (a worker took it) or GONE (it was answered, or deleted); if it is queued, how many jobs are queued in this stream;
-- if it is held, the worker, for how long (ms), and 1 if that worker lives, else 0.
local function where(keys, argv)
  local stream, workers, group, entry, now = keys[1], keys[2], argv[1], argv[2], now_ms()
  local held = pending_entry(stream, group, entry)
  if held and held[2] ~= RETURNED then
    return {'HELD', 0, held[2], held[3], lives(workers, held[2], now) and 1 or 0}
  end
  local delivered, queued = position_of(stream, group)
  local waits = held or before(delivered, entry) and #redis.call('XRANGE', stream, entry, entry) == 1
  if not waits then return {'GONE', 0, '', 0, 0} end
  local served = redis.call('ZCOUNT', workers, string.format('(%.0f', now), '+inf') > 0
  return {served and 'QUEUED' or 'UNSERVED', queued, '', 0, 0}
end

local function sender_fault(name, value)
  if not value or value == '' then return 'the field ' .. name .. ' is missing' end
  if #value > 128 then return 'the field ' .. name .. ' is longer than 128 bytes' end
end

local function submit_fault(keys, argv)
  local fault = counts_fault(keys, argv, 1, 1, 4, 128) or streams_fault(keys, 1)
  if fault then return fault end
  if #argv % 2 == 1 then return 'the last field has no value' end
  local to, id = sender_of(argv)
  return sender_fault('id', id) or sender_fault('to', to)
end

local function forget_fault(keys, argv)
  return counts_fault(keys, argv, 1, 1, 1) or empty_fault(argv, 1, #argv) or
    (not client_of(keys[1]) and 'key 1 is no list of replies' or nil)
end

local function cancel_fault(keys, argv)
  return counts_fault(keys, argv, 1, 1, 1) or empty_fault(argv, 1, #argv) or
    (argv[1]:find('\n') and 'the client has a line feed in its name' or nil) or
    key_fault(keys, 'cancelled', 'the cancelled jobs of a gallery')
end

local function where_fault(keys, argv)
  local fault = counts_fault(keys, argv, 2, 2, 2, 2) or empty_fault(argv, 1, 1) or entries_fault(argv, 2)
  if fault then return fault end
  local part = stream_part(keys[1])
  if not part then return 'key 1 is not a stream of jobs' end
  if keys[2] ~= part .. 'workers' then return 'key 2 is not ' .. part .. 'workers' end
end

define('lk_submit_5', submit, submit_fault)
define('lk_forget_5', forget, forget_fault, 'allow-oom')
define('lk_cancel_5', cancel, cancel_fault, 'allow-oom')
define('lk_where_5', where, where_fault, 'no-writes')
