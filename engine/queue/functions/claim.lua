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
  for _, names in ipairs(redis.call('HMGET', part .. 'running', running_fields(consumer))) do
    for name in (names or ''):gmatch('[^\n]+') do count_death(part, group, consumer, name) end
  end
  forget_worker(part, consumer)
end

-- Claims at most `most` entries of a consumer.
local function claim_from(part, stream, group, consumer, claimer, most)
  local entries = {}
  for _, found in ipairs(read('XPENDING', stream, group, '-', '+', most, consumer)) do
    table.insert(entries, found[1])
  end
  return hand_over(part, stream, group, claimer, entries)
end

-- The dead consumers of a stream, {name, number of pending entries}; `returned` is one that never lived. Of which jobs they
-- died is counted before anybody claims one.
local function dead_consumers(part, stream, group, living)
  local dead = {}
  for _, info in ipairs(infos_of('CONSUMERS', stream, group)) do
    local name = info['name']
    if not living[name] then
      count_deaths(part, group, name)
      table.insert(dead, {name, info['pending']})
    end
  end
  return dead
end

-- Claims at most `most` entries of a stream. Without `living`: only what was returned.
local function claim_stream(part, stream, group, claimer, living, most)
  local dead, entries = {{RETURNED, 1}}, {}
  if living then dead = dead_consumers(part, stream, group, living) end
  for _, consumer in ipairs(dead) do
    local name, pending, left = consumer[1], consumer[2], most - #entries
    if pending == 0 then
      redis.call('XGROUP', 'DELCONSUMER', stream, group, name)
    elseif left > 0 then
      for _, entry in ipairs(claim_from(part, stream, group, name, claimer, left)) do table.insert(entries, entry) end
    end
  end
  return entries
end

-- The workers that live, and the caller, as keys.
local function living_workers(workers, caller, now)
  local living = {[caller] = true}
  local names = redis.call('ZRANGEBYSCORE', workers, string.format('(%.0f', now), '+inf')
  for _, name in ipairs(names) do living[name] = true end
  return living
end

-- Claims what the consumer `returned` holds and, where all is asked for, what workers without a lease hold; a consumer that
-- is dead and holds nothing is removed.
-- KEYS: the gallery's workers, its streams. ARGV: group, the worker that claims, how many entries at most, `all` or
-- `returned`.
-- Returns for each claimed entry the number of its stream (from 1), the entry, and how many workers died of it.
local function claim(keys, argv)
  local part, group, claimer, jobs = gallery_part(keys[1], 'workers'), argv[1], argv[2], {}
  local living = argv[4] == 'all' and living_workers(keys[1], claimer, now_ms())
  for i = 2, #keys do
    for _, entry in ipairs(claim_stream(part, keys[i], group, claimer, living, argv[3] - #jobs)) do
      local deaths = redis.call('HGET', part .. 'deaths', job_name(part, keys[i], entry))
      table.insert(jobs, {i - 1, entry, tonumber(deaths or 0)})
    end
  end
  return jobs
end

local function claim_fault(keys, argv)
  local fault = counts_fault(keys, argv, 2, nil, 4, 4) or empty_fault(argv, 1, 2) or
    key_fault(keys, 'workers', 'the workers of a gallery')
  if not fault and not whole(argv[3], 0, CHUNK) then fault = 'argument 3 is not a number up to ' .. CHUNK end
  if not fault and argv[4] ~= 'all' and argv[4] ~= 'returned' then fault = 'argument 4 is not all or returned' end
  return fault or streams_fault(keys, 2, gallery_part(keys[1], 'workers'))
end

define('lk_claim_4', claim, claim_fault, 'allow-oom')
