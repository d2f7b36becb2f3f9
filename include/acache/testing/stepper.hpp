// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTING_STEPPER_HPP
#define ACACHE_TESTING_STEPPER_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace acache::testing {

/// Runs an `io_context` on the calling thread, one handler at a time, and never waits for time to pass: what
/// is pending on a `manual_clock` runs when that has been advanced. No other thread runs the context
/// meanwhile, and it outlives the stepper's calls, not the stepper.
class stepper {
public:
    explicit stepper(boost::asio::io_context& context) : context_(&context) {}

    /// Runs one handler; whether there was one that could run.
    bool step() {
        if (run_one()) {
            return true;
        }
        // Asio looks at its timers when the kernel says that one is due, and the kernel says so a little
        // later. When a timer of the past has fired, all those have that are due.
        boost::asio::steady_timer probe(*context_, boost::asio::steady_timer::time_point::min());
        const auto fired = std::make_shared<bool>(false);
        probe.async_wait([fired, ran = probe_ran_](const auto&) { *fired = *ran = true; });
        while (!*fired) {
            if (run_one()) {
                return true;
            }
        }
        return run_one();
    }

    /// Runs handlers until none can run, and counts them. Timers that are not due stay pending.
    std::size_t run_until_idle() {
        std::size_t count = 0;
        while (step()) {
            ++count;
        }
        return count;
    }

    /// Runs at most `n` handlers, and counts them.
    std::size_t run_for(std::size_t n) {
        std::size_t count = 0;
        while (count != n && step()) {
            ++count;
        }
        return count;
    }

    /// Runs a coroutine on the context until it is done, and no handler more; returns its value, or throws
    /// its exception. Throws `std::runtime_error` when nothing can run and it is not done: it waits for
    /// something that the test has not done yet (a clock that stands, an operation that is parked), or for
    /// ever. It stays suspended then.
    template <class T>
    T run(boost::asio::awaitable<T> work) {
        auto ended = std::make_shared<end<T>>();
        boost::asio::co_spawn(*context_, into(std::move(work), ended), [ended](std::exception_ptr failure) {
            ended->done = true;
            ended->failure = failure;
        });
        while (!ended->done) {
            if (!step()) {
                throw std::runtime_error("acache::testing::stepper::run: the coroutine is stuck: no handler "
                                         "can run, and it has not ended");
            }
        }
        if (ended->failure) {
            std::rethrow_exception(std::exchange(ended->failure, nullptr));
        }
        if constexpr (!std::is_void_v<T>) {
            return std::move(*ended->value);
        }
    }

private:
    template <class T>
    struct end {
        bool done = false;
        std::exception_ptr failure;
        std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value;
    };

    // The result goes through `ended`, since co_spawn of an awaitable<T> wants a T without a value.
    template <class T>
    static boost::asio::awaitable<void> into(boost::asio::awaitable<T> work, std::shared_ptr<end<T>> ended) {
        if constexpr (std::is_void_v<T>) {
            co_await std::move(work);
        } else {
            ended->value.emplace(co_await std::move(work));
        }
    }

    // Runs one handler that is no probe, and the probes before it.
    bool run_one() {
        do {
            *probe_ran_ = false;
            context_->restart();
            if (context_->poll_one() == 0) {
                return false;
            }
        } while (*probe_ran_);
        return true;
    }

    boost::asio::io_context* context_;
    // Shared with probes that have not run yet when the step is over.
    std::shared_ptr<bool> probe_ran_ = std::make_shared<bool>(false);
};

} // namespace acache::testing

#endif
