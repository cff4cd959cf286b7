#!lua name=likeness_2

-- The number in the names is that of the arguments' form. Loading a library replaces the one of its name, so that workers
-- of another form, who share this Redis, keep theirs.

-- Arguments of one Lua call stay well below what unpack can push.
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

-- A reply that cannot be delivered (its key holds another type) is kept, with the reason, for people to look at.
local function bury(dead, key, entries, reason)
  for _, entry in ipairs(entries) do
    redis.pcall('XADD', dead, 'MAXLEN', '~', 10000, '*', 'entry', entry, 'to', key, 'reason', reason)
  end
end

-- KEYS: the stream, the dead stream, then reply lists.
-- ARGV: group, life of a reply list in ms, its length cap, then for each job: entry, number of its list, the times (Unix,
-- ms) from which and before which its reply may leave, reply.
-- Replies are pushed before anything is acknowledged: a function does not roll back, and a job that is pushed but not
-- acknowledged is answered again at worst, where one acknowledged but not pushed would be lost.
-- A job that comes twice in one call (it was read again after a connection broke) is answered once, like one that was
-- finished by an earlier call.
-- One clock decides whether a reply may leave: this one.
-- Returns: jobs answered, jobs that were finished before, jobs whose reply could not be delivered, the numbers (from 1) of
-- those whose time it is not, and the time.
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
      bury(dead, key, entries[list], refused)
      undelivered = undelivered + #entries[list]
    else
      redis.pcall('LTRIM', key, -cap, -1)
      redis.pcall('PEXPIRE', key, life)
    end
  end
  in_chunks(done, function(...) return redis.pcall('XACK', stream, group, ...) end)
  return {#done - undelivered, before, undelivered, untimely, now}
end

-- KEYS: the stream, the dead stream. ARGV: group, entry, reason. For a job that names nobody to answer.
local function discard(keys, argv)
  if pending(keys[1], argv[1], argv[2]) then
    bury(keys[2], '', {argv[2]}, argv[3])
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

-- KEYS: the stream. Drops what every group has finished: entries below the least of the groups' oldest pending, or
-- last delivered where nothing is pending. Returns how many.
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
