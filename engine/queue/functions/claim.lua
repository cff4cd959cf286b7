-- Takes over what dead workers hold. How often Redis delivered a job says nothing of whom it killed, so deaths are counted
-- here: of the jobs that the dead worker was searching for, as it had noted, not of those that only waited in it.

local DEATHS_MOST = 3
local DEATHS_LIFE_MS = 3600000

local function forget_deaths(part, stream, entries)
  local key, names = part .. 'deaths', {}
  if redis.call('EXISTS', key) == 0 then return end
  for _, entry in ipairs(entries) do table.insert(names, job_name(part, stream, entry)) end
  in_chunks(names, function(...) return redis.call('HDEL', key, ...) end)
end

local function recipient_of(stream, entry)
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  return found and map_of(found[2])['to'] or ''
end

local function count_death(part, group, consumer, name)
  local lane, entry = name:match('^(%S+) (%S+)$')
  local stream = lane and stream_part(part .. lane) and is_entry(entry) and part .. lane
  local found = stream and pending_entry(stream, group, entry)
  if not found or found[2] ~= consumer then return end
  local deaths = redis.call('HINCRBY', part .. 'deaths', name, 1)
  redis.call('PEXPIRE', part .. 'deaths', DEATHS_LIFE_MS)
  if deaths ~= DEATHS_MOST then return end
  count_up(part, 'poison', 1)
  add_to_dead(part .. 'dead', recipient_of(stream, entry), {entry}, DEATHS_MOST .. ' workers died of it')
end

-- Counts, once, of which jobs a worker has died.
local function count_deaths(part, group, consumer)
  local batches = redis.call('HMGET', part .. 'running', running_fields(consumer))
  forget_worker(part, consumer)
  for _, names in ipairs(batches) do
    for name in (names or ''):gmatch('[^\n]+') do count_death(part, group, consumer, name) end
  end
end

-- Also of a worker that is no consumer any more, since somebody destroyed the group: then only its notes go.
local function count_all_deaths(part, group, living)
  for _, field in ipairs(redis.call('HKEYS', part .. 'running')) do
    local name = field:match('^(.+)/[01]$')
    if name and not living[name] then count_deaths(part, group, name) end
  end
end

-- The workers that live, and the caller, as keys.
local function living_workers(workers, caller, now)
  local living = {[caller] = true}
  local names = redis.call('ZRANGEBYSCORE', workers, string.format('(%.0f', now), '+inf')
  for _, name in ipairs(names) do living[name] = true end
  return living
end

-- The consumers of a stream that have no lease, as XINFO tells them. Without `living`: only `returned`, which never lived.
local function dead_consumers(stream, group, living)
  if not living then return {{name = RETURNED}} end
  local dead = {}
  for _, info in ipairs(infos_of('CONSUMERS', stream, group)) do
    if not living[info['name']] then table.insert(dead, info) end
  end
  return dead
end

-- Finds what can be claimed, at most `most` entries, and changes nothing. Returns by stream the entries and their deaths,
-- and of the dead consumers that hold nothing the stream and the name.
local function find_jobs(part, keys, group, living, most)
  local found, empty, left = {}, {}, most
  for i = 2, #keys do
    found[i] = {entries = {}, deaths = {}}
    for _, consumer in ipairs(dead_consumers(keys[i], group, living)) do
      if consumer['pending'] == 0 then table.insert(empty, {keys[i], consumer['name']}) end
      for _, entry in ipairs(held_by(keys[i], group, consumer['name'], left)) do
        local deaths = redis.call('HGET', part .. 'deaths', job_name(part, keys[i], entry))
        table.insert(found[i].entries, entry)
        found[i].deaths[entry] = tonumber(deaths or 0)
        left = left - 1
      end
    end
  end
  return found, empty
end

-- Returns why Redis refused to remove one of them; nil: it did not.
local function remove_consumers(group, consumers)
  local refused
  for _, consumer in ipairs(consumers) do
    local removed = redis.pcall('XGROUP', 'DELCONSUMER', consumer[1], group, consumer[2])
    refused = refused or type(removed) == 'table' and removed.err and removed
  end
  return refused
end

-- Claims what the consumer `returned` holds and, where more is asked for, what workers without a lease hold; a consumer that
-- is dead and holds nothing is removed.
-- KEYS: the gallery's workers, its streams. ARGV: group, the worker that claims, how many entries at most, `returned`,
-- `all`, or `uncounted`: all, but nobody has died.
-- Returns for each claimed entry the number of its stream (from 1), the entry, and how many workers died of it.
-- What was claimed must be told: so all that may be refused comes before, and a consumer that cannot be removed is an error
-- only where nothing was claimed.
local function claim(keys, argv)
  local part, group, claimer, jobs = gallery_part(keys[1], 'workers'), argv[1], argv[2], {}
  local living = argv[4] ~= 'returned' and living_workers(keys[1], claimer, now_ms())
  if argv[4] == 'all' then count_all_deaths(part, group, living) end
  local found, empty = find_jobs(part, keys, group, living, tonumber(argv[3]))
  for i = 2, #keys do
    for _, entry in ipairs(hand_over(part, keys[i], group, claimer, found[i].entries)) do
      table.insert(jobs, {i - 1, entry, found[i].deaths[entry]})
    end
  end
  local refused = remove_consumers(group, empty)
  return #jobs == 0 and refused or jobs
end

local function claim_fault(keys, argv)
  local fault = counts_fault(keys, argv, 2, nil, 4, 4) or empty_fault(argv, 1, 2) or
    key_fault(keys, 'workers', 'the workers of a gallery')
  if not fault and not whole(argv[3], 0, CHUNK) then fault = 'argument 3 is not a number up to ' .. CHUNK end
  if not fault and argv[4] ~= 'all' and argv[4] ~= 'uncounted' and argv[4] ~= 'returned' then
    fault = 'argument 4 is not all, uncounted or returned'
  end
  return fault or streams_fault(keys, 2, gallery_part(keys[1], 'workers'))
end

define('lk_claim_5', claim, claim_fault, 'allow-oom')
