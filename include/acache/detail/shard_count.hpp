// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_SHARD_COUNT_HPP
#define ACACHE_DETAIL_SHARD_COUNT_HPP

#include <algorithm>
#include <bit>
#include <cstddef>
#include <thread>

namespace acache::detail {

/// As many as a word has bits.
inline constexpr std::size_t most_shards = 64;

/// How many shards a store has: enough that threads seldom meet and that no table takes long to grow, and few
/// enough that each holds entries enough for its eviction policy to see what the whole would show it.
[[nodiscard]] inline std::size_t shard_count(std::size_t wanted, std::size_t capacity) {
    constexpr std::size_t fewest_entries = 1024;
    constexpr std::size_t most_entries = 65'536; // beyond that ghosts blur as well, see turnstile
    if (wanted != 0) {
        return std::bit_ceil(std::min(wanted, most_shards));
    }
    const std::size_t for_threads = 4 * std::max<std::size_t>(std::thread::hardware_concurrency(), 1);
    const std::size_t for_size = std::bit_ceil(std::min(capacity / most_entries, most_shards));
    const std::size_t too_many = std::max<std::size_t>(capacity / fewest_entries, 1);
    return std::bit_floor(std::min({std::max(for_threads, for_size), too_many, most_shards}));
}

} // namespace acache::detail

#endif
