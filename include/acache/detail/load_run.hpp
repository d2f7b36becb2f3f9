// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_LOAD_RUN_HPP
#define ACACHE_DETAIL_LOAD_RUN_HPP

#include <acache/clock.hpp>
#include <acache/detail/flight_group.hpp>
#include <acache/detail/load_runner.hpp>

#include <boost/asio/basic_waitable_timer.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// A job and the coroutine function that does its work.
template <class Group, class Body>
class load_run final : public Group::job {
public:
    load_run(Group& group, Body body, std::optional<std::chrono::nanoseconds> timeout,
             std::shared_ptr<job_board> board)
        : Group::job(group, std::move(board)), body_(std::move(body)), timeout_(timeout) {}

    void start(load_job::launch how) override {
        auto& group = this->group();
        running_job self(*this, std::shared_ptr<runner_pool>(group.shared_from_this(), &group.runners));
        group.runners.take(group.executor())->start(std::move(self), how);
    }

    asio::awaitable<void> work() override { return timeout_ ? work_in_time(*this) : (*body_)(*this); }

    void fail(const std::exception_ptr& error) override { this->group().fail_all(*this, error); }

    void refuse(error_code why) override {
        Group::job::refuse(why);
        body_.reset();
    }

private:
    using timer_clock = timer_clock_t<typename Group::clock_type>;
    using timer =
        asio::basic_waitable_timer<timer_clock, asio::wait_traits<timer_clock>, asio::any_io_executor>;

    static asio::awaitable<void> work_in_time(load_run& self) {
        // On the strand without the load's name: what is left of the timer is no part of the load.
        timer deadline(self.runner()->strand());
        deadline.expires_at(saturating_add(timer_clock::now(), *self.timeout_));
        deadline.async_wait([group = self.group().shared(),
                             job = boost::intrusive_ptr<load_run>(&self)](error_code ec) {
            if (!ec) {
                group->time_out(*job);
            }
        });
        co_await (*self.body_)(self);
    }

    std::optional<Body> body_;
    const std::optional<std::chrono::nanoseconds> timeout_;
};

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
