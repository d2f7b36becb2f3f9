// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CACHE_LOAD_HPP
#define ACACHE_DETAIL_CACHE_LOAD_HPP

#include <acache/detail/cache_read.hpp>
#include <acache/detail/cache_state.hpp>
#include <acache/detail/keys.hpp>
#include <acache/detail/loader.hpp>
#include <acache/detail/write_turns.hpp>
#include <acache/entry.hpp>
#include <acache/load_context.hpp>
#include <acache/lookup_result.hpp>
#include <acache/options.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
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
void finish_found(State& self, typename State::flight_type& flight, entry<typename State::value_type> found) {
    typename State::outcome_type outcome;
    outcome.value.emplace(std::move(found.value));
    outcome.created = found.created;
    outcome.found = true;
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
            fresh.emplace(value, s.created, s.expires);
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
                      typename State::stamps s) {
    auto& store = self.stored();
    auto fresh = make_entry(self, *outcome.value, s);
    std::optional<decltype(store.set(flight.key, std::move(*fresh), flight.hash))> displaced;
    std::optional<decltype(store.erase(flight.key, flight.hash))> removed;
    self.finish(flight, std::move(outcome), [&] {
        try {
            if (fresh) {
                displaced.emplace(store.set(flight.key, std::move(*fresh), flight.hash));
            } else if (!s.keep_older) {
                removed.emplace(store.erase(flight.key, flight.hash));
            }
        } catch (...) {
            self.count(counter::backend_failures);
        }
    });
}

/// Stores the value of a flight of a cache over an asynchronous backend, when the key's turn has come and
/// unless a fence came first. The flight is to be ended after that.
template <class State>
asio::awaitable<void> store_loaded(State& self, typename State::flight_type& flight,
                                   std::optional<entry<typename State::value_type>> fresh, bool keep_older) {
    if (!self.joinable(flight)) {
        co_return; // nor does it wait for the write that fenced it
    }
    std::exception_ptr failure;
    try {
        write_turns::turn turn(self.stored().turns, flight.hash);
        if (!turn.try_take()) {
            co_await turn.come();
        }
        if (self.joinable(flight)) {
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
struct single_load {
    using V = typename State::value_type;

    Load load;
    load_options options;
    load_mode mode;
    lookup_tally<State> tally;

    asio::awaitable<void> operator()(typename State::job& job) {
        auto& self = static_cast<State&>(job.group());
        const typename State::flight_ptr flight = job.flights.front();
        if constexpr (!State::synchronous) {
            if (mode.reads) {
                if (!self.stored().erasures.idle()) {
                    co_await wait_for_erasures(self, flight->hash);
                }
                auto found = co_await read(self, flight->key);
                if (found) {
                    tally.settle(counter::hits);
                    finish_found(self, *flight, std::move(*found));
                    co_return;
                }
            }
        }
        tally.settle(counter::misses);
        self.count(counter::loads);
        load_context context;
        typename State::outcome_type outcome;
        const auto begun = State::timer_clock::now();
        try {
            outcome.value.emplace(co_await call_loader(load, context, flight->key));
        } catch (...) {
            outcome.error = std::current_exception();
        }
        self.count_load(job, begun, outcome.error ? 1 : 0);
        if (outcome.error) {
            self.finish(*flight, std::move(outcome), [] {});
            co_return;
        }
        auto stamps = self.stamp(context, options);
        outcome.created = stamps.created;
        if constexpr (State::synchronous) {
            store_and_finish(self, *flight, std::move(outcome), stamps);
        } else {
            auto fresh = make_entry(self, *outcome.value, stamps);
            self.put_down(*flight, std::move(outcome));
            co_await store_loaded(self, *flight, std::move(fresh), stamps.keep_older);
            self.finish_loaded(*flight);
        }
    }
};

/// What a caller with a loader of its own asks of the flights.
template <class State, class Query, class Load>
class load_request {
public:
    using V = typename State::value_type;

    /// `listener`, which may be null, hears of the end of a flight that is made for this request.
    load_request(State& self, const Query& query, Load& load, load_options options, load_mode mode,
                 std::shared_ptr<flight_listener> listener = nullptr)
        : self_(self), query_(query), load_(load), options_(options), mode_(mode),
          listener_(std::move(listener)), hash_(self.stored().hash(query)) {}

    [[nodiscard]] std::size_t hash() const noexcept { return hash_; }
    [[nodiscard]] const Query& query() const noexcept { return query_; }
    [[nodiscard]] bool replace() const noexcept { return mode_.replaces; }

    [[nodiscard]] bool found() {
        if constexpr (State::store_type::answers_locally) {
            if (!mode_.replaces) {
                found_ = std::move(self_.ask(query_, hash_).found());
            }
        }
        return found_.has_value();
    }

    template <class Make>
    [[nodiscard]] auto add(Make make) {
        using body = single_load<State, Load>;
        job_ = self_.make_job(
            body{std::move(load_), options_, mode_, lookup_tally<State>(self_, mode_.counts && !joined_)},
            options_.load_timeout);
        auto flight = make(job_);
        flight->listener = std::move(listener_);
        return flight;
    }

    void joined() {
        if (!std::exchange(joined_, true)) {
            count(counter::coalesced);
        }
    }
    void launch() { job_->board().submit(*job_); }

    /// What the caller gets.
    [[nodiscard]] lookup_result<V> result(const typename State::flight_type* flight, bool started) {
        using enum lookup_source;
        if (flight == nullptr) {
            if (!joined_) {
                count(counter::hits);
            }
            return {std::move(found_->value), hit, State::age(found_->created)};
        }
        const auto& outcome = flight->outcome;
        if (outcome.error) {
            std::rethrow_exception(outcome.error);
        }
        const auto source = !started ? joined_flight : outcome.found ? hit : loaded;
        return {*outcome.value, source, State::age(outcome.created)};
    }

private:
    static constexpr auto joined_flight = lookup_source::joined;

    void count(counter c) {
        if (mode_.counts) {
            self_.count(c);
        }
    }

    State& self_;
    const Query& query_;
    Load& load_;
    const load_options options_;
    const load_mode mode_;
    std::shared_ptr<flight_listener> listener_;
    const std::size_t hash_;
    std::optional<entry<V>> found_;
    typename State::job_ptr job_;
    bool joined_ = false;
};

/// The way past the store: joins the key's flight or starts one.
template <class State, class Key, class Load>
asio::awaitable<lookup_result<typename State::value_type>>
load(std::shared_ptr<State> self, Key kept, Load loader, load_options options, load_mode mode) {
    const auto& query = query_of(kept);
    load_request<State, std::remove_cvref_t<decltype(query)>, Load> request(*self, query, loader, options,
                                                                            mode);
    for (;;) {
        flight_caller<typename State::group> caller(*self, co_await asio::this_coro::executor);
        caller.enter(request);
        if (caller.has_to_wait()) {
            co_await caller.wait();
        }
        if (!caller.withdrawn()) {
            co_return request.result(caller.flight(), caller.started());
        }
    }
}

/// The whole way: a hit returns from here, in one frame and without suspending.
template <class State, class Key, class Load>
asio::awaitable<lookup_result<typename State::value_type>> lookup(std::shared_ptr<State> self, Key kept,
                                                                  Load loader, load_options options) {
    if constexpr (State::store_type::answers_locally) {
        if (self->board.admits(false)) {
            const auto& query = query_of(kept);
            auto answer = self->ask(query, self->stored().hash(query));
            if (auto& found = answer.found()) {
                self->count(counter::hits);
                co_return lookup_result<typename State::value_type>{
                    std::move(found->value), lookup_source::hit, State::age(found->created)};
            }
        }
    }
    co_return co_await load(std::move(self), std::move(kept), std::move(loader), options, load_mode{});
}

/// The same for those who want the value alone.
template <class State, class Key, class Load>
asio::awaitable<typename State::value_type> get_or_load(std::shared_ptr<State> self, Key kept, Load loader,
                                                        load_options options, load_mode mode) {
    if constexpr (State::store_type::answers_locally) {
        if (!mode.replaces && self->board.admits(false)) {
            const auto& query = query_of(kept);
            auto answer = self->ask(query, self->stored().hash(query));
            if (auto& found = answer.found()) {
                self->count(counter::hits);
                co_return std::move(found->value);
            }
        }
    }
    auto result = co_await load(std::move(self), std::move(kept), std::move(loader), options, mode);
    co_return std::move(result.value);
}

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
