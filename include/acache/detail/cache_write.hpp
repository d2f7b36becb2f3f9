// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CACHE_WRITE_HPP
#define ACACHE_DETAIL_CACHE_WRITE_HPP

#include <acache/detail/cache_state.hpp>
#include <acache/detail/job_board.hpp>
#include <acache/detail/load_executor.hpp>
#include <acache/detail/write_turns.hpp>
#include <acache/entry.hpp>
#include <acache/observer.hpp>
#include <acache/shared_backend.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

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
    self->backoff.forget(hash);
    entry<V> fresh(std::move(value), s, std::move(s.details));
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

/// Makes the entry of a key stale; whether there was one.
template <class State>
asio::awaitable<bool> expire(std::shared_ptr<State> self, typename State::key_type key,
                             stale_windows windows) {
    self->admit(co_await asio::this_coro::executor);
    auto& store = self->stored();
    const std::size_t hash = store.hash(key);
    std::optional<entry<typename State::value_type>> there;
    bool found = false;
    const auto stays = [&] {
        found = there && self->judge(*there, {.windows = windows}) != standing::dead;
        return found && self->make_stale(*there, windows);
    };
    if constexpr (State::synchronous) {
        std::optional<decltype(store.erase(key, hash))> removed;
        std::optional<decltype(store.set(key, *store.get(key, hash), hash))> displaced;
        self->fence(hash, key, [&](bool) {
            there = store.get(key, hash);
            if (stays()) {
                displaced.emplace(store.set(key, std::move(*there), hash));
            } else if (there) {
                removed.emplace(store.erase(key, hash));
            }
            return found;
        });
        if (displaced) {
            self->template tell<events::stored>(key);
        }
        self->tell_erased(key, removed.has_value());
    } else {
        const board_operation pending(self->shared_board());
        write_turns::turn turn(store.turns, hash);
        const fence_scope fence([&] { self->fence(hash, key); });
        if (!turn.try_take()) {
            co_await turn.come();
        }
        const auto before = store.clears.now();
        bool stored = false;
        if constexpr (State::leases) {
            // Where somebody else writes in between, that may be what he had loaded before: once more.
            for (int tries = 3; !stored && tries != 0; --tries) {
                typename State::lease_type lease;
                there = co_await store.backend().get(key, lease, lease_mode::go_on);
                if (!stays() || !store.clears.none_since(before)) {
                    break;
                }
                stored = co_await store.backend().set(key, std::move(*there), lease);
            }
        } else {
            there = co_await store.backend().get(key);
            if (stays() && store.clears.none_since(before)) {
                co_await store.backend().set(key, std::move(*there));
                stored = true;
            }
        }
        if (stored) {
            self->template tell<events::stored>(key);
        } else if (there || State::leases) { // what others load for it is not to be stored either
            self->tell_erased(key, co_await store.backend().erase(key));
        }
    }
    co_return found;
}

template <class State, class K, class V>
asio::awaitable<void> set(std::shared_ptr<State> self, K key, V value,
                          std::optional<std::chrono::nanoseconds> ttl, stale_windows windows,
                          std::vector<std::string> tags = {}) {
    auto stamps = self->stamp(ttl, windows, tags);
    co_await set_stamped(std::move(self), key, std::move(value), std::move(stamps));
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

/// Removes the entries that `chosen` picks, by their keys or by keys and values; how many those were.
template <class State, class Chosen>
asio::awaitable<std::size_t> invalidate_if(std::shared_ptr<State> self, Chosen chosen) {
    using K = typename State::key_type;
    using stored = entry<typename State::value_type>;
    constexpr bool by_key = std::predicate<Chosen&, const K&>;
    self->admit(co_await asio::this_coro::executor);
    auto& store = self->stored();
    if constexpr (by_key) {
        self->fence_if(chosen);
        self->failures.forget_if(chosen);
    } else {
        self->fence_all(); // their values are not known yet
    }
    const auto picks = [&](const K& key, const stored& e) {
        if constexpr (by_key) {
            return std::invoke(chosen, key);
        } else {
            return std::invoke(chosen, key, e.value);
        }
    };
    std::vector<K> keys;
    store.backend().visit([&](const K& key, const stored& e) {
        if (picks(key, e)) {
            keys.push_back(key);
        }
    });
    std::size_t count = 0;
    for (const K& key : keys) {
        const std::size_t hash = store.hash(key);
        std::optional<decltype(store.erase(key, hash))> removed;
        self->with_key(hash, key, [&](bool) {
            const auto there = store.get(key, hash); // another one may have been stored meanwhile
            if (there && picks(key, *there)) {
                removed.emplace(store.erase(key, hash));
            }
            return there.has_value();
        });
        const bool was = removed && static_cast<bool>(*removed);
        count += was ? 1 : 0;
        self->tell_erased(key, was);
    }
    co_return count;
}

/// Removes whatever has the tag, and what loads that are under way will bring with it.
template <class State>
asio::awaitable<void> invalidate_tag(std::shared_ptr<State> self, std::string tag) {
    self->admit(co_await asio::this_coro::executor);
    if constexpr (State::shares_tags) {
        const board_operation pending(self->shared_board());
        co_await self->stored().backend().invalidate_tag(tag);
    } else {
        self->tags().invalidate(tag);
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
        const clear_count::scope clearing(store.clears);
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
