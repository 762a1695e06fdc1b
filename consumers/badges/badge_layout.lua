-- How a badge is stored, for all scripts that read or write one; it stands before each of them.
--
-- ARGV[1] of each is the layout in which badges are written, `hash` or `packed`. Both are read, and what versions before
-- have written. A badge that is written anew takes on the layout.
--
-- `hash`: a hash of
--   unread, time, event_id    newest count, its time in Unix milliseconds, its event; absent while no count is known
--   stale                     1 if an event newer than that should have had a count and had none, else 0
--   S                         "time id" of the newest such event, absent while stale is 0
--   k, l, m                   six bytes of SHA-1, in Base64, of each of the last ids of events that were ordered by their
--                             receipt, oldest first; in several fields, since Redis keeps short ones far smaller. All is
--                             text: most clients decode what they read
-- `packed`: a string, "b1" and MessagePack of
--   {unread, time, event_id, stale time, stale id, known ids}; false for what is not there, an id of 32 hexadecimal
--   digits as its 16 bytes, known ids as their bytes
--
-- In a script a badge is a table of unread, time, id, stale_time, stale_id, seen; `exists`, `has_s` where it is a hash with
-- the field S, and `old` where it is stored in another layout.

local LAYOUT, DIGEST, SEEN_FIELDS, SEEN_FIELD = ARGV[1], 8, { 'k', 'l', 'm' }, 56
local BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
local PACKED = 'b1'

local function text(number)
  return string.format('%.0f', number)
end

-- Byte by byte, because `<` of strings goes by the server's locale.
local function precedes(a, b)
  if a == b then return false end
  for i = 1, math.min(#a, #b) do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function is_newer(time, id, than_time, than_id)
  if not than_time then return true end
  if time ~= than_time then return time > than_time end
  return precedes(than_id, id)
end

local function bytes_of(hex)
  return (hex:gsub('%x%x', function(pair) return string.char(tonumber(pair, 16)) end))
end

local function base64(number)
  return BASE64:sub(number + 1, number + 1)
end

local function digest(id)
  return (redis.sha1hex(id):sub(1, 12):gsub('%x%x%x', function(digits)
    local number = tonumber(digits, 16)
    return base64(math.floor(number / 64)) .. base64(number % 64)
  end))
end

local function raw_digests(seen)
  return (seen:gsub('....', function(four)
    local number = 0
    for at = 1, 4 do number = number * 64 + BASE64:find(four:sub(at, at), 1, true) - 1 end
    return string.char(math.floor(number / 65536), math.floor(number / 256) % 256, number % 256)
  end))
end

local function digests_of(raw)
  return (raw:gsub('...', function(three)
    local a, b, c = three:byte(1, 3)
    return base64(math.floor(a / 4)) .. base64(a % 4 * 16 + math.floor(b / 16)) ..
      base64(b % 16 * 4 + math.floor(c / 64)) .. base64(c % 64)
  end))
end

local function knows(seen, known)
  for at = 1, #seen, DIGEST do
    if seen:sub(at, at + DIGEST - 1) == known then return true end
  end
  return false
end

local function short_id(id)
  if id and #id == 32 and not id:find('[^0-9a-f]') then return bytes_of(id) end
  return id or false
end

-- An id of 16 bytes that was no such digits is kept with a byte more, so that both are told apart.
local function packed_id(id)
  local short = short_id(id)
  if short and short == id and #id == 16 then return id .. '\0' end
  return short
end

local function full_id(id)
  if not id then return nil end
  if #id == 17 and id:byte(17) == 0 then return id:sub(1, 16) end
  if #id ~= 16 then return id end
  return (id:gsub('.', function(byte) return string.format('%02x', byte:byte()) end))
end

local function unpack_badge(raw)
  if raw:sub(1, 2) ~= PACKED then return nil end
  local is_read, row = pcall(cmsgpack.unpack, raw:sub(3))
  if not is_read or type(row) ~= 'table' then return nil end
  return {
    unread = row[1] or nil, time = row[2] or nil, id = full_id(row[3]),
    stale_time = row[4] or nil, stale_id = full_id(row[5]), seen = digests_of(row[6] or ''),
  }
end

local function hash_of(row)
  local badge = {
    unread = tonumber(row[1]), time = tonumber(row[2]), id = row[3] or nil,
    seen = (row[9] or '') .. (row[10] or '') .. (row[11] or ''), exists = row[4] and true or false, old = LAYOUT ~= 'hash',
    has_s = row[5] and true or false,
  }
  if row[5] then
    badge.stale_time, badge.stale_id = tonumber(row[5]:match('^%-?%d+')), row[5]:match('^%-?%d+ (.*)$')
  end
  if row[6] or row[7] or row[8] then  -- A version before this has written it, and knows nothing of the fields above.
    badge.stale_time, badge.stale_id, badge.old = tonumber(row[6]), row[7], true
    for id in (row[8] or ''):gmatch('[^ ]+') do badge.seen = badge.seen .. digest(id) end
  end
  return badge
end

local function read_hash(ask, key)
  return ask('HMGET', key, 'unread', 'time', 'event_id', 'stale', 'S', 'stale_time', 'stale_id', 'seen', unpack(SEEN_FIELDS))
end

-- The badge of a key; nil where something else is in its place. Nearly all are of the layout, so that is read without asking
-- for the type first: each command costs as much as all else that is done for a badge.
local function read_badge(key)
  if LAYOUT == 'hash' then
    local row = read_hash(redis.pcall, key)
    if not row['err'] then return hash_of(row) end
  end
  local kind = redis.call('TYPE', key)['ok']
  if kind == 'none' then return { seen = '' } end
  if kind ~= 'string' then return hash_of(read_hash(redis.call, key)) end
  local badge = unpack_badge(redis.call('GET', key))
  if badge then badge.exists, badge.old = true, LAYOUT ~= 'packed' end
  return badge
end

-- All of a badge, as badges_merge.lua takes it.
local function pack_badge(badge)
  return cmsgpack.pack({
    badge.unread or false, badge.time or false, badge.id or false,
    badge.stale_time or false, badge.stale_id or false, badge.seen,
  })
end

local function write_packed(key, badge)
  redis.call('SET', key, PACKED .. cmsgpack.pack({
    badge.unread or false, badge.time or false, packed_id(badge.id),
    badge.stale_time or false, packed_id(badge.stale_id), raw_digests(badge.seen),
  }))
end

local function write_hash(key, badge)
  local fields = { 'stale', badge.stale_time and '1' or '0' }
  local function add(name, value)
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  if badge.time then
    add('unread', text(badge.unread))
    add('time', text(badge.time))
    add('event_id', badge.id)
  end
  if badge.stale_time then add('S', text(badge.stale_time) .. ' ' .. badge.stale_id) end
  for number, name in ipairs(SEEN_FIELDS) do
    local part = badge.seen:sub((number - 1) * SEEN_FIELD + 1, number * SEEN_FIELD)
    if #part > 0 then add(name, part) end
  end
  if badge.old then
    redis.call('DEL', key)
  elseif badge.has_s and not badge.stale_time then
    redis.call('HDEL', key, 'S')
  end
  redis.call('HSET', key, unpack(fields))
end

local function write_badge(key, badge)
  if LAYOUT == 'packed' then write_packed(key, badge) else write_hash(key, badge) end
end
