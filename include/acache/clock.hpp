// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_CLOCK_HPP
#define ACACHE_CLOCK_HPP

#include <chrono>
#include <concepts>
#include <cstdint>
#include <ctime>

namespace acache {

/// The one type in which acache states instants: whatever clock is injected, entries, backends and
/// loaders speak of the same time line.
using time_point = std::chrono::steady_clock::time_point;

/// A source of `time_point`s: `C::now()`, callable from any thread, never going backwards.
template <class C>
concept cache_clock = requires {
    { C::now() } noexcept -> std::same_as<time_point>;
};

/// The default clock: monotonic, read without a system call, a few times cheaper than
/// `std::chrono::steady_clock`. Its resolution is the kernel's tick (1 to 10 ms on Linux), so an entry
/// may outlive its ttl by that much. Where the system has no coarse clock it is `steady_clock`. Instants are
/// whole milliseconds, which the memory backend keeps in less space than others.
struct coarse_clock {
    using duration = std::chrono::steady_clock::duration;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = acache::time_point;
    /// Timers wait on the precise clock: a coarse one may say "not yet" when a timer fires.
    using timer_clock = std::chrono::steady_clock;
    static constexpr bool is_steady = true;

    [[nodiscard]] static time_point now() noexcept {
#ifdef CLOCK_MONOTONIC_COARSE
        std::timespec now{};
        ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
        return time_point{std::chrono::seconds{now.tv_sec} +
                          std::chrono::milliseconds{static_cast<std::uint32_t>(now.tv_nsec) / 1'000'000}};
#else
        return std::chrono::floor<std::chrono::milliseconds>(std::chrono::steady_clock::now());
#endif
    }
};

namespace detail {

template <class Clock>
struct timer_clock_of {
    using type = Clock;
};

template <class Clock>
    requires requires { typename Clock::timer_clock; }
struct timer_clock_of<Clock> {
    using type = typename Clock::timer_clock;
};

/// The clock on which timers and load times are measured: `Clock::timer_clock`, or `Clock` itself.
template <class Clock>
using timer_clock_t = typename timer_clock_of<Clock>::type;

/// `start + length`, or the end of time where that is out of range.
[[nodiscard]] constexpr time_point saturating_add(time_point start,
                                                  std::chrono::nanoseconds length) noexcept {
    if (length.count() > 0 && start > time_point::max() - length) {
        return time_point::max();
    }
    return start + length;
}

} // namespace detail
} // namespace acache

#endif
