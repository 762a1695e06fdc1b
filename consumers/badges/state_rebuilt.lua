-- Notes that the badges that were lost are there again, if no more was lost since the rebuild began.
--
-- KEYS[1]: the state, see badges.lua. ARGV: its id and lost_at as they were then

local state = redis.call('HMGET', KEYS[1], 'id', 'lost_at')
if state[1] ~= ARGV[1] or state[2] ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'lost_at', '0')
return 1
