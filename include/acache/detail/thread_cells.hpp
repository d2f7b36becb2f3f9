// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_THREAD_CELLS_HPP
#define ACACHE_DETAIL_THREAD_CELLS_HPP

#include <acache/detail/compiler.hpp>
#include <acache/detail/thread_slot.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>

namespace acache::detail {

/// `N` sums that many threads add to. Each thread adds in a cache line of its own, by a plain load and store,
/// so an addition costs a nanosecond and no thread waits for another's line; threads beyond the number of
/// lines share a few, by atomic addition. No addition is ever lost.
template <std::size_t N>
class thread_cells {
public:
    thread_cells() : own_(lines()), stripes_(std::make_unique<stripe[]>(own_ + shared)) {}

    void add(std::size_t which, std::uint64_t what) noexcept {
        const auto slot = thread_slot::held();
        if (slot < own_) [[likely]] {
            add_alone(slot, which, what);
        } else {
            out_of_line([=, this] { add_elsewhere(which, what); });
        }
    }

    /// All that was added before this call, and maybe some of what is being added. O(number of cores).
    [[nodiscard]] std::uint64_t sum(std::size_t which) const noexcept {
        std::uint64_t total = 0;
        for (std::size_t n = 0; n != own_ + shared; ++n) {
            total += stripes_[n].cells[which].load(std::memory_order_relaxed);
        }
        return total;
    }

private:
    static constexpr std::size_t shared = 4;

    void add_alone(std::size_t slot, std::size_t which, std::uint64_t what) noexcept {
        auto& cell = stripes_[slot].cells[which];
        cell.store(cell.load(std::memory_order_relaxed) + what, std::memory_order_relaxed);
    }
    void add_elsewhere(std::size_t which, std::uint64_t what) noexcept {
        const auto slot = thread_slot::current();
        if (slot < own_) {
            add_alone(slot, which, what);
        } else {
            stripes_[own_ + slot % shared].cells[which].fetch_add(what, std::memory_order_relaxed);
        }
    }

    static std::size_t lines() noexcept {
        const std::size_t cores = std::max(std::thread::hardware_concurrency(), 2U);
        return std::min(exclusive_slots, std::bit_ceil(2 * cores));
    }

    struct alignas(64) stripe {
        std::array<std::atomic<std::uint64_t>, N> cells{};
    };

    const std::size_t own_;
    const std::unique_ptr<stripe[]> stripes_;
};

} // namespace acache::detail

#endif
