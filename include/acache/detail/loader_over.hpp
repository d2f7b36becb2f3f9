// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_LOADER_OVER_HPP
#define ACACHE_DETAIL_LOADER_OVER_HPP

#include <acache/detail/batch_gatherer.hpp>
#include <acache/detail/cache_batch.hpp>
#include <acache/detail/cache_read.hpp>
#include <acache/detail/cache_state.hpp>
#include <acache/detail/cache_write.hpp>
#include <acache/detail/job_board.hpp>
#include <acache/detail/serving.hpp>
#include <acache/error.hpp>
#include <acache/observer.hpp>
#include <acache/options.hpp>
#include <acache/shared_backend.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <limits>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// A loader over the state of a cache: its own where it stands alone, then closed with it.
///
/// Loads become flights of that cache, so they join what single and bulk gets have begun, and are joined by
/// them. The jobs of those flights are batches.
template <class State, class Fn>
class loader_over final : public batch_gatherer<State, Fn> {
    using gatherer = batch_gatherer<State, Fn>;
    using gatherer::board_;
    using gatherer::state_;
    using typename gatherer::ticket;
    using caller = flight_caller<typename State::group>;

public:
    using K = typename State::key_type;
    using V = typename State::value_type;

    loader_over(std::shared_ptr<State> state, bool owns_state, Fn fn, const data_loader_options& options)
        : gatherer(std::move(state), std::move(fn), options), owns_state_(owns_state) {}

    asio::any_io_executor executor() const override { return state_->executor(); }

    asio::awaitable<V> load(K key) override {
        const auto patience = state_->freshness.soft_timeout(ticket::options());
        return patience ? do_load_softly(self(), std::move(key), *patience) : do_load(self(), std::move(key));
    }
    asio::awaitable<std::vector<load_result<V>>> load_many(std::vector<K> keys) override {
        return do_load_many(self(), std::move(keys));
    }

    void prime(K key, V value) override {
        board_.check(true);
        state_->board.check(true);
        const auto stamps = state_->stamp(std::nullopt);
        const auto hash = state_->stored().hash(key);
        if constexpr (State::synchronous) {
            entry<V> fresh(std::move(value), stamps);
            std::optional<decltype(state_->stored().set(key, std::move(fresh), hash))> displaced;
            typename State::failures_type::removed forgotten;
            state_->with_key(hash, key, [&](bool in_flight) {
                if (!in_flight && !state_->ask(key, hash).found()) {
                    displaced.emplace(state_->stored().set(key, std::move(fresh), hash));
                    state_->failures.forget(key, forgotten);
                }
                return in_flight;
            });
            if (displaced) {
                state_->template tell<events::stored>(key);
            }
        } else if (!state_->with_key(hash, key, [](bool in_flight) { return in_flight; })) {
            in_background(prime_if_absent(state_, std::move(key), std::move(value), stamps));
        }
    }

    void clear(K key) override {
        board_.check(true);
        state_->board.check(true);
        const auto hash = state_->stored().hash(key);
        if constexpr (State::synchronous) {
            const auto removed =
                state_->fence(hash, key, [&](bool) { return state_->stored().erase(key, hash); });
            state_->tell_erased(key, static_cast<bool>(removed));
        } else {
            state_->fence(hash, key);
            in_background(erase(state_, std::move(key), begin_erasure(hash)));
        }
    }

    void clear_all() override {
        board_.check(true);
        state_->board.check(true);
        state_->fence_all();
        if constexpr (State::synchronous) {
            const auto removed = kept_result([&] { return state_->stored().backend().clear(); });
        } else {
            in_background(erase_all(state_, begin_erasure(State::store_type::every_key)));
        }
    }

    void shut() override {
        board_.close();
        state_->close_flights(&board_);
        state_->dismiss(this, errc::closed); // those who have joined other loads of the cache
        if (owns_state_) {
            state_->shut();
        }
    }

    asio::awaitable<void> close() override { return do_close(self(), false); }
    asio::awaitable<void> drain() override { return do_close(self(), true); }

private:
    [[nodiscard]] std::shared_ptr<loader_over> self() {
        return std::static_pointer_cast<loader_over>(this->shared_from_this());
    }

    static asio::awaitable<V> do_load(std::shared_ptr<loader_over> self, K key) {
        // What a frame holds is paid for by each of the many that wait: what only they need who look, or
        // enter, is in functions of its own, and one executor does for all turns of the loop.
        std::optional<V> value;
        self->look(key, value);
        if (value) {
            co_return std::move(*value);
        }
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        self->board_.check(load_of(executor) != nullptr);
        for (bool counted = false;; counted = true) {
            caller one(*self->state_, executor, self.get());
            self->enter(one, key, counted, value);
            if (value) {
                co_return std::move(*value);
            }
            if (one.has_to_wait()) {
                co_await one.wait();
            }
            if (!self->enters_anew(one)) {
                if (one.flight()->outcome.error) {
                    self->rescue(one, key, value);
                }
                if (value) {
                    co_return std::move(*value);
                }
                co_return one.flight()->outcome.get();
            }
        }
    }

    /// The same for callers who rather have a stale value than wait so long: in a coroutine of its own, as
    /// others need no deadline in their frames.
    static asio::awaitable<V> do_load_softly(std::shared_ptr<loader_over> self, K key,
                                             std::chrono::nanoseconds patience) {
        std::optional<V> value;
        self->look(key, value);
        if (value) {
            co_return std::move(*value);
        }
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        self->board_.check(load_of(executor) != nullptr);
        for (bool counted = false;; counted = true) {
            caller one(*self->state_, executor, self.get());
            self->enter(one, key, counted, value);
            if (!value && one.has_to_wait()) {
                {
                    const auto deadline = one.deadline(patience);
                    co_await one.wait();
                }
                if (!one.over()) {
                    self->outlast(one, key, value);
                    if (!value) {
                        co_await one.wait();
                    }
                }
            }
            if (!value && !self->enters_anew(one)) {
                if (one.flight()->outcome.error) {
                    self->rescue(one, key, value);
                }
                if (!value) {
                    co_return one.flight()->outcome.get();
                }
            }
            if (value) {
                co_return std::move(*value);
            }
        }
    }

    static constexpr auto all_of_them = std::numeric_limits<tag_stamp>::max();
    /// Whether the flight that the caller has joined will not do: it was taken back, or a tag of what it
    /// brought has been invalidated meanwhile, perhaps before he came (contract C15).
    [[nodiscard]] bool enters_anew(const caller& one) {
        const auto* flight = one.started() ? nullptr : one.flight();
        return flight != nullptr &&
               (flight->outcome.withdrawn || !will_do(*state_, *flight, ticket::options(), all_of_them)) &&
               board_.admits(true);
    }

    /// The way of a hit.
    void look(const K& key, std::optional<V>& value) {
        if constexpr (State::store_type::answers_locally) {
            if (state_->keeps() && board_.admits(false) && state_->board.admits(false)) {
                const bool hit = state_->hit(key, [&](auto&& found, time_point) {
                    value.emplace(std::forward<decltype(found)>(found));
                });
                if (hit) {
                    state_->template tell<events::hit>(key);
                }
            }
        }
    }

    /// Gives the caller a flight, or the value where there is one by now.
    void enter(caller& one, const K& key, bool counted, std::optional<V>& value) {
        ticket batch(*this);
        batch_request<State, ticket> request(*state_, batch, key, counted,
                                             State::store_type::answers_locally);
        one.enter(request);
        if (one.flight() == nullptr) {
            value.emplace(std::move(request.found_value()));
        }
    }

    /// The stale value in place of the error of the caller's flight, if there is one that will do.
    void rescue(caller& one, const K& key, std::optional<V>& value) {
        if (auto there = better_than_error(*state_, key, one.waits_for(), ticket::options())) {
            value.emplace(std::move(there->value));
        }
    }

    /// The stale value for a caller who has waited long enough: the flight goes on, without him.
    void outlast(caller& one, const K& key, std::optional<V>& value) {
        if (auto there = second_best(*state_, key, one.waits_for(), ticket::options())) {
            value.emplace(std::move(there->value));
            one.let_go_on();
            state_->count(counter::soft_timeouts);
        }
    }

    static asio::awaitable<std::vector<load_result<V>>> do_load_many(std::shared_ptr<loader_over> self,
                                                                     std::vector<K> keys) {
        self->board_.check(load_of(co_await asio::this_coro::executor) != nullptr);
        ticket batch(*self);
        std::vector<batch_request<State, ticket>> requests;
        requests.reserve(keys.size());
        for (const K& key : keys) {
            requests.emplace_back(*self->state_, batch, key);
        }
        const auto flights = co_await join_all_anew(self->state_, requests, batch, self.get());
        std::vector<load_result<V>> results;
        results.reserve(requests.size());
        for (std::size_t i = 0; i != requests.size(); ++i) {
            results.push_back(requests[i].result(flights[i].get()));
        }
        co_return results;
    }

    static asio::awaitable<void> do_close(std::shared_ptr<loader_over> self, bool drains) {
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        self->state_->check_not_inside(executor, &self->board_);
        self->watch(asio::query(executor, asio::execution::context));
        if (drains) {
            self->board_.drain();
            self->flush();
        } else {
            self->shut();
        }
        waiter w;
        co_await w.wait(self->board_.mutex(),
                        [&](waiter& parked) { return self->board_.park_until_idle(parked); });
        self->shut();
        if (self->owns_state_) {
            co_await State::close(self->state_);
        }
    }

    void in_background(asio::awaitable<void> work) {
        asio::co_spawn(
            state_->executor(), std::move(work),
            [state = state_, pending = board_operation(state_->shared_board())](const std::exception_ptr& e) {
                if (e) {
                    state->backend_failed(e);
                }
            });
    }

    using turn_ptr = std::unique_ptr<write_turns::turn>;

    /// In force from here on: reads that begin later wait for it.
    [[nodiscard]] turn_ptr begin_erasure(std::size_t line) {
        auto turn = std::make_unique<write_turns::turn>(state_->stored().erasures, line);
        turn->share(); // reads wait for all that were asked for before
        return turn;
    }

    // `in_force` ends with the coroutine, before `state` does.
    static asio::awaitable<void> erase(std::shared_ptr<State> state, K key,
                                       [[maybe_unused]] turn_ptr in_force) {
        co_await invalidate(state, std::move(key));
    }
    static asio::awaitable<void> erase_all(std::shared_ptr<State> state, [[maybe_unused]] turn_ptr in_force) {
        co_await detail::clear(state);
    }

    // Has the turn of its key from the look to the write, so that it overwrites nothing.
    static asio::awaitable<void> prime_if_absent(std::shared_ptr<State> state, K key, V value,
                                                 typename State::stamps stamps) {
        auto& store = state->stored();
        const std::size_t hash = store.hash(key);
        write_turns::turn turn(store.turns, hash);
        if (!turn.try_take()) {
            co_await turn.come();
        }
        if constexpr (State::leases) {
            typename State::lease_type lease;
            const auto present = co_await read_leased(*state, key, lease, lease_mode::go_on);
            if (!State::if_fresh(present)) {
                const fence_scope fence([&] { state->fence(hash, key); });
                entry<V> fresh(std::move(value), stamps);
                if (co_await store.backend().set(key, std::move(fresh), lease)) {
                    state->template tell<events::stored>(key);
                }
            }
        } else if (const auto present = co_await read(*state, key); !present) {
            const fence_scope fence([&] { state->fence(hash, key); });
            entry<V> fresh(std::move(value), stamps);
            co_await store.backend().set(key, std::move(fresh));
            state->template tell<events::stored>(key);
        }
    }

    const bool owns_state_;
};

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
