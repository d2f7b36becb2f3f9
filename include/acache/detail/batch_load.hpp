// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_BATCH_LOAD_HPP
#define ACACHE_DETAIL_BATCH_LOAD_HPP

#include <acache/detail/batch.hpp>
#include <acache/detail/cache_read.hpp>
#include <acache/detail/cache_state.hpp>
#include <acache/detail/failed_load.hpp>
#include <acache/detail/single_load.hpp>

#include <boost/asio/awaitable.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
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
    void settle(counter as, std::size_t n = 1) noexcept {
        open_ -= n;
        state_.count(as, n);
    }

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

    asio::awaitable<void> operator()(job& j) {
        auto& self = static_cast<State&>(j.group());
        keep_wanted(self, j);
        if constexpr (!State::synchronous) {
            tally_->settle(counter::misses, j.flights.size() - flights_.size());
            if (!flights_.empty()) {
                co_await take_stored(self);
                keep_wanted(self, j);
            }
        }
        if (flights_.empty()) {
            co_return;
        }
        self.count(counter::loads, keys_.size());
        const auto begun = State::timer_clock::now();
        std::vector<load_result<V>> results;
        std::exception_ptr failure;
        try {
            results = co_await call();
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure) {
            self.count_load(j, begun, keys_.size());
            fail_whole(self, j, failure);
            co_return;
        }
        const auto failed =
            std::count_if(results.begin(), results.end(), [](const auto& r) { return r.has_error(); });
        const auto took = self.count_load(j, begun, static_cast<std::size_t>(failed));
        co_await finish(self, j, results, took);
    }

private:
    struct failed_key {
        std::size_t at; // of the flight
        std::exception_ptr error;
        failure_fate fate;
    };

    // Two flights have one key where the first was fenced before the batch was sent: they share a place in
    // it.
    void keep_wanted(State& self, job& j) {
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
            if (!all && !self.wanted(*f)) {
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

    /// The place among the keys, and the results, of the `i`-th flight's.
    [[nodiscard]] std::size_t place(std::size_t i) const noexcept { return places_.empty() ? i : places_[i]; }

    // Ends the flights whose values the backend has.
    asio::awaitable<void> take_stored(State& self) {
        if (!self.stored().erasures.idle()) {
            for (const auto* flight : flights_) {
                co_await wait_for_erasures(self, flight->hash);
            }
        }
        auto found = co_await read_many(self, keys_);
        for (std::size_t i = 0; i != flights_.size(); ++i) {
            const auto& entry = found[place(i)];
            tally_->settle(entry ? counter::hits : counter::misses);
            if (entry) {
                finish_found(self, *flights_[i], *entry);
            }
        }
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

    // Over an asynchronous backend the flights end when all values are stored, and not each after its own:
    // callers who went on one by one would not meet again in one batch.
    asio::awaitable<void> finish(State& self, const job& j, std::vector<load_result<V>>& results,
                                 std::chrono::nanoseconds took) {
        const auto stamps = self.stamp(loader_context<V, false>(), options_, took);
        [[maybe_unused]] std::optional<wakeups::scope> waking;
        if constexpr (State::synchronous) {
            self.begin_waking(waking);
        }
        std::vector<std::optional<entry<V>>> entries(State::synchronous ? 0 : flights_.size());
        std::vector<failed_key> failures;
        for (std::size_t i = 0; i != flights_.size(); ++i) {
            typename State::outcome_type outcome;
            outcome.created = stamps.created;
            take(results[place(i)], outcome);
            failure_fate fate;
            if (!outcome.error) {
                self.failures.forget(flights_[i]->key);
            } else if (!j.cancelled()) {
                fate = self.fate_of(outcome.error, options_);
            }
            if constexpr (!State::synchronous) {
                if (!outcome.error) {
                    auto own = stamps;
                    entries[i] = make_entry(self, *outcome.value, own);
                } else {
                    failures.push_back({i, outcome.error, fate});
                }
                self.put_down(*flights_[i], std::move(outcome));
            } else if (outcome.error) {
                finish_failed(self, *flights_[i], std::move(outcome), fate, true);
            } else {
                store_and_finish(self, *flights_[i], std::move(outcome), stamps, true);
            }
        }
        if constexpr (!State::synchronous) {
            for (std::size_t i = 0; i != flights_.size(); ++i) {
                if (entries[i]) {
                    co_await store_loaded(self, *flights_[i], std::move(entries[i]), true);
                }
            }
            for (const auto& f : failures) {
                if (f.fate.is_answer && self.keeps_stale(options_)) {
                    co_await store_loaded(self, *flights_[f.at], std::nullopt, false);
                }
            }
            for (const auto& f : failures) {
                finish_failed_later(self, *flights_[f.at], f.error, f.fate);
            }
            for (auto* flight : flights_) {
                self.finish_loaded(*flight);
            }
        }
        co_return;
    }

    // Of no key is it known then that it has no value.
    void fail_whole(State& self, job& j, const std::exception_ptr& error) const {
        auto fate = j.cancelled() ? failure_fate{} : self.fate_of(error, options_);
        if (fate.is_answer) {
            fate = {};
        }
        for (const auto& f : j.flights) {
            typename State::outcome_type outcome;
            outcome.error = error;
            finish_failed(self, *f, std::move(outcome), fate);
        }
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
    std::vector<typename State::flight_type*> flights_; // the job's
    std::vector<K> keys_;
    std::vector<std::size_t> places_; // of each flight's key; empty where they are all in their order
};

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
