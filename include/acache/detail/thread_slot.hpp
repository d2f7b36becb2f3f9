// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_THREAD_SLOT_HPP
#define ACACHE_DETAIL_THREAD_SLOT_HPP

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace acache::detail {

/// Slots below this belong to one live thread at a time.
inline constexpr std::size_t exclusive_slots = 64;

/// Small numbers for threads: each takes the lowest free one when it first asks, and frees it when it ends.
/// The next owner of a slot sees all that the last one wrote.
class thread_slot {
public:
    /// What `held` is in a thread that has none yet: greater than any.
    static constexpr std::size_t none = SIZE_MAX;

    [[nodiscard]] static std::size_t held() noexcept { return number; }

    /// The calling thread's slot. From `exclusive_slots` on it may be others' as well.
    [[nodiscard]] static std::size_t current() noexcept { return number != none ? number : assign(); }

private:
    /// Frees the slot at the end of the thread. What runs later in it shares one.
    struct owner {
        ~owner() {
            const auto held = number;
            number = exclusive_slots;
            if (held < exclusive_slots) {
                taken.fetch_and(~(std::uint64_t{1} << held), std::memory_order_release);
            }
        }
    };

    static std::size_t assign() noexcept {
        static thread_local owner at_exit;
        (void)at_exit;
        auto seen = taken.load(std::memory_order_relaxed);
        while (seen != UINT64_MAX) {
            const auto free = static_cast<std::size_t>(std::countr_one(seen));
            if (taken.compare_exchange_weak(seen, seen | (std::uint64_t{1} << free),
                                            std::memory_order_acquire, std::memory_order_relaxed)) {
                return number = free;
            }
        }
        return number = exclusive_slots + surplus.fetch_add(1, std::memory_order_relaxed) % exclusive_slots;
    }

    // Apart from its owner, so that reading it costs no more than a trivial variable does.
    static inline constinit thread_local std::size_t number = none;
    static inline std::atomic<std::uint64_t> taken{0};
    static inline std::atomic<std::size_t> surplus{0};
};

} // namespace acache::detail

#endif
