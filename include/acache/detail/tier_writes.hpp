// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_TIER_WRITES_HPP
#define ACACHE_DETAIL_TIER_WRITES_HPP

#include <acache/detail/clear_count.hpp>
#include <acache/detail/key_lines.hpp>
#include <acache/detail/level_transfer.hpp>
#include <acache/detail/load_executor.hpp>
#include <acache/detail/tier_reads.hpp>
#include <acache/entry.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/this_coro.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// In the place of a lease where a value is stored in any case.
struct no_lease {};

/// Stores an entry in level 2; whether it did.
template <class State, class Lease>
asio::awaitable<bool> write_far(State& self, const typename State::K& key, entry<typename State::V> e,
                                Lease& lease) {
    if constexpr (std::same_as<Lease, no_lease>) {
        co_await self.far.set(key, std::move(e));
        co_return true;
    } else {
        co_return co_await self.far.set(key, std::move(e), lease);
    }
}

/// The executor that work goes on on which is no part of the load that began it.
[[nodiscard]] inline asio::any_io_executor beyond_load(asio::any_io_executor executor) {
    while (const auto* of_load = executor.target<load_executor>()) {
        executor = asio::any_io_executor(of_load->lane()->inner());
    }
    return executor;
}

/// A place in the lines of these keys, behind what is in the background. Others who write the keys then
/// come later.
[[nodiscard]] inline std::unique_ptr<key_lines::place> take_place(key_lines& lines,
                                                                  std::vector<std::uint64_t> hashes) {
    return std::make_unique<key_lines::place>(lines, std::move(hashes), key_lines::role::writer);
}
[[nodiscard]] inline std::unique_ptr<key_lines::place> take_place(key_lines& lines, std::uint64_t hash) {
    return take_place(lines, std::vector<std::uint64_t>(1, hash));
}

template <class State>
asio::awaitable<void> come(State& self, key_lines::place& place) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    self.watch(asio::query(executor, asio::execution::context));
    co_await place.come();
}

/// A write in the background; level 1 has the value already. Reads of the key that level 1 cannot answer come
/// later in the line, so that none sees level 2 as it was before.
template <class State, class Lease>
asio::awaitable<void> write_behind(std::shared_ptr<State> self, std::unique_ptr<key_lines::place> place,
                                   typename State::K key, std::size_t hash, entry<typename State::V> e,
                                   Lease lease) {
    bool stored = true;
    try {
        co_await come(*self, *place);
        stored = co_await write_far(*self, key, std::move(e), lease);
    } catch (...) {
        ++self->counts.background_failures;
    }
    if (!stored) {
        self->remove(key, hash); // somebody has written or removed the key since the lease was given
    }
    place.reset();
}

/// Stores an entry in both levels; whether level 2 has taken it.
template <class State, class Lease>
asio::awaitable<bool> tier_set(std::shared_ptr<State> self, typename State::K key,
                               entry<typename State::V> e, Lease& lease) {
    const std::size_t hash = self->near.hash(key);
    if (self->writes_behind()) {
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        auto place = take_place(self->pending, hash);
        self->put(key, hash, e);
        asio::co_spawn(beyond_load(executor),
                       write_behind(self, std::move(place), std::move(key), hash, std::move(e),
                                    Lease(std::move(lease))),
                       asio::detached);
        co_return true;
    }
    std::unique_ptr<key_lines::place> place;
    if (!self->pending.idle()) {
        place = take_place(self->pending, hash);
        co_await come(*self, *place);
    }
    level_write<State> write(*self, key, hash);
    bool stored = true;
    std::exception_ptr failure;
    try {
        stored = co_await write_far(*self, key, e, lease);
    } catch (...) {
        failure = std::current_exception();
    }
    const auto caller = co_await asio::this_coro::cancellation_state;
    if (!stored) {
        write.leave();
    } else if (!failure || caller.cancelled() == asio::cancellation_type::none) {
        write.keep(e); // without level 2 there is level 1
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
    co_return stored;
}

template <class State>
asio::awaitable<void> tier_set(std::shared_ptr<State> self, typename State::K key,
                               entry<typename State::V> e) {
    no_lease none;
    co_await tier_set(std::move(self), std::move(key), std::move(e), none);
}

template <class State>
struct many_entries {
    std::vector<typename State::K> keys;
    std::vector<std::size_t> hashes;
    std::vector<typename State::found_type> entries;
};

/// The same as `write_behind` for many keys.
template <class State, class Lease>
asio::awaitable<void> write_many_behind(std::shared_ptr<State> self, std::unique_ptr<key_lines::place> place,
                                        many_entries<State> all, std::vector<Lease> leases) {
    std::vector<bool> stored(all.keys.size(), true);
    try {
        co_await come(*self, *place);
        stored = co_await self->far.set_many(std::span<const typename State::K>(all.keys),
                                             std::move(all.entries), std::span<Lease>(leases));
    } catch (...) {
        ++self->counts.background_failures;
    }
    for (std::size_t i = 0; i != all.keys.size(); ++i) {
        if (i >= stored.size() || !stored[i]) {
            self->remove(all.keys[i], all.hashes[i]);
        }
    }
    place.reset();
}

/// Many entries in one operation; whether level 2 has taken each.
template <class State, class Lease>
asio::awaitable<std::vector<bool>> tier_set_many(std::shared_ptr<State> self,
                                                 std::vector<typename State::K> keys,
                                                 std::vector<typename State::found_type> entries,
                                                 std::span<Lease> leases) {
    many_entries<State> all{std::move(keys), {}, std::move(entries)};
    std::vector<std::uint64_t> written;
    for (std::size_t i = 0; i != all.keys.size(); ++i) {
        all.hashes.push_back(self->near.hash(all.keys[i]));
        if (all.entries[i]) {
            written.push_back(all.hashes[i]);
        }
    }
    if (self->writes_behind()) {
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        std::vector<bool> given(all.keys.size());
        auto place = take_place(self->pending, std::move(written));
        std::vector<Lease> taken;
        for (std::size_t i = 0; i != all.keys.size(); ++i) {
            taken.push_back(std::move(leases[i]));
            given[i] = all.entries[i].has_value();
            if (given[i]) {
                self->put(all.keys[i], all.hashes[i], *all.entries[i]);
            }
        }
        asio::co_spawn(beyond_load(executor),
                       write_many_behind(self, std::move(place), std::move(all), std::move(taken)),
                       asio::detached);
        co_return given;
    }
    std::unique_ptr<key_lines::place> place;
    if (!self->pending.idle()) {
        place = take_place(self->pending, std::move(written));
        co_await come(*self, *place);
    }
    std::deque<std::optional<level_write<State>>> writes(all.keys.size());
    for (std::size_t i = 0; i != all.keys.size(); ++i) {
        if (all.entries[i]) {
            writes[i].emplace(*self, all.keys[i], all.hashes[i]);
        }
    }
    std::vector<bool> stored(all.keys.size(), true);
    std::exception_ptr failure;
    try {
        auto sent = all.entries;
        stored = co_await self->far.set_many(std::span<const typename State::K>(all.keys), std::move(sent),
                                             leases);
    } catch (...) {
        failure = std::current_exception();
    }
    const auto caller = co_await asio::this_coro::cancellation_state;
    const bool known = !failure || caller.cancelled() == asio::cancellation_type::none;
    stored.resize(all.keys.size());
    for (std::size_t i = 0; i != all.keys.size(); ++i) {
        if (writes[i] && !stored[i]) {
            writes[i]->leave();
        } else if (writes[i] && known) {
            writes[i]->keep(*all.entries[i]);
        }
    }
    if (failure) {
        std::rethrow_exception(failure);
    }
    co_return stored;
}

template <class State>
asio::awaitable<bool> tier_erase(std::shared_ptr<State> self, typename State::K key) {
    const std::size_t hash = self->near.hash(key);
    const level_removal<State> removal(*self, key, hash);
    std::unique_ptr<key_lines::place> place;
    if (!self->pending.idle()) {
        place = take_place(self->pending, hash);
        co_await come(*self, *place);
    }
    const bool was = co_await self->far.erase(key);
    co_return was || removal.was();
}

template <class State>
asio::awaitable<void> tier_clear(std::shared_ptr<State> self) {
    const level_clear<State> clearing(*self);
    std::unique_ptr<key_lines::place> place;
    if (!self->pending.idle()) {
        place = take_place(self->pending, self->pending.busy()); // what is on its way has to land first
        co_await come(*self, *place);
    }
    co_await self->far.clear();
}

/// `work` is that of level 2, which has begun to invalidate the tag.
template <class State>
asio::awaitable<void> tier_invalidate_tag([[maybe_unused]] std::shared_ptr<State> self,
                                          std::unique_ptr<clear_count::scope> pending,
                                          asio::awaitable<void> work) {
    const auto scope = std::move(pending);
    co_await std::move(work);
}

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
