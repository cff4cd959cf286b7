-- Takes over what dead workers hold. How often Redis delivered a job says nothing of whom it killed, so deaths are counted
-- here: of the jobs that the dead worker was searching for, as it had noted, not of those that only waited in it.

local DEATHS_MOST = 3
local DEATHS_LIFE_MS = 3600000

local function job_name(part, stream, entry) return short(part, stream) .. ' ' .. entry end

local function deaths_of(part, stream, entry)
  return tonumber(redis.call('HGET', part .. 'deaths', job_name(part, stream, entry)) or 0)
end

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
  local stream, entry = name:match('^(%S+) (%S+)$')
  local found = stream and pending_entry(part .. stream, group, entry)
  if not found or found[2] ~= consumer then return end
  redis.call('PEXPIRE', part .. 'deaths', DEATHS_LIFE_MS)
  if redis.call('HINCRBY', part .. 'deaths', name, 1) ~= DEATHS_MOST then return end
  count_up(part, 'poison', 1)
  add_to_dead(part .. 'dead', recipient_of(part .. stream, entry), {entry}, DEATHS_MOST .. ' workers died of it')
end

-- Counts, once, of which jobs a worker has died.
local function count_deaths(part, group, consumer)
  for _, field in ipairs({running_fields(consumer)}) do
    local names = redis.call('HGET', part .. 'running', field)
    for name in (names or ''):gmatch('[^\n]+') do count_death(part, group, consumer, name) end
  end
  forget_worker(part, consumer)
end

-- Claims at most `most` entries of a consumer. Entries that were deleted while they were pending cannot be claimed, nor
-- answered.
local function claim_from(part, stream, group, consumer, claimer, most)
  local entries = {}
  for _, found in ipairs(redis.call('XPENDING', stream, group, '-', '+', most, consumer)) do
    table.insert(entries, found[1])
  end
  local words = {stream, group, claimer, 0, unpack(entries)}
  table.insert(words, 'JUSTID')
  local claimed, is_claimed = redis.call('XCLAIM', unpack(words)), {}
  for _, entry in ipairs(claimed) do is_claimed[entry] = true end
  for _, entry in ipairs(entries) do
    if not is_claimed[entry] then
      add_to_dead(part .. 'dead', '', {entry}, 'the entry was deleted before it was answered')
    end
  end
  return claimed
end

local function lives(workers, consumer, now)
  local till = redis.call('ZSCORE', workers, consumer)
  return till and tonumber(till) > now
end

-- Claims what the consumer `returned` holds and, where all is asked for, what workers without a lease hold; a consumer that
-- is dead and holds nothing is removed.
-- KEYS: the gallery's workers, its streams. ARGV: group, the worker that claims, how many entries at most, `all` or
-- `returned`.
-- Returns for each claimed entry the number of its stream (from 1), the entry, and how many workers died of it.
local function claim(keys, argv)
  local workers, group, claimer, left = keys[1], argv[1], argv[2], tonumber(argv[3])
  local part, now, jobs, counted = gallery_part(workers, 'workers'), now_ms(), {}, {}
  for i = 2, #keys do
    for _, info in ipairs(infos_of('CONSUMERS', keys[i], group)) do
      local name = info['name']
      local dead = name ~= claimer and name ~= RETURNED and argv[4] == 'all' and not lives(workers, name, now)
      if dead and not counted[name] then
        count_deaths(part, group, name)
        counted[name] = true
      end
      if (dead or name == RETURNED) and info['pending'] == 0 then
        redis.call('XGROUP', 'DELCONSUMER', keys[i], group, name)
      elseif (dead or name == RETURNED) and left > 0 then
        for _, entry in ipairs(claim_from(part, keys[i], group, name, claimer, left)) do
          table.insert(jobs, {i - 1, entry, deaths_of(part, keys[i], entry)})
          left = left - 1
        end
      end
    end
  end
  return jobs
end

local function claim_fault(keys, argv)
  local fault = counts_fault(keys, argv, 2, nil, 4, 4) or empty_fault(argv, 1, 2)
  local part = not fault and gallery_part(keys[1], 'workers')
  if not fault and not part then fault = 'key 1 is not the workers of a gallery' end
  if not fault and not whole(argv[3], 0, CHUNK) then fault = 'argument 3 is not a number up to ' .. CHUNK end
  if not fault and argv[4] ~= 'all' and argv[4] ~= 'returned' then fault = 'argument 4 is not all or returned' end
  return fault or streams_fault(keys, 2, part)
end

define('lk_claim_4', claim, claim_fault, 'allow-oom')
