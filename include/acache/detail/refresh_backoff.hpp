// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_REFRESH_BACKOFF_HPP
#define ACACHE_DETAIL_REFRESH_BACKOFF_HPP

#include <acache/clock.hpp>
#include <acache/detail/random.hpp>

#include <boost/unordered/unordered_flat_map.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <mutex>

namespace acache::detail {

/// Which keys are not to be refreshed for a while, since the last attempts have failed (contract C20). The
/// first failure holds a key back for `first`, each further one for twice as long as the one before, up to
/// `longest`; each time a random quarter less at the most, so that keys that failed together do not come back
/// together.
///
/// Keys are told apart by their hash alone: a collision makes two share their delays, which is harmless.
/// Thread-safe. O(1), amortised; a key that has come to rest is forgotten.
class refresh_backoff {
public:
    refresh_backoff(std::chrono::nanoseconds first, std::chrono::nanoseconds longest) noexcept
        : first_(first), longest_(std::max(first, longest)) {}

    [[nodiscard]] bool held_back(std::size_t hash, time_point now) {
        if (none()) {
            return false;
        }
        const std::lock_guard lock{mutex_};
        const auto it = delays_.find(hash);
        return it != delays_.end() && now < it->second.until;
    }

    void failed(std::size_t hash, time_point now) {
        const std::lock_guard lock{mutex_};
        if (delays_.size() >= sweep_at_) {
            sweep(now);
        }
        auto& of_key = delays_[hash];
        // After a pause as long as the delay itself this is not the same outage any more.
        const bool anew = of_key.length.count() == 0 || rested(of_key, now);
        of_key.length = anew ? first_ : std::min(of_key.length * 2, longest_);
        const auto shorter = static_cast<double>(of_key.length.count()) * random_source::here().share() / 4;
        of_key.until = now + of_key.length - std::chrono::nanoseconds(static_cast<std::int64_t>(shorter));
        count_.store(delays_.size(), std::memory_order_relaxed);
    }

    /// The key has a new value, or none.
    void forget(std::size_t hash) {
        if (none()) {
            return;
        }
        const std::lock_guard lock{mutex_};
        delays_.erase(hash);
        count_.store(delays_.size(), std::memory_order_relaxed);
    }

    /// How many keys are remembered.
    [[nodiscard]] std::size_t size() const noexcept { return count_.load(std::memory_order_relaxed); }

private:
    struct delay {
        time_point until;
        std::chrono::nanoseconds length{0};
    };

    [[nodiscard]] bool none() const noexcept { return size() == 0; }
    [[nodiscard]] static bool rested(const delay& d, time_point now) noexcept {
        return now - d.until > d.length;
    }

    void sweep(time_point now) {
        boost::unordered::erase_if(delays_, [&](const auto& d) { return rested(d.second, now); });
        sweep_at_ = std::max<std::size_t>(64, 2 * delays_.size());
    }

    const std::chrono::nanoseconds first_;
    const std::chrono::nanoseconds longest_;
    std::mutex mutex_;
    boost::unordered_flat_map<std::size_t, delay> delays_;
    std::size_t sweep_at_ = 64;
    std::atomic<std::size_t> count_ = 0; // changed under the mutex
};

} // namespace acache::detail

#endif
