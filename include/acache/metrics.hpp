// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_METRICS_HPP
#define ACACHE_METRICS_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace acache {

/// Why an entry left a store.
enum class removal_cause : std::uint8_t {
    capacity,    ///< evicted to make room
    expired,     ///< its ttl had passed
    invalidated, ///< `invalidate` or `clear`
    replaced     ///< another value was stored under its key
};

/// Entries removed from a store, by cause.
struct removal_counts {
    std::uint64_t capacity = 0;
    std::uint64_t expired = 0;
    std::uint64_t invalidated = 0;
    std::uint64_t replaced = 0;
};

/// What a backend can tell about itself.
struct backend_metrics {
    std::uint64_t size = 0;   ///< entries held, expired ones not yet removed included
    std::uint64_t weight = 0; ///< their weight; the number of entries where nothing weighs them
    removal_counts removals;
    std::uint64_t rejected = 0; ///< entries not stored since they were heavier than the whole may be
};

/// How long loads took: a histogram whose bucket `i` counts the loads of at most `bounds[i]` (and more than
/// the bound before); the last bucket has no bound.
struct duration_histogram {
    static constexpr std::array<std::chrono::nanoseconds, 16> bounds = [] {
        std::array<std::chrono::nanoseconds, 16> result{};
        std::chrono::nanoseconds bound = std::chrono::microseconds{100};
        for (auto& b : result) {
            b = bound;
            bound *= 2;
        }
        return result;
    }();

    std::array<std::uint64_t, bounds.size() + 1> buckets{};
    std::chrono::nanoseconds sum{};

    [[nodiscard]] constexpr std::uint64_t count() const noexcept {
        std::uint64_t total = 0;
        for (const auto n : buckets) {
            total += n;
        }
        return total;
    }
};

/// A snapshot of a cache's counters. Each get, get_or_load, try_get or wrapped call counts exactly once, as
/// hit, stale_hit, miss or coalesced. Counters only grow; sums are exact once all is quiet.
struct cache_metrics {
    std::uint64_t hits = 0;             ///< answered by a fresh entry
    std::uint64_t stale_hits = 0;       ///< answered by an entry past its freshness
    std::uint64_t misses = 0;           ///< no usable entry, and no flight to join
    std::uint64_t coalesced = 0;        ///< callers who joined a load already under way
    std::uint64_t loads = 0;            ///< keys whose load was started
    std::uint64_t load_failures = 0;    ///< loads that threw or timed out; cancelled ones do not count
    std::uint64_t backend_failures = 0; ///< backend operations that threw
    std::uint64_t overloaded = 0;       ///< loads refused since too many were waiting
    duration_histogram load_time;       ///< of loads that ended with a value or a failure
    removal_counts removals;
    std::uint64_t rejected = 0; ///< values not stored since they were heavier than the whole may be
    std::uint64_t size = 0;
    std::uint64_t weight = 0;
    std::uint64_t in_flight = 0; ///< flights under way

    /// Hits, stale ones included, over all look-ups; 0 before the first.
    [[nodiscard]] constexpr double hit_ratio() const noexcept {
        const auto found = hits + stale_hits;
        const auto all = found + misses + coalesced;
        return all == 0 ? 0.0 : static_cast<double>(found) / static_cast<double>(all);
    }
};

} // namespace acache

#endif
