-- What workers write beside replies; as functions, so that a full Redis takes it.

-- Remembers which entry first brought a signed job. KEYS: the job's. ARGV: entry, for how long (ms). Returns the entry that
-- brought it before, with ANSWERED behind it if it was answered; or ''.
local function once(keys, argv)
  return redis.call('SET', keys[1], argv[1], 'NX', 'GET', 'PX', argv[2]) or ''
end

-- Publishes a head of an audit log. KEYS: the gallery's heads. ARGV: how many are kept, the head.
local function head(keys, argv) return redis.call('XADD', keys[1], 'MAXLEN', '~', argv[1], '*', 'head', argv[2]) end

local function once_fault(keys, argv)
  return counts_fault(keys, argv, 1, 1, 2, 2) or empty_fault(argv, 1, 1) or
    key_fault(keys, 'signed:%x+', 'that of a signed job') or ms_fault(argv, 2)
end

local function head_fault(keys, argv)
  return counts_fault(keys, argv, 1, 1, 2, 2) or empty_fault(argv, 2, 2) or
    key_fault(keys, 'heads', 'the heads of a gallery') or
    (not whole(argv[1], 1, MOST) and 'argument 1 is not a whole number above 0' or nil)
end

define('lk_once_5', once, once_fault, 'allow-oom')
define('lk_head_5', head, head_fault, 'allow-oom')
