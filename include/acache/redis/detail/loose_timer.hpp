// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_LOOSE_TIMER_HPP
#define ACACHE_REDIS_DETAIL_LOOSE_TIMER_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <memory>
#include <utility>

namespace acache::detail {

/// A timer for who may outlive its context: that owns it, by the handler that waits. Of the executor that it
/// was started with.
class loose_timer {
public:
    /// Whether it is still to come.
    [[nodiscard]] bool is_running() const noexcept {
        const auto running = timer_.lock();
        return running && !running->is_over;
    }
    /// Calls `then()` at that time, unless it is stopped before; one that was running is. `*this` may be gone
    /// by then.
    template <class F>
    void start(const boost::asio::any_io_executor& executor, std::chrono::steady_clock::time_point at,
               F then) {
        stop();
        const auto started = std::make_shared<timer>(executor, at);
        timer_ = started;
        started->waits.async_wait([started, then = std::move(then)](boost::system::error_code failure) {
            if (!std::exchange(started->is_over, true) && !failure) {
                then();
            }
        });
    }
    void stop() {
        if (const auto running = timer_.lock()) {
            running->is_over = true;
            running->waits.cancel();
        }
    }

private:
    struct timer {
        timer(const boost::asio::any_io_executor& executor, std::chrono::steady_clock::time_point at)
            : waits(executor, at) {}
        boost::asio::steady_timer waits;
        bool is_over = false;
    };

    std::weak_ptr<timer> timer_;
};

} // namespace acache::detail

#endif
