-- A client's list of replies: what it does not read in time goes, the oldest first, and is counted.

local LIST_LIFE_MS = 600000 -- after its last reply
local LIST_MOST = 100000
local LIST_BYTES = 256 * 1024 * 1024
local LEFT = 0.9 -- of either, so that a list that nobody reads is not cut for each reply

local function drop_oldest(part, key, number)
  redis.call('LTRIM', key, number, -1)
  count_up(part, 'replies_dropped', number)
  add_to_dead(part .. 'dead', key, {'0-0'}, number .. ' replies were dropped: the client did not read them')
end

-- Returns why the replies cannot be pushed, or nil.
local function push_replies(key, replies)
  return in_chunks(replies, function(...) return redis.pcall('RPUSH', key, ...) end)
end

-- After replies were pushed. Redis counts a list's bytes slowly, so it is asked only where the list would be too large if
-- all its replies had the size of the largest new one. Others may be larger: then the list can have twice its share.
local function bound_list(part, key, replies)
  local length, largest = redis.call('LLEN', key), 0
  redis.call('PEXPIRE', key, LIST_LIFE_MS)
  for _, reply in ipairs(replies) do largest = math.max(largest, #reply) end
  if length > LIST_MOST then return drop_oldest(part, key, length - LEFT * LIST_MOST) end
  if length * largest <= LIST_BYTES or length == 1 then return end
  local bytes = redis.call('MEMORY', 'USAGE', key, 'SAMPLES', 0)
  if bytes > LIST_BYTES then
    drop_oldest(part, key, math.min(length - 1, math.ceil(length * (1 - LEFT * LIST_BYTES / bytes))))
  end
end
