-- What workers write beside replies; as functions, so that a full Redis takes it.

-- Remembers which entry first brought a signed job. KEYS: the job's. ARGV: entry, for how long (ms). Returns the entry that
-- brought it before, or ''.
local function once(keys, argv)
  return redis.call('SET', keys[1], argv[1], 'NX', 'GET', 'PX', argv[2]) or ''
end

-- Publishes a head of an audit log. KEYS: the gallery's heads. ARGV: how many are kept, the head.
local function head(keys, argv) return redis.call('XADD', keys[1], 'MAXLEN', '~', argv[1], '*', 'head', argv[2]) end

local function once_fault(keys, argv)
  local fault = counts_fault(keys, argv, 1, 1, 2, 2) or empty_fault(argv, 1, 1)
  if not fault and not gallery_part(keys[1], 'signed:%x+') then fault = 'key 1 is not that of a signed job' end
  if not fault and not whole(argv[2], 1, DAY_MS) then fault = 'argument 2 is not a number of ms up to a day' end
  return fault
end

local function head_fault(keys, argv)
  local fault = counts_fault(keys, argv, 1, 1, 2, 2) or empty_fault(argv, 2, 2)
  if not fault and not gallery_part(keys[1], 'heads') then fault = 'key 1 is not the heads of a gallery' end
  if not fault and not whole(argv[1], 1, MOST) then fault = 'argument 1 is not a whole number above 0' end
  return fault
end

define('lk_once_4', once, once_fault, 'allow-oom')
define('lk_head_4', head, head_fault, 'allow-oom')
