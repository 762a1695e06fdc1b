-- Gives out accounts whose badges are stale.
--
-- KEYS: the sets of those stale and of those asked about; see stale.py
-- ARGV: how many accounts at most; how long in ms a badge is stale before it is asked about; ms of the lease

local max_accounts, delay, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function text(number)
  return string.format('%.0f', number)
end

-- Whoever asked about these is gone.
for _, account in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', text(now), 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[2], account)
  redis.call('ZADD', KEYS[1], 'NX', text(now - delay), account)
end
if max_accounts < 1 then return {} end

local leased = {}
for _, account in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now - delay), 'LIMIT', 0, max_accounts + 200)) do
  if #leased == max_accounts then break end
  -- One that became stale again while it is asked about comes when that has ended.
  if not redis.call('ZSCORE', KEYS[2], account) then
    redis.call('ZREM', KEYS[1], account)
    redis.call('ZADD', KEYS[2], text(now + lease), account)
    leased[#leased + 1] = account
  end
end
return leased
