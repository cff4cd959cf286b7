-- The log of a gallery's changes, and who owns it: the one worker that acknowledges what it has applied. Redis may come
-- back with less than it had, so nothing is added before an owner has compared the log's end with its own journal, in this
-- run of Redis, and whoever has more than the log is the first to own it.

local ZEROS = ('0'):rep(40)
local STATE = {'seq', 'hash', 'number', 'term', 'until', 'acked', 'owner', 'worker', 'last_owner'}
local HEADER = {'seq', 'term', 'prev', 'hash', 'number', 'rows'} -- the first fields of an entry

local APPENDER_MS = 3000 -- of the lease of who appends

local confirmed = {} -- by gallery what its owner has seen of the log: owner, term, hash, run. Gone with this run of Redis
local claims = {} -- by gallery who has applied most of those who ask: nonce, term, seq, till; run, and when all have asked

local run_looked_ms, run = 0, ''

-- Which run this is. A master that became a replica and is the master again has not seen what others did meanwhile.
local function this_run()
  local now = now_ms()
  if now < run_looked_ms or now >= run_looked_ms + LOOK_EVERY_MS then
    run_looked_ms, run = now, redis.call('INFO', 'replication'):match('master_replid:(%x+)')
  end
  return run
end

local function digits(number) return string.format('%.0f', number) end

local function state_of(key)
  local found, state = redis.call('HMGET', key, unpack(STATE)), {}
  for i, name in ipairs(STATE) do state[name] = found[i] or '' end
  for i = 3, 6 do state[STATE[i]] = tonumber(state[STATE[i]]) or 0 end
  state.seq, state.hash = tonumber(state.seq), state.hash ~= '' and state.hash or ZEROS
  return state
end

-- The fields of the first entry in a range of the log; nil: there is none.
local function entry_in(log, command, from, to)
  local found = redis.call(command, log, from, to, 'COUNT', 1)[1]
  return found and map_of(found[2])
end

-- The state, and where it was lost, the end of the log.
local function end_of(log, key)
  local state = state_of(key)
  local last = not state.seq and entry_in(log, 'XREVRANGE', '+', '-')
  if last then
    state.hash, state.term = last.hash or ZEROS, math.max(state.term, tonumber(last.term) or 0)
    state.number = math.max(state.number, (tonumber(last.number) or 0) + (tonumber(last.rows) or 0))
  end
  state.seq = state.seq or last and tonumber(last.seq) or 0
  return state
end

-- Also not, if somebody else than the functions has set the state since.
local function is_confirmed(part, state)
  local seen = confirmed[part]
  return seen and state.seq and seen.owner == state.owner and seen.term == state.term and seen.hash == state.hash and
    seen.run == this_run()
end

-- Notes the caller's claim. Returns the claim of who has applied most, of those who have asked within a lease: of two
-- histories, the one that a later owner went on with.
local function claim_of(part, nonce, term, seq, lease_ms, now)
  local claim = claims[part]
  if not claim or claim.run ~= this_run() then
    claim = {run = this_run(), settles = now + lease_ms, till = 0}
    claims[part] = claim
  end
  for _, name in ipairs({'settles', 'till'}) do claim[name] = math.min(claim[name], now + lease_ms) end
  local is_gone = claim.nonce == nonce or claim.till <= now
  if is_gone or term > claim.term or (term == claim.term and seq > claim.seq) then
    claim.nonce, claim.term, claim.seq, claim.till = nonce, term, seq, now + lease_ms
  end
  return claim
end

-- Whether the log, which is longer, has the caller's last entry, or had it in front of the first one that it has.
local function has_entry(log, seq, id, hash)
  if seq == 0 then
    local first = entry_in(log, 'XRANGE', '-', '+')
    return first and first.seq == '1'
  end
  local entry = entry_in(log, 'XRANGE', id, id)
  if entry then return entry.hash == hash end
  local after = entry_in(log, 'XRANGE', '(' .. id, '+')
  return after and after.prev == hash
end

-- What the caller, who has applied so much, is to this log.
local function standing(log, state, seq, id, hash)
  if seq > state.seq then return 'REWOUND' end
  if seq == state.seq then return hash == state.hash and 'OWNER' or 'DIVERGED' end
  return has_entry(log, seq, id, hash) and 'BEHIND' or 'DIVERGED'
end

-- An error if the user may not do one of these: a function that is refused something half way does not take back the rest.
local function forbidden(calls)
  for _, call in ipairs(calls) do
    if not redis.acl_check_cmd(unpack(call)) then return redis.error_reply('NOPERM ' .. call[1] .. ' is not allowed') end
  end
end

local function entry_forbidden(log, key, part)
  return forbidden({{'XADD', log, '*', '', ''}, {'SET', part .. 'v:1', ''}, {'HSET', key, '', ''}})
end

-- Ends the caller's lease and claim.
local function leave(key, part, state, nonce, now)
  local claim = claims[part]
  if claim and claim.nonce == nonce then claim.till = now end
  if state.owner == nonce then redis.call('HSET', key, 'until', digits(now)) end
  return {'OWNED', '', 0}
end

-- The other owner's lease. One that ends later than the caller's is from before Redis' clock was set back: it ends with the
-- caller's.
local function owned(key, state, now, lease_ms)
  if state['until'] > now + lease_ms then redis.call('HSET', key, 'until', digits(now + lease_ms)) end
  return {'OWNED', state.worker, math.min(state['until'] - now, lease_ms)}
end

-- Why the caller must wait; nil: it need not. Redis may have lost what another worker has applied, so all are given a lease
-- to ask in; and then who has most of what the log lacks comes first, also before an owner.
local function must_wait(key, state, claim, nonce, what, now, lease_ms)
  if claim.settles > now then return {'OWNED', '', claim.settles - now} end
  if claim.nonce ~= nonce and claim.seq > state.seq then return {'OWNED', '', claim.till - now} end
  local is_first = what == 'REWOUND' and claim.nonce == nonce
  if not is_first and state.owner ~= nonce and state['until'] > now then return owned(key, state, now, lease_ms) end
end

-- Makes a log that has lost entries for good begin anew after the caller's last one. Only where nobody else can have logged
-- anything: Redis has no log, or one that the caller owned last. What the log still has stays until it is old.
local function rebase(log, state, argv)
  local may_not = forbidden({{'XADD', log, '*', '', ''}, {'XDEL', log, '*'}})
  if may_not then return may_not end
  redis.call('XADD', log, argv[5], 'seq', argv[4]) -- so that ids go on after it
  redis.call('XDEL', log, argv[5])
  state.seq, state.hash = tonumber(argv[4]), argv[6]
end

-- Becomes the owner of a log, or stays it.
-- KEYS: the log, its state. ARGV: nonce, the worker's name, ms, and of what the caller has applied durably: seq, id, hash,
-- term, number; then perhaps `rebase` or `leave`. What it returns stands in functions.h.
-- Also who must read or append before it can be the owner has the lease, so that nobody else does the same meanwhile.
local function own(keys, argv)
  local log, key, part, now, state = keys[1], keys[2], gallery_part(keys[1], 'log'), now_ms(), end_of(keys[1], keys[2])
  local nonce, lease_ms, seq, term = argv[1], tonumber(argv[3]), tonumber(argv[4]), tonumber(argv[7])
  local wrong = forbidden({{'HSET', key, '', ''}})
  if wrong then return wrong end
  if argv[9] == 'leave' then return leave(key, part, state, nonce, now) end
  local owns = is_confirmed(part, state) and state.owner == nonce and seq <= state.seq
  local what = owns and 'OWNER' or standing(log, state, seq, argv[5], argv[6])
  if what == 'DIVERGED' then return {what, state.seq, state.hash} end
  local claim = claim_of(part, nonce, term, seq, lease_ms, now)
  local lease = {'owner', nonce, 'worker', argv[2], 'until', digits(now + lease_ms)}
  if owns then
    redis.call('HSET', key, unpack(lease))
    return {what, state.term, state.seq, state.acked}
  end
  local wait = must_wait(key, state, claim, nonce, what, now, lease_ms)
  if wait then return wait end
  if what == 'REWOUND' and argv[9] and state.owner == nonce then
    if state.seq > 0 and state.last_owner ~= nonce then return {'DIVERGED', state.seq, state.hash} end
    wrong = rebase(log, state, argv)
    if wrong then return wrong end
    what = 'OWNER'
  end
  if what ~= 'OWNER' then
    redis.call('HSET', key, unpack(lease))
    confirmed[part] = nil
    return {what, what == 'BEHIND' and state.term or state.seq, what == 'BEHIND' and state.seq or state.hash}
  end
  term = math.max(state.term, term) + 1
  redis.call('HSET', key, 'seq', digits(seq), 'hash', state.hash, 'term', digits(term), 'number',
             digits(math.max(state.number, tonumber(argv[8]))), 'last_owner', nonce, unpack(lease))
  confirmed[part] = {owner = nonce, term = term, hash = state.hash, run = this_run()}
  return {what, term, seq, state.acked}
end

-- Of the entry's place and fields, each preceded by its length; the fields are the arguments from `first` on. The term is
-- left out: an entry that is appended again stays the same.
local function hash_of(entry, argv, first)
  local parts = {entry.prev, entry.seq, entry.number, entry.rows}
  for i = first, #argv do table.insert(parts, argv[i]) end
  for i, part in ipairs(parts) do parts[i] = #part .. ' ' .. part end
  return redis.sha1hex(table.concat(parts))
end

-- Adds an entry, and makes it the end of the log. Returns its id, or an error of Redis, which then has changed nothing.
local function write_entry(keys, state, id, entry, vectors, argv, first)
  local words, part = {}, gallery_part(keys[1], 'log')
  for _, name in ipairs(HEADER) do
    table.insert(words, name)
    table.insert(words, entry[name])
  end
  for i = first, #argv do table.insert(words, argv[i]) end
  local added = redis.pcall('XADD', keys[1], id, unpack(words))
  if type(added) == 'table' then return nil, added end
  if vectors ~= '' then redis.call('SET', part .. 'v:' .. entry.seq, vectors) end
  redis.call('HSET', keys[2], 'seq', entry.seq, 'hash', entry.hash, 'term', digits(math.max(state.term, entry.term)),
             'number', digits(math.max(state.number, entry.number + entry.rows)))
  return added
end

-- Why the caller may not append this entry; nil: it may.
local function append_refusal(part, state, nonce, entry, hash)
  if state.owner ~= nonce or state['until'] <= now_ms() then return 'the caller has no lease of the log' end
  if is_confirmed(part, state) then return 'the log has lost nothing' end
  if hash ~= entry.hash then return 'the hash is not that of the entry' end
  local follows = tonumber(entry.seq) == state.seq + 1 and entry.prev == state.hash
  if state.seq > 0 and not follows then return 'the log ends at entry ' .. digits(state.seq) end
end

-- Who appends has the lease as long as it does.
local function go_on(key, part, state, nonce)
  local till = now_ms() + APPENDER_MS
  if till > state['until'] then redis.call('HSET', key, 'until', digits(till)) end
  if claims[part] and claims[part].nonce == nonce then claims[part].till = till end
end

-- Appends again what Redis lost, as it was: with its id, and with the note that this job is logged, so that it is not logged
-- again. KEYS: the log, its state. ARGV: nonce, id, vectors, seq, term, prev, hash, number, rows, fields.
local function append(keys, argv)
  local part, state = gallery_part(keys[1], 'log'), end_of(keys[1], keys[2])
  local entry = {prev = argv[6], hash = argv[7]}
  for i, name in pairs({[4] = 'seq', [5] = 'term', [8] = 'number', [9] = 'rows'}) do
    entry[name] = digits(tonumber(argv[i]))
  end
  local why = append_refusal(part, state, argv[1], entry, hash_of(entry, argv, 10))
  if why then return {'REFUSED', why} end
  local may_not = entry_forbidden(keys[1], keys[2], part)
  if may_not then return may_not end
  local id, wrong = write_entry(keys, state, argv[2], entry, argv[3], argv, 10)
  if wrong then return wrong end
  note_logged(part, argv[15], argv[13], entry.seq, tonumber(id:match('^%d+')))
  go_on(keys[2], part, state, argv[1])
  return {'APPENDED'}
end

local function is_hash(text) return #text == 40 and text:match('^[0-9a-f]+$') end

local function numbers_fault(argv, ...)
  for _, i in ipairs({...}) do
    if not whole(argv[i], 0, MOST) then return 'argument ' .. i .. ' is not a whole number' end
  end
end

local function log_fault(keys)
  local part = gallery_part(keys[1], 'log')
  if not part then return 'key 1 is not the log of a gallery' end
  if keys[2] ~= part .. 'log:state' then return 'key 2 is not ' .. part .. 'log:state' end
end

local function own_fault(keys, argv)
  local fault = counts_fault(keys, argv, 2, 2, 8, 9) or log_fault(keys) or empty_fault(argv, 1, 2) or ms_fault(argv, 3) or
    numbers_fault(argv, 4, 7, 8)
  if fault then return fault end
  if argv[9] and argv[9] ~= 'rebase' and argv[9] ~= 'leave' then return 'argument 9 is not rebase or leave' end
  if not is_entry(argv[5]) then return 'argument 5 is not the id of an entry' end
  if not is_hash(argv[6]) then return 'argument 6 is not a hash' end
  if (tonumber(argv[4]) == 0) ~= (argv[6] == ZEROS) then return 'argument 6 is not the hash of entry ' .. argv[4] end
end

-- The fields that a change has itself begin with these three, and have none of the names that the log gives.
local function fields_fault(argv, first)
  if (#argv - first) % 2 == 0 then return 'the last field has no value' end
  for i, name in ipairs({'op', 'id', 'to'}) do
    local at = first + 2 * (i - 1)
    if argv[at] ~= name then return 'argument ' .. at .. ' is not the field ' .. name end
  end
  for i = first, #argv, 2 do
    for _, name in ipairs(HEADER) do
      if argv[i] == name then return 'argument ' .. i .. ' is a field of the log, ' .. name end
    end
  end
  return sender_fault('id', argv[first + 3]) or sender_fault('to', argv[first + 5])
end

local function append_fault(keys, argv)
  local fault = counts_fault(keys, argv, 2, 2, 15, 128) or log_fault(keys) or empty_fault(argv, 1, 1) or
    numbers_fault(argv, 4, 5, 8, 9)
  if fault then return fault end
  if not is_entry(argv[2]) or argv[2] == '0-0' then return 'argument 2 is not the id of an entry' end
  if tonumber(argv[4]) == 0 then return 'argument 4 is not the number of an entry' end
  for i = 6, 7 do
    if not is_hash(argv[i]) then return 'argument ' .. i .. ' is not a hash' end
  end
  return fields_fault(argv, 10)
end

define('lk_own_5', own, own_fault, 'allow-oom')
define('lk_append_5', append, append_fault)
