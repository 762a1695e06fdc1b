-- Takes or keeps a right that one process has at a time, or gives it back.
--
-- KEYS[1]: whose it is. ARGV: who wants it; for how many ms, 0 to give it back. Returns 1 if that one has it then.

local holder, wanted = redis.call('GET', KEYS[1]), tonumber(ARGV[2])
if holder and holder ~= ARGV[1] then return 0 end
if wanted == 0 then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
