// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_COUNTERS_HPP
#define ACACHE_DETAIL_COUNTERS_HPP

#include <acache/detail/thread_cells.hpp>
#include <acache/metrics.hpp>

#include <cstddef>
#include <cstdint>

namespace acache::detail {

/// What a cache counts.
enum class counter : std::uint8_t {
    hits,
    stale_hits,
    misses,
    coalesced,
    loads,
    load_failures,
    backend_failures,
    refreshes,
    refresh_failures,
    early_refreshes,
    stale_on_error,
    soft_timeouts,
    negative_hits,
    overloaded
};

/// The counters of one cache. No count is ever lost, and no thread waits for another to count.
class counters {
public:
    void add(counter which, std::uint64_t count = 1) noexcept {
        cells_.add(static_cast<std::size_t>(which), count);
    }

    /// All counts that happened before this call, and maybe some of those under way. O(number of cores).
    [[nodiscard]] std::uint64_t sum(counter which) const noexcept {
        return cells_.sum(static_cast<std::size_t>(which));
    }

    void read_into(cache_metrics& metrics) const noexcept {
        metrics.hits = sum(counter::hits);
        metrics.stale_hits = sum(counter::stale_hits);
        metrics.misses = sum(counter::misses);
        metrics.coalesced = sum(counter::coalesced);
        metrics.loads = sum(counter::loads);
        metrics.load_failures = sum(counter::load_failures);
        metrics.backend_failures = sum(counter::backend_failures);
        metrics.refreshes = sum(counter::refreshes);
        metrics.refresh_failures = sum(counter::refresh_failures);
        metrics.early_refreshes = sum(counter::early_refreshes);
        metrics.stale_on_error = sum(counter::stale_on_error);
        metrics.soft_timeouts = sum(counter::soft_timeouts);
        metrics.negative_hits = sum(counter::negative_hits);
        metrics.overloaded = sum(counter::overloaded);
    }

private:
    thread_cells<16> cells_; // a line for each thread
};

} // namespace acache::detail

#endif
