-- Writes badges anew that are stored in another layout. KEYS: the badges.
-- Returns for each 1 if it was one of those, else 0.

local result = {}
for i, key in ipairs(KEYS) do
  local badge = read_badge(key)
  result[i] = badge and badge.exists and badge.old and 1 or 0
  if result[i] == 1 then write_badge(key, badge) end
end
return result
