-- Changes of a gallery: from the queue into its log, and from the log to those who sent them.

local ENTRY = 4 -- arguments of one that is acknowledged
local LOG_KEPT_MS = HOUR_MS

-- Takes a job out of the queue that the client has an answer to, or will have: `known` is what is kept of it.
local function finish_known(part, stream, group, entry, to, known, groups)
  if reply_of(known) then
    local list, replies = part .. 'r:' .. to, {reply_of(known)}
    local refused = push_replies(list, replies)
    if refused then add_to_dead(part .. 'dead', to, {entry}, refused) else bound_list(part, list, replies) end
  end
  redis.call('XACK', stream, group, entry)
  forget_jobs(part, stream, group, {entry}, groups)
  return {'KNOWN'}
end

-- Why nothing can be logged now; nil: it can.
local function log_is_closed(part, state, now)
  if not is_confirmed(part, state) then return 'no worker has compared the log with its journal since redis started' end
  if state['until'] <= now then return 'no worker owns the log' end
  if is_busy(now) then return 'redis is nearly full' end
end

-- Why the user may not do what takes the job out of the queue; nil: it may.
local function mutate_forbidden(keys, part, group, entry, to)
  local calls = {{'XACK', keys[3], group, entry}, {'RPUSH', part .. 'r:' .. to, ''}}
  if keys[4] then
    table.insert(calls, {'GET', keys[4]})
    table.insert(calls, {'SET', keys[4], ''})
  end
  return entry_forbidden(keys[1], keys[2], part) or forbidden(calls)
end

-- Takes a job out of the queue and appends it to the log, in one step, once for each id of a client.
-- KEYS: the log, its state, the stream of jobs, then perhaps that of the signed job. ARGV: group, entry, the times (Unix,
-- ms) from which and before which it may be logged, rows, vectors, fields. What it returns stands in functions.h.
local function mutate(keys, argv)
  local log, key, stream, group, entry, id, to = keys[1], keys[2], keys[3], argv[1], argv[2], argv[10], argv[12]
  local part, now = gallery_part(log, 'log'), now_ms()
  if not pending_entry(stream, group, entry) then return {'GONE'} end
  local may_not = mutate_forbidden(keys, part, group, entry, to)
  if may_not then return may_not end
  local groups = living_groups(part, stream, group, now)
  local known = find_kept(sound_keys(part, to, now), id)
  if known and is_logged(known) then
    note_answered(keys, 4, stream, {entry})
    return finish_known(part, stream, group, entry, to, known, groups)
  end
  if now < tonumber(argv[3]) or now >= tonumber(argv[4]) then return {'UNTIMELY', now} end
  local state = state_of(key)
  local why = log_is_closed(part, state, now)
  if why then return {'EBUSY', tonumber(RETRY_MS), why} end
  local added = {seq = digits(state.seq + 1), term = digits(state.term), prev = state.hash, number = digits(state.number),
                 rows = digits(tonumber(argv[5]))}
  added.hash = hash_of(added, argv, 7)
  local log_id, wrong = write_entry(keys, state, '*', added, argv[6], argv, 7)
  if wrong then return wrong end
  confirmed[part].hash = added.hash
  redis.call('XACK', stream, group, entry)
  note_logged(part, to, id, added.seq, now)
  note_answered(keys, 4, stream, {entry})
  forget_jobs(part, stream, group, {entry}, groups)
  return {'LOGGED', log_id, state.seq + 1, state.number}
end

-- The replies to entries that were not acknowledged yet, by list, as keep_replies takes them.
local function unacknowledged(argv, acked)
  local lists = {}
  for i = 3, #argv - ENTRY + 1, ENTRY do
    local list = tonumber(argv[i + 1])
    if tonumber(argv[i]) > acked then
      lists[list] = lists[list] or {}
      table.insert(lists[list], {argv[i + 2], argv[i + 3], logged_text(digits(tonumber(argv[i])))})
    end
  end
  return lists
end

local function replies_of(jobs)
  local replies = {}
  for _, job in ipairs(jobs) do table.insert(replies, job[2]) end
  return replies
end

-- Keeps them also where they could not be pushed: the change was made.
local function keep_all(part, hashes, jobs)
  for first = 1, #jobs, CHUNK do
    local some = {unpack(jobs, first, math.min(first + CHUNK - 1, #jobs))}
    for _, key in ipairs(hashes) do keep_replies(part, key, some) end
  end
end

-- Sends the replies to entries of the log that its owner has applied, each once.
-- KEYS: the log's state, lists of replies. ARGV: nonce, term, then for each entry, by rising seq: seq, number of its list
-- (from 1), the job's id, reply; or, without lists, one seq. What it returns stands in functions.h.
local function acknowledge(keys, argv)
  local key, part, now, state = keys[1], gallery_part(keys[1], 'log:state'), now_ms(), state_of(keys[1])
  local last = math.max(state.acked, tonumber(#keys == 1 and argv[3] or argv[#argv - ENTRY + 1]))
  local owns = state.owner == argv[1] and state.term == tonumber(argv[2]) and is_confirmed(part, state)
  if not owns or last > state.seq then return {'LOST', state.worker} end
  local may_not = forbidden({{'HSET', key, '', ''}, {'RPUSH', keys[2] or part .. 'r:', ''}})
  if may_not then return may_not end
  local refused, hashes = refused_lists(keys, 2, #keys), kept_hashes(keys, 2, #keys, part, now)
  local lists, pushed, undelivered = unacknowledged(argv, state.acked), 0, 0
  redis.call('HSET', key, 'acked', digits(last))
  for list, jobs in pairs(lists) do
    refused[list] = refused[list] or push_replies(keys[1 + list], replies_of(jobs))
  end
  for list, jobs in pairs(lists) do
    keep_all(part, hashes[list], jobs)
    if refused[list] then
      for _, job in ipairs(jobs) do add_to_dead(part .. 'dead', client_of(keys[1 + list]), {job[3]}, refused[list]) end
      undelivered = undelivered + #jobs
    else
      bound_list(part, keys[1 + list], replies_of(jobs))
      pushed = pushed + #jobs
    end
  end
  return {'ACKNOWLEDGED', pushed, undelivered, last}
end

-- How far everybody has applied the log, of those who spoke within a day; and who did not.
local function least_place(readers, least, now)
  local late = {}
  for name, text in pairs(readers) do
    local seq, ms = text:match('^(%d+) (%d+)$')
    if not seq or now - tonumber(ms) > DAY_MS then table.insert(late, name) else least = math.min(least, tonumber(seq)) end
  end
  return least, late
end

-- The oldest entries up to a place and a time: their ids, and the keys of their vectors. One at a time is looked at, since
-- an entry may be large, and not for long.
local function old_entries(log, part, least, until_ms)
  local ids, vectors, bytes, from = {}, {}, 0, '-'
  while #ids < CHUNK and bytes < DELETED_BYTES do
    local found = redis.call('XRANGE', log, from, '+', 'COUNT', 1)[1]
    local seq = found and tonumber(map_of(found[2]).seq)
    if not seq or seq > least or tonumber(found[1]:match('^%d+')) > until_ms then break end
    table.insert(ids, found[1])
    table.insert(vectors, part .. 'v:' .. digits(seq))
    for _, value in ipairs(found[2]) do bytes = bytes + #value end
    from = '(' .. found[1]
  end
  return ids, vectors
end

-- Notes how far a reader has applied the log; the owner also removes what nobody needs any more.
-- KEYS: the log, its state, its readers. ARGV: the reader's name, seq, nonce, `keep` or `erase`: also what is younger than
-- an hour. Returns how many entries it removed.
local function applied(keys, argv)
  local log, part, now, state = keys[1], gallery_part(keys[1], 'log'), now_ms(), state_of(keys[2])
  local ids, vectors, late = {}, {}, {}
  if argv[3] == state.owner and is_confirmed(part, state) then
    local least
    local readers = map_of(redis.call('HGETALL', keys[3]))
    readers[argv[1]] = argv[2] .. ' ' .. digits(now)
    least, late = least_place(readers, state.acked, now)
    ids, vectors = old_entries(log, part, least, argv[4] == 'erase' and MOST or now - LOG_KEPT_MS)
  end
  redis.call('HSET', keys[3], argv[1], argv[2] .. ' ' .. digits(now))
  in_chunks(late, function(...) return redis.call('HDEL', keys[3], ...) end)
  in_chunks(vectors, function(...) return redis.call('UNLINK', ...) end)
  in_chunks(ids, function(...) return redis.call('XDEL', log, ...) end)
  return #ids
end

local function mutate_fault(keys, argv)
  local fault = counts_fault(keys, argv, 3, 4, 12, 130) or log_fault(keys)
  fault = fault or empty_fault(argv, 1, 1) or numbers_fault(argv, 3, 4, 5)
  if fault then return fault end
  local part = gallery_part(keys[1], 'log')
  if stream_part(keys[3]) ~= part then return 'key 3 is not a stream of jobs of ' .. part end
  if keys[4] and signed_part(keys[4]) ~= part then return 'key 4 is not that of a signed job of ' .. part end
  if not is_entry(argv[2]) then return 'argument 2 is not the id of an entry' end
  return fields_fault(argv, 7)
end

local function acknowledged_fault(argv, i, lists, before_it)
  if not whole(argv[i], 1, MOST) then return 'has no number' end
  if tonumber(argv[i]) <= before_it then return 'does not come after the one before' end
  if not whole(argv[i + 1], 1, lists) then return 'is not for a list' end
  if argv[i + 2] == '' then return 'is of a job without an id' end
end

local function acknowledge_fault(keys, argv)
  local part = keys[1] and gallery_part(keys[1], 'log:state')
  if #keys < 1 then return 'needs at least 1 key, not ' .. #keys end
  if #keys == 1 and #argv == 3 then
    return not part and 'key 1 is not the state of a log' or empty_fault(argv, 1, 1) or numbers_fault(argv, 2, 3)
  end
  if #argv < 2 + ENTRY or (#argv - 2) % ENTRY ~= 0 then return 'needs 2 arguments and 4 for each entry, not ' .. #argv end
  if not part then return 'key 1 is not the state of a log' end
  for i = 2, #keys do
    local _, its = client_of(keys[i])
    if its ~= part then return 'key ' .. i .. ' is no list of replies' end
  end
  local fault = empty_fault(argv, 1, 1) or numbers_fault(argv, 2)
  for i = 3, fault and 0 or #argv, ENTRY do
    fault = acknowledged_fault(argv, i, #keys - 1, i > 3 and tonumber(argv[i - ENTRY]) or 0)
    if fault then return 'entry ' .. (i + 1) / ENTRY .. ' ' .. fault end
  end
  return fault
end

local function applied_fault(keys, argv)
  local fault = counts_fault(keys, argv, 3, 3, 4, 4) or log_fault(keys) or empty_fault(argv, 1, 1) or numbers_fault(argv, 2)
  if fault then return fault end
  local readers = keys[2]:gsub('state$', 'readers')
  if keys[3] ~= readers then return 'key 3 is not ' .. readers end
  if argv[4] ~= 'keep' and argv[4] ~= 'erase' then return 'argument 4 is not keep or erase' end
end

define('lk_mutate_5', mutate, mutate_fault)
define('lk_acknowledge_5', acknowledge, acknowledge_fault, 'allow-oom')
define('lk_applied_5', applied, applied_fault, 'allow-oom')
