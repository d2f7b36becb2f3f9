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
#include <type_traits>
#include <utility>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// What is thrown on the way to the store is the load's failure.
template <class Group>
void end_job(typename Group::job& job, typename Group::outcome_type outcome) {
    try {
        job.done(std::move(outcome));
    } catch (...) {
        job.group().fail_all(job, std::current_exception());
    }
}

/// The coroutine of a runner of a group's jobs.
template <class Group>
asio::awaitable<void> run_jobs(load_runner& runner) {
    running_job running;
    for (;;) {
        // A cancellation that has come meanwhile does not keep it from resting, and the job from its end.
        co_await asio::this_coro::throw_if_cancelled(false);
        co_await runner.rest(running);
        running = runner.next();
        auto& job = static_cast<typename Group::job&>(*running);
        // co_spawn lets only terminal cancellation through; loads may be cancelled in any way they support.
        // And whatever the load before this one has set is set back.
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
        co_await asio::this_coro::throw_if_cancelled(true);
        // A cancellation that came before the reset above is known by the flag alone.
        if (!job.cancelled()) {
            typename Group::outcome_type outcome;
            try {
                if (job.loads_only()) {
                    outcome.value.emplace(co_await job.call());
                } else {
                    co_await job.work();
                }
            } catch (...) {
                outcome.error = std::current_exception();
            }
            if (job.loads_only()) {
                end_job<Group>(job, std::move(outcome));
            } else if (outcome.error) {
                job.group().fail_all(job, outcome.error);
            }
        }
    }
}

/// Not of a body, so that Asio's part of it is compiled once for all.
template <class Group>
load_runner_ptr make_runner(Group& group) {
    return adopt(new load_runner(group.executor(), [](load_runner& r) { return run_jobs<Group>(r); }));
}

/// A job and the coroutine function that does its work, a `Body`.
///
/// A body with `loads_only` true has its work in two parts as well, around an awaitable of the value:
/// `call(job)`, which gives it, and `done(job, outcome)`. One with `refused(job)` has that called when the
/// job is refused or over, with no lock held, while it still has its flights. What a body with `lease()`
/// holds of a store is given up when the job is cancelled.
template <class Group, class Body>
class load_run final : public Group::job {
    using V = typename Group::value_type;

public:
    template <class... Args>
    load_run(Group& group, std::optional<std::chrono::nanoseconds> timeout, std::shared_ptr<job_board> board,
             Args&&... args)
        : Group::job(group, std::move(board)), timeout_(timeout),
          body_(std::in_place, std::forward<Args>(args)...) {
        if constexpr (leases) {
            lease_ = body_->lease();
        }
    }

    void give_up() override {
        if constexpr (leases) {
            lease_->cancel();
        }
    }

    void start(load_runner_ptr runner, load_job::launch how) override {
        auto& group = this->group();
        running_job self(*this, group.shared_from_this());
        if (!runner) {
            runner = make_runner(group);
        }
        load_runner::start(std::move(runner), std::move(self), how);
    }

    [[nodiscard]] bool loads_only() const noexcept override { return Body::loads_only && !timeout_; }
    [[nodiscard]] asio::awaitable<V> call() override {
        if constexpr (Body::loads_only) {
            return body_->call(*this);
        } else {
            return {};
        }
    }
    void done(typename Group::outcome_type outcome) override {
        if constexpr (Body::loads_only) {
            body_->done(*this, std::move(outcome));
        }
    }

    asio::awaitable<void> work() override { return timeout_ ? work_in_time(*this) : (*body_)(*this); }

    void refuse(error_code why) override {
        if constexpr (requires { body_->refused(*this); }) {
            if (body_) {
                body_->refused(*this);
            }
        }
        if constexpr (leases) {
            lease_->let_go(); // before anybody tries again
        }
        Group::job::refuse(why);
        body_.reset();
    }

private:
    struct nothing {};
    static constexpr bool leases = requires(Body& b) { b.lease(); };
    template <class B>
    struct lease_of {
        using type = nothing;
    };
    template <class B>
        requires requires(B& b) { b.lease(); }
    struct lease_of<B> {
        using type = std::remove_cvref_t<decltype(std::declval<B&>().lease())>;
    };

    using timer_clock = timer_clock_t<typename Group::clock_type>;
    using timer =
        asio::basic_waitable_timer<timer_clock, asio::wait_traits<timer_clock>, asio::any_io_executor>;

    static asio::awaitable<void> work_in_time(load_run& self) {
        // Not on the load's executor: what is left of the timer afterwards is no part of the load.
        timer deadline(self.group().executor());
        deadline.expires_at(saturating_add(timer_clock::now(), *self.timeout_));
        self.time_out_after(deadline);
        co_await (*self.body_)(self);
    }

    const std::optional<std::chrono::nanoseconds> timeout_;
    std::optional<Body> body_;
    /// The body's, which the end of the job may destroy at any time.
    [[no_unique_address]] typename lease_of<Body>::type lease_;
};

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
