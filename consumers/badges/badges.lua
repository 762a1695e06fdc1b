-- Brings badges up to date with some events, and reads them back. Its result depends on which events it has seen, not on
-- their order, nor on how often it has seen each.
--
-- KEYS[1]: set of the app ids that have badges
-- KEYS[2]: the state of all badges, a hash of
--   id         of the data: another one once Redis has lost all
--   lost_at    when a loss was noticed, Unix milliseconds of our own clock; 0 where nothing is lost
-- KEYS[3…]: one for each of the n app ids of ARGV[2]: sorted set of its accounts whose badges are stale, by the time in
--   Unix milliseconds of our own clock from when on the platform may be asked; see stale.py
-- KEYS[n + 3…]: badges, hashes of
--   unread, time, event_id    newest count, its time in Unix milliseconds, its event; absent while no count is known
--   stale                     1 if an event newer than that should have had a count and had none, else 0
--   stale_time, stale_id      newest such event, empty while stale is 0
--   seen                      ids of the last events that were ordered by their receipt, " id id … "
-- ARGV[1]: how many ids `seen` holds at most
-- ARGV[2]: MessagePack of {app ids, for each badge the number of its app, for each badge its events}; the events of a
--   badge, none where it is only read, are one flat list of
--   time in ms, id, unread (-1: should have had one), whether it is ordered by its receipt
-- ARGV[3]: `watch`: a state that is missing was lost, with all badges; `look`: it may be missing; `rebuild`: the events
--   are all that there are, so that nothing is lost any more
-- ARGV[4]: id of a new state, for `watch`
--
-- A loss is as if at its time each badge had changed, and no event said to what. So a badge that is new then is stale
-- until an event newer than the loss has a count: one that was held up cannot pass for the newest.
--
-- Returns MessagePack: {id or false, lost_at}, and for each badge {unread or false, time or false, event_id or false,
-- stale}.

local capacity = tonumber(ARGV[1])
local apps, app_of, batch = unpack(cmsgpack.unpack(ARGV[2]))
local mode, LOST = ARGV[3], 'redis-lost'
local result = {}

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

local function remember(seen, id)
  local _, spaces = seen:gsub(' ', '')
  if spaces > capacity then
    seen = seen:sub((seen:find(' ', 2, true)))
  end
  return (seen == '' and ' ' or seen) .. id .. ' '
end

local now
local function clock()
  if not now then
    local time = redis.call('TIME')
    now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
  end
  return now
end

local state = redis.call('HMGET', KEYS[2], 'id', 'lost_at')
local state_id, lost_at = state[1], tonumber(state[2]) or 0
if not state_id and mode == 'watch' then
  state_id, lost_at = ARGV[4], tonumber(clock())
  redis.call('HSET', KEYS[2], 'id', state_id, 'lost_at', clock())
elseif mode == 'watch' and #batch == 0 then
  redis.call('HSET', KEYS[2], 'id', state_id)  -- Nothing but a write tells whether a write is possible.
end

local known_apps = {}
local function remember_app(app)
  if not known_apps[app] then
    known_apps[app] = true
    redis.call('SADD', KEYS[1], app)
  end
end

for i, events in ipairs(batch) do
  local key = KEYS[#apps + 2 + i]
  local app = apps[app_of[i]]
  local stored = redis.call('HMGET', key, 'unread', 'time', 'event_id', 'stale_time', 'stale_id', 'seen', 'stale')
  local unread, time, event_id = tonumber(stored[1]), tonumber(stored[2]), stored[3]
  local stale_time, stale_id, seen = tonumber(stored[4]), stored[5], stored[6] or ''
  local was_stale = stale_time ~= nil
  local changed = false
  if #events > 0 then
    if mode == 'rebuild' and stale_id == LOST then
      stale_time, stale_id, changed = nil, nil, true
    elseif mode ~= 'rebuild' and lost_at > 0 and not stored[7] then
      stale_time, stale_id, changed = lost_at, LOST, true
    end
  end

  for at = 1, #events, 4 do
    local new_time, new_id, new_unread, by_receipt = events[at], events[at + 1], events[at + 2], events[at + 3]
    local known = seen ~= '' and seen:find(' ' .. new_id .. ' ', 1, true)
    if not known then
      if by_receipt then
        seen = remember(seen, new_id)
        changed = true
      end
      if new_unread >= 0 then
        if is_newer(new_time, new_id, time, event_id) then
          unread, time, event_id, changed = new_unread, new_time, new_id, true
        end
      elseif is_newer(new_time, new_id, stale_time, stale_id) and is_newer(new_time, new_id, time, event_id) then
        stale_time, stale_id, changed = new_time, new_id, true
      end
    end
  end

  if stale_time and time and not is_newer(stale_time, stale_id, time, event_id) then
    stale_time, stale_id = nil, nil
  end
  if #events > 0 then
    remember_app(app)
    local account = key:sub(#'im:badge:' + #app + 2)
    if stale_time then
      redis.call('ZADD', KEYS[app_of[i] + 2], 'NX', clock(), account)
    elseif was_stale then
      redis.call('ZREM', KEYS[app_of[i] + 2], account)
    end
  end
  if changed then
    local fields = {
      'stale', stale_time and '1' or '0',
      'stale_time', stale_time and string.format('%.0f', stale_time) or '',
      'stale_id', stale_id or '',
      'seen', seen,
    }
    if time then
      for _, field in ipairs({
        'unread', string.format('%.0f', unread), 'time', string.format('%.0f', time), 'event_id', event_id,
      }) do
        fields[#fields + 1] = field
      end
    end
    redis.call('HSET', key, unpack(fields))
  end
  result[i] = { unread or false, time or false, event_id or false, stale_time ~= nil }
end

return cmsgpack.pack({ { state_id, lost_at }, result })
