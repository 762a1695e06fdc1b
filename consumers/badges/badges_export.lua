-- Reads badges whole, as badges_merge.lua takes them.
--
-- KEYS: the badges; see badge_layout.lua. Returns for each its MessagePack, empty where there is no badge.

local result = {}
for i, key in ipairs(KEYS) do
  local badge = read_badge(key)
  result[i] = badge and badge.exists and pack_badge(badge) or ''
end
return result
