// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_SCRIPTS_HPP
#define ACACHE_REDIS_DETAIL_REDIS_SCRIPTS_HPP

#include <string_view>

// What has to happen in one step at the server, and is no command of its own. Each is sent whole: so none can
// be missing there, and a restart of the server needs no care.
namespace acache::detail::redis_scripts {

// The state of a cache is one hash: `gen` names the generation that its slots are of, `n` counts the
// invalidations of tags, `t:<tag>` is what n was at the tag's last one, `run` is the server's run_id, and
// `tags` names the generation in which the last tag was invalidated.
// All of it is lost together or not at all; and then, or where the server was restarted (it may have come
// back with what it had saved long before) or replaced by a replica (which may lack the last writes), there
// is a new generation, in which nothing of the old ones is found.

/// KEYS: state, mark of clears. ARGV: a generation that was never used, and the greatest n that is known to
/// who asks: n never goes back, also where the state was lost. Returns gen and n.
inline constexpr std::string_view open = R"(
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local at = redis.call('HMGET', KEYS[1], 'run', 'gen', 'n')
local n = at[3] or '0'
if tonumber(ARGV[2]) > (tonumber(n) or -1) then n = ARGV[2] end
if at[1] ~= run or not at[2] then
  at[2] = ARGV[1]
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'run', run, 'gen', at[2], 'n', n)
  redis.call('SET', KEYS[2], '')
  redis.call('DEL', KEYS[2])
elseif n ~= at[3] then
  redis.call('HSET', KEYS[1], 'n', n)
end
return {at[2], n})";

/// KEYS: state, mark of the tag. ARGV: the tag. Returns n. What is known of tags from before the last clear
/// is of no use any more, and goes.
inline constexpr std::string_view invalidate_tag = R"(
local at = redis.call('HMGET', KEYS[1], 'run', 'gen', 'n', 'tags')
if at[2] and at[4] ~= at[2] then
  redis.call('UNLINK', KEYS[1])
  redis.call('HSET', KEYS[1], 'run', at[1] or '', 'gen', at[2], 'n', at[3] or '0', 'tags', at[2])
end
local n = redis.call('HINCRBY', KEYS[1], 'n', 1)
redis.call('HSET', KEYS[1], 't:' .. ARGV[1], n)
redis.call('SET', KEYS[2], '')
redis.call('DEL', KEYS[2])
return n)";

// What a slot holds, value or lease, is told by its first 20 bytes, which no other write has.

/// KEYS: slot. ARGV: what it began with, the value, how long it is to be kept in milliseconds or 0 for ever.
/// Returns 1 where it was stored.
inline constexpr std::string_view fill = R"(
if redis.call('GETRANGE', KEYS[1], 0, 19) ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2])
else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1)";

/// KEYS: slot. ARGV: what it begins with, milliseconds. Returns 1 where it does.
inline constexpr std::string_view renew = R"(
if redis.call('GETRANGE', KEYS[1], 0, 19) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2]))";

/// KEYS: slot. ARGV: what it begins with. Returns 1 where it did.
inline constexpr std::string_view release = R"(
if redis.call('GETRANGE', KEYS[1], 0, 19) ~= ARGV[1] then return 0 end
return redis.call('UNLINK', KEYS[1]))";

} // namespace acache::detail::redis_scripts

#endif
