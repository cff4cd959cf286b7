-- A client's list of replies: what it does not read in time goes, the oldest first, and is counted.

local LIST_LIFE_MS = 600000 -- after its last reply
local LIST_MOST = 100000
local LIST_BYTES = 256 * 1024 * 1024
local LEFT = 0.9 -- of either, so that a list that nobody reads is not cut for each reply

-- Returns why the replies cannot be pushed, or nil.
local function push_replies(key, replies)
  return in_chunks(replies, function(...) return redis.pcall('RPUSH', key, ...) end)
end

-- Redis counts a list's bytes slowly, so it is asked only where the list would be too large if all its replies had the
-- size of the largest new one. Others may be larger: then the list can have twice its share.
local function has_too_many_bytes(key, length, largest)
  if length < 2 or length * largest <= LIST_BYTES then return end
  local bytes = redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0)
  return bytes > LIST_BYTES and bytes
end

-- After replies were pushed. The oldest may be smaller than the others, so the bytes are looked at after each cut.
local function bound_list(part, key, replies)
  local length, largest, dropped = redis.call('LLEN', key), 0, 0
  redis.call('PEXPIRE', key, LIST_LIFE_MS)
  local function drop(number)
    redis.call('LTRIM', key, number, -1)
    length, dropped = length - number, dropped + number
  end
  if length > LIST_MOST then drop(length - LEFT * LIST_MOST) end
  for _, reply in ipairs(replies) do largest = math.max(largest, #reply) end
  local bytes = has_too_many_bytes(key, length, largest)
  while bytes do
    drop(math.min(length - 1, math.ceil(length * (1 - LEFT * LIST_BYTES / bytes))))
    bytes = has_too_many_bytes(key, length, largest)
  end
  if dropped == 0 then return end
  count_up(part, 'replies_dropped', dropped)
  add_to_dead(part .. 'dead', client_of(key), {'0-0'}, dropped .. ' replies were dropped: the client did not read them')
end
