// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_SINGLE_LOAD_HPP
#define ACACHE_DETAIL_SINGLE_LOAD_HPP

#include <acache/detail/cache_read.hpp>
#include <acache/detail/cache_state.hpp>
#include <acache/detail/keys.hpp>
#include <acache/detail/loader_context.hpp>
#include <acache/detail/write_turns.hpp>
#include <acache/entry.hpp>
#include <acache/lookup_result.hpp>
#include <acache/options.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// How a load goes about it.
struct load_mode {
    /// Ask an asynchronous backend before the loader.
    bool reads = true;
    /// Fence the flight there is, and load in any case.
    bool replaces = false;
    /// Count as a look-up.
    bool counts = true;
    /// A stale value will do, where the options say so.
    bool serves_stale = true;
    /// The load is one in the background that renews the entry made then (contract C19).
    std::optional<time_point> renews = std::nullopt;
    /// That entry is still fresh.
    bool early = false;
};

/// A look-up that has become a flight and is not counted yet: as a hit where the flight finds the value in
/// the backend, as a miss in every other case, a cancellation before it could look included.
template <class State>
class lookup_tally {
public:
    lookup_tally(State& state, bool counts) noexcept : state_(counts ? &state : nullptr) {}
    lookup_tally(lookup_tally&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    lookup_tally& operator=(lookup_tally&&) = delete;
    ~lookup_tally() { settle(counter::misses); }

    void settle(counter as) noexcept {
        if (auto* state = std::exchange(state_, nullptr)) {
            state->count(as);
        }
    }

private:
    State* state_;
};

/// Ends a flight whose value was found in the backend: it is there already.
template <class State>
void finish_found(State& self, typename State::flight_type& flight, entry<typename State::value_type> found,
                  bool is_stale = false) {
    typename State::outcome_type outcome;
    outcome.value.emplace(std::move(found.value));
    outcome.created = found.created;
    outcome.details = std::move(found.details);
    outcome.found = true;
    outcome.stale = is_stale;
    outcome.fresh_until = found.fresh_until;
    self.finish(flight, std::move(outcome), [] {});
}

/// The entry of a loaded value. Empty where it is not to be stored, or cannot be, since it cannot be copied:
/// then who waits for it gets the exception from his own copy, and what is stored stays.
template <class State>
[[nodiscard]] std::optional<entry<typename State::value_type>>
make_entry(State& self, const typename State::value_type& value, typename State::stamps& s) {
    std::optional<entry<typename State::value_type>> fresh;
    if (s.alive) {
        try {
            fresh.emplace(value, s, std::move(s.details));
        } catch (...) {
            self.count(counter::backend_failures);
            s.keep_older = true;
        }
    }
    return fresh;
}

/// Ends a flight of a cache over a synchronous backend: stores and ends in one step.
template <class State>
void store_and_finish(State& self, typename State::flight_type& flight, typename State::outcome_type outcome,
                      typename State::stamps s, bool is_waking = false,
                      std::optional<time_point> renews = std::nullopt) {
    auto& store = self.stored();
    // Contract C19: only in the place of the entry that it set out to renew.
    const auto in_place = [&] {
        if (!renews) {
            return true;
        }
        const auto there = store.get(flight.key, flight.hash);
        return there && there->created == *renews;
    };
    auto fresh = make_entry(self, *outcome.value, s);
    std::optional<decltype(store.set(flight.key, std::move(*fresh), flight.hash))> displaced;
    std::optional<decltype(store.erase(flight.key, flight.hash))> removed;
    self.finish(
        flight, std::move(outcome),
        [&] {
            try {
                if (!in_place()) {
                } else if (fresh) {
                    displaced.emplace(store.set(flight.key, std::move(*fresh), flight.hash));
                } else if (!s.keep_older) {
                    removed.emplace(store.erase(flight.key, flight.hash));
                }
            } catch (...) {
                self.count(counter::backend_failures);
            }
        },
        is_waking);
}

/// Stores the value of a flight of a cache over an asynchronous backend, when the key's turn has come and
/// unless a fence came first. The flight is to be ended after that.
template <class State>
asio::awaitable<void> store_loaded(State& self, typename State::flight_type& flight,
                                   std::optional<entry<typename State::value_type>> fresh, bool keep_older,
                                   std::optional<time_point> renews = std::nullopt) {
    if (!self.joinable(flight)) {
        co_return; // nor does it wait for the write that fenced it
    }
    std::exception_ptr failure;
    try {
        write_turns::turn turn(self.stored().turns, flight.hash);
        if (!turn.try_take()) {
            co_await turn.come();
        }
        bool in_place = true;
        if (renews) { // contract C19: only in the place of the entry that it set out to renew
            const auto there = co_await self.stored().backend().get(flight.key);
            in_place = there && there->created == *renews;
        }
        if (in_place && self.joinable(flight)) {
            if (fresh) {
                co_await self.stored().backend().set(flight.key, std::move(*fresh));
            } else if (!keep_older) {
                co_await self.stored().backend().erase(flight.key);
            }
        }
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        count_backend_failure(self, failure, co_await asio::this_coro::cancellation_state);
    }
}

/// The work of one flight: look in an asynchronous backend, call the loader, store.
template <class State, class Load>
class single_load {
public:
    using K = typename State::key_type;
    using V = typename State::value_type;
    using job = typename State::job;
    using outcome = typename State::outcome_type;
    using context = loader_context<V, takes_context<Load, K>>;

    single_load(Load load, load_options options, load_mode mode, lookup_tally<State> tally)
        : load_(std::move(load)), options_(options), mode_(mode), tally_(std::move(tally)) {}

    single_load(const single_load&) = delete;
    single_load& operator=(const single_load&) = delete;

    /// All that is to be awaited is what the loader returns, an awaitable of `V` itself: `call` begins the
    /// work and gives that awaitable, and `done` ends it, so that no coroutine stands between.
    static constexpr bool loads_only =
        State::synchronous &&
        std::same_as<decltype(std::declval<context&>().call(std::declval<Load&>(), std::declval<const K&>())),
                     asio::awaitable<V>>;

    [[nodiscard]] auto call(job& j) {
        auto& self = static_cast<State&>(j.group());
        tally_.settle(counter::misses);
        self.count(counter::loads);
        self.count(counter::refreshes, mode_.renews ? 1 : 0);
        self.count(counter::early_refreshes, mode_.early ? 1 : 0);
        const auto& flight = *j.flights.front();
        if constexpr (State::synchronous && takes_context<Load, K>) {
            context_.begin(self.tags);
            context_.keep(alive(self, self.stored().get(flight.key, flight.hash)));
        }
        begun_ = State::timer_clock::now();
        return context_.call(load_, flight.key);
    }

    void done(job& j, outcome result)
        requires(State::synchronous)
    {
        auto& self = static_cast<State&>(j.group());
        auto& flight = *j.flights.front();
        const auto took = self.count_load(j, begun_, result.error ? 1 : 0);
        note_end(self, j, flight, result.error != nullptr);
        if (result.error) {
            self.finish(flight, std::move(result), [] {});
        } else {
            auto stamps = settle(self, result, took);
            store_and_finish(self, flight, std::move(result), std::move(stamps), false, mode_.renews);
        }
    }

    asio::awaitable<void> operator()(job& j) {
        outcome result;
        if constexpr (State::synchronous) {
            try {
                result.value.emplace(co_await call(j));
            } catch (...) {
                result.error = std::current_exception();
            }
            done(j, std::move(result));
        } else {
            auto& self = static_cast<State&>(j.group());
            typename State::flight_ptr flight = j.flights.front();
            context_.begin(self.tags);
            if (mode_.reads || takes_context<Load, K>) {
                if (!self.stored().erasures.idle()) {
                    co_await wait_for_erasures(self, flight->hash);
                }
                auto found = alive(self, co_await read_any(self, flight->key));
                if constexpr (takes_context<Load, K>) {
                    context_.keep(found);
                }
                if (found && !mode_.reads) { // for those who join
                    self.put_older(*flight, std::make_unique<entry<V>>(std::move(*found)));
                } else if (found) {
                    flight = use(self, j, std::move(flight), std::move(*found));
                }
                if (!flight) {
                    co_return;
                }
            }
            try {
                result.value.emplace(co_await call(j));
            } catch (...) {
                result.error = std::current_exception();
            }
            const auto took = self.count_load(j, begun_, result.error ? 1 : 0);
            note_end(self, j, *flight, result.error != nullptr);
            if (result.error) {
                self.finish(*flight, std::move(result), [] {});
                co_return;
            }
            auto stamps = settle(self, result, took);
            auto fresh = make_entry(self, *result.value, stamps);
            self.put_down(*flight, std::move(result));
            co_await store_loaded(self, *flight, std::move(fresh), stamps.keep_older, mode_.renews);
            self.finish_loaded(*flight);
        }
    }

private:
    [[nodiscard]] static std::optional<entry<V>> alive(const State& self, std::optional<entry<V>> found) {
        if (found && self.judge(*found, {}) == standing::dead) {
            found.reset();
        }
        return found;
    }

    /// What becomes of a value that was brought.
    [[nodiscard]] typename State::stamps settle(State& self, outcome& result, std::chrono::nanoseconds took) {
        context_.amend(result);
        auto stamps = self.stamp(context_, options_, took);
        result.created = stamps.created;
        result.details = stamps.details;
        return stamps;
    }

    /// A flight of a job's own, to renew what another flight of it has found.
    struct renewal : flight_request {
        renewal(job& j, const typename State::flight_type& f, std::unique_ptr<entry<V>> of)
            : runs(j), first(f), older(std::move(of)) {}
        job& runs;
        const typename State::flight_type& first;
        std::unique_ptr<entry<V>> older;

        [[nodiscard]] std::size_t hash() const noexcept { return first.hash; }
        [[nodiscard]] const typename State::key_type& query() const noexcept { return first.key; }
        [[nodiscard]] static bool found(const typename State::flight_type* flight) noexcept {
            return flight == nullptr;
        }
        [[nodiscard]] bool replaces(const typename State::flight_type& flight) const noexcept {
            return &flight == &first;
        }
        template <class Make>
        [[nodiscard]] auto add(Make make) {
            auto flight = make(typename State::job_ptr(&runs));
            flight->older = std::move(older); // for those who come while it is renewed
            return flight;
        }
    };

    /// What an asynchronous backend has for the key, alive: ends the flight with it, if it will do. The
    /// flight to load for is returned: this one, another one that renews what was found, or null for none.
    [[nodiscard]] typename State::flight_ptr use(State& self, job& j, typename State::flight_ptr flight,
                                                 entry<V> found) {
        const auto is = self.judge(found, self.freshness.demand_of(options_));
        const bool held_back = is != standing::fresh && self.held_back(flight->hash);
        const bool serves =
            is == standing::fresh ||
            (mode_.serves_stale && (is == standing::revalidate || (is == standing::if_error && held_back)));
        if (!serves) {
            self.put_older(*flight, std::make_unique<entry<V>>(std::move(found)));
            return flight;
        }
        const bool is_stale = is != standing::fresh;
        const bool renews = is_stale ? !held_back : is_due(self, found) && !self.held_back(flight->hash);
        typename State::flight_ptr next;
        if (renews) {
            mode_.renews = found.created;
            mode_.early = !is_stale;
            next = renew(self, j, *flight, found);
        }
        tally_.settle(is_stale ? counter::stale_hits : counter::hits);
        finish_found(self, *flight, std::move(found), is_stale);
        return next;
    }

    /// The flight that is to renew what this one has found, in its place; null where this one was fenced
    /// meanwhile: what it has found may be gone then, and is for nobody who comes later.
    [[nodiscard]] typename State::flight_ptr renew(State& self, job& j, typename State::flight_type& flight,
                                                   const entry<V>& found) {
        bool started = false;
        renewal wanted(j, flight, std::make_unique<entry<V>>(found));
        auto next = self.join_or_add(wanted, started);
        if (next && !started) {
            self.leave(*next); // somebody else loads already
            return nullptr;
        }
        return next;
    }

    [[nodiscard]] static bool is_due(const State& self, const entry<V>& found) {
        return self.freshness.renews_early() &&
               self.freshness.is_due(State::clock_type::now(), found.fresh_until, found.details.get());
    }

    /// Whether the key is to be left alone for a while. A load that was cancelled is no reason, but for one
    /// that timed out.
    void note_end(State& self, const job& j, const typename State::flight_type& flight, bool failed) {
        if (!failed) {
            self.backoff.forget(flight.hash);
        } else if ((!j.cancelled() || State::ended(flight)) && self.keeps_stale(options_)) {
            self.backoff.failed(flight.hash, State::clock_type::now());
            self.count(counter::refresh_failures, mode_.renews ? 1 : 0);
        }
    }

    Load load_;
    const load_options options_;
    load_mode mode_;
    lookup_tally<State> tally_;
    [[no_unique_address]] context context_;
    typename State::timer_clock::time_point begun_{};
};

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
