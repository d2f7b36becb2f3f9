// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_ATOMIC_HISTOGRAM_HPP
#define ACACHE_DETAIL_ATOMIC_HISTOGRAM_HPP

#include <acache/metrics.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace acache::detail {

/// A `duration_histogram` that any thread may add to. Loads are few and slow enough for atomic additions.
class atomic_histogram {
public:
    /// A negative duration, which no clock should give, counts as none.
    void record(std::chrono::nanoseconds took) noexcept {
        took = std::max(took, std::chrono::nanoseconds::zero());
        const auto& bounds = duration_histogram::bounds;
        const auto bucket = std::lower_bound(bounds.begin(), bounds.end(), took) - bounds.begin();
        buckets_[static_cast<std::size_t>(bucket)].fetch_add(1, std::memory_order_relaxed);
        sum_.fetch_add(took.count(), std::memory_order_relaxed);
    }

    [[nodiscard]] duration_histogram snapshot() const noexcept {
        duration_histogram result;
        for (std::size_t n = 0; n != buckets_.size(); ++n) {
            result.buckets[n] = buckets_[n].load(std::memory_order_relaxed);
        }
        result.sum = std::chrono::nanoseconds{sum_.load(std::memory_order_relaxed)};
        return result;
    }

private:
    std::array<std::atomic<std::uint64_t>, duration_histogram::bounds.size() + 1> buckets_{};
    std::atomic<std::chrono::nanoseconds::rep> sum_{0};
};

} // namespace acache::detail

#endif
