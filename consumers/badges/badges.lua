-- Brings badges up to date with some events, and reads them back. Its result depends on which events it has seen, not on
-- their order, nor on how often it has seen each.
--
-- KEYS[1]: the state of these badges, a hash of
--   id           of the data: another one once Redis has lost all
--   lost_at      when a loss was noticed, Unix milliseconds of our own clock; 0 where nothing is lost
--   generation   how often the badges were updated
-- KEYS[2…]: the badges; see badge_layout.lua
-- ARGV[2]: how many ids a badge knows at most
-- ARGV[3]: MessagePack of the events of each badge, none where it is only read, in one flat list of
--   time in ms, id, unread (-1: should have had one), whether it is ordered by its receipt
-- ARGV[4]: `watch`: a state that is missing, or older than it was, shows a loss; `look`: it may be missing; `rebuild`: the
--   events are all that there are, so that nothing is lost any more
-- ARGV[5…7], for `watch`: id of a new state; id and generation of the state as it was last seen
--
-- A loss is as if at its time each badge had changed, and no event said to what. So a badge that is new then is stale
-- until an event newer than the loss has a count: one that was held up cannot pass for the newest.
--
-- Returns MessagePack: {id or false, lost_at, generation}; of all badges unread or false, time or false, event_id or false, as
-- three lists; the numbers, from 1, of those that are stale, of those that were, and of those whose keys hold something else.
-- Lists of a kind cost a third of a list for each badge, here and where they are read.

local capacity = tonumber(ARGV[2])
local batch, mode, LOST = cmsgpack.unpack(ARGV[3]), ARGV[4], 'redis-lost'
local unreads, times, ids, stale, were_stale, foreign = {}, {}, {}, {}, {}, {}

local function remember(seen, known)
  if #seen >= capacity * DIGEST then seen = seen:sub(#seen - (capacity - 1) * DIGEST + 1) end
  return seen .. known
end

local has_events = false
for _, events in ipairs(batch) do
  if #events > 0 then has_events = true end
end

local state = redis.call('HMGET', KEYS[1], 'id', 'lost_at', 'generation')
local state_id, lost_at, generation = state[1], tonumber(state[2]) or 0, tonumber(state[3]) or 0
if mode == 'watch' then
  local was_rolled_back = state_id == ARGV[6] and generation < tonumber(ARGV[7])
  if not state_id or was_rolled_back then
    local time = redis.call('TIME')
    state_id, lost_at = state_id or ARGV[5], time[1] * 1000 + math.floor(time[2] / 1000)
    generation = math.max(generation, tonumber(ARGV[7])) + 1
    redis.call('HSET', KEYS[1], 'id', state_id, 'lost_at', text(lost_at), 'generation', text(generation))
  elseif has_events then
    generation = redis.call('HINCRBY', KEYS[1], 'generation', 1)
  elseif #batch == 0 then
    redis.call('HSET', KEYS[1], 'id', state_id)  -- Nothing but a write tells whether a write is possible.
  end
end

local function apply(badge, events)
  local changed = false
  for at = 1, #events, 4 do
    local time, id, unread, by_receipt = events[at], events[at + 1], events[at + 2], events[at + 3]
    local known = (by_receipt or #badge.seen > 0) and digest(id)
    if not known or not knows(badge.seen, known) then
      if by_receipt then
        badge.seen, changed = remember(badge.seen, known), true
      end
      if unread >= 0 then
        if is_newer(time, id, badge.time, badge.id) then
          badge.unread, badge.time, badge.id, changed = unread, time, id, true
        end
      elseif is_newer(time, id, badge.stale_time, badge.stale_id) and is_newer(time, id, badge.time, badge.id) then
        badge.stale_time, badge.stale_id, changed = time, id, true
      end
    end
  end
  return changed
end

for i, events in ipairs(batch) do
  local key = KEYS[i + 1]
  local badge = read_badge(key)
  if badge then
    local was_stale, changed = badge.stale_time ~= nil, badge.old and #events > 0
    if #events > 0 then
      if mode == 'rebuild' and badge.stale_id == LOST then
        badge.stale_time, badge.stale_id, changed = nil, nil, true
      elseif mode ~= 'rebuild' and lost_at > 0 and not badge.exists then
        badge.stale_time, badge.stale_id, changed = lost_at, LOST, true
      end
    end
    changed = apply(badge, events) or changed
    if badge.stale_time and badge.time and not is_newer(badge.stale_time, badge.stale_id, badge.time, badge.id) then
      badge.stale_time, badge.stale_id = nil, nil
    end
    if changed then write_badge(key, badge) end
    unreads[i], times[i], ids[i] = badge.unread or false, badge.time or false, badge.id or false
    if badge.stale_time then stale[#stale + 1] = i end
    if was_stale then were_stale[#were_stale + 1] = i end
  else
    unreads[i], times[i], ids[i] = false, false, false
    foreign[#foreign + 1] = i
  end
end

return cmsgpack.pack({ { state_id, lost_at, generation }, unreads, times, ids, stale, were_stale, foreign })
