// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_MEMORY_BACKEND_HPP
#define ACACHE_MEMORY_BACKEND_HPP

#include <acache/detail/checks.hpp>
#include <acache/detail/memory_store.hpp>
#include <acache/entry.hpp>
#include <acache/eviction_policy.hpp>
#include <acache/hash.hpp>
#include <acache/metrics.hpp>
#include <acache/options.hpp>
#include <acache/turnstile.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace acache {

/// Options of a `memory_backend`.
struct memory_options {
    /// Entries kept at most. 0 stores nothing; `unbounded` never evicts.
    std::size_t capacity = 10'000;
    /// Parts with a lock each, rounded up to a power of two, 64 at most; 0: as many as suit the machine and
    /// the capacity. Shards of a few hundred entries or less make the eviction policy blind.
    std::size_t shards = 0;
    /// Weight kept at most, as `weigh_by` weighs it; every entry weighs 1 where nothing does. At least 1.
    std::size_t max_weight = unbounded;
    /// An entry that nobody has read or written for so long expires, whatever its own time. Positive.
    std::optional<std::chrono::nanoseconds> time_to_idle = std::nullopt;
    /// How long after the end of its freshness an entry expires as a rule: those without details of which
    /// that is true take less space than others. Not negative.
    std::chrono::nanoseconds retention{0};
};

/// The embedded store: in memory, sharded, bounded by entries and by weight.
///
/// Nothing is evicted while it holds fewer than `capacity` entries, and there is room for the new one's
/// weight, however the entries fall on the shards; an entry just set can be read at once. Operations on a key
/// are O(1), amortised, and leave the store as it was if a hash, a comparison, a copy or an allocation
/// throws; only what a `set` has evicted before a comparison throws stays so.
///
/// **Threads.** Any thread may call any operation, but for `weigh_by` and `on_removal`; moving and destroying
/// a store are for one thread alone, and one moved from may only be assigned to and destroyed. Reads take no
/// lock and write to nothing that threads share, except for the policy's note of the hit. Writes take the
/// lock of a shard.
///
/// **Expiry.** What has expired is given back until it is removed: that is the cache's to judge. Writes
/// remove it, from their own shard, and once it is full, from all; `metrics` removes it everywhere. It is
/// recognised 10 ms after its time, beside what the clock is late.
///
/// **Removed values** are destroyed under no lock of the store's, nor of who calls it: what a write unlinks
/// is the business of the object that it returns, which must not outlive the store. Where no other thread has
/// ever read a store, of whatever type, it is destroyed by that object. Where one has, it may be reading
/// still, and to find out takes microseconds; so values live on until 1/64 of what their shard holds has
/// been removed from there (at least 1 and at most 128 entries; 1/16, 8 and 1024 if their destructors are
/// trivial), or until the next `metrics`, and further if a thread is stopped while it copies a value. What
/// `clear` has removed lives on until later writes to its shard have come by, each of which disposes of four
/// such entries or more, or until the next `metrics`, but never where there is a listener to be told.
template <class K, class V, class Hash = hash<K>, class KeyEqual = std::equal_to<>,
          eviction_policy Policy = turnstile, cache_clock Clock = coarse_clock>
class memory_backend {
    using store = detail::memory_store<K, V, Hash, KeyEqual, Policy, Clock>;

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
    /// What `lookup_result::tier` says of its entries.
    static constexpr std::string_view tier_name = "memory";
    /// What is left of a write to be done under no lock: destroy it there. True if a `set` displaced an entry
    /// (or was refused), or an `erase` removed one that had not expired.
    using removed = typename store::removed;
    /// The same of a write to many entries.
    using removed_all = removed;
    /// What `read` gives beside the value.
    using stamps_type = detail::packed_stamps;

    /// Throws `std::invalid_argument` for options that make no sense.
    explicit memory_backend(memory_options options = {}, Hash hash = Hash(), KeyEqual equal = KeyEqual())
        : store_(make(options, std::move(hash), std::move(equal))) {}

    explicit memory_backend(std::size_t capacity) : memory_backend(memory_options{.capacity = capacity}) {}

    /// The hash that the overloads below take: whoever asks for a key more than once hashes it once.
    template <class Q>
        requires is_query<Q>
    [[nodiscard]] std::uint64_t hash_of(const Q& key) const {
        return store_->hash_of(key);
    }

    /// A copy of the entry of `key`. Counts as a use to the eviction policy. With a time to idle, the entry
    /// becomes stale and expires at the end of that if not before.
    [[nodiscard]] std::optional<entry<V>> get(const K& key) { return get(key, hash_of(key)); }
    template <class Q>
        requires is_query<Q>
    [[nodiscard]] std::optional<entry<V>> get(const Q& key) {
        return get(key, hash_of(key));
    }
    template <class Q>
        requires is_query<Q>
    [[nodiscard]] std::optional<entry<V>> get(const Q& key, std::uint64_t hash) {
        std::optional<entry<V>> result;
        store_->read(key, hash, [&](const V& value, const stamps_type& stamps) {
            result.emplace(store::unpacked(value, stamps));
        });
        return result;
    }

    /// `get` without the copy: calls `f(value, stamps)` if there is an entry, and says whether there was.
    /// The stamps are worked out as they are asked for: `created()`, `fresh_until()`, `expires()`, `all()` of
    /// them, `details()` (null for plain entries), and cheapest `fresh(now)`, whether now, which is a call of
    /// `now`, the entry is fresh. All is good until `f` returns; until then no memory of removed entries is
    /// used anew, so `f` should copy what it needs and not wait. It may call the store.
    template <class Q, std::invocable<const V&, const stamps_type&> F>
        requires is_query<Q>
    bool read(const Q& key, std::uint64_t hash, F&& f) {
        return store_->read(key, hash, std::forward<F>(f));
    }

    /// Stores an entry, in place of the one of that key if there is one, or of others if there is no room.
    /// One heavier than the whole may be is not stored, and the one of its key goes; so it is at capacity 0,
    /// and where pinned entries leave no room.
    removed set(K key, entry<V> fresh) {
        const auto hash = hash_of(key);
        return store_->set(std::move(key), std::move(fresh), hash);
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

    /// Removes all entries, shard after shard: they are out of reach at once, and count no more. O(shards);
    /// the values are destroyed later (see above). With a listener, which is told of each, O(size). The
    /// memory of the entries themselves is kept for later ones.
    removed_all clear() { return store_->clear(); }

    /// The number of entries, expired ones not yet removed included; never more than the capacity.
    [[nodiscard]] std::size_t size() const noexcept { return store_->size(); }

    /// Removes what has expired more than 10 ms ago, frees what was removed or cleared as far as nobody is
    /// reading it, and counts. O(shards), and what is removed.
    [[nodiscard]] backend_metrics metrics() const { return store_->metrics(); }

    /// Calls `f(key, entry)` for each entry, shard after shard. `f` runs under the lock of a shard, so it
    /// must not call the store.
    template <std::invocable<const K&, const entry<V>&> F>
    void visit(F&& f) const {
        store_->visit(f);
    }

    /// Weighs entries by `f(key, value)`, a number that stays the same for the same entry: bytes, say. One
    /// that weighs 0 is pinned: never evicted, but it counts as an entry, and expires and is removed as any.
    /// To be called before the first `set`, by one thread alone; else `std::logic_error`.
    template <class F>
        requires std::is_invocable_r_v<std::size_t, const F&, const K&, const V&>
    void weigh_by(F f) {
        store_->weigh_by(std::move(f));
    }

    /// Has `f(key, value, cause)` called once for each entry that is removed, under no lock, by the thread
    /// that wrote, before what the write returned is gone, or by another that writes just then. `f` must not
    /// throw, and may call the store. The entries that a store dies with are not removed. A listener that was
    /// there before is called too. To be called before the first `set`, by one thread alone; else
    /// `std::logic_error`.
    template <std::invocable<const K&, const V&, removal_cause> F>
    void on_removal(F f) {
        store_->on_removal(std::move(f));
    }

    /// Changes the capacity; what is then too much is evicted. The number of shards stays. O(what is
    /// evicted).
    removed_all resize(std::size_t capacity) { return store_->resize(capacity); }
    /// The same for the weight. Throws `std::invalid_argument` for 0.
    removed_all resize_weight(std::size_t max_weight) {
        detail::check_not_zero(max_weight, "max_weight");
        return store_->resize_weight(max_weight);
    }

private:
    static std::unique_ptr<store> make(const memory_options& options, Hash hash, KeyEqual equal) {
        detail::check_not_zero(options.max_weight, "max_weight");
        detail::check_positive(options.time_to_idle, "time_to_idle");
        detail::check_not_negative(options.retention, "retention");
        return std::make_unique<store>(options.capacity, options.max_weight, options.shards,
                                       options.time_to_idle, options.retention, std::move(hash),
                                       std::move(equal));
    }

    std::unique_ptr<store> store_;
};

} // namespace acache

#endif
