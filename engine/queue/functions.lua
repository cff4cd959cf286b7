#!lua name=likeness_3

-- The number in the names is the version of the arguments. Workers of another version can share this Redis: loading a
-- library replaces only the library of the same name.

-- Values per Lua call: unpack has a limit, and this is well below it.
local CHUNK = 1000

local function in_chunks(values, call)
  for first = 1, #values, CHUNK do
    local last = math.min(first + CHUNK - 1, #values)
    local result = call(unpack(values, first, last))
    if type(result) == 'table' and result.err then return result.err end
  end
end

-- What a caller gives is checked before anything is changed, since a function does not roll back. A check returns what is
-- wrong, or nil.

local MOST = 2 ^ 53 -- as far as Lua counts

local function whole(text, least, most)
  local number = #text <= 16 and text:match('^%d+$') and tonumber(text)
  return number and number >= least and number <= most
end

local function is_entry(text) return #text <= 41 and text:match('^%d+%-%d+$') end

-- The part that all keys of the gallery begin with; nil: this is not that key of a gallery. A partition of a gallery is
-- named `faces/1`.
local function gallery_part(key, name)
  local part, tag = key:match('^(lk:{([^{}]+)}:)' .. name .. '$')
  return tag and (tag:match('^[%w._-]+$') or tag:match('^[%w._-]+/%d+$')) and part
end

local function counts_fault(keys, argv, keys_count, argv_count)
  if #keys ~= keys_count then return 'needs ' .. keys_count .. ' keys, not ' .. #keys end
  if #argv ~= argv_count then return 'needs ' .. argv_count .. ' arguments, not ' .. #argv end
end

local function keys_fault(keys)
  local part = gallery_part(keys[1], 'q:hi') or gallery_part(keys[1], 'q:lo')
  if not part then return 'key 1 is not a stream of jobs' end
  if keys[2] and keys[2] ~= part .. 'dead' then return 'key 2 is not ' .. part .. 'dead' end
  for i = 3, #keys do
    local prefix = part .. 'r:'
    if #keys[i] <= #prefix or keys[i]:sub(1, #prefix) ~= prefix then return 'key ' .. i .. ' is no list of replies' end
  end
end

local function job_fault(argv, i, lists)
  if not is_entry(argv[i]) then return 'is not the id of an entry' end
  if not whole(argv[i + 1], 1, lists) then return 'is not the number of a list' end
  if not whole(argv[i + 2], 0, MOST) or not whole(argv[i + 3], 0, MOST) then return 'has a time that is no number' end
end

local function finish_fault(keys, argv)
  if #keys < 3 then return 'needs at least 3 keys, not ' .. #keys end
  if #argv < 3 or (#argv - 3) % 5 ~= 0 then return 'needs 3 arguments and 5 for each job, not ' .. #argv end
  if argv[1] == '' then return 'the group has no name' end
  if not whole(argv[2], 1, MOST) then return 'the lifetime is not a whole number above 0' end
  if not whole(argv[3], 1, MOST) then return 'the greatest length is not a whole number above 0' end
  for i = 4, #argv, 5 do
    local fault = job_fault(argv, i, #keys - 2)
    if fault then return 'job ' .. (i + 1) / 5 .. ' ' .. fault end
  end
  return keys_fault(keys)
end

local function discard_fault(keys, argv)
  local fault = counts_fault(keys, argv, 2, 3) or keys_fault(keys)
  if not fault and not is_entry(argv[2]) then fault = 'argument 2 is not the id of an entry' end
  return fault
end

local function trim_fault(keys, argv) return counts_fault(keys, argv, 1, 0) or keys_fault(keys) end

local function mend_fault(keys, argv)
  local fault = counts_fault(keys, argv, 1, 2) or keys_fault(keys)
  if not fault and not whole(argv[2], 1, 86400000) then fault = 'argument 2 is not a number of ms up to a day' end
  return fault
end

local function lease_fault(keys, argv)
  local fault = counts_fault(keys, argv, 1, 2)
  if not fault and not gallery_part(keys[1], 'workers') then fault = 'key 1 is not the workers of a gallery' end
  if not fault and argv[1] == '' then fault = 'the worker has no name' end
  if not fault and not whole(argv[2], 0, 86400000) then fault = 'argument 2 is not a number of ms up to a day' end
  return fault
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function pending(stream, group, entry)
  local found = redis.pcall('XPENDING', stream, group, entry, entry, 1)
  if found.err then error(found) end
  return #found == 1
end

-- Keeps entries that cannot be answered (the key of the reply list holds another type), with the reason, for people to
-- look at.
local function add_to_dead(dead, key, entries, reason)
  for _, entry in ipairs(entries) do
    redis.pcall('XADD', dead, 'MAXLEN', '~', 10000, '*', 'entry', entry, 'to', key, 'reason', reason)
  end
end

-- Pushes replies and acknowledges their jobs.
-- KEYS: the stream, the dead stream, then the reply lists.
-- ARGV: group, lifetime of a reply list in ms, its greatest length, then for each job: entry, number of its list (from
-- 1), the times (Unix, ms) from which and before which its reply may be sent, reply.
-- Replies are pushed before anything is acknowledged, since a function does not roll back: a job that is pushed but not
-- acknowledged may be answered twice; a job that is acknowledged but not pushed would be lost.
-- A job that occurs twice in one call (it was read again after a connection broke) is answered once, and so is a job
-- that an earlier call finished.
-- Only Redis' clock decides whether a reply may be sent.
-- Returns: the number of jobs answered, of jobs finished before, of jobs whose reply could not be delivered; the
-- numbers (from 1) of the jobs outside their time limits; the time (Unix, ms).
local function finish(keys, argv)
  local stream, dead, group, life, cap = keys[1], keys[2], argv[1], argv[2], argv[3]
  local replies, entries, done, met, before, undelivered, untimely = {}, {}, {}, {}, 0, 0, {}
  local now = now_ms()
  for i = 4, #argv, 5 do
    local entry, list, since, till = argv[i], tonumber(argv[i + 1]), tonumber(argv[i + 2]), tonumber(argv[i + 3])
    if met[entry] or not pending(stream, group, entry) then
      before = before + 1
    elseif now < since or now >= till then
      met[entry] = true
      table.insert(untimely, (i - 4) / 5 + 1)
    else
      met[entry] = true
      replies[list] = replies[list] or {}
      entries[list] = entries[list] or {}
      table.insert(replies[list], argv[i + 4])
      table.insert(entries[list], entry)
      table.insert(done, entry)
    end
  end
  for list, values in pairs(replies) do
    local key = keys[2 + list]
    local refused = in_chunks(values, function(...) return redis.pcall('RPUSH', key, ...) end)
    if refused then
      add_to_dead(dead, key, entries[list], refused)
      undelivered = undelivered + #entries[list]
    else
      redis.pcall('LTRIM', key, -cap, -1)
      redis.pcall('PEXPIRE', key, life)
    end
  end
  in_chunks(done, function(...) return redis.pcall('XACK', stream, group, ...) end)
  return {#done - undelivered, before, undelivered, untimely, now}
end

-- Discards a job that has no usable reply address. KEYS: the stream, the dead stream. ARGV: group, entry, reason.
local function discard(keys, argv)
  if pending(keys[1], argv[1], argv[2]) then
    add_to_dead(keys[2], '', {argv[2]}, argv[3])
    redis.pcall('XACK', keys[1], argv[1], argv[2])
  end
  return redis.status_reply('OK')
end

-- Ids have 64-bit numbers, which Lua's numbers do not hold; as digits without leading zeros they compare exactly.
local function less(a, b) return #a < #b or (#a == #b and a < b) end

local function before(a, b)
  local a_ms, a_seq = a:match('(%d+)-(%d+)')
  local b_ms, b_seq = b:match('(%d+)-(%d+)')
  return less(a_ms, b_ms) or (a_ms == b_ms and less(a_seq, b_seq))
end

-- The names and values of a reply in turn, as a table.
local function map_of(list)
  local map = {}
  for i = 1, #list, 2 do map[list[i]] = list[i + 1] end
  return map
end

local function groups_of(stream)
  local groups = {}
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', stream)) do table.insert(groups, map_of(info)) end
  return groups
end

-- Removes the entries that every group has finished. A group still needs the entries from its oldest pending one on; if
-- none is pending, from the last delivered one on. KEYS: the stream. Returns the number of removed entries.
local function trim(keys)
  local least
  for _, group in ipairs(groups_of(keys[1])) do
    local kept = group['last-delivered-id']
    if group['pending'] > 0 then kept = redis.call('XPENDING', keys[1], group['name'])[2] end
    if not least or before(kept, least) then least = kept end
  end
  if not least then return 0 end
  return redis.call('XTRIM', keys[1], 'MINID', '~', least)
end

-- The id of the newest entry.
local function top_of(stream)
  local found = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
  return found[1] and found[1][1] or '0-0'
end

-- A few at a time, since the range has the jobs' probes too.
local function delete_from(stream, first)
  repeat
    local found = redis.call('XRANGE', stream, first, '+', 'COUNT', 16)
    for _, entry in ipairs(found) do redis.call('XDEL', stream, entry[1]) end
  until #found == 0
end

-- Sets the last id and the groups' positions back to `id`, which no entry exceeds. A group beyond it was given all
-- entries that are left, and gets none of them again.
local function set_back(stream, id, groups, added)
  redis.call('XSETID', stream, id, 'ENTRIESADDED', added, 'MAXDELETEDID', id)
  for _, group in ipairs(groups) do
    if before(id, group['last-delivered-id']) then redis.call('XGROUP', 'SETID', stream, group['name'], id) end
  end
end

-- Undoes an XADD with an id far ahead of the clock. Redis numbers later entries from there on, and can number none after
-- the highest id: one such entry would stop the stream for ever.
-- KEYS: the stream. ARGV: group, how far ahead of the clock an id may be in ms.
-- Deletes the entries that are further ahead and sets the last id back, but only once the group was given these entries:
-- its workers refuse them, and a reply needs no entry. No id that was ever taken can come again: the last id becomes the
-- furthest that is. Returns 1 if it set the id back, else 0.
local function mend(keys, argv)
  local stream, now = keys[1], now_ms()
  if redis.call('EXISTS', stream) == 0 then return 0 end
  local info = map_of(redis.call('XINFO', 'STREAM', stream))
  local far = string.format('%.0f-0', now + tonumber(argv[2]) + 1)
  if before(info['last-generated-id'], far) then return 0 end
  local groups, top, delivered = groups_of(stream), top_of(stream), '0-0'
  for _, group in ipairs(groups) do
    if group['name'] == argv[1] then delivered = group['last-delivered-id'] end
  end
  if not before(top, far) and before(delivered, top) then return 0 end
  delete_from(stream, far)
  local id = string.format('%.0f-0', now + tonumber(argv[2]))
  top = top_of(stream)
  set_back(stream, before(id, top) and top or id, groups, info['entries-added'])
  return 1
end

-- Says that a worker lives: it has the gallery's lease from now on, unless it renews it, for so long.
-- KEYS: the gallery's workers, a sorted set by the end of the lease (Unix, ms). ARGV: the worker's name as a consumer, ms;
-- with 0 ms it gives the lease back.
-- Leases that are over are removed, and the key goes with the last one: it exists only while a worker lives.
-- Returns the number of workers that live.
local function lease(keys, argv)
  local workers, now, ms = keys[1], now_ms(), tonumber(argv[2])
  if ms > 0 then redis.call('ZADD', workers, now + ms, argv[1]) else redis.call('ZREM', workers, argv[1]) end
  redis.call('ZREMRANGEBYSCORE', workers, '-inf', now)
  local last = redis.call('ZRANGE', workers, -1, -1, 'WITHSCORES')
  if last[2] then redis.call('PEXPIREAT', workers, last[2]) end
  return redis.call('ZCARD', workers)
end

local function register(name, callback, fault)
  local function checked(keys, argv)
    local wrong = fault(keys, argv)
    if wrong then return redis.error_reply('ERR ' .. name .. ': ' .. wrong) end
    return callback(keys, argv)
  end
  redis.register_function{function_name = name, callback = checked, flags = {'allow-oom'}}
end

register('lk_finish_3', finish, finish_fault)
register('lk_discard_3', discard, discard_fault)
register('lk_trim_3', trim, trim_fault)
register('lk_mend_3', mend, mend_fault)
register('lk_lease_3', lease, lease_fault)
