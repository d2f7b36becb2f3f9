// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_SOFT_DEADLINE_HPP
#define ACACHE_DETAIL_SOFT_DEADLINE_HPP

#include <acache/clock.hpp>
#include <acache/detail/waiter.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/wait_traits.hpp>

#include <chrono>
#include <memory>
#include <mutex>
#include <utility>

namespace acache::detail {

/// Resumes a caller that has waited so long for its flight, although that has not ended. To live in the
/// caller's frame, no longer than its wait.
template <class Group>
class soft_deadline {
public:
    soft_deadline(Group& group, waiter& who, typename Group::flight_ptr flight,
                  std::chrono::nanoseconds length)
        : link_(std::make_shared<link>(group, who, std::move(flight))), timer_(group.executor()) {
        timer_.expires_at(saturating_add(timer_clock::now(), length));
        timer_.async_wait([to = link_, alive = group.shared()](error_code ec) {
            if (!ec) {
                to->wake();
            }
        });
    }
    soft_deadline(const soft_deadline&) = delete;
    soft_deadline& operator=(const soft_deadline&) = delete;
    ~soft_deadline() { link_->cut(); }

private:
    using timer_clock = timer_clock_t<typename Group::clock_type>;
    using timer =
        asio::basic_waitable_timer<timer_clock, asio::wait_traits<timer_clock>, asio::any_io_executor>;

    /// The timer may fire on another thread while the caller's frame goes.
    class link {
    public:
        link(Group& group, waiter& who, typename Group::flight_ptr flight)
            : group_(group), who_(&who), flight_(std::move(flight)) {}

        void wake() {
            const std::lock_guard lock{mutex_};
            if (who_ != nullptr) {
                group_.wake(*std::exchange(who_, nullptr), *flight_);
            }
        }
        void cut() {
            const std::lock_guard lock{mutex_};
            who_ = nullptr;
        }

    private:
        std::mutex mutex_;
        Group& group_;
        waiter* who_;
        const typename Group::flight_ptr flight_;
    };

    const std::shared_ptr<link> link_;
    timer timer_;
};

} // namespace acache::detail

#endif
