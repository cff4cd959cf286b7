-- The streams of jobs and their groups.

-- Ids have 64-bit numbers, which Lua's numbers do not hold; as digits without leading zeros they compare exactly.
local function less(a, b) return #a < #b or (#a == #b and a < b) end

local function before(a, b)
  local a_ms, a_seq = a:match('(%d+)-(%d+)')
  local b_ms, b_seq = b:match('(%d+)-(%d+)')
  return less(a_ms, b_ms) or (a_ms == b_ms and less(a_seq, b_seq))
end

local function infos_of(what, ...)
  local found, infos = redis.pcall('XINFO', what, ...), {}
  if found.err then return infos end
  for _, info in ipairs(found) do table.insert(infos, map_of(info)) end
  return infos
end

-- A group is alive for a day after a worker of it last renewed its lease. So that no job is lost, workers may be away for
-- so long; but a group that nobody reads any more keeps no entry for ever.
local function keep_group(part, group, now)
  redis.call('ZADD', part .. 'groups', now + DAY_MS, group)
  redis.call('PEXPIRE', part .. 'groups', DAY_MS)
end

-- The stream's groups that count: the caller's own, and those that are alive.
local function living_groups(part, stream, group, now)
  local living = {}
  for _, info in ipairs(infos_of('GROUPS', stream)) do
    local till = info['name'] ~= group and redis.call('ZSCORE', part .. 'groups', info['name'])
    if info['name'] == group or (till and tonumber(till) > now) then table.insert(living, info) end
  end
  return living
end

-- Deletes entries that the caller's group has finished, unless another one still needs them: so a group that is destroyed
-- and made again finds nothing that was answered.
local function delete_finished(part, stream, group, entries, now)
  local free = {}
  local groups = living_groups(part, stream, group, now)
  for _, entry in ipairs(entries) do
    local needed = false
    for _, info in ipairs(groups) do
      needed = needed or info['name'] ~= group and
        (before(info['last-delivered-id'], entry) or pending_entry(stream, info['name'], entry))
    end
    if not needed then table.insert(free, entry) end
  end
  in_chunks(free, function(...) return redis.call('XDEL', stream, ...) end)
end

-- Makes the group where it is missing, at the stream's beginning. KEYS: streams of a gallery. ARGV: group.
local function join(keys, argv)
  for _, stream in ipairs(keys) do
    local made = redis.pcall('XGROUP', 'CREATE', stream, argv[1], '0', 'MKSTREAM', 'ENTRIESREAD', '0')
    if made.err and not made.err:match('BUSYGROUP') then return redis.error_reply(made.err .. ': ' .. stream) end
  end
  keep_group(stream_part(keys[1]), argv[1], now_ms())
  return #keys
end

-- Removes the entries that every group has finished. A group still needs the entries from its oldest pending one on; if
-- none is pending, from the last delivered one on. KEYS: streams of a gallery. ARGV: group. Returns the number of removed
-- entries.
local function trim(keys, argv)
  local removed, now = 0, now_ms()
  for _, stream in ipairs(keys) do
    local least
    for _, group in ipairs(living_groups(stream_part(stream), stream, argv[1], now)) do
      local kept = group['last-delivered-id']
      if group['pending'] > 0 then kept = redis.call('XPENDING', stream, group['name'])[2] end
      if not least or before(kept, least) then least = kept end
    end
    if least then removed = removed + redis.call('XTRIM', stream, 'MINID', '~', least) end
  end
  return removed
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
-- Deletes the entries that are further ahead and sets the last id back, but only once the group was given these entries:
-- its workers refuse them, and a reply needs no entry. No id that was ever taken can come again: the last id becomes the
-- furthest that is. Returns 1 if it set the id back, else 0.
local function mend_stream(stream, group_name, now, ahead_ms)
  if redis.call('EXISTS', stream) == 0 then return 0 end
  local info = map_of(redis.call('XINFO', 'STREAM', stream))
  local far = string.format('%.0f-0', now + ahead_ms + 1)
  if before(info['last-generated-id'], far) then return 0 end
  local groups, top, delivered = infos_of('GROUPS', stream), top_of(stream), '0-0'
  for _, group in ipairs(groups) do
    if group['name'] == group_name then delivered = group['last-delivered-id'] end
  end
  if not before(top, far) and before(delivered, top) then return 0 end
  delete_from(stream, far)
  local id = string.format('%.0f-0', now + ahead_ms)
  top = top_of(stream)
  set_back(stream, before(id, top) and top or id, groups, info['entries-added'])
  return 1
end

-- KEYS: streams of a gallery. ARGV: group, how far ahead of the clock an id may be in ms. Returns the number of streams
-- whose last id it set back.
local function mend(keys, argv)
  local mended, now = 0, now_ms()
  for _, stream in ipairs(keys) do mended = mended + mend_stream(stream, argv[1], now, tonumber(argv[2])) end
  return mended
end

local function group_fault(keys, argv)
  return counts_fault(keys, argv, 1, nil, 1, 1) or streams_fault(keys, 1) or empty_fault(argv, 1, 1)
end

local function mend_fault(keys, argv)
  local fault = counts_fault(keys, argv, 1, nil, 2, 2) or streams_fault(keys, 1) or empty_fault(argv, 1, 1)
  if not fault and not whole(argv[2], 1, DAY_MS) then fault = 'argument 2 is not a number of ms up to a day' end
  return fault
end

define('lk_join_4', join, group_fault, 'allow-oom')
define('lk_trim_4', trim, group_fault, 'allow-oom')
define('lk_mend_4', mend, mend_fault, 'allow-oom')
