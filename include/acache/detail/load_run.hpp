// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_LOAD_RUN_HPP
#define ACACHE_DETAIL_LOAD_RUN_HPP

#include <acache/clock.hpp>
#include <acache/detail/flight_group.hpp>

#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>

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
        // On the strand, where alone the cancellation slot may be touched.
        auto go = [s = lifetime(*this)]() mutable { s.run->spawn(std::move(s)); };
        if (how == load_job::launch::dispatched) {
            asio::dispatch(this->strand(), std::move(go));
        } else {
            asio::post(this->strand(), std::move(go));
        }
    }

    void refuse(error_code why) override {
        Group::job::refuse(why);
        body_.reset();
    }

private:
    using timer_clock = timer_clock_t<typename Group::clock_type>;
    using timer =
        asio::basic_waitable_timer<timer_clock, asio::wait_traits<timer_clock>, asio::any_io_executor>;

    /// The time between the start of a job and its end. However that end comes, by return, by an exception or
    /// with the context, no flight is left behind and the board is told.
    struct lifetime {
        explicit lifetime(load_run& r) : group(r.group().shared()), run(&r) {}
        lifetime(lifetime&&) noexcept = default;
        lifetime& operator=(lifetime&&) = delete;
        ~lifetime() {
            if (run) {
                run->refuse(errc::closed);
                run->board().ended(*run);
            }
        }

        std::shared_ptr<Group> group;
        boost::intrusive_ptr<load_run> run;
    };

    void spawn(lifetime s) {
        // A coroutine that has never suspended is posted once more after its end, and looks at its slot then:
        // the handler keeps the job, and with it the signal, until that is over too.
        asio::co_spawn(this->executor(), work(std::move(s)),
                       asio::bind_cancellation_slot(
                           this->slot(), [job = load_job_ptr(this)](const std::exception_ptr&) {}));
    }

    static asio::awaitable<void> work(lifetime s) {
        // co_spawn lets only terminal cancellation through; loads may be cancelled in any way they support.
        co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
        load_run& self = *s.run;
        std::optional<timer> deadline;
        if (self.timeout_) {
            self.arm(deadline.emplace(self.strand()), s.group);
        }
        // A cancellation that came before the reset above is known by the flag alone.
        if (!self.cancelled()) {
            std::exception_ptr failure;
            try {
                co_await (*self.body_)(self);
            } catch (...) {
                failure = std::current_exception();
            }
            if (failure) {
                s.group->fail_all(self, failure);
            }
        }
    }

    void arm(timer& deadline, std::shared_ptr<Group> group) {
        deadline.expires_at(saturating_add(timer_clock::now(), *timeout_));
        deadline.async_wait(
            [group = std::move(group), self = boost::intrusive_ptr<load_run>(this)](error_code ec) {
                if (!ec) {
                    group->time_out(*self);
                }
            });
    }

    std::optional<Body> body_;
    const std::optional<std::chrono::nanoseconds> timeout_;
};

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
