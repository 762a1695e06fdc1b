-- Reads what decides whether a badge has changed. KEYS[1]: the badge; see badge_layout.lua
-- Returns its time, event_id, stale_time and stale_id, empty where absent; nothing where the key holds something else.

local badge = read_badge(KEYS[1])
if not badge then return {} end
return {
  badge.time and text(badge.time) or '', badge.id or '',
  badge.stale_time and text(badge.stale_time) or '', badge.stale_id or '',
}
