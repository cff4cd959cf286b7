-- Values per Lua call: unpack has a limit, and this is well below it.
local CHUNK = 1000

local function in_chunks(values, call)
  for first = 1, #values, CHUNK do
    local last = math.min(first + CHUNK - 1, #values)
    local result = call(unpack(values, first, last))
    if type(result) == 'table' and result.err then return result.err end
  end
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The names and values of a reply in turn, as a table.
local function map_of(list)
  local map = {}
  for i = 1, #list, 2 do map[list[i]] = list[i + 1] end
  return map
end

-- Calls what reads a stream. One that is missing, has no such group, or is something else has nothing to read.
local function read(...)
  local found = redis.pcall(...)
  if not found.err then return found end
  for _, word in ipairs({'NOGROUP', 'no such key', 'WRONGTYPE'}) do
    if found.err:find(word, 1, true) then return {} end
  end
  error(found)
end

local function infos_of(what, ...)
  local infos = {}
  for _, info in ipairs(read('XINFO', what, ...)) do table.insert(infos, map_of(info)) end
  return infos
end

-- The pending entry as XPENDING tells it: its id, consumer, idle time and deliveries; nil: it is not pending.
local function pending_entry(stream, group, entry) return read('XPENDING', stream, group, entry, entry, 1)[1] end

-- How other keys name a job.
local function job_name(part, stream, entry) return short(part, stream) .. ' ' .. entry end

-- What people look at. A counter or a stream of dead jobs that somebody spoilt stops no job: hence pcall.
local function count_up(part, name, by) redis.pcall('HINCRBY', part .. 'counts', name, by) end

-- Keeps entries that cannot be answered, with the reason.
local function add_to_dead(dead, to, entries, reason)
  for _, entry in ipairs(entries) do
    redis.pcall('XADD', dead, 'MAXLEN', '~', 10000, '*', 'entry', entry, 'to', to, 'reason', reason)
  end
end
