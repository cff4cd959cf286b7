-- The streams of jobs and their groups.

local DELETED_BYTES = 64 * 1024 * 1024 -- that a call looks at

-- Ids have 64-bit numbers, which Lua's numbers do not hold; as digits without leading zeros they compare exactly.
local function less(a, b) return #a < #b or (#a == #b and a < b) end

local function before(a, b)
  local a_ms, a_seq = a:match('(%d+)-(%d+)')
  local b_ms, b_seq = b:match('(%d+)-(%d+)')
  return less(a_ms, b_ms) or (a_ms == b_ms and less(a_seq, b_seq))
end

-- A group is alive for a day after a worker of it last renewed its lease. So that no job is lost, workers may be away for
-- so long; but a group that nobody reads any more keeps no entry for ever.
local function keep_group(part, group, now)
  redis.call('ZADD', part .. 'groups', now + DAY_MS, group)
  redis.call('PEXPIRE', part .. 'groups', DAY_MS)
end

-- The stream's groups that count, by name: the caller's own, if it has one, and those that are alive. One of them that the
-- stream has not got, since somebody destroyed it, will be made again and read from the beginning.
local function living_groups(part, stream, own, now)
  local living, new = {}, {['last-delivered-id'] = '0-0', pending = 0}
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', part .. 'groups', string.format('(%.0f', now), '+inf')) do
    living[name] = new
  end
  if own then living[own] = new end
  for _, info in ipairs(infos_of('GROUPS', stream)) do
    if living[info['name']] then living[info['name']] = info end
  end
  return living
end

-- Whether one of the groups, except the one of this name, has yet to be given the entry or to finish it.
local function is_needed(stream, entry, groups, except)
  for name, info in pairs(groups) do
    if name ~= except and (before(info['last-delivered-id'], entry) or pending_entry(stream, name, entry)) then
      return true
    end
  end
  return false
end

-- Deletes entries that the caller's group has finished, unless another one still needs them: so a group that is destroyed
-- and made again finds nothing that was answered.
local function delete_finished(stream, own, entries, groups)
  local free = {}
  for _, entry in ipairs(entries) do
    if not is_needed(stream, entry, groups, own) then table.insert(free, entry) end
  end
  in_chunks(free, function(...) return redis.call('XDEL', stream, ...) end)
end

-- Makes the group where it is missing, at the stream's beginning. Redis then knows the group's lag, also where entries were
-- deleted, which it would count if it were told that the group has read none. KEYS: streams of a gallery. ARGV: group.
local function join(keys, argv)
  local wrong
  keep_group(stream_part(keys[1]), argv[1], now_ms())
  for _, stream in ipairs(keys) do
    local made = redis.pcall('XGROUP', 'CREATE', stream, argv[1], '0', 'MKSTREAM')
    if made.err and not made.err:find('BUSYGROUP') then wrong = wrong or made.err .. ': ' .. stream end
  end
  return wrong and redis.error_reply(wrong) or #keys
end

-- Removes the entries that every group has finished. A group still needs the entries from its oldest pending one on; if
-- none is pending, from the last delivered one on. KEYS: streams of a gallery. ARGV: group. Returns the number of removed
-- entries.
local function trim(keys, argv)
  local part, removed, now = stream_part(keys[1]), 0, now_ms()
  for _, stream in ipairs(keys) do
    local least
    for name, group in pairs(living_groups(part, stream, argv[1], now)) do
      local kept = group['last-delivered-id']
      if group['pending'] > 0 then kept = redis.call('XPENDING', stream, name)[2] end
      if not least or before(kept, least) then least = kept end
    end
    if least ~= '0-0' then removed = removed + redis.call('XTRIM', stream, 'MINID', '~', least) end
  end
  return removed
end

-- The id of the newest entry.
local function top_of(stream)
  local found = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)
  return found[1] and found[1][1] or '0-0'
end

-- One at a time, since the range has the jobs' probes too, and not for long. Returns whether none is left.
local function delete_from(stream, first)
  local bytes = 0
  for _ = 1, CHUNK do
    local found = redis.call('XRANGE', stream, first, '+', 'COUNT', 1)[1]
    if not found then return true end
    redis.call('XDEL', stream, found[1])
    for _, value in ipairs(found[2]) do bytes = bytes + #value end
    if bytes > DELETED_BYTES then return false end
  end
  return false
end

-- Sets the last id and the groups' positions back to `id`, which no entry exceeds. A group beyond it was given all
-- entries that are left, and gets none of them again.
local function set_back(stream, id, groups, added)
  redis.call('XSETID', stream, id, 'ENTRIESADDED', added, 'MAXDELETEDID', id)
  for _, group in ipairs(groups) do
    if before(id, group['last-delivered-id']) then redis.call('XGROUP', 'SETID', stream, group['name'], id) end
  end
end

-- Whether the stream's last id may be far ahead. XINFO STREAM knows it, but copies two jobs, so this looks first: at an
-- entry that far, or a group that was given one. An empty stream has no jobs to copy.
local function may_be_far(stream, groups, far)
  if redis.call('TYPE', stream).ok ~= 'stream' then return false end
  if redis.call('XLEN', stream) == 0 then return true end
  for _, group in ipairs(groups) do
    if not before(group['last-delivered-id'], far) then return true end
  end
  return #redis.call('XRANGE', stream, far, '+', 'COUNT', 1) > 0
end

-- Undoes an XADD with an id far ahead of the clock. Redis numbers later entries from there on, and can number none after
-- the highest id: one such entry would stop the stream for ever.
-- Deletes the entries that are further ahead and sets the last id back, but only once the group was given these entries:
-- its workers refuse them, and a reply needs no entry. No id that was ever taken can come again: the last id becomes the
-- furthest that is. Returns 1 if it set the id back, else 0.
local function mend_stream(stream, group_name, now, ahead_ms)
  local far, groups = string.format('%.0f-0', now + ahead_ms + 1), infos_of('GROUPS', stream)
  if not may_be_far(stream, groups, far) then return 0 end
  local info = map_of(redis.call('XINFO', 'STREAM', stream))
  if before(info['last-generated-id'], far) then return 0 end
  local top, delivered = top_of(stream), '0-0'
  for _, group in ipairs(groups) do
    if group['name'] == group_name then delivered = group['last-delivered-id'] end
  end
  if not before(top, far) and before(delivered, top) then return 0 end
  if not delete_from(stream, far) then return 0 end
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
  return counts_fault(keys, argv, 1, nil, 2, 2) or streams_fault(keys, 1) or empty_fault(argv, 1, 1) or ms_fault(argv, 2)
end

define('lk_join_5', join, group_fault, 'allow-oom')
define('lk_trim_5', trim, group_fault, 'allow-oom')
define('lk_mend_5', mend, mend_fault, 'allow-oom')
