// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_TIER_READS_HPP
#define ACACHE_DETAIL_TIER_READS_HPP

#include <acache/detail/key_lines.hpp>
#include <acache/detail/level_fills.hpp>
#include <acache/detail/level_transfer.hpp>
#include <acache/detail/waiter.hpp>
#include <acache/entry.hpp>
#include <acache/shared_backend.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// Waits until the writes of these keys that are in the background are over.
template <class State>
asio::awaitable<void> settle_keys(State& self, std::vector<std::uint64_t> hashes) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    self.watch(asio::query(executor, asio::execution::context));
    key_lines::place place(self.pending, std::move(hashes), key_lines::role::reader);
    co_await place.come();
}

/// The read of level 2 that somebody has begun, for all who have joined it.
template <class State>
asio::awaitable<typename State::found_type> lead_read(State& self, typename State::reads_type::read_ptr r) {
    typename State::reads_type::reading under_way(r);
    std::exception_ptr failure;
    try {
        // Only now, as the fill is registered: a write that begins later fences that.
        if (!self.pending.idle() && self.pending.busy(r->hash)) {
            std::vector<std::uint64_t> line(1, r->hash);
            co_await settle_keys(self, std::move(line));
            r->found = self.here(r->key, r->hash);
        }
        if (!r->found) {
            ++self.counts.reads;
            read_conditions<State> conditions(self);
            r->found = co_await self.far.get(r->key);
            if (r->found) {
                conditions.fill(r->fill, r->key, r->hash, *r->found);
            }
        }
        r->answered = true;
    } catch (...) {
        failure = std::current_exception();
    }
    if (failure) {
        const auto caller = co_await asio::this_coro::cancellation_state;
        if (caller.cancelled() == asio::cancellation_type::none) {
            r->failure = failure; // else it was meant for this caller alone (contract C04)
        }
        under_way.end();
        std::rethrow_exception(failure);
    }
    under_way.end();
    co_return r->found;
}

template <class State>
asio::awaitable<typename State::found_type> tier_get(std::shared_ptr<State> self, typename State::K key) {
    const std::size_t hash = self->near.hash(key);
    for (;;) {
        if (auto found = self->here(key, hash)) {
            co_return found;
        }
        const auto read = self->reads.join_or_begin(self->fills, key, hash);
        if (read.begun) {
            co_return co_await lead_read(*self, read.of);
        }
        ++self->counts.shared;
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        self->watch(asio::query(executor, asio::execution::context));
        waiter w;
        co_await self->reads.wait(w, *read.of);
        if (read.of->failure) {
            std::rethrow_exception(read.of->failure);
        }
        if (read.of->answered) {
            co_return read.of->found;
        }
    }
}

/// A read that others do not share, since it comes with a lease.
template <class State, class Lease>
asio::awaitable<typename State::found_type>
tier_get_leased(std::shared_ptr<State> self, typename State::K key, Lease& lease, lease_mode mode) {
    const std::size_t hash = self->near.hash(key);
    level_fills::fill way(self->fills, hash);
    if (!self->pending.idle() && self->pending.busy(hash)) {
        std::vector<std::uint64_t> line(1, hash);
        co_await settle_keys(*self, std::move(line));
    }
    ++self->counts.reads;
    read_conditions<State> conditions(*self);
    auto found = co_await self->far.get(key, lease, mode);
    if (found) {
        conditions.fill(way, key, hash, *found);
    } else {
        conditions.drop(way, key, hash);
    }
    co_return found;
}

/// One request for many keys, each with its way into level 1.
template <class State>
class many_reads {
public:
    using K = typename State::K;
    using found_type = typename State::found_type;

    /// `most` keys or less are to be added.
    many_reads(State& self, std::size_t most) : self_(self) {
        keys_.reserve(most);
        hashes_.reserve(most);
        ways_.reserve(most);
    }

    void add(const K& key, std::size_t hash) {
        keys_.push_back(key);
        hashes_.push_back(hash);
        ways_.emplace_back(self_.fills, hash);
    }
    [[nodiscard]] std::span<const K> keys() const noexcept { return keys_; }

    /// Those that are being written in the background.
    [[nodiscard]] std::vector<std::uint64_t> pending() {
        std::vector<std::uint64_t> result;
        if (!self_.pending.idle()) {
            for (const auto hash : hashes_) {
                if (self_.pending.busy(hash)) {
                    result.push_back(hash);
                }
            }
        }
        return result;
    }

    void fill(read_conditions<State>& conditions, std::vector<found_type>& found) {
        found.resize(keys_.size());
        for (std::size_t i = 0; i != keys_.size(); ++i) {
            if (found[i]) {
                conditions.fill(std::move(ways_[i]), keys_[i], hashes_[i], *found[i]);
            } else {
                conditions.drop(ways_[i], keys_[i], hashes_[i]);
            }
        }
    }

private:
    State& self_;
    std::vector<K> keys_;
    std::vector<std::size_t> hashes_;
    std::vector<level_fills::fill> ways_;
};

/// What level 1 has, and one request for the rest.
template <class State>
asio::awaitable<std::vector<typename State::found_type>> tier_get_many(std::shared_ptr<State> self,
                                                                       std::vector<typename State::K> keys) {
    std::vector<typename State::found_type> result(keys.size());
    std::vector<std::size_t> at;
    at.reserve(keys.size());
    many_reads<State> rest(*self, keys.size());
    for (std::size_t i = 0; i != keys.size(); ++i) {
        const std::size_t hash = self->near.hash(keys[i]);
        result[i] = self->here(keys[i], hash);
        if (!result[i]) {
            rest.add(keys[i], hash);
            at.push_back(i);
        }
    }
    if (at.empty()) {
        co_return result;
    }
    if (auto pending = rest.pending(); !pending.empty()) {
        co_await settle_keys(*self, std::move(pending));
    }
    ++self->counts.reads;
    read_conditions<State> conditions(*self);
    auto found = co_await self->far.get_many(rest.keys());
    rest.fill(conditions, found);
    if (at.size() == keys.size()) {
        co_return found;
    }
    for (std::size_t i = 0; i != at.size(); ++i) {
        result[at[i]] = std::move(found[i]);
    }
    co_return result;
}

template <class State, class Lease>
asio::awaitable<std::vector<typename State::found_type>>
tier_get_many_leased(std::shared_ptr<State> self, std::span<const typename State::K> keys,
                     std::span<Lease> leases) {
    many_reads<State> all(*self, keys.size());
    for (const auto& key : keys) {
        all.add(key, self->near.hash(key));
    }
    if (auto pending = all.pending(); !pending.empty()) {
        co_await settle_keys(*self, std::move(pending));
    }
    ++self->counts.reads;
    read_conditions<State> conditions(*self);
    auto found = co_await self->far.get_many(all.keys(), leases);
    all.fill(conditions, found);
    co_return found;
}

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
