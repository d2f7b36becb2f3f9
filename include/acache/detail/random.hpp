// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_RANDOM_HPP
#define ACACHE_DETAIL_RANDOM_HPP

#include <chrono>
#include <cstdint>

namespace acache::detail {

/// What jitter and early refreshes are drawn from: splitmix64 (Steele, Lea and Flood, OOPSLA 2014), one
/// sequence a thread. The headers of the standard generators take longer to compile than all of its users.
class random_source {
public:
    /// The sequence of the calling thread.
    [[nodiscard]] static random_source& here() noexcept {
        static thread_local random_source one;
        return one;
    }

    void seed(std::uint64_t seed) noexcept { state_ = seed; }

    /// Uniform in (0, 1].
    [[nodiscard]] double share() noexcept {
        auto mixed = state_ += 0x9E3779B97F4A7C15ULL;
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9ULL;
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EBULL;
        mixed ^= mixed >> 31;
        return (static_cast<double>(mixed >> 11) + 1) * 0x1p-53;
    }

private:
    // Another for each thread and each run.
    std::uint64_t state_ =
        reinterpret_cast<std::uintptr_t>(this) ^
        static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
};

} // namespace acache::detail

#endif
