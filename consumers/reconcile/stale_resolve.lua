-- Makes the number that the platform told the count of a badge, if the badge is as it was before the platform was asked.
--
-- The number takes the place of the event that should have had it: its time and id. So any newer event overrules it, the
-- order of events stays the only order, and the same event read again changes nothing.
--
-- KEYS[1]: the badge; see badge_layout.lua
-- ARGV[2…5]: its time, event_id, stale_time, stale_id as they were (empty where absent); ARGV[6]: the number
-- Returns 1 if it was written.

local badge = read_badge(KEYS[1])
if not badge or not badge.stale_time then return 0 end
local stored = {
  badge.time and text(badge.time) or '', badge.id or '', text(badge.stale_time), badge.stale_id or '',
}
for at = 1, 4 do
  if stored[at] ~= ARGV[at + 1] then return 0 end
end
badge.unread, badge.time, badge.id = tonumber(ARGV[6]), badge.stale_time, badge.stale_id
badge.stale_time, badge.stale_id = nil, nil
write_badge(KEYS[1], badge)
return 1
