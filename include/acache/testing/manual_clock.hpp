// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTING_MANUAL_CLOCK_HPP
#define ACACHE_TESTING_MANUAL_CLOCK_HPP

#include <acache/clock.hpp>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/wait_traits.hpp>

#include <atomic>
#include <chrono>

namespace acache::testing {

/// A clock that stands still until it is told to go on. Give it to a backend or a `single_flight` as its
/// `Clock`, and to `boost::asio::basic_waitable_timer`.
///
/// There is one such clock in the program, so tests that share it run one after another, and each begins
/// with `reset()`. Any thread may call any member.
class manual_clock {
public:
    using duration = acache::time_point::duration;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = acache::time_point;
    static constexpr bool is_steady = true;

    [[nodiscard]] static time_point now() noexcept { return time_point{duration{ticks_.load()}}; }

    /// Entries age at once. Timers that have become due fire when a `stepper` runs their context next.
    static void advance(duration by) noexcept { ticks_.fetch_add(by.count()); }

    /// Back to the start. No timer may be pending, and no entry be stored that is to live on.
    static void reset() noexcept { ticks_.store(start); }

private:
    // Not the epoch: what is made a while before "now" has to be after it.
    static constexpr rep start = duration{std::chrono::hours{24}}.count();
    inline static std::atomic<rep> ticks_ = start;
};

/// A timer that waits for `manual_clock::advance`.
using manual_timer = boost::asio::basic_waitable_timer<manual_clock>;

} // namespace acache::testing

/// Has Asio look at the clock whenever it polls, instead of sleeping for a time that does not pass. A context
/// that is `run` while such a timer is pending spins: step or poll it.
template <>
struct boost::asio::wait_traits<acache::testing::manual_clock> {
    using clock = acache::testing::manual_clock;

    [[nodiscard]] static clock::duration to_wait_duration(const clock::duration&) noexcept { return {}; }
    [[nodiscard]] static clock::duration to_wait_duration(const clock::time_point&) noexcept { return {}; }
};

#endif
