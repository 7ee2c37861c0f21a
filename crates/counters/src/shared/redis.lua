-- The shared table of counters. The same state machine as table.rs, step by step; one contract suite runs against both.
--
-- KEYS[1]  the partition, a hash: g generation, o server run, t its server time (ms), d its domain time (ms),
--          s:SESSION last heard (ms), a:SESSION generation declared, f:NODE lowest fence that is heard
-- KEYS[2]  the counter, a hash: g generation, b base (absent until told), r last recall, h hungry,
--          n:SESSION units given, u: of them used, m: of them in the ledger, q: last exchange, k: last recall answered
-- Both lie in one slot. Numbers stay below 2^53 and are written without exponent.
local SILENT, GONE, GRACE, SKEW, LARGEST = 1500, 3600000, 1500, 10000, 4503599627370496

local function s(number) return string.format('%.0f', number) end
local function hash(key)
  local flat, all = redis.call('HGETALL', key), {}
  for i = 1, #flat, 2 do all[flat[i]] = flat[i + 1] end
  return all
end

local clock = redis.call('TIME')
local ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local op, session, node, fence = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local known, now = tonumber(ARGV[5]), tonumber(ARGV[6])
local part = hash(KEYS[1])

local generation = tonumber(part.g or '0')
if not part.g or part.o ~= run or generation < known then
  generation = math.min(math.max(ms, math.max(generation, known) + 1), LARGEST)
  part.g, part.o, part.t, part.d = s(generation), run, s(ms), s(now)
  redis.call('HSET', KEYS[1], 'g', part.g, 'o', run, 't', part.t, 'd', part.d)
end

local function hear()
  if fence < tonumber(part['f:' .. node] or '0') then return false end
  part['f:' .. node], part['s:' .. session] = s(fence), s(ms)
  redis.call('HSET', KEYS[1], 'f:' .. node, s(fence), 's:' .. session, s(ms))
  return true
end

local function live()
  local sessions, count, settled = {}, 0, ms >= tonumber(part.t) + GRACE
  for field, value in pairs(part) do
    if string.sub(field, 1, 2) == 's:' and tonumber(value) + SILENT > ms then
      local name = string.sub(field, 3)
      sessions[name] = true
      count = count + 1
      if tonumber(part['a:' .. name] or '0') ~= generation then settled = false end
    end
  end
  return sessions, count, settled
end

-- The counter in this generation. What it held in an earlier one is declared and told anew.
local function open(start, forget)
  local counter = hash(KEYS[2])
  if counter.g ~= s(generation) then
    redis.call('DEL', KEYS[2])
    counter = { g = s(generation) }
    redis.call('HSET', KEYS[2], 'g', counter.g)
    if start >= tonumber(part.d) + SKEW then
      counter.b = '0'
      redis.call('HSET', KEYS[2], 'b', '0')
    end
  end
  redis.call('PEXPIRE', KEYS[2], forget)
  return counter
end

local function of(counter, kind, name) return tonumber(counter[kind .. ':' .. name] or '0') end

local function entries(counter)
  local names = {}
  for field in pairs(counter) do
    if string.sub(field, 1, 2) == 'q:' then names[#names + 1] = string.sub(field, 3) end
  end
  return names
end

-- Who has units, and who is live or has declared everything in this generation.
local function holders(counter, sessions)
  local list, seen = {}, {}
  local function add(name)
    list[#list + 1] = name
    list[#list + 1] = sessions[name] and '1' or '0'
    list[#list + 1] = s(of(counter, 'm', name))
  end
  for _, name in ipairs(entries(counter)) do
    seen[name] = true
    add(name)
  end
  for field in pairs(part) do
    if string.sub(field, 1, 2) == 's:' then
      local name = string.sub(field, 3)
      local known = sessions[name] or tonumber(part['a:' .. name] or '0') == generation
      if known and not seen[name] then add(name) end
    end
  end
  return list
end

if op == 'beat' then
  local declared, leaves = ARGV[7], ARGV[8]
  if not hear() then return { '0', '0' } end
  if leaves == '1' then
    redis.call('HDEL', KEYS[1], 's:' .. session, 'a:' .. session)
    part['s:' .. session] = nil
  else
    redis.call('HSET', KEYS[1], 'a:' .. session, declared)
    part['a:' .. session] = declared
  end
  for field, value in pairs(part) do
    if string.sub(field, 1, 2) == 's:' and tonumber(value) + GONE <= ms then
      local name = string.sub(field, 3)
      redis.call('HDEL', KEYS[1], field, 'a:' .. name)
    end
  end
  local _, count = live()
  return { s(generation), s(count) }
end

if op == 'holders' then
  local sessions = live()
  return holders(hash(KEYS[2]), sessions)
end

if op == 'tell' then
  if generation ~= known then return { 'late' } end
  local start, forget, base = tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9])
  local counter, overs = open(start, forget), tonumber(ARGV[10])
  -- What was taken off the base must still be there on its own.
  for i = 11 + 3 * overs, #ARGV do
    if not counter['q:' .. ARGV[i]] then return { 'late' } end
  end
  local given = 0
  for i = 11, 10 + 3 * overs, 3 do
    local over, its_node, its_fence = ARGV[i], ARGV[i + 1], tonumber(ARGV[i + 2])
    local lowest = math.max(tonumber(part['f:' .. its_node] or '0'), its_fence + 1)
    part['f:' .. its_node] = s(lowest)
    redis.call('HSET', KEYS[1], 'f:' .. its_node, s(lowest))
    redis.call('HDEL', KEYS[1], 's:' .. over, 'a:' .. over)
    given = given + of(counter, 'n', over)
    redis.call('HDEL', KEYS[2], 'n:' .. over, 'u:' .. over, 'm:' .. over, 'q:' .. over, 'k:' .. over)
  end
  if counter.b then base = math.min(base, tonumber(counter.b) + given) end
  redis.call('HSET', KEYS[2], 'b', s(math.min(base, LARGEST)))
  return { 'told' }
end

-- exchange
if not hear() then return { 'over' } end
if known ~= generation then return { 'generation', s(generation) } end
local start, forget, seq = tonumber(ARGV[7]), ARGV[8], tonumber(ARGV[9])
local keep, taken, metered = tonumber(ARGV[10]), tonumber(ARGV[11]), tonumber(ARGV[12])
local want, least, ceiling = tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15])
local strict, heard = ARGV[16] == 'strict', tonumber(ARGV[17])
local counter = open(start, forget)
if seq <= of(counter, 'q', session) then return { 'late' } end
local recall = tonumber(counter.r or '0')
local clean = of(counter, 'k', session)
if taken >= keep then clean = math.max(clean, math.min(heard, recall)) end
metered = math.max(metered, of(counter, 'm', session))
counter['q:' .. session], counter['n:' .. session] = s(seq), s(keep)
counter['u:' .. session], counter['m:' .. session], counter['k:' .. session] = s(taken), s(metered), s(clean)
local function note()
  redis.call('HSET', KEYS[2], 'q:' .. session, s(seq), 'n:' .. session, counter['n:' .. session],
    'u:' .. session, s(taken), 'm:' .. session, s(metered), 'k:' .. session, counter['k:' .. session])
end
local sessions, count, settled = live()
if not settled and strict then
  note()
  return { 'undeclared' }
end
if not counter.b then
  note()
  local list = holders(counter, sessions)
  table.insert(list, 1, 'untold')
  return list
end

local base, given = tonumber(counter.b), 0
local names = entries(counter)
for _, name in ipairs(names) do given = given + of(counter, 'n', name) end
local room = math.max(ceiling - base - given, 0)
local hungry = counter.h == '1'
local grant = 0
if want > 0 and room >= least then
  local share = math.floor(room / (4 * math.max(count, 1)))
  local most = hungry and least or math.max(math.min(want, share), least)
  grant = math.min(most, room)
end
if grant > 0 then
  counter['n:' .. session], counter['k:' .. session] = s(keep + grant), '0'
end
local left, tell = room - grant, false
if want > 0 and grant == 0 and strict then
  if not hungry then recall = recall + 1 end
  hungry = true
elseif left > 0 and hungry then
  hungry, tell = false, true
end
note()
redis.call('HSET', KEYS[2], 'r', s(recall), 'h', hungry and '1' or '0')
local elsewhere, with, silent = base, 0, 0
for _, name in ipairs(names) do
  if name ~= session then
    elsewhere = elsewhere + of(counter, 'u', name)
    if of(counter, 'n', name) > 0 then
      if not sessions[name] then
        silent = silent + 1
      elseif of(counter, 'k', name) < recall then
        with = with + 1
      end
    end
  end
end
return { 'stands', s(keep + grant), s(left), s(elsewhere), s(with), s(silent), s(recall),
  hungry and '1' or '0', tell and '1' or '0' }
