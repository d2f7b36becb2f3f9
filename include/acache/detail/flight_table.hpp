// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_FLIGHT_TABLE_HPP
#define ACACHE_DETAIL_FLIGHT_TABLE_HPP

#include <acache/detail/flight.hpp>
#include <acache/detail/flight_request.hpp>
#include <acache/detail/job_board.hpp>
#include <acache/detail/job_flights.hpp>
#include <acache/detail/load_job.hpp>
#include <acache/detail/waiter.hpp>
#include <acache/flight_info.hpp>

#include <boost/asio/execution_context.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace acache::detail {

/// The flights of one cache or loader, at most one joinable a key, and the callers that wait on them. Knows
/// nothing of stores: what a flight's end is to store, it is told; and nothing of executors.
///
/// Thread-safe. A shard's mutex guards its flights; under it a board's may be taken, not the other way round.
/// Coroutines are resumed and jobs cancelled with no lock held.
template <class K, class V, class KeyEqual, class Clock>
class flight_table {
public:
    using key_type = K;
    using value_type = V;
    using flight_type = flight<K, V>;
    using flight_ptr = boost::intrusive_ptr<flight_type>;
    using outcome_type = flight_outcome<V>;

    /// A job and its flights, until they and it have ended.
    class flight_job : public load_job {
    public:
        using load_job::load_job;
        /// Complete when the job is submitted.
        job_flights<flight_ptr> flights;
    };
    using flight_job_ptr = boost::intrusive_ptr<flight_job>;

    /// `shards` is a power of two.
    flight_table(std::size_t shards, bool finish_abandoned)
        : shard_count_(shards), finish_abandoned_(finish_abandoned),
          shards_(std::make_unique<shard_type[]>(shards)) {}

    /// Flights that have not ended.
    [[nodiscard]] std::size_t in_flight() const noexcept {
        std::size_t sum = 0;
        for (std::size_t i = 0; i != shard_count_; ++i) {
            sum += shards_[i].count();
        }
        return sum;
    }

    /// Finds the joinable flight of the request's key or adds one. The result counts as interested and has to
    /// be left; it is null where the request found an answer of its own. Then it may have a flight added all
    /// the same, to renew that answer: nobody waits for it, and its interest is never left.
    ///
    /// A request is a `flight_request`.
    template <class Request>
    [[nodiscard]] flight_ptr join_or_add(Request& request, bool& started) {
        orphan_guard orphan;
        const std::size_t hash = request.hash();
        auto& s = shard_of(hash);
        const std::lock_guard lock{s.mutex};
        const auto add = [&] {
            flight_ptr added = request.add(
                [&](flight_job_ptr j) { return make_flight(s, request.query(), hash, std::move(j)); });
            ++added->interest;
            return added;
        };
        flight_ptr result = s.find(hash, request.query());
        if ((!result || request.may_answer()) && request.found(result.get())) {
            if (!result && request.renews()) {
                request.keep_renewal(add());
            }
            return nullptr;
        }
        if (result && request.replaces(*result)) {
            orphan.job = detach(s, *result);
            result = nullptr;
        }
        if (result) {
            ++result->interest;
            result->joined_since = true;
        } else {
            result = add();
            started = true;
        }
        return result;
    }

    /// One of the interested goes. With the last one the flight is detached, and its job cancelled if it has
    /// no other flight that is wanted, unless abandoned loads are to finish.
    void leave(flight_type& f) {
        if (ended(f)) {
            return; // nobody asks any more
        }
        orphan_guard orphan;
        {
            auto& s = shard_of(f.hash);
            const std::lock_guard lock{s.mutex};
            if (--f.interest == 0 && !(finish_abandoned_ && f.joinable)) {
                orphan.job = detach(s, f);
            }
        }
    }

    /// Fences the flight of `key`, if there is one, and calls `write(bool)` with whether there was, before
    /// any other flight of that key can begin or end. Returns what `write` returns.
    template <class Q, class Write>
    auto fence(std::size_t hash, const Q& key, Write write) {
        orphan_guard orphan;
        auto& s = shard_of(hash);
        const std::lock_guard lock{s.mutex};
        auto* f = s.find(hash, key);
        if (f != nullptr) {
            orphan.job = detach(s, *f);
        }
        return write(f != nullptr);
    }

    /// Fences the flight of `key`; whether there was one.
    template <class Q>
    bool fence(std::size_t hash, const Q& key) {
        return fence(hash, key, [](bool was) { return was; });
    }

    /// Fences the flights whose keys `chosen(key)` picks, which is called with no lock held.
    template <class F>
    void fence_if(F& chosen) {
        for (const auto& f : running()) {
            if (chosen(f->key)) {
                orphan_guard orphan;
                auto& s = shard_of(f->hash);
                const std::lock_guard lock{s.mutex};
                if (f->joinable) {
                    orphan.job = detach(s, *f);
                }
            }
        }
    }

    /// Somebody else has changed what is stored under `key`: fences its flight, and calls `also()` before any
    /// other flight of that key can begin or end. A flight that is still looking stays joinable: what it will
    /// load is newer, and its lease keeps it from overwriting what it has not seen. What it finds may be
    /// older: see `end_look`.
    template <class Also>
    void changed(std::size_t hash, const K& key, Also also) {
        orphan_guard orphan;
        auto& s = shard_of(hash);
        const std::lock_guard lock{s.mutex};
        if (auto* f = s.find(hash, key)) {
            if (f->looking) {
                f->changed = true;
                f->joined_since = false;
            } else {
                orphan.job = detach(s, *f);
            }
        }
        also();
    }

    /// The flight's load looks in the backend, from now on.
    void begin_look(flight_type& f) {
        const std::lock_guard lock{shard_of(f.hash).mutex};
        f.looking = true;
        f.changed = false;
    }

    /// It has looked, and `found` something or not: whether it is to look once more, since what it has found
    /// may be older than a change, and somebody has joined the flight after that (contract C14). Where nobody
    /// has, nobody can from now on. A change that comes later fences the flight.
    [[nodiscard]] bool end_look(flight_type& f, bool found) {
        orphan_guard orphan;
        auto& s = shard_of(f.hash);
        const std::lock_guard lock{s.mutex};
        f.looking = false;
        const bool is_doubtful = f.changed && found && !f.ended;
        if (is_doubtful && !f.joined_since) {
            orphan.job = detach(s, f);
        }
        return is_doubtful && f.joined_since;
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
            std::list<orphan_guard> orphans;
            const std::lock_guard lock{s.mutex};
            for (auto& f : s.running()) {
                if (f.joinable) {
                    orphans.emplace_back().job = detach(s, f);
                }
            }
        });
    }

    /// Whether the flight's result may be stored.
    [[nodiscard]] bool joinable(flight_type& f) {
        const std::lock_guard lock{shard_of(f.hash).mutex};
        return f.joinable;
    }

    /// Whether all flights of the job are as they were made: wanted, joinable and not ended. Cheap.
    [[nodiscard]] static bool untouched(const flight_job& j) noexcept {
        return !any_fenced(j) && j.wanted.load(std::memory_order_relaxed) == j.flights.size();
    }
    /// Whether one of them was fenced, by whatever means, before it had ended.
    [[nodiscard]] static bool any_fenced(const flight_job& j) noexcept {
        return j.fenced.load(std::memory_order_relaxed);
    }

    /// Whether somebody still wants what the flight will bring.
    [[nodiscard]] bool wanted(flight_type& f) {
        const std::lock_guard lock{shard_of(f.hash).mutex};
        return !f.abandoned && !f.ended;
    }

    /// Ends the flight, if it has not ended: calls `commit()` if the result may be stored, frees the slot,
    /// and resumes the callers, in this order. `commit` runs under the lock and does not throw.
    /// `is_waking` says that `begin_waking` was called.
    template <class Commit>
    bool finish(flight_type& f, std::optional<outcome_type> outcome, Commit commit, bool is_waking = false) {
        wait_list callers;
        std::optional<wakeups::scope> waking;
        {
            auto& s = shard_of(f.hash);
            const std::lock_guard lock{s.mutex};
            if (f.ended.load(std::memory_order_relaxed)) {
                return false;
            }
            if (outcome) {
                put(f, *outcome);
            }
            if (f.joinable) {
                commit();
            }
            s.end(f);
            if (!f.waiters.empty()) {
                if (!is_waking) {
                    waking.emplace(wakeups_);
                }
                f.waiters.take_all(callers);
            }
        }
        f.job->wanted.fetch_sub(f.abandoned ? 0 : 1, std::memory_order_relaxed);
        callers.resume_all({});
        if (const auto listener = std::move(f.listener)) {
            listener->flight_ended();
        }
        return true;
    }

    /// For who ends many flights without suspending: they count as one wake-up, as long as `scope` lives.
    void begin_waking(std::optional<wakeups::scope>& scope) noexcept { scope.emplace(wakeups_); }

    /// Resumes a caller of the flight before that has ended, or as soon as he waits.
    void wake(waiter& w, flight_type& f) {
        const wakeups::scope waking(wakeups_);
        {
            const std::lock_guard lock{shard_of(f.hash).mutex};
            if (!w.parked) {
                w.rung = true;
                return;
            }
            wait_list::take(w);
        }
        w.resume({});
    }

    /// Puts down what an asynchronous backend had for the flight's key.
    void put_older(flight_type& f, std::unique_ptr<entry<V>> older) {
        const std::lock_guard lock{shard_of(f.hash).mutex};
        if (!f.ended) {
            f.older = std::move(older);
        }
    }

    /// What was put down, if it was.
    [[nodiscard]] std::optional<entry<V>> copy_older(flight_type& f) {
        const std::lock_guard lock{shard_of(f.hash).mutex};
        return f.older ? std::optional<entry<V>>(*f.older) : std::nullopt;
    }

    /// Puts down the outcome of a flight whose value takes time to store. Meanwhile a timeout ends the flight
    /// with that outcome, and everything else with its own.
    void put_down(flight_type& f, outcome_type outcome) {
        const std::lock_guard lock{shard_of(f.hash).mutex};
        if (!f.ended) {
            put(f, outcome);
            f.loaded = true;
        }
    }

    /// Ends the flight with the outcome that was put down; no effect where none was. `commit` as in `finish`.
    void finish_loaded(flight_type& f) {
        finish_loaded(f, [] {});
    }
    template <class Commit>
    void finish_loaded(flight_type& f, Commit commit) {
        {
            const std::lock_guard lock{shard_of(f.hash).mutex};
            if (!f.loaded) {
                return;
            }
        }
        finish(f, std::nullopt, std::move(commit));
    }

    /// Ends with `error` the flights of the job that have not ended; says how many those were.
    std::size_t fail_all(flight_job& j, const std::exception_ptr& error) {
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
            if (ended(f)) {
                return false;
            }
            const std::lock_guard lock{s.mutex};
            const bool waits = !std::exchange(self.rung, false) && !f.ended;
            if (waits) {
                f.waiters.park(self);
            }
            return waits;
        });
    }

    [[nodiscard]] static bool ended(const flight_type& f) noexcept {
        return f.ended.load(std::memory_order_acquire);
    }

    /// Every flight that has not ended.
    [[nodiscard]] std::vector<flight_ptr> running() {
        std::vector<flight_ptr> result;
        for_each_shard([&](shard_type& s) {
            const std::lock_guard lock{s.mutex};
            for (auto& f : s.running()) {
                result.emplace_back(&f);
            }
        });
        return result;
    }

    /// What is to be told of every flight that has not ended.
    [[nodiscard]] std::vector<flight_info<K>> list() {
        std::vector<flight_info<K>> result;
        for (const auto& f : running()) {
            flight_info<K> info{f->key, std::max(Clock::now() - f->begun, std::chrono::nanoseconds{0}), 0,
                                false, f->job->board().queued(*f->job)};
            const std::lock_guard lock{shard_of(f->hash).mutex};
            if (!f->ended) {
                info.callers = f->interest;
                info.joinable = f->joinable;
                result.push_back(std::move(info));
            }
        }
        return result;
    }

    /// Resumes the callers of one owner with `why`, whatever they wait for.
    void dismiss(const void* owner, error_code why) {
        wait_list gone;
        const wakeups::scope waking(wakeups_);
        for_each_shard([&](shard_type& s) {
            const std::lock_guard lock{s.mutex};
            for (auto& f : s.running()) {
                f.waiters.take_if([&](const waiter& w) { return w.owner == owner; }, gone);
            }
        });
        gone.resume_all(why);
    }

    /// Destroys the callers that run on `context`.
    void discard_waiters_of(const asio::execution_context& context) {
        wait_list gone;
        for_each_shard([&](shard_type& s) {
            const std::lock_guard lock{s.mutex};
            for (auto& f : s.running()) {
                f.waiters.take_all_of(context, gone);
            }
        });
        wakeups_.wait();
        gone.discard_all();
    }

private:
    /// Cancels the job that nobody wants any more, once the locks that were taken after it was made are free.
    struct orphan_guard {
        load_job_ptr job;

        orphan_guard() = default;
        orphan_guard(const orphan_guard&) = delete;
        orphan_guard& operator=(const orphan_guard&) = delete;
        ~orphan_guard() {
            if (job) {
                job->board().cancel(*job);
            }
        }
    };

    // A value that cannot be moved becomes an error.
    static void put(flight_type& f, outcome_type& outcome) noexcept {
        try {
            f.outcome = std::move(outcome);
        } catch (...) {
            f.outcome.value.reset();
            f.outcome.error = std::current_exception();
        }
    }

    using shard_type = flight_shard<K, V, KeyEqual>;

    [[nodiscard]] shard_type& shard_of(std::size_t hash) const noexcept {
        // The table inside uses the low bits of a mixed hash; these are the high bits of another mix.
        return shards_[(hash * 0x9E3779B97F4A7C15ULL >> 32) & (shard_count_ - 1)];
    }

    template <class F>
    void for_each_shard(F f) {
        for (std::size_t i = 0; i != shard_count_; ++i) {
            f(shards_[i]);
        }
    }

    // The way of a load is so long that g++, given the clock's code as well, leaves others of its parts out
    // of line, and a load that returns at once takes a tenth longer.
    [[nodiscard, gnu::noinline]] static time_point now() noexcept { return Clock::now(); }

    // Wants the shard's mutex, and whatever guards the flights of the job.
    template <class Q>
    [[nodiscard]] flight_ptr make_flight(shard_type& s, const Q& key, std::size_t hash, flight_job_ptr j) {
        auto& job = *j;
        if (job.flights.size() == 0) {
            job.line = hash;
        }
        flight_ptr made = adopt(new flight_type(K(key), hash, std::move(j), now()));
        job.flights.push_back(adopt(made.get()));
        try {
            s.insert(*made);
        } catch (...) {
            job.flights.pop_back();
            throw;
        }
        job.wanted.fetch_add(1, std::memory_order_relaxed);
        return made;
    }

    // Wants the shard's mutex. Gives the job back if it has to be cancelled.
    [[nodiscard]] load_job_ptr detach(shard_type& s, flight_type& f) {
        s.detach(f);
        f.job->fenced.store(true, std::memory_order_relaxed);
        if (f.interest == 0 && !f.ended && !std::exchange(f.abandoned, true) &&
            f.job->wanted.fetch_sub(1, std::memory_order_relaxed) == 1) {
            return f.job;
        }
        return nullptr;
    }

    const std::size_t shard_count_;
    const bool finish_abandoned_;
    std::unique_ptr<shard_type[]> shards_;
    wakeups wakeups_;
};

} // namespace acache::detail

#endif
