-- Answers jobs.

local JOB = 6 -- arguments of one

-- Why lists can take no reply, by the numbers of the lists: their keys hold something else.
local function refused_lists(keys)
  local refused = {}
  for i = 3, #keys do
    local kind = redis.call('TYPE', keys[i]).ok
    if kind ~= 'list' and kind ~= 'none' then refused[i - 2] = 'the key of the replies holds a ' .. kind end
  end
  return refused
end

-- Collects for each list the jobs that are pending, acknowledges them, and returns the rest. A list's key was looked at
-- before, and nothing can fail between: so what is acknowledged is pushed.
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

-- Keeps the replies of the jobs at these places whose client sent them with lk_submit_4.
local function keep_replies(part, stream, key, argv, places, now)
  local keys = kept_keys(part, client_of(key), now)
  if redis.call('EXISTS', keys[1], keys[2]) == 0 then return end
  for _, i in ipairs(places) do
    if argv[i + 4] ~= '' then keep_reply(part, keys, queued_text(part, stream, argv[i]), argv[i + 4], argv[i + 5]) end
  end
end

local function values_at(argv, places, offset)
  local values = {}
  for _, i in ipairs(places) do table.insert(values, argv[i + offset]) end
  return values
end

-- Answers jobs, each once, however often it is called, and whichever worker does.
-- KEYS: the stream, the dead stream, then the reply lists.
-- ARGV: group, then for each job: entry, number of its list (from 1), the times (Unix, ms) from which and before which its
-- reply may be sent, its id, reply.
-- Only Redis' clock decides whether a reply may be sent.
-- Returns: the number of jobs answered, of jobs finished before, of jobs whose reply could not be delivered; the
-- numbers (from 1) of the jobs outside their time limits; the time (Unix, ms).
local function finish(keys, argv)
  local stream, dead, group, part = keys[1], keys[2], argv[1], stream_part(keys[1])
  local now, undelivered, refused = now_ms(), 0, refused_lists(keys)
  local lists, done, finished, untimely = take_jobs(keys, argv, now)
  for list, places in pairs(lists) do
    local key, replies = keys[2 + list], values_at(argv, places, 5)
    local reason = refused[list] or push_replies(part, key, replies)
    if reason then
      add_to_dead(dead, key, values_at(argv, places, 0), reason)
      undelivered = undelivered + #places
    else
      keep_replies(part, stream, key, argv, places, now)
    end
  end
  if #done > 0 then
    delete_finished(part, stream, group, done, now)
    forget_deaths(part, stream, done)
  end
  return {#done - undelivered, finished, undelivered, untimely, now}
end

-- Discards a job that has no usable reply address. KEYS: the stream, the dead stream. ARGV: group, entry, reason.
local function discard(keys, argv)
  if redis.call('XACK', keys[1], argv[1], argv[2]) == 1 then
    add_to_dead(keys[2], '', {argv[2]}, argv[3])
    delete_finished(stream_part(keys[1]), keys[1], argv[1], {argv[2]}, now_ms())
  end
  return redis.status_reply('OK')
end

local function keys_fault(keys)
  local part = stream_part(keys[1])
  if not part then return 'key 1 is not a stream of jobs' end
  if keys[2] ~= part .. 'dead' then return 'key 2 is not ' .. part .. 'dead' end
  for i = 3, #keys do
    local _, its = client_of(keys[i])
    if its ~= part then return 'key ' .. i .. ' is no list of replies' end
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
  for i = 2, #argv, JOB do
    local fault = job_fault(argv, i, #keys - 2)
    if fault then return 'job ' .. (i + 4) / JOB .. ' ' .. fault end
  end
  return keys_fault(keys)
end

local function discard_fault(keys, argv)
  return counts_fault(keys, argv, 2, 2, 3, 3) or keys_fault(keys) or empty_fault(argv, 1, 1) or
    (not is_entry(argv[2]) and 'argument 2 is not the id of an entry' or nil)
end

define('lk_finish_4', finish, finish_fault, 'allow-oom')
define('lk_discard_4', discard, discard_fault, 'allow-oom')
