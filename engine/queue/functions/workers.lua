-- Workers, while they live. A worker that was killed or hangs lets its lease run out; then the others take over what it
-- holds. A worker that leaves gives back what it holds to the consumer `returned`, which never has a lease.

local RETURNED = 'returned'

local function running_fields(consumer) return consumer .. '/0', consumer .. '/1' end

-- Says that a worker lives: it has the gallery's lease from now on, unless it renews it, for so long.
-- KEYS: the gallery's workers, a sorted set by the end of the lease (Unix, ms). ARGV: the worker's name as a consumer, ms,
-- group.
-- Leases that are over are removed, and the key goes with the last one: it exists only while a worker lives. One that ends
-- later than the caller's is from before Redis' clock was set back: it ends with the caller's.
-- Returns the number of workers that live, and the time (Unix, ms).
local function lease(keys, argv)
  local workers, now = keys[1], now_ms()
  local till = string.format('%.0f', now + argv[2])
  redis.call('ZADD', workers, till, argv[1])
  redis.call('ZREMRANGEBYSCORE', workers, '-inf', string.format('%.0f', now))
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', workers, '(' .. till, '+inf')) do
    redis.call('ZADD', workers, till, name)
  end
  redis.call('PEXPIREAT', workers, till)
  keep_group(gallery_part(workers, 'workers'), argv[3], now)
  return {redis.call('ZCARD', workers), now}
end

-- Notes what a worker is about to search for: its jobs, a line each, of the stream's name within the gallery and the
-- entry. KEYS: the gallery's running batches. ARGV: the worker's name with the number of its thread, the jobs ('': none).
local function run(keys, argv)
  if argv[2] == '' then return redis.call('HDEL', keys[1], argv[1]) end
  local added = redis.call('HSET', keys[1], argv[1], argv[2])
  redis.call('PEXPIRE', keys[1], DAY_MS)
  return added
end

-- What a consumer holds, at most `most` entries.
local function held_by(stream, group, consumer, most)
  local entries = {}
  if most == 0 then return entries end
  for _, found in ipairs(read('XPENDING', stream, group, '-', '+', most, consumer)) do table.insert(entries, found[1]) end
  return entries
end

-- Gives pending entries to another consumer; returns them. Redis forgets those that were deleted while they were pending:
-- nobody can answer them any more.
local function hand_over(part, stream, group, consumer, entries)
  local claimed, is_claimed = {}, {}
  in_chunks(entries, function(...)
    local words = {...}
    table.insert(words, 'JUSTID')
    for _, entry in ipairs(redis.call('XCLAIM', stream, group, consumer, 0, unpack(words))) do
      table.insert(claimed, entry)
      is_claimed[entry] = true
    end
  end)
  for _, entry in ipairs(entries) do
    if not is_claimed[entry] then
      add_to_dead(part .. 'dead', '', {entry}, 'the entry was deleted before it was answered')
    end
  end
  return claimed
end

-- Hands jobs back that a worker took and will not begin. KEYS: the stream. ARGV: group, the worker, entries. Returns how
-- many it still held; the others are somebody else's.
local function hand_back(keys, argv)
  local stream, group, held = keys[1], argv[1], {}
  for i = 3, #argv do
    local found = pending_entry(stream, group, argv[i])
    if found and found[2] == argv[2] then table.insert(held, argv[i]) end
  end
  return #hand_over(stream_part(stream), stream, group, RETURNED, held)
end

local function forget_worker(part, consumer) redis.call('HDEL', part .. 'running', running_fields(consumer)) end

-- A worker ends: call it when it will answer nothing more, and again until it returns 0. KEYS: the gallery's workers, its
-- streams. ARGV: group, the worker. What it still holds is handed back, at most 1000 entries a call. Returns how many they
-- were. A consumer that cannot be removed is left to the others' claims, which say why.
local function leave(keys, argv)
  local part, left = gallery_part(keys[1], 'workers'), CHUNK
  redis.call('ZREM', keys[1], argv[2])
  forget_worker(part, argv[2])
  for i = 2, #keys do
    local entries = held_by(keys[i], argv[1], argv[2], left)
    hand_over(part, keys[i], argv[1], RETURNED, entries)
    left = left - #entries
    for _, info in ipairs(infos_of('CONSUMERS', keys[i], argv[1])) do
      if info['name'] == argv[2] and info['pending'] == 0 then
        redis.pcall('XGROUP', 'DELCONSUMER', keys[i], argv[1], argv[2])
      end
    end
  end
  return CHUNK - left
end

local function lease_fault(keys, argv)
  return counts_fault(keys, argv, 1, 1, 3, 3) or empty_fault(argv, 1, 3) or
    key_fault(keys, 'workers', 'the workers of a gallery') or ms_fault(argv, 2)
end

local function run_fault(keys, argv)
  return counts_fault(keys, argv, 1, 1, 2, 2) or empty_fault(argv, 1, 1) or
    (not argv[1]:match('./[01]$') and 'argument 1 is not a worker with the number of its thread, 0 or 1' or nil) or
    key_fault(keys, 'running', 'the running batches of a gallery')
end

local function hand_back_fault(keys, argv)
  return counts_fault(keys, argv, 1, 1, 3) or streams_fault(keys, 1) or empty_fault(argv, 1, 2) or
    entries_fault(argv, 3)
end

local function leave_fault(keys, argv)
  return counts_fault(keys, argv, 2, nil, 2, 2) or empty_fault(argv, 1, 2) or
    key_fault(keys, 'workers', 'the workers of a gallery') or streams_fault(keys, 2, gallery_part(keys[1], 'workers'))
end

define('lk_lease_5', lease, lease_fault, 'allow-oom')
define('lk_run_5', run, run_fault, 'allow-oom')
define('lk_return_5', hand_back, hand_back_fault, 'allow-oom')
define('lk_leave_5', leave, leave_fault, 'allow-oom')
