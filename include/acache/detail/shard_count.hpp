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

/// How many shards a store has: enough that threads seldom meet, and few enough that each holds entries
/// enough for its eviction policy to see what the whole would show it.
[[nodiscard]] inline std::size_t shard_count(std::size_t wanted, std::size_t capacity) {
    constexpr std::size_t entries_a_shard = 1024;
    if (wanted != 0) {
        return std::bit_ceil(std::min(wanted, most_shards));
    }
    const std::size_t by_machine = 4 * std::max<std::size_t>(std::thread::hardware_concurrency(), 1);
    const std::size_t by_capacity = std::max<std::size_t>(capacity / entries_a_shard, 1);
    return std::bit_floor(std::min({by_machine, by_capacity, most_shards}));
}

} // namespace acache::detail

#endif
