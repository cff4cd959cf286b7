#!lua name=likeness_2

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
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
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

local function before(a, b)
  local a_ms, a_seq = a:match('(%d+)-(%d+)')
  local b_ms, b_seq = b:match('(%d+)-(%d+)')
  a_ms, b_ms = tonumber(a_ms), tonumber(b_ms)
  return a_ms < b_ms or (a_ms == b_ms and tonumber(a_seq) < tonumber(b_seq))
end

-- Removes the entries that every group has finished. A group still needs the entries from its oldest pending one on; if
-- none is pending, from the last delivered one on. KEYS: the stream. Returns the number of removed entries.
local function trim(keys)
  local least
  for _, info in ipairs(redis.call('XINFO', 'GROUPS', keys[1])) do
    local group = {}
    for i = 1, #info, 2 do group[info[i]] = info[i + 1] end
    local kept = group['last-delivered-id']
    if group['pending'] > 0 then kept = redis.call('XPENDING', keys[1], group['name'])[2] end
    if not least or before(kept, least) then least = kept end
  end
  if not least then return 0 end
  return redis.call('XTRIM', keys[1], 'MINID', '~', least)
end

redis.register_function{function_name = 'lk_finish_2', callback = finish, flags = {'allow-oom'}}
redis.register_function{function_name = 'lk_discard_2', callback = discard, flags = {'allow-oom'}}
redis.register_function{function_name = 'lk_trim_2', callback = trim, flags = {'allow-oom'}}
