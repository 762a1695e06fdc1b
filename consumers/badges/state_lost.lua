-- Notes that badges are lost, or were put back to a state of before. KEYS[1]: their state, see badges.lua. ARGV[1]: an id
-- Returns id, lost_at and generation.

local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000 + math.floor(clock[2] / 1000))
if redis.call('HSETNX', KEYS[1], 'id', ARGV[1]) == 1 then redis.call('HSET', KEYS[1], 'generation', '0') end
if (redis.call('HGET', KEYS[1], 'lost_at') or '0') == '0' then redis.call('HSET', KEYS[1], 'lost_at', now) end
return redis.call('HMGET', KEYS[1], 'id', 'lost_at', 'generation')
