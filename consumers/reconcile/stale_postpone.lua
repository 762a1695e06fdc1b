-- Puts an account back among those that are stale, to be asked about after 1, 2, 4, … s, five minutes at most.
--
-- KEYS: the sets of those stale and of those asked about, the hash of failures; see stale.py
-- ARGV: the account; the jitter; shortest wait in ms

local failures = redis.call('HINCRBY', KEYS[3], ARGV[1], 1)
local wait = math.max(tonumber(ARGV[3]), math.min(1000 * 2 ^ math.min(failures - 1, 20), 300000)) * tonumber(ARGV[2])
local clock = redis.call('TIME')
local due = clock[1] * 1000 + math.floor(clock[2] / 1000) + wait
redis.call('ZADD', KEYS[1], string.format('%.0f', due), ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return failures
