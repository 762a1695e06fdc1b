-- Takes calls out of the rate of an app, or gives back those that were not made.
--
-- KEYS[1]: until when the calls that were given out fill their rate, Unix ms
-- ARGV: how many calls at most, negative to give so many back; ms between calls. Returns how many were taken.

local wanted, between = tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local full = tonumber(redis.call('GET', KEYS[1]) or '0')
if wanted > 0 then
  -- Calls are spread: a tenth of a second's worth may come at once.
  full = math.max(full, now - math.max(100, between))
  wanted = math.min(wanted, math.floor((now - full) / between))
  if wanted < 1 then return 0 end
end
redis.call('SET', KEYS[1], string.format('%.3f', full + wanted * between), 'PX', string.format('%.0f', math.max(10000, 2 * between)))
return wanted
