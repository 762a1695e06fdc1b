-- Finds badges whose newest event is older than some time, and removes those that are as they were found.
--
-- KEYS: the badges. ARGV[2]: Unix milliseconds; ARGV[3…]: for each what it was found to be, nothing where they are only
-- looked for.
-- Returns for each badge that is so old (and was removed, if that was wanted) what it is, else nothing.

local before, removes, result = tonumber(ARGV[2]), #ARGV > 2, {}
for i, key in ipairs(KEYS) do
  local badge = read_badge(key)
  local newest = badge and badge.exists and math.max(badge.time or 0, badge.stale_time or 0)
  result[i] = newest and newest < before and pack_badge(badge) or ''
  if removes then
    if result[i] == ARGV[i + 2] then redis.call('DEL', key) else result[i] = '' end
  end
end
return result
