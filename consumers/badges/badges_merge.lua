-- Merges badges from elsewhere into those that are stored: of each the newest count and the newest change without one stay.
-- So it does not matter in which order badges and events come, nor how often.
--
-- KEYS: the badges; see badge_layout.lua
-- ARGV[2…]: for each badge MessagePack of {unread, time, event_id, stale time, stale id, known ids}, false for what is
--   not there. A stale time without an id says only that the badge was stale when this was written, at that time.
--
-- A mark of a loss ends: what was lost is here. Returns for each badge 1 if it is stale now, -1 if not, 0 where the key
-- holds something else.

local LOST = 'redis-lost'
local result = {}

local function merge(badge, row)
  local unread, time, id, stale_time, stale_id, seen = unpack(row)
  local before_time, before_id = badge.time, badge.id
  if time and is_newer(time, id, badge.time, badge.id) then
    badge.unread, badge.time, badge.id = unread, time, id
  end
  if badge.stale_id == LOST then badge.stale_time, badge.stale_id = nil, nil end
  if stale_time and not stale_id then
    -- A count that is newer than what was written then knows better.
    local is_same = before_time == time and before_id == id
    local knows_better = before_time and (not time or not is_same and is_newer(before_time, before_id, time, id))
    if not knows_better and not badge.stale_time then
      badge.stale_time, badge.stale_id = stale_time, LOST
    end
  elseif stale_time and is_newer(stale_time, stale_id, badge.stale_time, badge.stale_id) then
    badge.stale_time, badge.stale_id = stale_time, stale_id
  end
  for at = 1, #(seen or ''), DIGEST do
    local known = seen:sub(at, at + DIGEST - 1)
    if not knows(badge.seen, known) and #badge.seen < 16 * DIGEST then badge.seen = badge.seen .. known end
  end
  if badge.stale_time and badge.time and not is_newer(badge.stale_time, badge.stale_id, badge.time, badge.id) then
    badge.stale_time, badge.stale_id = nil, nil
  end
end

for i, key in ipairs(KEYS) do
  local badge = read_badge(key)
  if badge then
    merge(badge, cmsgpack.unpack(ARGV[i + 1]))
    write_badge(key, badge)
    result[i] = badge.stale_time and 1 or -1
  else
    result[i] = 0
  end
end
return result
