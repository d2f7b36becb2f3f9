// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_PARTITION_HPP
#define ACACHE_DETAIL_PARTITION_HPP

#include <acache/clock.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>

namespace acache::detail {

/// How far level 1 may be trusted: while changes of others go unheard, each entry for so long from its
/// making, or from when that began if that is later (contract C31). Thread-safe.
template <cache_clock Clock>
class partition {
public:
    explicit partition(std::chrono::nanoseconds max_stale) noexcept : max_stale_(max_stale) {}

    void begin() noexcept {
        auto none = never;
        begun_.compare_exchange_strong(none, Clock::now().time_since_epoch(), std::memory_order_acq_rel);
    }
    void end() noexcept { begun_.store(never, std::memory_order_release); }
    [[nodiscard]] bool lasts() const noexcept { return begun_.load(std::memory_order_acquire) != never; }

    /// Whether what was made then may be served. `created()` is asked only where that matters.
    template <class Created>
    [[nodiscard]] bool trusts(Created created) const noexcept {
        const auto begun = begun_.load(std::memory_order_acquire);
        if (begun == never) [[likely]] {
            return true;
        }
        const auto from = std::max(time_point{begun}, created());
        return Clock::now() < saturating_add(from, max_stale_);
    }

private:
    static constexpr time_point::duration never = time_point::duration::max();

    std::atomic<time_point::duration> begun_ = never;
    const std::chrono::nanoseconds max_stale_;
};

} // namespace acache::detail

#endif
