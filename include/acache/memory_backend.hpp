// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_MEMORY_BACKEND_HPP
#define ACACHE_MEMORY_BACKEND_HPP

#include <acache/detail/hash_mix.hpp>
#include <acache/detail/memory_store.hpp>
#include <acache/entry.hpp>
#include <acache/eviction_policy.hpp>
#include <acache/hash.hpp>
#include <acache/metrics.hpp>
#include <acache/options.hpp>
#include <acache/s3_fifo.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace acache {

/// Options of a `memory_backend`.
struct memory_options {
    /// Entries kept at most. 0 stores nothing; `unbounded` never evicts.
    std::size_t capacity = 10'000;
    /// Parts with a lock each, rounded up to a power of two, 64 at most; 0: as many as suit the machine and
    /// the capacity. Shards of a few hundred entries or less make the eviction policy blind.
    std::size_t shards = 0;
};

/// The embedded store: in memory, sharded, bounded by entries. It gives back what it holds, expired or not;
/// that is the cache's to judge.
///
/// Nothing is evicted while it holds fewer than `capacity` entries, however they fall on the shards, and an
/// entry just set can be read at once. Any thread may call any operation; moving and destroying a store
/// are for one thread alone, and one moved from may only be assigned to and destroyed. Operations on a key
/// are O(1), and leave the store as it was if a hash, a comparison, a copy or an allocation throws. Values
/// are copied under the lock of a shard and destroyed under none: what a write displaces is in the object
/// that it returns.
template <class K, class V, class Hash = hash<K>, class KeyEqual = std::equal_to<>,
          eviction_policy Policy = s3_fifo, cache_clock Clock = coarse_clock>
class memory_backend {
    using store = detail::memory_store<K, V, KeyEqual, Policy, Clock>;

    /// What keys are looked up by: K, and whatever a transparent hash and comparison take.
    template <class Q>
    static constexpr bool is_query =
        std::same_as<Q, K> || requires(const Q& q, const K& k, const Hash& hash, const KeyEqual& equal) {
            typename Hash::is_transparent;
            typename KeyEqual::is_transparent;
            hash(q);
            equal(q, k);
        };

public:
    using key_type = K;
    using mapped_type = V;
    using hasher = Hash;
    using key_equal = KeyEqual;
    using clock_type = Clock;
    /// What a `set` displaced or an `erase` removed: true if there was something.
    using removed = typename store::removed;
    /// What a `clear` removed.
    using removed_all = typename store::removed_all;

    explicit memory_backend(memory_options options = {}, Hash hash = Hash(), KeyEqual equal = KeyEqual())
        : hash_(std::move(hash)),
          store_(std::make_unique<store>(options.capacity, options.shards, std::move(equal))) {}

    explicit memory_backend(std::size_t capacity) : memory_backend(memory_options{.capacity = capacity}) {}

    /// The hash that the overloads below take: whoever asks for a key more than once hashes it once.
    template <class Q>
        requires is_query<Q>
    [[nodiscard]] std::uint64_t hash_of(const Q& key) const {
        return detail::hash_mix(hash_(key));
    }

    /// A copy of the entry of `key`. Counts as a use to the eviction policy.
    [[nodiscard]] std::optional<entry<V>> get(const K& key) { return get(key, hash_of(key)); }
    template <class Q>
        requires is_query<Q>
    [[nodiscard]] std::optional<entry<V>> get(const Q& key) {
        return get(key, hash_of(key));
    }
    template <class Q>
        requires is_query<Q>
    [[nodiscard]] std::optional<entry<V>> get(const Q& key, std::uint64_t hash) {
        return store_->get(key, hash);
    }

    /// Stores an entry, in place of the one of that key if there is one; returns the entry replaced or
    /// evicted (at capacity 0, the one given).
    removed set(K key, entry<V> fresh) {
        const auto hash = hash_of(key);
        return set(std::move(key), std::move(fresh), hash);
    }
    removed set(K key, entry<V> fresh, std::uint64_t hash) {
        return store_->set(std::move(key), std::move(fresh), hash);
    }

    /// Removes the entry of `key`.
    removed erase(const K& key) { return erase(key, hash_of(key)); }
    template <class Q>
        requires is_query<Q>
    removed erase(const Q& key) {
        return erase(key, hash_of(key));
    }
    template <class Q>
        requires is_query<Q>
    removed erase(const Q& key, std::uint64_t hash) {
        return store_->erase(key, hash);
    }

    /// Removes all entries, shard after shard. O(capacity), most of it outside the locks.
    removed_all clear() { return store_->clear(); }

    /// The number of entries, expired ones included; never more than the capacity.
    [[nodiscard]] std::size_t size() const noexcept { return store_->size(); }

    [[nodiscard]] backend_metrics metrics() const { return store_->metrics(); }

    /// Calls `f(key, entry)` for each entry, shard after shard. `f` runs under the lock of a shard, so it
    /// must not call the store.
    template <std::invocable<const K&, const entry<V>&> F>
    void visit(F&& f) const {
        store_->visit(f);
    }

private:
    [[no_unique_address]] Hash hash_;
    std::unique_ptr<store> store_;
};

} // namespace acache

#endif
