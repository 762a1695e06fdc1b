-- Puts accounts among those whose badges are stale, from now on; and takes others out.
--
-- KEYS[1]: the sorted set, see reconcile/stale.py. ARGV[1]: how many to put there; then those, then the others

local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
local added = tonumber(ARGV[1])
for at = 2, #ARGV do
  if at <= added + 1 then
    redis.call('ZADD', KEYS[1], 'NX', now, ARGV[at])
  else
    redis.call('ZREM', KEYS[1], ARGV[at])
  end
end
return added
