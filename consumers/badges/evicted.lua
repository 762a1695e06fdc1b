-- Tells how many keys the server has thrown away to make room. KEYS[1]: one that it has, or would have.
-- Returns who it is, how many, and by which policy.

return {
  redis.call('INFO', 'server'):match('run_id:(%x+)') or '',
  redis.call('INFO', 'stats'):match('evicted_keys:(%d+)') or '0',
  redis.call('INFO', 'memory'):match('maxmemory_policy:([%w-]+)') or '',
}
