-- Writes badges anew that are stored in another layout. KEYS: the badges. Returns how many those were.

local count = 0
for _, key in ipairs(KEYS) do
  local badge = read_badge(key)
  if badge and badge.exists and badge.old then
    write_badge(key, badge)
    count = count + 1
  end
end
return count
