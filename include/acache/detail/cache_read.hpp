// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CACHE_READ_HPP
#define ACACHE_DETAIL_CACHE_READ_HPP

#include <acache/detail/cache_state.hpp>
#include <acache/detail/cache_write.hpp>
#include <acache/detail/keys.hpp>
#include <acache/detail/write_turns.hpp>
#include <acache/entry.hpp>
#include <acache/observer.hpp>
#include <acache/shared_backend.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// Counts what a backend operation threw, and goes on; but who was cancelled in it goes no further, with
/// `operation_aborted` whatever that backend throws then.
template <class State>
void count_backend_failure(State& self, const std::exception_ptr& failure,
                           const asio::cancellation_state& caller) {
    if (failure) {
        if (caller.cancelled() != asio::cancellation_type::none) {
            throw boost::system::system_error(asio::error::operation_aborted);
        }
        self.backend_failed(failure);
    }
}

/// Waits until the erasures that were asked for before are over. To be called where some are under way.
template <class State>
asio::awaitable<void> wait_for_erasures(State& self, std::size_t hash) {
    auto& erasures = self.stored().erasures;
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    self.watch(asio::query(executor, asio::execution::context));
    for (const std::size_t line : {hash, State::store_type::every_key}) {
        if (erasures.busy(line)) {
            write_turns::turn turn(erasures, line);
            if (!turn.try_take()) {
                co_await turn.come();
            }
        }
    }
}

/// A read of an asynchronous backend, of whatever it has. `key` outlives the call.
template <class State>
asio::awaitable<std::optional<entry<typename State::value_type>>>
read_any(State& self, const typename State::key_type& key) {
    std::optional<entry<typename State::value_type>> found;
    std::exception_ptr failure;
    try {
        found = co_await self.stored().backend().get(key);
    } catch (...) {
        failure = std::current_exception();
    }
    count_backend_failure(self, failure, co_await asio::this_coro::cancellation_state);
    co_return found;
}

/// The same of a load, which is to store with that lease.
template <class State>
asio::awaitable<std::optional<entry<typename State::value_type>>>
read_leased(State& self, const typename State::key_type& key, typename State::lease_type& lease,
            lease_mode mode) {
    std::optional<entry<typename State::value_type>> found;
    std::exception_ptr failure;
    try {
        found = co_await self.stored().backend().get(key, lease, mode);
    } catch (...) {
        failure = std::current_exception();
    }
    count_backend_failure(self, failure, co_await asio::this_coro::cancellation_state);
    co_return found;
}

/// The same, of what is fresh.
template <class State>
asio::awaitable<std::optional<entry<typename State::value_type>>> read(State& self,
                                                                       const typename State::key_type& key) {
    auto found = co_await read_any(self, key);
    co_return State::if_fresh(std::move(found));
}

/// A read of many keys, of whatever the backend has, in one operation where it can.
template <class State>
asio::awaitable<std::vector<std::optional<entry<typename State::value_type>>>>
read_any_of(State& self, const std::vector<typename State::key_type>& keys) {
    using K = typename State::key_type;
    std::vector<std::optional<entry<typename State::value_type>>> found;
    if constexpr (multi_get_backend<typename State::backend_type, K, typename State::value_type>) {
        std::exception_ptr failure;
        try {
            found = co_await self.stored().backend().get_many(std::span<const K>(keys));
        } catch (...) {
            failure = std::current_exception();
        }
        count_backend_failure(self, failure, co_await asio::this_coro::cancellation_state);
        found.resize(keys.size());
    } else {
        for (const auto& key : keys) {
            found.push_back(co_await read_any(self, key));
        }
    }
    co_return found;
}

/// The same of loads, which are to store with those leases, one a key.
template <class State>
asio::awaitable<std::vector<std::optional<entry<typename State::value_type>>>>
read_leased_of(State& self, const std::vector<typename State::key_type>& keys,
               std::span<typename State::lease_type> leases) {
    using K = typename State::key_type;
    std::vector<std::optional<entry<typename State::value_type>>> found;
    std::exception_ptr failure;
    try {
        found = co_await self.stored().backend().get_many(std::span<const K>(keys), leases);
    } catch (...) {
        failure = std::current_exception();
    }
    count_backend_failure(self, failure, co_await asio::this_coro::cancellation_state);
    found.resize(keys.size());
    co_return found;
}

/// The same, of what is fresh.
template <class State>
asio::awaitable<std::vector<std::optional<entry<typename State::value_type>>>>
read_many(State& self, const std::vector<typename State::key_type>& keys) {
    auto found = co_await read_any_of(self, keys);
    for (auto& f : found) {
        f = State::if_fresh(std::move(f));
    }
    co_return found;
}

/// The fresh value of a key, if it is known here.
template <class State, class Q>
[[nodiscard]] std::optional<typename State::value_type> try_get(State& self, const Q& key) {
    if constexpr (requires { self.stored().hash(key); }) {
        std::optional<typename State::value_type> result;
        const bool hit = self.template hit<false>(
            key, [&](auto&& value, time_point) { result.emplace(std::forward<decltype(value)>(value)); });
        if (hit) {
            self.template tell<events::hit>(key);
        } else {
            self.count(counter::misses);
            self.template tell<events::miss>(key);
        }
        return result;
    } else {
        return try_get(self, typename State::key_type(key));
    }
}

/// The fresh value of a key, past what is known of it here.
template <class State, class Key>
asio::awaitable<std::optional<typename State::value_type>> get_remote(std::shared_ptr<State> self, Key kept) {
    self->admit(co_await asio::this_coro::executor);
    const auto& query = query_of(kept);
    std::optional<entry<typename State::value_type>> found;
    bool known = false;
    if constexpr (State::store_type::answers_locally) {
        auto answer = self->ask(query, self->stored().hash(query));
        known = answer.known();
        found = std::move(answer.found());
    }
    if constexpr (!State::synchronous) {
        if (!known) {
            const board_operation pending(self->shared_board());
            const typename State::key_type key(query);
            if (!self->stored().erasures.idle()) {
                co_await wait_for_erasures(*self, self->stored().hash(key));
            }
            found = co_await read(*self, key);
        }
    }
    self->looked_up(found.has_value() ? counter::hits : counter::misses, query);
    if (found) {
        co_return std::move(found->value);
    }
    co_return std::nullopt;
}

/// The fresh value of a key; never loads.
template <class State, class Key>
asio::awaitable<std::optional<typename State::value_type>> get(state_ref<State> where, Key kept) {
    if (auto value = hit(where, query_of(kept))) {
        co_return value;
    }
    co_return co_await get_remote(where.lock(), std::move(kept));
}

/// The fresh values of those keys that have one.
template <class State, class Map>
asio::awaitable<Map> get_many(std::shared_ptr<State> self, std::vector<typename State::key_type> keys) {
    self->admit(co_await asio::this_coro::executor);
    Map result;
    if constexpr (requires { result.reserve(keys.size()); }) {
        result.reserve(keys.size());
    }
    std::vector<typename State::key_type> unknown;
    const auto take = [&](const auto& key, auto& found) {
        self->looked_up(found.has_value() ? counter::hits : counter::misses, key);
        if (found) {
            result.emplace(key, std::move(found->value));
        }
    };
    for (const auto& key : keys) {
        if constexpr (State::store_type::answers_locally) {
            auto answer = self->ask(key, self->stored().hash(key));
            if (answer.known()) {
                take(key, answer.found());
                continue;
            }
        }
        unknown.push_back(key);
    }
    if constexpr (!State::synchronous) {
        if (!unknown.empty()) {
            const board_operation pending(self->shared_board());
            if (!self->stored().erasures.idle()) {
                for (const auto& key : unknown) {
                    co_await wait_for_erasures(*self, self->stored().hash(key));
                }
            }
            auto found = co_await read_many(*self, unknown);
            for (std::size_t i = 0; i != unknown.size(); ++i) {
                take(unknown[i], found[i]);
            }
        }
    }
    co_return result;
}

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
