-- What a caller gives is checked before anything is changed, since a function does not roll back. A check returns what is
-- wrong, or nil.

local functions = {} -- the name, callback and flags of each; by name the callback

local function define(name, callback, fault, ...)
  local function checked(keys, argv)
    local wrong = fault(keys, argv)
    if wrong then return redis.error_reply('ERR ' .. name .. ': ' .. wrong) end
    return callback(keys, argv)
  end
  functions[#functions + 1] = {name, checked, {...}}
  functions[name] = checked
end

local MOST = 2 ^ 53 -- as far as Lua counts
local DAY_MS = 86400000

local function whole(text, least, most)
  local number = #text <= 16 and text:find('^%d+$') and tonumber(text)
  return number and number >= least and number <= most
end

local MOST_64 = '18446744073709551615'

local function is_half(digits)
  return digits == '0' or (digits:byte(1) ~= 48 and (#digits < #MOST_64 or (#digits == #MOST_64 and digits <= MOST_64)))
end

-- As Redis writes it. Anything else would fail half way.
local function is_entry(text)
  local ms, seq = text:match('^(%d+)%-(%d+)$')
  return ms and is_half(ms) and is_half(seq)
end

-- The part that all keys of the gallery begin with; nil: this is not that key of a gallery. A partition of a gallery is
-- named `faces/1`.
local function gallery_part(key, name)
  local part, tag, named = key:match('^(lk:{([^{}]+)}:)(' .. name .. ')$')
  return tag and (tag:match('^[%w._-]+$') or tag:match('^[%w._-]+/%d+$')) and part, named
end

local known_stream, part_of_known -- patterns cost more than the rest of a call, so the last answer is kept

-- The same for a stream of jobs: one of the 16 lanes of a priority.
local function stream_part(key)
  if key == known_stream then return part_of_known end
  local part, name = gallery_part(key, 'q:%l%l:?%d*')
  if not part then return end
  local lane = name:match('^q:hi(.*)$') or name:match('^q:lo(.*)$')
  local number = lane and lane:match('^:([1-9]%d?)$')
  if lane ~= '' and (not number or tonumber(number) > 15) then return end
  known_stream, part_of_known = key, part
  return part
end

-- A stream's name within its gallery.
local function short(part, stream) return stream:sub(#part + 1) end

-- The client whose list of replies this is, and the gallery's part.
local function client_of(key)
  local part, tag, to = key:match('^(lk:{([^{}]+)}:)r:(.+)$')
  if part and gallery_part(part, '') then return to, part end
end

-- How many keys and arguments there must be; no greatest number: as many as there are.
local function counts_fault(keys, argv, keys_least, keys_most, argv_least, argv_most)
  if #keys < keys_least or (keys_most and #keys > keys_most) then return 'has the wrong number of keys, ' .. #keys end
  if #argv < argv_least or (argv_most and #argv > argv_most) then
    return 'has the wrong number of arguments, ' .. #argv
  end
end

-- The first key must be this one of a gallery.
local function key_fault(keys, name, what)
  if not gallery_part(keys[1], name) then return 'key 1 is not ' .. what end
end

-- Keys from `first` on must be streams of jobs of one gallery, `part` if that is given.
local function streams_fault(keys, first, part)
  part = part or stream_part(keys[first])
  for i = first, #keys do
    if not part or stream_part(keys[i]) ~= part then return 'key ' .. i .. ' is not a stream of jobs' end
  end
end

local function entries_fault(argv, first)
  for i = first, #argv do
    if not is_entry(argv[i]) then return 'argument ' .. i .. ' is not the id of an entry' end
  end
end

local function ms_fault(argv, i)
  if not whole(argv[i], 1, DAY_MS) then return 'argument ' .. i .. ' is not a number of ms up to a day' end
end

local function empty_fault(argv, first, last)
  for i = first, last do
    if argv[i] == '' then return 'argument ' .. i .. ' is empty' end
  end
end
