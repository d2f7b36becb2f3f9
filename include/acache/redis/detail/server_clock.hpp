// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_SERVER_CLOCK_HPP
#define ACACHE_REDIS_DETAIL_SERVER_CLOCK_HPP

#include <acache/clock.hpp>

#include <atomic>
#include <chrono>

namespace acache::detail {

/// The server's Unix time beside our steady clock: what is written for other processes is in the one, what is
/// compared here in the other. Right to within half a round trip. Thread-safe.
class server_clock {
public:
    using microseconds = std::chrono::microseconds;

    /// The server said so between these two instants.
    void set(microseconds server, time_point sent, time_point received) noexcept {
        const auto here = sent + (received - sent) / 2;
        ahead_.store(server.count() - since_epoch(here).count(), std::memory_order_relaxed);
    }

    /// The end of time stays that, in both directions.
    [[nodiscard]] microseconds server_time(time_point here) const noexcept {
        return here == time_point::max() ? microseconds::max() : since_epoch(here) + ahead();
    }
    [[nodiscard]] time_point local_time(microseconds server) const noexcept {
        const auto most = std::chrono::floor<microseconds>(time_point::max().time_since_epoch());
        const auto least = -most;
        if (server >= most) {
            return time_point::max();
        }
        return time_point(std::max(server, least + std::chrono::hours(1'000'000)) - ahead());
    }

private:
    [[nodiscard]] static microseconds since_epoch(time_point at) noexcept {
        return std::chrono::floor<microseconds>(at.time_since_epoch());
    }
    [[nodiscard]] microseconds ahead() const noexcept {
        return microseconds(ahead_.load(std::memory_order_relaxed));
    }

    std::atomic<microseconds::rep> ahead_ = 0;
};

} // namespace acache::detail

#endif
