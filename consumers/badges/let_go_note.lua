-- Notes until when badges were let go. KEYS[1]: where; ARGV[1]: Unix milliseconds. An earlier time changes nothing.

if tonumber(ARGV[1]) > (tonumber(redis.call('GET', KEYS[1])) or 0) then redis.call('SET', KEYS[1], ARGV[1]) end
return 1
