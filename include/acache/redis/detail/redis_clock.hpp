// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_CLOCK_HPP
#define ACACHE_REDIS_DETAIL_REDIS_CLOCK_HPP

#include <acache/clock.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <limits>

namespace acache::detail {

/// The server's Unix time by the local steady clock, learnt from answers to TIME as in Cristian's algorithm
/// ("Probabilistic clock synchronization", 1989): the server looked at its clock between question and answer,
/// so the error is half of the round trip at most, and the shortest one is best. Before the first answer it
/// is the local system's time. Read from any thread; told from one.
class redis_clock {
public:
    using microseconds = std::chrono::microseconds;

    redis_clock() noexcept
        : offset_(
              std::chrono::duration_cast<microseconds>(std::chrono::system_clock::now().time_since_epoch())
                  .count() -
              in_microseconds(std::chrono::steady_clock::now())) {}

    void learn(microseconds server, time_point asked, time_point answered) noexcept {
        const auto half = (answered - asked) / 2;
        const std::int64_t error = std::chrono::duration_cast<microseconds>(half).count() + 1;
        const std::int64_t offset = server.count() - in_microseconds(asked + half);
        // Clocks drift apart by less than one part in a thousand.
        const std::int64_t aged =
            error_ == unknown ? unknown : error_ + in_microseconds(answered - learnt_) / 1'000;
        const bool stepped =
            error_ != unknown && std::abs(offset - offset_.load(std::memory_order_relaxed)) > aged + error;
        if (error <= aged || stepped) {
            error_ = error;
            learnt_ = answered;
            offset_.store(offset, std::memory_order_relaxed);
        }
    }

    [[nodiscard]] microseconds server_time(time_point local) const noexcept {
        if (local == time_point::max()) {
            return microseconds::max();
        }
        return microseconds(in_microseconds(local) + offset_.load(std::memory_order_relaxed));
    }

    [[nodiscard]] time_point local_time(microseconds server) const noexcept {
        const std::int64_t latest = in_microseconds(time_point::max());
        const std::int64_t local =
            std::max(server.count(), -latest) - offset_.load(std::memory_order_relaxed);
        if (local >= latest) {
            return time_point::max();
        }
        return local <= -latest ? time_point::min() : time_point(microseconds(local));
    }

private:
    static constexpr std::int64_t unknown = std::numeric_limits<std::int64_t>::max();

    [[nodiscard]] static constexpr std::int64_t in_microseconds(time_point::duration d) noexcept {
        return std::chrono::duration_cast<microseconds>(d).count();
    }
    [[nodiscard]] static constexpr std::int64_t in_microseconds(time_point t) noexcept {
        return in_microseconds(t.time_since_epoch());
    }

    std::atomic<std::int64_t> offset_;
    std::int64_t error_ = unknown;
    time_point learnt_;
};

} // namespace acache::detail

#endif
