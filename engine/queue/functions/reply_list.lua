-- A client's list of replies: what it does not read in time goes, the oldest first, and is counted.

local LIST_LIFE_MS = 600000 -- after its last reply
local LIST_MOST = 100000
local LIST_BYTES = 256 * 1024 * 1024

local function drop_oldest(part, key, number)
  redis.call('LTRIM', key, number, -1)
  count_up(part, 'replies_dropped', number)
  add_to_dead(part .. 'dead', key, {'0-0'}, number .. ' replies were dropped: the client did not read them')
end

-- MEMORY USAGE looks at a few elements; so this bounds the bytes as well as their sizes are alike.
local function cap_list(part, key, length)
  if length > LIST_MOST then
    drop_oldest(part, key, length - LIST_MOST)
    length = LIST_MOST
  end
  local bytes = redis.call('MEMORY', 'USAGE', key)
  if bytes > LIST_BYTES and length > 1 then
    drop_oldest(part, key, math.min(length - 1, math.ceil(length * (1 - LIST_BYTES / bytes))))
  end
end

-- Returns why the replies cannot be pushed, or nil.
local function push_replies(part, key, replies)
  local length = 0
  local refused = in_chunks(replies, function(...)
    length = redis.pcall('RPUSH', key, ...)
    return length
  end)
  if refused then return refused end
  cap_list(part, key, length)
  redis.call('PEXPIRE', key, LIST_LIFE_MS)
end
