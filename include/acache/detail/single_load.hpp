// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_SINGLE_LOAD_HPP
#define ACACHE_DETAIL_SINGLE_LOAD_HPP

#include <acache/detail/cache_read.hpp>
#include <acache/detail/cache_state.hpp>
#include <acache/detail/failed_load.hpp>
#include <acache/detail/keys.hpp>
#include <acache/detail/load_lease.hpp>
#include <acache/detail/loader_context.hpp>
#include <acache/detail/observation.hpp>
#include <acache/detail/serving.hpp>
#include <acache/detail/write_turns.hpp>
#include <acache/entry.hpp>
#include <acache/lookup_result.hpp>
#include <acache/observer.hpp>
#include <acache/options.hpp>
#include <acache/shared_backend.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
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

    /// Whether it was to be counted and was not yet.
    bool settle(counter as) noexcept {
        auto* const state = std::exchange(state_, nullptr);
        if (state != nullptr) {
            state->count(as);
        }
        return state != nullptr;
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
            self.backend_failed(std::current_exception());
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
    auto fresh = make_entry(self, *outcome.value, s);
    std::optional<decltype(store.set(flight.key, std::move(*fresh), flight.hash))> displaced;
    std::optional<decltype(store.erase(flight.key, flight.hash))> removed;
    [[maybe_unused]] std::exception_ptr failure; // to be told with no lock held
    self.finish(
        flight, std::move(outcome),
        [&] {
            try {
                if (!in_place(self, flight, renews)) {
                } else if (fresh) {
                    displaced.emplace(store.set(flight.key, std::move(*fresh), flight.hash));
                } else if (!s.keep_older) {
                    removed.emplace(store.erase(flight.key, flight.hash));
                }
            } catch (...) {
                self.count(counter::backend_failures);
                if constexpr (State::template observes<events::backend_failed>) {
                    failure = std::current_exception();
                }
            }
        },
        is_waking);
    self.tell_failure(failure);
    if (displaced) {
        self.template tell<events::stored>(flight.key);
    } else if (removed) {
        self.tell_erased(flight.key, static_cast<bool>(*removed));
    }
}

/// Stores the value of a flight of a cache over an asynchronous backend, when the key's turn has come and
/// unless a fence came first; whether it was to be stored. The flight is to be ended after that.
///
/// `lease` is the load's, where the backend gives such: then it says whether the value takes the place of
/// what the load has seen (contract C13, C19), and nothing needs to be read for that.
template <class State>
asio::awaitable<bool> store_loaded(State& self, typename State::flight_type& flight,
                                   std::optional<entry<typename State::value_type>> fresh, bool keep_older,
                                   std::optional<time_point> renews,
                                   [[maybe_unused]] typename State::lease_type& lease) {
    if (!self.joinable(flight)) {
        co_return false; // nor does it wait for the write that fenced it
    }
    bool in_place = true;
    std::exception_ptr failure;
    try {
        write_turns::turn turn(self.stored().turns, flight.hash);
        if (!turn.try_take()) {
            co_await turn.come();
        }
        if constexpr (!State::leases) {
            if (renews) { // contract C19: only in the place of the entry that it set out to renew
                const auto there = co_await self.stored().backend().get(flight.key);
                in_place = there && there->created == *renews;
            }
        }
        if (in_place && self.joinable(flight)) {
            if (fresh) {
                if constexpr (State::leases) {
                    in_place = co_await self.stored().backend().set(flight.key, std::move(*fresh), lease);
                } else {
                    co_await self.stored().backend().set(flight.key, std::move(*fresh));
                }
                if (in_place) {
                    self.template tell<events::stored>(flight.key);
                }
            } else if (!keep_older) {
                self.tell_erased(flight.key, co_await self.stored().backend().erase(flight.key));
            }
        }
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        count_backend_failure(self, failure, co_await asio::this_coro::cancellation_state);
    }
    co_return in_place;
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
        looked_up(self, *j.flights.front(), counter::misses);
        self.count(counter::loads);
        self.count(counter::refreshes, mode_.renews ? 1 : 0);
        self.count(counter::early_refreshes, mode_.early ? 1 : 0);
        const auto& flight = *j.flights.front();
        report_.begin(self, 1);
        report_.started(self, flight.key, mode_.renews.has_value());
        begun_ = State::timer_clock::now();
        if constexpr (State::synchronous && takes_context<Load, K>) {
            context_.begin(self.tags());
            context_.keep(alive(self, self.stored().get(flight.key, flight.hash)));
        }
        return context_.call(load_, flight.key);
    }

    void done(job& j, outcome result)
        requires(State::synchronous)
    {
        auto& self = static_cast<State&>(j.group());
        auto& flight = *j.flights.front();
        const auto took = self.count_load(j, begun_, result.error ? 1 : 0);
        report_.ended(self, flight, took, result.error);
        const auto fate = end(self, j, flight, result.error);
        if (result.error) {
            finish_failed(self, flight, std::move(result), fate, false, mode_.renews);
        } else {
            auto stamps = settle(self, result, took);
            store_and_finish(self, flight, std::move(result), std::move(stamps), false, mode_.renews);
        }
    }

    /// A look-up whose load never came so far is a miss too.
    void refused(job& j)
        requires(State::template observes<events::miss>)
    {
        looked_up(static_cast<State&>(j.group()), *j.flights.front(), counter::misses);
    }

    [[nodiscard]] auto lease() const
        requires(State::leases)
    {
        return lease_.shared();
    }

    asio::awaitable<void> operator()(job& j) {
        outcome result;
        if constexpr (State::synchronous) {
            try {
                take(result, co_await call(j));
            } catch (...) {
                result.error = std::current_exception();
            }
            done(j, std::move(result));
        } else {
            auto& self = static_cast<State&>(j.group());
            typename State::flight_ptr flight = j.flights.front();
            context_.begin(self.tags());
            if (mode_.reads || takes_context<Load, K> || State::leases) {
                if (!self.stored().erasures.idle()) {
                    co_await wait_for_erasures(self, flight->hash);
                }
                auto found = alive(self, co_await look(self, *flight));
                if constexpr (takes_context<Load, K>) {
                    context_.keep(found);
                }
                if (found && is_renewed(self, *found)) {
                    finish_found(self, *flight, std::move(*found));
                    co_return;
                }
                if (found && !mode_.reads) { // for those who join
                    self.put_older(*flight, std::make_unique<entry<V>>(std::move(*found)));
                } else if (found) {
                    flight = use(self, j, std::move(flight), std::move(*found));
                }
                if (!flight || (mode_.reads && told(self, *flight))) {
                    co_return;
                }
            }
            try {
                take(result, co_await call(j));
            } catch (...) {
                result.error = std::current_exception();
            }
            const auto took = self.count_load(j, begun_, result.error ? 1 : 0);
            report_.ended(self, *flight, took, result.error);
            const auto fate = end(self, j, *flight, result.error);
            if (result.error) {
                if (!fate.is_answer || !may_be_stored_) {
                    lease_.let_go(); // before anybody tries again
                    finish_failed(self, *flight, std::move(result), fate);
                    co_return;
                }
                const auto error = result.error;
                result.details = fate.details;
                self.put_down(*flight, std::move(result));
                const bool holds =
                    co_await store_loaded(self, *flight, std::nullopt, false, mode_.renews, lease_.use());
                lease_.let_go();
                finish_failed_later(self, *flight, error, holds ? fate : failure_fate{});
                co_return;
            }
            auto stamps = settle(self, result, took);
            auto fresh = make_entry(self, *result.value, stamps);
            self.put_down(*flight, std::move(result));
            co_await store_loaded(self, *flight, std::move(fresh), stamps.keep_older, mode_.renews,
                                  lease_.use());
            lease_.let_go();
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

    /// What an asynchronous backend has for the flight's key.
    [[nodiscard]] auto look(State& self, typename State::flight_type& flight) {
        if constexpr (State::leases) {
            return look_leased(self, flight);
        } else {
            return read_any(self, flight.key);
        }
    }

    /// The same with a lease. A load that is to happen in any case waits for nobody.
    asio::awaitable<std::optional<entry<V>>> look_leased(State& self, typename State::flight_type& flight) {
        const auto mode = mode_.reads && !options_.max_age ? lease_mode::wait : lease_mode::go_on;
        self.begin_look(flight);
        auto& lease = lease_.use();
        auto found = co_await read_leased(self, flight.key, lease, mode);
        if (self.end_look(flight, found.has_value())) {
            lease = typename State::lease_type();
            found = co_await read_leased(self, flight.key, lease, mode);
        }
        lease_.rest();
        co_return found;
    }

    /// A renewal of what was found here may find that somebody else has done it.
    [[nodiscard]] bool is_renewed(State& self, const entry<V>& found) const {
        if constexpr (State::leases) {
            return mode_.renews && renewed_meanwhile(self, found, mode_.early);
        } else {
            return false;
        }
    }

    /// Counts the look-up and tells of it; whether it was not counted yet.
    bool looked_up(State& self, const typename State::flight_type& flight, counter as) noexcept {
        const bool counts = tally_.settle(as);
        if (counts) {
            self.tell_look_up(as, flight.key);
        }
        return counts;
    }

    /// What becomes of a value that was brought.
    [[nodiscard]] typename State::stamps settle(State& self, outcome& result, std::chrono::nanoseconds took) {
        context_.amend(result);
        auto stamps = self.stamp(context_, options_, took);
        result.created = stamps.created;
        result.details = stamps.details;
        return stamps;
    }

    template <class T>
    void take(outcome& result, T&& brought) {
        if constexpr (std::same_as<std::remove_cvref_t<T>, std::optional<V>>) {
            if (brought) {
                result.value.emplace(*std::forward<T>(brought));
            } else if (!context_.said().is_not_modified()) {
                result.error = not_found();
            }
        } else {
            result.value.emplace(std::forward<T>(brought));
        }
    }

    /// Ends the flight with what is remembered of its key, if that is so.
    [[nodiscard]] bool told(State& self, typename State::flight_type& flight) {
        const auto as = mode_.renews ? std::nullopt : end_by_memory(self, flight, options_);
        if (as) {
            looked_up(self, flight, *as);
        }
        return as.has_value();
    }

    /// What an asynchronous backend has for the key, alive: ends the flight with it, if it will do. The
    /// flight to load for is returned: this one, another one that renews what was found, or null for none.
    [[nodiscard]] typename State::flight_ptr use(State& self, job& j, typename State::flight_ptr flight,
                                                 entry<V> found) {
        const auto use = serve(self, found, flight->hash, options_, false, mode_.serves_stale);
        may_be_stored_ = true;
        if (!use.answers) {
            self.put_older(*flight, std::make_unique<entry<V>>(std::move(found)));
            return flight;
        }
        typename State::flight_ptr next;
        if (use.renews && mode_.serves_stale) {
            mode_.renews = found.created;
            mode_.early = !use.stale;
            next = renew(self, j, *flight, found, mode_.early);
        }
        looked_up(self, *flight, use.stale ? counter::stale_hits : counter::hits);
        finish_found(self, *flight, std::move(found), use.stale);
        return next;
    }

    /// What becomes of an error, with what the loader has said beside.
    [[nodiscard]] failure_fate end(State& self, const job& j, typename State::flight_type& flight,
                                   const std::exception_ptr& error) {
        auto fate = note_end(self, j, flight, error, options_);
        if (error && !context_.said().stores()) {
            fate = {};
        }
        if (error) {
            fate.details = self.describe(context_, {});
        }
        return fate;
    }

    Load load_;
    const load_options options_;
    load_mode mode_;
    lookup_tally<State> tally_;
    [[no_unique_address]] load_report<State> report_;
    [[no_unique_address]] context context_;
    [[no_unique_address]] load_lease<typename State::lease_type, State::leases> lease_;
    /// An asynchronous backend may have something under the key.
    bool may_be_stored_ = !mode_.reads;
    typename State::timer_clock::time_point begun_{};
};

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
