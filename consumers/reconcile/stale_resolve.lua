-- Makes the number that the platform told the count of a badge, if the badge is as it was before the platform was asked.
--
-- The number takes the place of the event that should have had it: its time and id. So any newer event overrules it, the
-- order of events stays the only order, and the same event read again changes nothing.
--
-- KEYS[1]: the badge. ARGV: its time, event_id, stale_time, stale_id as they were (empty where absent); the number
-- Returns 1 if it was written.

local stored = redis.call('HMGET', KEYS[1], 'time', 'event_id', 'stale_time', 'stale_id')
for at = 1, 4 do
  if (stored[at] or '') ~= ARGV[at] then return 0 end
end
if ARGV[3] == '' then return 0 end
redis.call('HSET', KEYS[1], 'unread', ARGV[5], 'time', ARGV[3], 'event_id', ARGV[4],
  'stale', '0', 'stale_time', '', 'stale_id', '')
return 1
