// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CACHE_WRITE_HPP
#define ACACHE_DETAIL_CACHE_WRITE_HPP

#include <acache/detail/cache_state.hpp>
#include <acache/detail/job_board.hpp>
#include <acache/detail/load_executor.hpp>
#include <acache/detail/write_turns.hpp>
#include <acache/entry.hpp>
#include <acache/observer.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstddef>
#include <memory>
#include <utility>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

// How writes and flights see each other. A write to a synchronous backend happens under the lock of the key's
// flights, together with the fence. A write to an asynchronous one takes its turn among the writes of its
// key, and fences before and after: what began meanwhile may have read the store before the write took
// effect.

/// Fences when it is made and when it goes, whatever becomes of the write between.
template <class Fence>
class fence_scope {
public:
    explicit fence_scope(Fence fence) : fence_(std::move(fence)) { fence_(); }
    fence_scope(const fence_scope&) = delete;
    fence_scope& operator=(const fence_scope&) = delete;
    ~fence_scope() { fence_(); }

private:
    Fence fence_;
};

/// Stores a value, or removes the key where the stamps are not of a living entry. `key` outlives the call.
template <class State, class K, class V>
asio::awaitable<void> set_stamped(std::shared_ptr<State> self, const K& key, V value,
                                  typename State::stamps s) {
    self->admit(co_await asio::this_coro::executor);
    auto& store = self->stored();
    const std::size_t hash = store.hash(key);
    entry<V> fresh(std::move(value), s);
    if constexpr (State::synchronous) {
        if (s.alive) {
            const auto displaced =
                self->fence(hash, key, [&](bool) { return store.set(key, std::move(fresh), hash); });
            self->template tell<events::stored>(key);
        } else {
            const auto removed = self->fence(hash, key, [&](bool) { return store.erase(key, hash); });
            self->tell_erased(key, static_cast<bool>(removed));
        }
    } else {
        const board_operation pending(self->shared_board());
        write_turns::turn turn(store.turns, hash);
        const fence_scope fence([&] { self->fence(hash, key); });
        if (!turn.try_take()) {
            co_await turn.come();
        }
        if (s.alive) {
            co_await store.backend().set(key, std::move(fresh));
            self->template tell<events::stored>(key);
        } else {
            self->tell_erased(key, co_await store.backend().erase(key));
        }
    }
}

template <class State, class K, class V>
asio::awaitable<void> set(std::shared_ptr<State> self, K key, V value, entry_options options) {
    const auto stamps = self->stamp(options.ttl);
    co_await set_stamped(std::move(self), key, std::move(value), stamps);
}

/// Removes the key; whether it was there.
template <class State, class Key>
asio::awaitable<bool> invalidate(std::shared_ptr<State> self, Key kept) {
    self->admit(co_await asio::this_coro::executor);
    auto& store = self->stored();
    const auto& query = query_of(kept);
    const std::size_t hash = store.hash(query);
    if constexpr (State::synchronous) {
        const auto removed = self->fence(hash, query, [&](bool) { return store.erase(query, hash); });
        self->tell_erased(query, static_cast<bool>(removed));
        co_return static_cast<bool>(removed);
    } else {
        const typename State::key_type key(query);
        const board_operation pending(self->shared_board());
        write_turns::turn turn(store.turns, hash);
        const fence_scope fence([&] { self->fence(hash, key); });
        if (!turn.try_take()) {
            co_await turn.come();
        }
        const bool was = co_await store.backend().erase(key);
        self->tell_erased(key, was);
        co_return was;
    }
}

/// Removes every key.
template <class State>
asio::awaitable<void> clear(std::shared_ptr<State> self) {
    self->admit(co_await asio::this_coro::executor);
    auto& store = self->stored();
    if constexpr (State::synchronous) {
        self->fence_all();
        const auto removed = kept_result([&] { return store.backend().clear(); });
    } else {
        const board_operation pending(self->shared_board());
        const fence_scope fence([&] { self->fence_all(); });
        // The writes under way have to land before they can be cleared away.
        for (const std::size_t busy : store.turns.busy()) {
            write_turns::turn turn(store.turns, busy);
            if (!turn.try_take()) {
                co_await turn.come();
            }
        }
        co_await store.backend().clear();
    }
}

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
