// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_FLIGHT_GROUP_HPP
#define ACACHE_DETAIL_FLIGHT_GROUP_HPP

#include <acache/clock.hpp>
#include <acache/detail/context_watch.hpp>
#include <acache/detail/flight_caller.hpp>
#include <acache/detail/flight_table.hpp>
#include <acache/detail/job_board.hpp>
#include <acache/detail/load_executor.hpp>
#include <acache/detail/load_job.hpp>
#include <acache/detail/load_runner.hpp>
#include <acache/detail/waiter.hpp>
#include <acache/error.hpp>
#include <acache/options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

struct flight_settings {
    std::optional<std::chrono::nanoseconds> load_timeout;
    bool finish_abandoned = false;
    std::size_t max_jobs = 0;
    std::size_t max_queued = unbounded;
    std::size_t shards = 1;
};

template <class Group, class Body>
class load_run;

/// The table of flights of one cache or loader with the executor and the jobs that run them, and what becomes
/// of them when it is closed or an execution context goes.
template <class K, class V, class KeyEqual, class Clock>
class flight_group : public context_watcher, public flight_table<K, V, KeyEqual, Clock> {
public:
    using clock_type = Clock;
    using table = flight_table<K, V, KeyEqual, Clock>;
    using typename table::flight_ptr;
    using typename table::outcome_type;

    /// A job of this group.
    class job : public table::flight_job {
    public:
        job(flight_group& group, std::shared_ptr<job_board> board)
            : table::flight_job(std::move(board)), group_(group) {}

        void refuse(error_code why) override {
            if (std::any_of(this->flights.begin(), this->flights.end(),
                            [&](const auto& f) { return !group_.ended(*f); })) {
                const auto keys =
                    group_.fail_all(*this, std::make_exception_ptr(boost::system::system_error(why)));
                if (why == errc::overloaded) {
                    group_.on_overload(keys);
                }
            }
            this->flights.clear();
        }

        /// The job is but one loader's awaitable, between `call` and `done`; else it is what `work` does.
        [[nodiscard]] virtual bool loads_only() const noexcept = 0;
        [[nodiscard]] virtual asio::awaitable<V> call() = 0;
        virtual void done(outcome_type outcome) = 0;

        [[nodiscard]] flight_group& group() const noexcept { return group_; }

    protected:
        /// Of a job that runs. Not of a body, so that Asio's part of it is compiled once for all.
        template <class Timer>
        void time_out_after(Timer& deadline) {
            deadline.async_wait([group = group_.shared(), late = job_ptr(this),
                                 runner = boost::intrusive_ptr(this->runner())](error_code ec) mutable {
                if (!ec) {
                    auto& lane = *runner;
                    lane.dispatch([group = std::move(group), late = std::move(late),
                                   runner = std::move(runner)] { group->time_out(*late); });
                }
            });
        }

    private:
        flight_group& group_;
    };
    using job_ptr = boost::intrusive_ptr<job>;

    flight_group(asio::any_io_executor executor, flight_settings settings)
        : table(settings.shards, settings.finish_abandoned), board(settings.max_jobs, settings.max_queued),
          executor_(std::move(executor)), context_(&asio::query(executor_, asio::execution::context)),
          load_timeout_(settings.load_timeout) {
        watch(asio::query(executor_, asio::execution::context));
    }

    [[nodiscard]] const asio::any_io_executor& executor() const noexcept { return executor_; }

    [[nodiscard]] std::shared_ptr<flight_group> shared() {
        return std::static_pointer_cast<flight_group>(shared_from_this());
    }

    /// Lets the coroutine on `executor` begin work, and gives the load that it runs in, or null. Throws
    /// `errc::closed`.
    load_node_ptr admit(const asio::any_io_executor& executor) {
        load_node_ptr load = load_of(executor);
        board.check(load != nullptr);
        watch(asio::query(executor, asio::execution::context));
        return load;
    }

    /// A job that will `co_await body(job)`, where `body` is a `Body` made of `args`, and destroyed when that
    /// is over. To be submitted to the board `to`, the group's where that is null. Without a timeout of its
    /// own it has the group's.
    template <class Body, class... Args>
    [[nodiscard]] job_ptr make_job(std::optional<std::chrono::nanoseconds> timeout,
                                   std::shared_ptr<job_board> to, Args&&... args) {
        if (!to) {
            // Not an owner: whoever has a job that can still be submitted or cancelled has the group.
            to = std::shared_ptr<job_board>(std::shared_ptr<job_board>(), &board);
        }
        return job_ptr(adopt(new load_run<flight_group, Body>(*this, timeout ? timeout : load_timeout_,
                                                              std::move(to), std::forward<Args>(args)...)));
    }

    /// The way of a caller with many keys: requests are entered one by one, then `batch.launch()` submits the
    /// jobs that new flights got, then each flight is waited for; a request that has found an answer of its
    /// own has none. One that cannot be entered, since its load waits for this caller or its key cannot be
    /// copied, is told so by `fail(error)`, and the others go on.
    template <class Request, class Batch>
    static asio::awaitable<std::vector<flight_ptr>> join_all(std::shared_ptr<flight_group> self,
                                                             std::vector<Request>& requests, Batch& batch,
                                                             const void* owner = nullptr) {
        const load_node_ptr caller = self->admit(co_await asio::this_coro::executor);
        std::vector<flight_share<flight_group>> shares;
        std::vector<wait_edge> edges;
        std::vector<flight_ptr> flights;
        shares.reserve(requests.size());
        edges.reserve(caller ? requests.size() : 0);
        flights.reserve(requests.size());
        for (auto& request : requests) {
            flights.push_back(self->enter(request, caller, shares, edges));
        }
        batch.launch();
        for (const auto& share : shares) {
            if (!self->ended(*share)) {
                waiter w;
                w.owner = owner;
                co_await self->wait(w, *share);
            }
        }
        co_return flights;
    }

    /// Refuses new work, ends all flights with `errc::closed`, cancels all jobs. Does not wait.
    void shut() {
        board.close();
        close_flights(nullptr);
    }

    /// Ends with `errc::closed` the flights whose jobs belong to `of`, all flights where it is null, and
    /// drops those jobs.
    void close_flights(const job_board* of) {
        const auto closed = std::make_exception_ptr(boost::system::system_error(errc::closed));
        auto jobs = of == nullptr ? board.jobs() : std::vector<load_job_ptr>{};
        for (const auto& f : this->running()) {
            if (of == nullptr || of == &f->job->board()) {
                outcome_type outcome;
                outcome.error = closed;
                outcome.withdrawn = of != nullptr;
                this->finish(*f, std::move(outcome), [] {});
                jobs.push_back(f->job);
            }
        }
        // Only now, so that no caller sees the cancellation that is meant for the load.
        for (const auto& j : jobs) {
            j->board().drop(*j);
        }
    }

    /// Throws `errc::recursive_load` where a job of `of` (of any board, where it is null) that is not over
    /// is, or waits for, the load that runs on `executor`: to wait for all jobs from there would never end.
    void check_not_inside(const asio::any_io_executor& executor, job_board* of) {
        const auto self = load_of(executor);
        if (!self) {
            return;
        }
        auto jobs = (of == nullptr ? board : *of).jobs();
        for (const auto& f : this->running()) {
            if (of == nullptr || of == &f->job->board()) {
                jobs.push_back(f->job);
            }
        }
        for (const auto& j : jobs) {
            if (j->node()->leads_to(*self)) {
                throw boost::system::system_error(errc::recursive_load);
            }
        }
    }

    /// Contract C10.
    static asio::awaitable<void> close(std::shared_ptr<flight_group> self) {
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        self->check_not_inside(executor, nullptr);
        self->watch(asio::query(executor, asio::execution::context));
        self->shut();
        waiter w;
        co_await self->wait_idle(w);
    }
    static asio::awaitable<void> drain(std::shared_ptr<flight_group> self) {
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        self->check_not_inside(executor, nullptr);
        self->watch(asio::query(executor, asio::execution::context));
        self->board.drain();
        waiter w;
        co_await self->wait_idle(w);
        self->shut();
    }

    void context_gone(asio::execution_context& context) override {
        this->discard_waiters_of(context);
        board.discard_waiters_of(context);
        if (&context == context_) {
            shut();
            executor_ = {};
        }
    }

    job_board board;

private:
    template <class, class>
    friend class load_run;

    /// Enters one of the requests of a caller in the load `inside`, or in none. Its flight, or null.
    template <class Request>
    flight_ptr enter(Request& request, const load_node_ptr& inside,
                     std::vector<flight_share<flight_group>>& shares, std::vector<wait_edge>& edges) {
        std::optional<flight_share<flight_group>> share;
        std::optional<wait_edge> edge;
        try {
            bool started = false;
            take_share(*this, request, inside, share, edge, started);
            if (!share) {
                request.answered();
            }
        } catch (...) {
            request.fail(std::current_exception());
            return nullptr;
        }
        if (!share) {
            return nullptr;
        }
        if (edge) {
            edges.push_back(std::move(*edge));
        }
        return shares.emplace_back(std::move(*share)).flight();
    }

    void time_out(job& j) {
        for (const auto& f : j.flights) {
            this->finish_loaded(*f);
        }
        on_timeout(fail_late(j, std::make_exception_ptr(boost::system::system_error(errc::load_timeout))));
        j.board().cancel(j);
    }
    /// Ends the flights of a job that has timed out, and says how many those were.
    virtual std::size_t fail_late(job& j, const std::exception_ptr& error) {
        return this->fail_all(j, error);
    }
    /// Loads of so many keys have timed out.
    virtual void on_timeout(std::size_t) {}
    /// Loads of so many keys were refused.
    virtual void on_overload(std::size_t) {}

    [[nodiscard]] auto wait_idle(waiter& w) {
        return w.wait(board.mutex(), [this](waiter& self) { return board.park_until_idle(self); });
    }

    asio::any_io_executor executor_;
    const asio::execution_context* const context_;
    const std::optional<std::chrono::nanoseconds> load_timeout_;
};

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#include <acache/detail/load_run.hpp>

#endif
