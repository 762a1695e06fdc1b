-- Finds badges whose newest event is older than some time, and removes them if it is told to.
--
-- KEYS: the badges. ARGV[2]: Unix milliseconds; ARGV[3]: `remove` or `look`.
-- Returns for each badge 1 if it is so old (and is removed, if that was wanted), else 0.

local before, result = tonumber(ARGV[2]), {}
for i, key in ipairs(KEYS) do
  local badge = read_badge(key)
  local newest = badge and badge.exists and math.max(badge.time or 0, badge.stale_time or 0)
  result[i] = newest and newest < before and 1 or 0
  if result[i] == 1 and ARGV[3] == 'remove' then redis.call('DEL', key) end
end
return result
