// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_BATCH_LOAD_HPP
#define ACACHE_DETAIL_BATCH_LOAD_HPP

#include <acache/detail/batch.hpp>
#include <acache/detail/batch_leases.hpp>
#include <acache/detail/cache_read.hpp>
#include <acache/detail/cache_state.hpp>
#include <acache/detail/failed_load.hpp>
#include <acache/detail/flight_request.hpp>
#include <acache/detail/observation.hpp>
#include <acache/detail/serving.hpp>
#include <acache/detail/single_load.hpp>
#include <acache/detail/write_turns.hpp>
#include <acache/observer.hpp>
#include <acache/shared_backend.hpp>

#include <boost/asio/awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// The look-ups of a batch over an asynchronous backend that are not counted yet: what becomes of them is
/// known when the backend has answered. Those that never come so far are misses.
template <class State>
class batch_tally {
public:
    explicit batch_tally(State& state) noexcept : state_(state) {}
    batch_tally(const batch_tally&) = delete;
    batch_tally& operator=(const batch_tally&) = delete;
    ~batch_tally() { settle(counter::misses, open_); }

    void add() noexcept { ++open_; }
    /// All but so many are misses.
    void keep(std::size_t n) noexcept { settle(counter::misses, open_ - n); }
    void settle(counter as, std::size_t n = 1) noexcept {
        open_ -= n;
        state_.count(as, n);
    }
    [[nodiscard]] std::size_t open() const noexcept { return open_; }

private:
    State& state_;
    std::size_t open_ = 0;
};

template <class State>
using batch_tally_ptr = std::shared_ptr<batch_tally<State>>;

/// Null where look-ups are counted as they are made.
template <class State>
[[nodiscard]] batch_tally_ptr<State> make_batch_tally(State& state) {
    if constexpr (State::synchronous) {
        return nullptr;
    } else {
        return std::make_shared<batch_tally<State>>(state);
    }
}

/// The work of a batch of flights: look in an asynchronous backend, call the batch function for what is
/// missing and still wanted, store.
///
/// Its coroutines are members, since g++ 12 warns of those that have a reference to a local closure's type
/// among their parameters.
template <class State, class Fn>
class batch_load {
public:
    using K = typename State::key_type;
    using V = typename State::value_type;
    using job = typename State::job;

    batch_load(Fn fn, load_options options, batch_tally_ptr<State> tally)
        : fn_(std::move(fn)), options_(options), tally_(std::move(tally)) {}

    static constexpr bool loads_only = false;

    [[nodiscard]] auto lease() const
        requires(State::leases)
    {
        return leases_.shared();
    }

    asio::awaitable<void> operator()(job& j) {
        auto& self = static_cast<State&>(j.group());
        if constexpr (!State::synchronous) {
            keep_wanted(self, j, true);
            tally_->keep(count_flights(is_uncounted));
            tell_unwanted(self, j);
            if (!flights_.empty()) {
                co_await take_stored(self, j);
            }
        }
        keep_wanted_leases(self, j);
        if (flights_.empty()) {
            co_return;
        }
        count_begin(self);
        tell_started(self);
        const auto begun = State::timer_clock::now();
        std::vector<load_result<V>> results;
        std::exception_ptr failure;
        try {
            results = co_await call();
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure) {
            fail(self, j, failure, begun);
            co_return;
        }
        const auto failed =
            std::count_if(results.begin(), results.end(), [](const auto& r) { return r.has_error(); });
        const auto took = self.count_load(j, begun, static_cast<std::size_t>(failed));
        tell_ended(self, took, [&](std::size_t i) {
            return results[i].has_error() ? results[i].error() : std::exception_ptr();
        });
        if constexpr (State::synchronous) {
            finish(self, j, results, took);
        } else {
            co_await store_and_finish_all(self, j, results, took);
        }
    }

    /// Those that never came so far are told of as misses too.
    void refused(job& j)
        requires(State::template observes<events::miss>)
    {
        if (tally_ && tally_->open() != 0) {
            auto& self = static_cast<State&>(j.group());
            tally_->settle(counter::misses, tally_->open());
            if (flights_.empty()) {
                tell_unwanted(self, j);
            }
            for (const auto* flight : flights_) {
                if (is_uncounted(flight)) {
                    self.template tell<events::miss>(flight->key);
                }
            }
        }
    }

private:
    struct failed_key {
        std::size_t at; // of the flight
        std::exception_ptr error;
        failure_fate fate;
    };

    /// The look-up that the flight was made for, if any, is still to be counted.
    [[nodiscard]] static bool is_uncounted(const typename State::flight_type* flight) noexcept {
        return !flight->counted && !flight->renews;
    }

    /// Of the job's flights those that are not among `flights_`, which are in the same order.
    void tell_unwanted(State& self, const job& j) const noexcept {
        if constexpr (State::template observes<events::miss>) {
            auto next = flights_.begin();
            for (const auto& f : j.flights) {
                if (next != flights_.end() && *next == f.get()) {
                    ++next;
                } else if (is_uncounted(f.get())) {
                    self.template tell<events::miss>(f->key);
                }
            }
        }
    }

    void tell_started(State& self) noexcept {
        report_.begin(self, keys_.size());
        for_each_key(
            [&](const auto& flight, std::size_t i) { report_.started(self, flight.key, flight.renews, i); });
    }

    /// `failure(i)` is that of the `i`-th key.
    template <class Failure>
    void tell_ended(State& self, std::chrono::nanoseconds took, Failure failure) const {
        for_each_key(
            [&](const auto& flight, std::size_t i) { report_.ended(self, flight, took, failure(i), i); });
    }

    /// Where somebody listens, calls `f(flight, i)` with the first flight of the `i`-th key.
    template <class F>
    void for_each_key(F f) const {
        if constexpr (State::observes_loads) {
            std::size_t next = 0;
            for (std::size_t i = 0; i != flights_.size(); ++i) {
                if (place(i) == next) {
                    f(*flights_[i], next);
                    ++next;
                }
            }
        }
    }

    // Two flights have one key where the first was fenced before the batch was sent: they share a place in
    // it. With `lookups`, only those flights for which the backend is read: not of renewals, unless they are
    // to have leases.
    void keep_wanted(State& self, job& j, bool lookups = false) {
        const bool all = State::untouched(j);
        const bool fenced = State::any_fenced(j);
        flights_.clear();
        keys_.clear();
        places_.clear();
        flights_.reserve(j.flights.size());
        keys_.reserve(j.flights.size());
        std::unordered_map<K, std::size_t, typename State::store_type::hasher,
                           typename State::store_type::key_equal>
            seen;
        for (const auto& f : j.flights) {
            if ((lookups && f->renews && !State::leases) || (!all && !self.wanted(*f))) {
                continue;
            }
            std::size_t place = keys_.size();
            if (fenced) {
                place = seen.try_emplace(f->key, place).first->second;
                places_.push_back(place);
            }
            if (place == keys_.size()) {
                keys_.push_back(f->key);
            }
            flights_.push_back(f.get());
        }
    }

    /// Of those that were looked for.
    void keep_wanted_leases(State& self, job& j) {
        if constexpr (State::leases) {
            const std::vector<K> looked_for = std::move(keys_);
            keep_wanted(self, j);
            leases_.keep(looked_for, keys_);
        } else {
            keep_wanted(self, j);
        }
    }

    /// The place among the keys, and the results, of the `i`-th flight's.
    [[nodiscard]] std::size_t place(std::size_t i) const noexcept { return places_.empty() ? i : places_[i]; }

    // Ends the flights for which the backend has values that will do. The keys of those that are to be
    // renewed stay in the batch, with flights that nobody waits for.
    asio::awaitable<void> take_stored(State& self, job& j) {
        if (!self.stored().erasures.idle()) {
            for (const auto* flight : flights_) {
                co_await wait_for_erasures(self, flight->hash);
            }
        }
        auto found = co_await look(self);
        for (std::size_t i = 0; i != flights_.size(); ++i) {
            const auto& entry = found[place(i)];
            if (flights_[i]->renews) {
                if (entry && renewed_meanwhile(self, *entry, flights_[i]->early)) {
                    finish_found(self, *flights_[i], *entry);
                }
                continue;
            }
            auto as = entry ? use(self, j, *flights_[i], *entry) : counter::misses;
            if (as == counter::misses) {
                as = end_by_memory(self, *flights_[i], options_).value_or(as);
            }
            if (!flights_[i]->counted) {
                tally_->settle(as);
                self.tell_look_up(as, flights_[i]->key);
            }
        }
    }

    [[nodiscard]] auto look(State& self) {
        if constexpr (State::leases) {
            return read_leased_of(self, keys_, leases_.make(keys_.size()));
        } else {
            return read_any_of(self, keys_);
        }
    }

    /// What the backend had for a flight's key: as what the look-up counts.
    [[nodiscard]] counter use(State& self, job& j, typename State::flight_type& flight,
                              const entry<V>& found) {
        const auto use = serve(self, found, flight.hash, options_);
        if (!use.answers) {
            if (self.judge(found, {}) != standing::dead) {
                self.put_older(flight, std::make_unique<entry<V>>(found));
            }
            return counter::misses;
        }
        if (use.renews) {
            (void)renew(self, j, flight, found, !use.stale);
        }
        finish_found(self, flight, found, use.stale);
        return use.stale ? counter::stale_hits : counter::hits;
    }

    /// Of the values of a batch, whose ends are not to come together where the options say so.
    [[nodiscard]] typename State::stamps own_stamps(State& self, const typename State::stamps& common,
                                                    std::chrono::nanoseconds took) const {
        return self.freshness.jitters() ? self.stamp(loader_context<V, false>(), options_, took) : common;
    }

    void count_begin(State& self) const {
        self.count(counter::loads, keys_.size());
        self.count(counter::refreshes, count_flights([](const auto* f) { return f->renews; }));
        self.count(counter::early_refreshes, count_flights([](const auto* f) { return f->early; }));
    }
    template <class Predicate>
    [[nodiscard]] std::size_t count_flights(Predicate counts) const {
        return static_cast<std::size_t>(std::count_if(flights_.begin(), flights_.end(), counts));
    }

    // Of no key is it known then that it has no value.
    void fail(State& self, job& j, const std::exception_ptr& failure,
              typename State::timer_clock::time_point begun) {
        tell_ended(self, self.count_load(j, begun, keys_.size()), [&](std::size_t) { return failure; });
        leases_.let_go(); // before anybody tries again
        for (auto* flight : flights_) {
            const auto fate = note_end(self, j, *flight, failure, options_, true);
            typename State::outcome_type outcome;
            outcome.error = failure;
            finish_failed(self, *flight, std::move(outcome), fate);
        }
        self.fail_all(j, failure);
    }

    /// When the entry was made that the flight renews, if it does.
    [[nodiscard]] static std::optional<time_point> renewed(const typename State::flight_type& flight) {
        return flight.renews ? std::optional(flight.older->created) : std::nullopt;
    }

    asio::awaitable<std::vector<load_result<V>>> call() {
        using result = batch_awaited_t<Fn, K>;
        if constexpr (batch_of_span<Fn, K>) {
            result results = co_await std::invoke(fn_, std::span<const K>(keys_));
            co_return to_load_results<K, V>(keys_, std::move(results));
        } else {
            std::vector<K> given = keys_;
            result results = co_await std::invoke(fn_, std::move(given));
            co_return to_load_results<K, V>(keys_, std::move(results));
        }
    }

    void finish(State& self, const job& j, std::vector<load_result<V>>& results,
                std::chrono::nanoseconds took)
        requires(State::synchronous)
    {
        const auto common = self.stamp(loader_context<V, false>(), options_, took);
        std::optional<wakeups::scope> waking;
        self.begin_waking(waking);
        for (std::size_t i = 0; i != flights_.size(); ++i) {
            auto& flight = *flights_[i];
            failure_fate fate;
            auto outcome = take(self, j, results, i, common.created, fate);
            if (outcome.error) {
                finish_failed(self, flight, std::move(outcome), fate, true, renewed(flight));
            } else {
                store_and_finish(self, flight, std::move(outcome), own_stamps(self, common, took), true,
                                 renewed(flight));
            }
        }
    }

    // The flights end when all values are stored, and not each after its own: callers who went on one by one
    // would not meet again in one batch.
    asio::awaitable<void> store_and_finish_all(State& self, const job& j,
                                               std::vector<load_result<V>>& results,
                                               std::chrono::nanoseconds took)
        requires(!State::synchronous)
    {
        const auto common = self.stamp(loader_context<V, false>(), options_, took);
        std::vector<std::optional<entry<V>>> entries(flights_.size());
        std::vector<failed_key> failures;
        for (std::size_t i = 0; i != flights_.size(); ++i) {
            failure_fate fate;
            auto outcome = take(self, j, results, i, common.created, fate);
            if (outcome.error) {
                failures.push_back({i, outcome.error, fate});
            } else {
                auto own = own_stamps(self, common, took);
                entries[i] = make_entry(self, *outcome.value, own);
            }
            self.put_down(*flights_[i], std::move(outcome));
        }
        if constexpr (multi_set_backend<typename State::backend_type, K, V>) {
            co_await store_together(self, std::move(entries));
        } else {
            for (std::size_t i = 0; i != flights_.size(); ++i) {
                if (entries[i]) {
                    (void)co_await store_loaded(self, *flights_[i], std::move(entries[i]), true,
                                                renewed(*flights_[i]), leases_[place(i)]);
                }
            }
        }
        for (auto& f : failures) {
            auto& flight = *flights_[f.at];
            if (f.fate.is_answer && flight.older) { // what the backend had
                const bool holds = co_await store_loaded(self, flight, std::nullopt, false, renewed(flight),
                                                         leases_[place(f.at)]);
                f.fate = holds ? f.fate : failure_fate{};
            }
        }
        leases_.let_go();
        for (const auto& f : failures) {
            finish_failed_later(self, *flights_[f.at], f.error, f.fate);
        }
        for (auto* flight : flights_) {
            self.finish_loaded(*flight);
        }
    }

    /// As `store_loaded`, in one operation. It has the turns of all keys at once, which it takes in the order
    /// of their hashes, so that two batches never wait for each other.
    asio::awaitable<void> store_together(State& self, std::vector<std::optional<entry<V>>> fresh) {
        std::set<std::size_t> hashes;
        for (std::size_t i = 0; i != fresh.size(); ++i) {
            if (fresh[i] && self.joinable(*flights_[i])) {
                hashes.insert(flights_[i]->hash);
            }
        }
        std::exception_ptr failure;
        try {
            std::list<write_turns::turn> turns;
            for (const std::size_t hash : hashes) {
                auto& turn = turns.emplace_back(self.stored().turns, hash);
                if (!turn.try_take()) {
                    co_await turn.come();
                }
            }
            std::vector<std::optional<entry<V>>> entries(keys_.size());
            bool any = false;
            for (std::size_t i = 0; i != fresh.size(); ++i) {
                if (fresh[i] && self.joinable(*flights_[i])) {
                    entries[place(i)] = std::move(fresh[i]);
                    any = true;
                }
            }
            if (any) {
                const auto stored = co_await self.stored().backend().set_many(
                    std::span<const K>(keys_), std::move(entries), leases_.all());
                for (std::size_t i = 0; i != stored.size(); ++i) {
                    if (stored[i]) {
                        self.template tell<events::stored>(keys_[i]);
                    }
                }
            }
        } catch (...) {
            failure = std::current_exception();
        }
        count_backend_failure(self, failure, co_await asio::this_coro::cancellation_state);
    }

    /// The outcome of the `i`-th flight, and where it is an error, what becomes of that.
    [[nodiscard]] typename State::outcome_type take(State& self, const job& j,
                                                    std::vector<load_result<V>>& results, std::size_t i,
                                                    time_point created, failure_fate& fate) {
        typename State::outcome_type outcome;
        outcome.created = created;
        take(results[place(i)], outcome);
        auto& flight = *flights_[i];
        fate = note_end(self, j, flight, outcome.error, options_);
        return outcome;
    }

    void take(load_result<V>& result, typename State::outcome_type& outcome) const {
        try {
            if (result.has_error()) {
                outcome.error = result.error();
            } else if (keys_.size() == flights_.size()) {
                outcome.value.emplace(std::move(*result));
            } else {
                outcome.value.emplace(*result); // another flight may share the place
            }
        } catch (...) {
            outcome.error = std::current_exception();
        }
    }

    Fn fn_;
    const load_options options_;
    const batch_tally_ptr<State> tally_;
    [[no_unique_address]] load_report<State> report_;
    std::vector<typename State::flight_type*> flights_; // the job's
    std::vector<K> keys_;
    [[no_unique_address]] batch_leases<State> leases_;
    std::vector<std::size_t> places_; // of each flight's key; empty where they are all in their order
};

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
