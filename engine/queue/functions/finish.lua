-- Answers jobs.

local JOB = 6 -- arguments of one
local ANSWERED = ' answered'

-- The part of the gallery whose signed job this key remembers.
local function signed_part(key) return gallery_part(key, 'signed:%x+') end

-- The number of the last list of replies; keys of signed jobs follow.
local function last_list(keys)
  local last = #keys
  while last > 3 and signed_part(keys[last]) do last = last - 1 end
  return last
end

-- Remembers of signed jobs that the entry which brought them first is answered: it may come again no more.
local function note_answered(keys, first, stream, done)
  local is_done = {}
  for _, entry in ipairs(done) do is_done[stream .. ' ' .. entry] = true end
  for i = first, #keys do
    local brought_by = redis.pcall('GET', keys[i])
    if is_done[brought_by] then redis.call('SET', keys[i], brought_by .. ANSWERED, 'KEEPTTL') end
  end
end

-- An error if the stream's key holds something else: then its jobs are gone.
local function gone(stream)
  local kind = redis.call('TYPE', stream).ok
  if kind ~= 'stream' and kind ~= 'none' then return redis.error_reply('NOGROUP ' .. stream .. ' holds a ' .. kind) end
end

-- What remains of jobs that this group has finished.
local function forget_jobs(part, stream, group, entries, groups)
  delete_finished(stream, group, entries, groups)
  forget_deaths(part, stream, entries)
end

-- Why lists can take no reply, by the numbers of the lists: their keys hold something else.
local function refused_lists(keys, first, last)
  local refused = {}
  for i = first, last do
    local kind = redis.call('TYPE', keys[i]).ok
    if kind ~= 'list' and kind ~= 'none' then refused[i - first + 1] = 'the key of the replies holds a ' .. kind end
  end
  return refused
end

-- The hashes in which the lists' clients have jobs that lk_submit_5 sent, by the numbers of the lists.
local function kept_hashes(keys, first, last, part, now)
  local kept = {}
  for i = first, last do table.insert(kept, (sound_keys(part, client_of(keys[i]), now))) end
  return kept
end

-- Acknowledges the jobs that are pending, and in their time, and returns their places by list, and the rest.
local function take_jobs(keys, argv, now)
  local lists, done, finished, untimely = {}, {}, 0, {}
  for i = 2, #argv, JOB do
    local entry, list = argv[i], tonumber(argv[i + 1])
    if now < tonumber(argv[i + 2]) or now >= tonumber(argv[i + 3]) then
      table.insert(untimely, (i - 2) / JOB + 1)
    elseif redis.call('XACK', keys[1], argv[1], entry) == 0 then
      finished = finished + 1
    else
      lists[list] = lists[list] or {}
      table.insert(lists[list], i)
      table.insert(done, entry)
    end
  end
  return lists, done, finished, untimely
end

local function values_at(argv, places, offset)
  local values = {}
  for _, i in ipairs(places) do table.insert(values, argv[i + offset]) end
  return values
end

local function keep_in(hashes, part, stream, argv, places)
  for first = 1, #places, CHUNK do
    local replies = {}
    for p = first, math.min(first + CHUNK - 1, #places) do
      local i = places[p]
      if argv[i + 4] ~= '' then
        table.insert(replies, {argv[i + 4], argv[i + 5], queued_text(part, stream, argv[i])})
      end
    end
    for _, key in ipairs(hashes) do keep_replies(part, key, replies) end
  end
end

-- Answers jobs, each once, however often it is called, and whichever worker does.
-- KEYS: the stream, the dead stream, then the reply lists, then those of signed jobs.
-- ARGV: group, then for each job: entry, number of its list (from 1), the times (Unix, ms) from which and before which its
-- reply may be sent, its id, reply.
-- Only Redis' clock decides whether a reply may be sent.
-- Returns: the number of jobs answered, of jobs finished before, of jobs whose reply could not be delivered; the
-- numbers (from 1) of the jobs outside their time limits; the time (Unix, ms).
-- A job is acknowledged before its reply is pushed, which costs least. So whatever could refuse the reply is looked at
-- before, and all are pushed before anything else is done.
local function finish(keys, argv)
  local stream, dead, part, last, now = keys[1], keys[2], stream_part(keys[1]), last_list(keys), now_ms()
  if not redis.acl_check_cmd('RPUSH', keys[3], '') then return redis.error_reply('NOPERM rpush is not allowed') end
  local nothing = gone(stream)
  if nothing then return nothing end
  if last < #keys and not redis.acl_check_cmd('GET', keys[#keys]) then
    return redis.error_reply('NOPERM get is not allowed')
  end
  local refused, hashes = refused_lists(keys, 3, last), kept_hashes(keys, 3, last, part, now)
  local groups, undelivered = living_groups(part, stream, argv[1], now), 0
  local lists, done, finished, untimely = take_jobs(keys, argv, now)
  for list, places in pairs(lists) do
    refused[list] = refused[list] or push_replies(keys[2 + list], values_at(argv, places, 5))
  end
  for list, places in pairs(lists) do
    if refused[list] then
      add_to_dead(dead, client_of(keys[2 + list]), values_at(argv, places, 0), refused[list])
      undelivered = undelivered + #places
    else
      keep_in(hashes[list], part, stream, argv, places)
      bound_list(part, keys[2 + list], values_at(argv, places, 5))
    end
  end
  if #done > 0 then
    forget_jobs(part, stream, argv[1], done, groups)
    note_answered(keys, last + 1, stream, done)
  end
  return {#done - undelivered, finished, undelivered, untimely, now}
end

-- Discards a job that has no usable reply address. KEYS: the stream, the dead stream. ARGV: group, entry, reason.
local function discard(keys, argv)
  local stream, group, part, nothing = keys[1], argv[1], stream_part(keys[1]), gone(keys[1])
  if nothing then return nothing end
  local groups = living_groups(part, stream, group, now_ms())
  if redis.call('XACK', stream, group, argv[2]) == 1 then
    add_to_dead(keys[2], '', {argv[2]}, argv[3])
    forget_jobs(part, stream, group, {argv[2]}, groups)
  end
  return redis.status_reply('OK')
end

local function keys_fault(keys)
  local part = stream_part(keys[1])
  if not part then return 'key 1 is not a stream of jobs' end
  if keys[2] ~= part .. 'dead' then return 'key 2 is not ' .. part .. 'dead' end
  local last = last_list(keys)
  for i = 3, last do
    local _, its = client_of(keys[i])
    if its ~= part then return 'key ' .. i .. ' is no list of replies' end
  end
  for i = last + 1, #keys do
    if signed_part(keys[i]) ~= part then return 'key ' .. i .. ' is not that of a signed job of ' .. part end
  end
end

local function job_fault(argv, i, lists)
  if not is_entry(argv[i]) then return 'is not the id of an entry' end
  if not whole(argv[i + 1], 1, lists) then return 'is not the number of a list' end
  if not whole(argv[i + 2], 0, MOST) or not whole(argv[i + 3], 0, MOST) then return 'has a time that is no number' end
end

local function finish_fault(keys, argv)
  if #keys < 3 then return 'needs at least 3 keys, not ' .. #keys end
  if #argv < 1 or (#argv - 1) % JOB ~= 0 then return 'needs 1 argument and 6 for each job, not ' .. #argv end
  if argv[1] == '' then return 'the group has no name' end
  local lists = last_list(keys) - 2
  for i = 2, #argv, JOB do
    local fault = job_fault(argv, i, lists)
    if fault then return 'job ' .. (i + 4) / JOB .. ' ' .. fault end
  end
  return keys_fault(keys)
end

local function discard_fault(keys, argv)
  return counts_fault(keys, argv, 2, 2, 3, 3) or keys_fault(keys) or empty_fault(argv, 1, 1) or
    (not is_entry(argv[2]) and 'argument 2 is not the id of an entry' or nil)
end

define('lk_finish_5', finish, finish_fault, 'allow-oom')
define('lk_discard_5', discard, discard_fault, 'allow-oom')
