// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_FLIGHT_GROUP_HPP
#define ACACHE_DETAIL_FLIGHT_GROUP_HPP

#include <acache/clock.hpp>
#include <acache/detail/context_watch.hpp>
#include <acache/detail/flight.hpp>
#include <acache/detail/flight_caller.hpp>
#include <acache/detail/job_board.hpp>
#include <acache/detail/load_executor.hpp>
#include <acache/detail/load_job.hpp>
#include <acache/detail/waiter.hpp>
#include <acache/error.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/container/small_vector.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

struct flight_settings {
    std::optional<std::chrono::nanoseconds> load_timeout;
    bool finish_abandoned = false;
    std::size_t max_jobs = 0;
    /// A power of two.
    std::size_t shards = 1;
};

template <class Group, class Body>
class load_run;

/// The flights of one cache or loader: a table of at most one joinable flight a key, the callers that wait on
/// them, and the jobs that run them. Knows nothing of stores: what a flight's end is to store, it is told.
///
/// Thread-safe. Locks: a shard's mutex guards its flights; under it the board's may be taken, not
/// the other way round. Coroutines are resumed, jobs started and cancelled with no lock held.
template <class K, class V, class KeyEqual, class Clock>
class flight_group : public context_watcher {
public:
    using clock_type = Clock;
    using key_type = K;
    using value_type = V;
    using flight_type = flight<K, V>;
    using flight_ptr = boost::intrusive_ptr<flight_type>;
    using shard_type = flight_shard<K, V, KeyEqual>;
    using outcome_type = flight_outcome<V>;

    /// A job of this group: its flights, until they and it have ended.
    class job : public load_job {
    public:
        job(flight_group& group, std::shared_ptr<job_board> board)
            : load_job(group.executor_, std::move(board)), group_(group) {}

        void refuse(error_code why) override {
            if (std::any_of(flights.begin(), flights.end(),
                            [&](const auto& f) { return !group_.ended(*f); })) {
                group_.fail_all(*this, std::make_exception_ptr(boost::system::system_error(why)));
            }
            flights.clear();
        }

        [[nodiscard]] flight_group& group() const noexcept { return group_; }

        /// Complete when the job is submitted.
        boost::container::small_vector<flight_ptr, 1> flights;

    private:
        flight_group& group_;
    };
    using job_ptr = boost::intrusive_ptr<job>;

    flight_group(asio::any_io_executor executor, flight_settings settings)
        : board(settings.max_jobs), executor_(std::move(executor)), settings_(settings),
          shards_(std::make_unique<shard_type[]>(settings.shards)) {
        watch(asio::query(executor_, asio::execution::context));
    }

    [[nodiscard]] const asio::any_io_executor& executor() const noexcept { return executor_; }
    [[nodiscard]] const flight_settings& settings() const noexcept { return settings_; }
    [[nodiscard]] std::size_t in_flight() const noexcept {
        return in_flight_.load(std::memory_order_relaxed);
    }

    [[nodiscard]] std::shared_ptr<flight_group> shared() {
        return std::static_pointer_cast<flight_group>(shared_from_this());
    }

    /// A job that will `co_await body(job)`; `body` is destroyed when that is over. To be submitted to
    /// `board`.
    template <class Body>
    [[nodiscard]] job_ptr make_job(Body body, std::optional<std::chrono::nanoseconds> timeout,
                                   std::shared_ptr<job_board> to) {
        return job_ptr(new load_run<flight_group, Body>(*this, std::move(body), timeout, std::move(to)));
    }
    template <class Body>
    [[nodiscard]] job_ptr make_job(Body body, std::optional<std::chrono::nanoseconds> timeout) {
        return make_job(std::move(body), timeout, std::shared_ptr<job_board>(shared(), &board));
    }

    /// The way of a caller with many keys: requests are entered one by one, then `batch.launch()` submits the
    /// jobs that new flights got, then each is waited for. Where entering one throws, what was added is
    /// launched and left.
    template <class Request, class Batch>
    static asio::awaitable<std::vector<flight_ptr>> join_all(std::shared_ptr<flight_group> self,
                                                             std::vector<Request>& requests, Batch& batch) {
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        const load_node_ptr caller = load_of(executor);
        self->board.check(caller != nullptr);
        self->watch(asio::query(executor, asio::execution::context));
        std::vector<flight_share<flight_group>> shares;
        std::vector<wait_edge> edges;
        std::vector<flight_ptr> flights;
        try {
            for (auto& request : requests) {
                bool started = false;
                const auto& flight = flights.emplace_back(self->join_or_add(request, started));
                if (!flight) {
                    continue;
                }
                shares.emplace_back(*self, flight);
                if (!started) {
                    request.joined();
                }
                if (caller) {
                    edges.emplace_back(caller, flight->job->node());
                    flight->job->board().exempt(*flight->job);
                }
            }
        } catch (...) {
            batch.launch();
            throw;
        }
        batch.launch();
        for (const auto& share : shares) {
            if (!self->ended(*share)) {
                waiter w;
                co_await self->wait(w, *share);
            }
        }
        co_return flights;
    }

    /// Finds the joinable flight of the request's key or adds one. The result counts as interested and has to
    /// be left; it is null where the request found an answer of its own.
    ///
    /// A request has `hash()`, `query()` (the key as it is looked up), `replace()` (fence the flight there is
    /// and make a new one), `found()` (a last look, under the lock, after which there is no gap before the
    /// flight is known to all), `add(make)` (chooses the job of a new flight and returns `make(job)`, under
    /// the lock), and, for whoever enters it, `joined()` and `launch()` (submits that job).
    template <class Request>
    [[nodiscard]] flight_ptr join_or_add(Request& request, bool& started) {
        load_job_ptr orphan;
        flight_ptr result;
        {
            auto& s = shard_of(request.hash());
            const std::lock_guard lock{s.mutex};
            result = s.find(request.hash(), request.query());
            if (result && request.replace()) {
                orphan = detach(s, *result);
                result = nullptr;
            }
            if (!result && !request.found()) {
                result = request.add([&](const job_ptr& j) { return make_flight(s, request, j); });
                started = true;
            }
            if (result) {
                ++result->interest;
            }
        }
        cancel(orphan);
        return result;
    }

    /// One of the interested goes. With the last one the flight is detached, and its job cancelled if it has
    /// no other flight that is wanted, unless abandoned loads are to finish.
    void leave(flight_type& f) {
        load_job_ptr orphan;
        {
            auto& s = shard_of(f.hash);
            const std::lock_guard lock{s.mutex};
            if (--f.interest == 0 && !(settings_.finish_abandoned && f.joinable)) {
                orphan = detach(s, f);
            }
        }
        cancel(orphan);
    }

    /// Fences the flight of `key`, if there is one, and calls `write(bool)` with whether there was, before
    /// any other flight of that key can begin or end. Returns what `write` returns.
    template <class Q, class Write>
    auto fence(std::size_t hash, const Q& key, Write write) {
        load_job_ptr orphan;
        auto& s = shard_of(hash);
        std::unique_lock lock{s.mutex};
        auto* f = s.find(hash, key);
        if (f != nullptr) {
            orphan = detach(s, *f);
        }
        auto result = write(f != nullptr);
        lock.unlock();
        cancel(orphan);
        return result;
    }

    /// Calls `f(bool)` with whether `key` has a joinable flight, before any flight of that key can begin or
    /// end.
    template <class Q, class F>
    auto with_key(std::size_t hash, const Q& key, F f) {
        auto& s = shard_of(hash);
        const std::lock_guard lock{s.mutex};
        return f(s.find(hash, key) != nullptr);
    }

    /// Fences every flight.
    void fence_all() {
        for_each_shard([this](shard_type& s) {
            std::vector<load_job_ptr> orphans;
            {
                const std::lock_guard lock{s.mutex};
                for (auto& f : s.running()) {
                    if (f.joinable) {
                        orphans.push_back(detach(s, f));
                    }
                }
            }
            for (const auto& orphan : orphans) {
                cancel(orphan);
            }
        });
    }

    /// Whether the flight's result may be stored.
    [[nodiscard]] bool joinable(flight_type& f) {
        const std::lock_guard lock{shard_of(f.hash).mutex};
        return f.joinable;
    }

    /// Whether somebody still wants what the flight will bring.
    [[nodiscard]] bool wanted(flight_type& f) {
        const std::lock_guard lock{shard_of(f.hash).mutex};
        return !f.abandoned && !f.ended;
    }

    /// Ends the flight, if it has not ended: calls `commit()` if the result may be stored, frees the slot,
    /// and resumes the callers, in this order. `commit` runs under the lock and does not throw.
    template <class Commit>
    bool finish(flight_type& f, outcome_type outcome, Commit commit) {
        wait_list callers;
        {
            auto& s = shard_of(f.hash);
            const std::lock_guard lock{s.mutex};
            if (f.ended) {
                return false;
            }
            try {
                f.outcome = std::move(outcome);
            } catch (...) {
                f.outcome.value.reset();
                f.outcome.error = std::current_exception();
            }
            if (f.joinable) {
                commit();
            }
            s.detach(f);
            f.ended = true;
            f.unlink();
            f.waiters.take_all(callers);
        }
        f.job->wanted.fetch_sub(f.abandoned ? 0 : 1, std::memory_order_relaxed);
        in_flight_.fetch_sub(1, std::memory_order_relaxed);
        callers.resume_all({});
        return true;
    }

    /// Ends with `error` the flights of the job that have not ended; says how many those were.
    std::size_t fail_all(job& j, const std::exception_ptr& error) {
        std::size_t failed = 0;
        for (const auto& f : j.flights) {
            outcome_type outcome;
            outcome.error = error;
            failed += finish(*f, std::move(outcome), [] {}) ? 1 : 0;
        }
        return failed;
    }

    /// An operation to be `co_await`ed until the flight has ended, by one of its interested.
    [[nodiscard]] auto wait(waiter& w, flight_type& f) {
        auto& s = shard_of(f.hash);
        return w.wait(s.mutex, [&s, &f](waiter& self) {
            const std::lock_guard lock{s.mutex};
            if (!f.ended) {
                f.waiters.park(self);
            }
            return !f.ended;
        });
    }

    [[nodiscard]] bool ended(flight_type& f) {
        const std::lock_guard lock{shard_of(f.hash).mutex};
        return f.ended;
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
        for_each_shard([&](shard_type& s) {
            for (const auto& f : running(s)) {
                if (of == nullptr || of == &f->job->board()) {
                    outcome_type outcome;
                    outcome.error = closed;
                    finish(*f, std::move(outcome), [] {});
                    jobs.push_back(f->job);
                }
            }
        });
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
        for_each_shard([&](shard_type& s) {
            for (const auto& f : running(s)) {
                if (of == nullptr || &f->job->board() == of) {
                    jobs.push_back(f->job);
                }
            }
        });
        for (const auto& j : jobs) {
            if (j->node()->leads_to(*self)) {
                throw boost::system::system_error(errc::recursive_load);
            }
        }
    }

    /// Contract C10.
    static asio::awaitable<void> close(std::shared_ptr<flight_group> self) {
        self->check_not_inside(co_await asio::this_coro::executor, nullptr);
        self->shut();
        waiter w;
        co_await self->wait_idle(w);
    }
    static asio::awaitable<void> drain(std::shared_ptr<flight_group> self) {
        self->check_not_inside(co_await asio::this_coro::executor, nullptr);
        self->board.drain();
        waiter w;
        co_await self->wait_idle(w);
        self->shut();
    }

    void context_gone(asio::execution_context& context) override {
        const bool own = executor_ && &asio::query(executor_, asio::execution::context) == &context;
        wait_list gone;
        for_each_shard([&](shard_type& s) {
            const std::lock_guard lock{s.mutex};
            for (auto& f : s.running()) {
                f.waiters.take_all_of(context, gone);
            }
        });
        gone.discard_all();
        board.discard_waiters_of(context);
        if (own) {
            shut();
            executor_ = {};
        }
    }

    job_board board;

private:
    template <class, class>
    friend class load_run;

    [[nodiscard]] shard_type& shard_of(std::size_t hash) const noexcept {
        // The table inside uses the low bits of a mixed hash; these are the high bits of another mix.
        return shards_[(hash * 0x9E3779B97F4A7C15ULL >> 32) & (settings_.shards - 1)];
    }

    template <class F>
    void for_each_shard(F f) {
        for (std::size_t i = 0; i != settings_.shards; ++i) {
            f(shards_[i]);
        }
    }

    [[nodiscard]] static std::vector<flight_ptr> running(shard_type& s) {
        const std::lock_guard lock{s.mutex};
        std::vector<flight_ptr> result;
        for (auto& f : s.running()) {
            result.emplace_back(&f);
        }
        return result;
    }

    // Wants the shard's mutex, and whatever guards the flights of the job.
    template <class Request>
    [[nodiscard]] flight_ptr make_flight(shard_type& s, Request& request, const job_ptr& j) {
        flight_ptr made(new flight_type(K(request.query()), request.hash(), j));
        j->flights.push_back(made);
        try {
            s.insert(*made);
        } catch (...) {
            j->flights.pop_back();
            throw;
        }
        j->wanted.fetch_add(1, std::memory_order_relaxed);
        in_flight_.fetch_add(1, std::memory_order_relaxed);
        return made;
    }

    // Wants the shard's mutex. Gives the job back if it has to be cancelled.
    [[nodiscard]] load_job_ptr detach(shard_type& s, flight_type& f) {
        s.detach(f);
        if (f.interest == 0 && !f.ended && !std::exchange(f.abandoned, true) &&
            f.job->wanted.fetch_sub(1, std::memory_order_relaxed) == 1) {
            return f.job;
        }
        return nullptr;
    }

    static void cancel(const load_job_ptr& orphan) {
        if (orphan) {
            orphan->board().cancel(*orphan);
        }
    }

    void time_out(job& j) {
        on_timeout(fail_all(j, std::make_exception_ptr(boost::system::system_error(errc::load_timeout))));
        j.board().cancel(j);
    }
    /// Loads of so many keys have timed out.
    virtual void on_timeout(std::size_t) {}

    [[nodiscard]] auto wait_idle(waiter& w) {
        return w.wait(board.mutex(), [this](waiter& self) { return board.park_until_idle(self); });
    }

    asio::any_io_executor executor_;
    const flight_settings settings_;
    std::unique_ptr<shard_type[]> shards_;
    std::atomic<std::size_t> in_flight_ = 0;
};

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#include <acache/detail/load_run.hpp>

#endif
