// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_COUNTERS_HPP
#define ACACHE_DETAIL_COUNTERS_HPP

#include <acache/detail/compiler.hpp>
#include <acache/detail/thread_slot.hpp>
#include <acache/metrics.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>

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
    overloaded
};

/// The counters of one cache. Each thread counts in a cache line of its own, by a plain load and store, so a
/// count costs a nanosecond and no thread waits for another's line; threads beyond the number of lines share
/// a few, by atomic addition. No count is ever lost.
class counters {
public:
    counters() : own_(lines()), stripes_(std::make_unique<stripe[]>(own_ + shared)) {}

    void add(counter which, std::uint64_t count = 1) noexcept {
        const auto slot = thread_slot::held();
        if (slot < own_) [[likely]] {
            add_alone(slot, which, count);
        } else {
            out_of_line([=, this] { add_elsewhere(which, count); });
        }
    }

    /// All counts that happened before this call, and maybe some of those under way. O(number of cores).
    [[nodiscard]] std::uint64_t sum(counter which) const noexcept {
        std::uint64_t total = 0;
        for (std::size_t n = 0; n != own_ + shared; ++n) {
            total += stripes_[n].cells[static_cast<std::size_t>(which)].load(std::memory_order_relaxed);
        }
        return total;
    }

    void read_into(cache_metrics& metrics) const noexcept {
        metrics.hits = sum(counter::hits);
        metrics.stale_hits = sum(counter::stale_hits);
        metrics.misses = sum(counter::misses);
        metrics.coalesced = sum(counter::coalesced);
        metrics.loads = sum(counter::loads);
        metrics.load_failures = sum(counter::load_failures);
        metrics.backend_failures = sum(counter::backend_failures);
        metrics.overloaded = sum(counter::overloaded);
    }

private:
    static constexpr std::size_t shared = 4;

    void add_alone(std::size_t slot, counter which, std::uint64_t count) noexcept {
        auto& cell = stripes_[slot].cells[static_cast<std::size_t>(which)];
        cell.store(cell.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
    }
    void add_elsewhere(counter which, std::uint64_t count) noexcept {
        const auto slot = thread_slot::current();
        if (slot < own_) {
            add_alone(slot, which, count);
        } else {
            auto& cell = stripes_[own_ + slot % shared].cells[static_cast<std::size_t>(which)];
            cell.fetch_add(count, std::memory_order_relaxed);
        }
    }

    static std::size_t lines() noexcept {
        const std::size_t cores = std::max(std::thread::hardware_concurrency(), 2U);
        return std::min(exclusive_slots, std::bit_ceil(2 * cores));
    }

    struct alignas(64) stripe {
        std::array<std::atomic<std::uint64_t>, 8> cells{};
    };

    const std::size_t own_;
    const std::unique_ptr<stripe[]> stripes_;
};

} // namespace acache::detail

#endif
