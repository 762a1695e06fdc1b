-- Notes the state of badges, where there is none yet.
--
-- KEYS[1]: the state, see badges.lua. ARGV[1]: its id; ARGV[2]: 1 if there were badges, which are gone

if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
redis.call('HSET', KEYS[1], 'id', ARGV[1], 'lost_at', ARGV[2] == '1' and now or '0', 'generation', '0')
return 1
