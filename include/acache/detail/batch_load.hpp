// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_BATCH_LOAD_HPP
#define ACACHE_DETAIL_BATCH_LOAD_HPP

#include <acache/detail/batch.hpp>
#include <acache/detail/cache_read.hpp>
#include <acache/detail/cache_state.hpp>
#include <acache/detail/observation.hpp>
#include <acache/detail/single_load.hpp>
#include <acache/observer.hpp>

#include <boost/asio/awaitable.hpp>

#include <algorithm>
#include <chrono>
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

    asio::awaitable<void> operator()(job& j) {
        auto& self = static_cast<State&>(j.group());
        keep_wanted(self, j);
        if constexpr (!State::synchronous) {
            tally_->settle(counter::misses, j.flights.size() - flights_.size());
            tell_unwanted(self, j);
            if (!flights_.empty()) {
                co_await take_stored(self);
                keep_wanted(self, j);
            }
        }
        if (flights_.empty()) {
            co_return;
        }
        self.count(counter::loads, keys_.size());
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
            tell_ended(self, self.count_load(j, begun, keys_.size()), [&](std::size_t) { return failure; });
            self.fail_all(j, failure);
            co_return;
        }
        const auto failed =
            std::count_if(results.begin(), results.end(), [](const auto& r) { return r.has_error(); });
        const auto took = self.count_load(j, begun, static_cast<std::size_t>(failed));
        tell_ended(self, took, [&](std::size_t i) {
            return results[i].has_error() ? results[i].error() : std::exception_ptr();
        });
        co_await finish(self, results, took);
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
                self.template tell<events::miss>(flight->key);
            }
        }
    }

private:
    /// Of the job's flights those that are not among `flights_`, which are in the same order.
    void tell_unwanted(State& self, const job& j) const noexcept {
        if constexpr (State::template observes<events::miss>) {
            auto next = flights_.begin();
            for (const auto& f : j.flights) {
                if (next != flights_.end() && *next == f.get()) {
                    ++next;
                } else {
                    self.template tell<events::miss>(f->key);
                }
            }
        }
    }

    void tell_started(State& self) noexcept {
        report_.begin(self, keys_.size());
        for (std::size_t i = 0; i != keys_.size(); ++i) {
            report_.started(self, keys_[i], false, i);
        }
    }

    /// `failure(i)` is that of the `i`-th key.
    template <class Failure>
    void tell_ended(State& self, std::chrono::nanoseconds took, Failure failure) const {
        if constexpr (State::observes_loads) {
            std::size_t next = 0;
            for (std::size_t i = 0; i != flights_.size(); ++i) {
                if (place(i) == next) {
                    report_.ended(self, *flights_[i], took, failure(next), next);
                    ++next;
                }
            }
        }
    }

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
                self.template tell<events::hit>(flights_[i]->key);
            } else {
                self.template tell<events::miss>(flights_[i]->key);
            }
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
    asio::awaitable<void> finish(State& self, std::vector<load_result<V>>& results,
                                 std::chrono::nanoseconds took) {
        const auto stamps = self.stamp(load_context(), options_, took);
        [[maybe_unused]] std::optional<wakeups::scope> waking;
        if constexpr (State::synchronous) {
            self.begin_waking(waking);
        }
        std::vector<std::optional<entry<V>>> entries(State::synchronous ? 0 : flights_.size());
        for (std::size_t i = 0; i != flights_.size(); ++i) {
            typename State::outcome_type outcome;
            outcome.created = stamps.created;
            take(results[place(i)], outcome);
            if constexpr (!State::synchronous) {
                if (!outcome.error) {
                    auto own = stamps;
                    entries[i] = make_entry(self, *outcome.value, own);
                }
                self.put_down(*flights_[i], std::move(outcome));
            } else if (outcome.error) {
                self.finish(*flights_[i], std::move(outcome), [] {}, true);
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
            for (auto* flight : flights_) {
                self.finish_loaded(*flight);
            }
        }
        co_return;
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
    std::vector<std::size_t> places_; // of each flight's key; empty where they are all in their order
};

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
