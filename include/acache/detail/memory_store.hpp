// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_MEMORY_STORE_HPP
#define ACACHE_DETAIL_MEMORY_STORE_HPP

#include <acache/detail/store_shard.hpp>
#include <acache/entry.hpp>
#include <acache/metrics.hpp>
#include <acache/options.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace acache::detail {

/// How many shards a store has: enough that threads seldom meet, and few enough that each holds entries
/// enough for its eviction policy to see what the whole would show it.
[[nodiscard]] inline std::size_t shard_count(std::size_t wanted, std::size_t capacity) {
    constexpr std::size_t most = 64;
    constexpr std::size_t entries_a_shard = 1024;
    if (wanted != 0) {
        return std::bit_ceil(std::min(wanted, most));
    }
    const std::size_t by_machine = 4 * std::max<std::size_t>(std::thread::hardware_concurrency(), 1);
    const std::size_t by_capacity = std::max<std::size_t>(capacity / entries_a_shard, 1);
    return std::bit_floor(std::min({by_machine, by_capacity, most}));
}

/// The shared, immovable part of a `memory_backend`, which documents the operations. Shards have a lock and
/// a policy each; the capacity is one for all, so that no shard evicts while another has room.
template <class K, class V, class KeyEqual, class Policy, class Clock>
class memory_store {
    using node = cache_node<K, V, typename Policy::hook>;
    using node_ptr = std::unique_ptr<node>;
    using shard = store_shard<node, Policy>;

public:
    class removed {
    public:
        [[nodiscard]] explicit operator bool() const noexcept { return node_ != nullptr; }

    private:
        friend memory_store;
        explicit removed(node_ptr n) noexcept : node_(std::move(n)) {}
        node_ptr node_;
    };

    class removed_all {
    private:
        friend memory_store;
        explicit removed_all(std::unique_ptr<shard[]> s) noexcept : shards_(std::move(s)) {}
        std::unique_ptr<shard[]> shards_;
    };

    memory_store(std::size_t capacity, std::size_t shards, KeyEqual equal)
        : capacity_(capacity), shard_count_(shard_count(shards, capacity)),
          shards_(std::make_unique<shard[]>(shard_count_)), equal_(std::move(equal)) {}

    template <class Q>
    std::optional<entry<V>> get(const Q& key, std::uint64_t hash) {
        auto& home = shard_of(hash);
        std::optional<entry<V>> result;
        const std::scoped_lock lock(home.mutex);
        if (node* found = home.table.find(key, hash, equal_)) {
            result.emplace(found->stored);
            home.policy.hit(*found);
        }
        return result;
    }

    removed set(K key, entry<V> value, std::uint64_t hash) {
        auto fresh = std::make_unique<node>(std::move(key), std::move(value), hash);
        if (capacity_ == 0) {
            return removed{std::move(fresh)};
        }
        const auto home = index_of(hash);
        for (auto donor = home;; donor = (donor + 1) % shard_count_) {
            std::unique_lock home_lock(shards_[home].mutex, std::defer_lock);
            std::unique_lock donor_lock(shards_[donor].mutex, std::defer_lock);
            if (donor == home) {
                home_lock.lock();
            } else {
                std::lock(home_lock, donor_lock);
            }
            node_ptr gone;
            if (put(shards_[home], shards_[donor], fresh, gone)) {
                return removed{std::move(gone)};
            }
        }
    }

    template <class Q>
    removed erase(const Q& key, std::uint64_t hash) {
        auto& home = shard_of(hash);
        const std::scoped_lock lock(home.mutex);
        node* found = home.table.find(key, hash, equal_);
        if (found == nullptr) {
            return removed{nullptr};
        }
        home.count(*found, removal_cause::invalidated, Clock::now());
        size_.fetch_sub(1, std::memory_order_relaxed);
        return removed{home.remove(*found)};
    }

    removed_all clear() {
        auto gone = std::make_unique<shard[]>(shard_count_);
        for (std::size_t i = 0; i != shard_count_; ++i) {
            {
                const std::scoped_lock lock(shards_[i].mutex);
                shards_[i].table.swap(gone[i].table);
                shards_[i].policy.clear();
                size_.fetch_sub(gone[i].table.size(), std::memory_order_relaxed);
            }
            gone[i].table.for_each([&, now = Clock::now()](const node& n) {
                gone[i].count(n, removal_cause::invalidated, now);
            });
            const std::scoped_lock lock(shards_[i].mutex);
            shards_[i].removals.invalidated += gone[i].removals.invalidated;
            shards_[i].removals.expired += gone[i].removals.expired;
        }
        return removed_all{std::move(gone)};
    }

    std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }

    backend_metrics metrics() const {
        backend_metrics result;
        result.size = result.weight = size();
        for (std::size_t i = 0; i != shard_count_; ++i) {
            const std::scoped_lock lock(shards_[i].mutex);
            const auto& removals = shards_[i].removals;
            result.removals.capacity += removals.capacity;
            result.removals.expired += removals.expired;
            result.removals.invalidated += removals.invalidated;
            result.removals.replaced += removals.replaced;
        }
        return result;
    }

    template <class F>
    void visit(F& f) const {
        for (std::size_t i = 0; i != shard_count_; ++i) {
            const std::scoped_lock lock(shards_[i].mutex);
            shards_[i].table.for_each([&](const node& n) { f(n.key, n.stored); });
        }
    }

private:
    /// Room for one entry, taken from the capacity if there is any; given back unless kept.
    class room {
    public:
        room(std::atomic<std::size_t>& size, std::size_t capacity) noexcept : size_(size) {
            auto held = size.load(std::memory_order_relaxed);
            while (held < capacity && !taken_) {
                taken_ = size.compare_exchange_weak(held, held + 1, std::memory_order_relaxed);
            }
        }
        room(const room&) = delete;
        room& operator=(const room&) = delete;
        ~room() {
            if (taken_) {
                size_.fetch_sub(1, std::memory_order_relaxed);
            }
        }

        explicit operator bool() const noexcept { return taken_; }
        void keep() noexcept { taken_ = false; }

    private:
        std::atomic<std::size_t>& size_;
        bool taken_ = false;
    };

    /// Puts `fresh` into `home`, both locked, in place of the node of its key, into free room, or in place of
    /// a victim out of `donor`. False, and nothing done, if there is none of these.
    bool put(shard& home, shard& donor, node_ptr& fresh, node_ptr& gone) {
        if (node* old = home.table.find(fresh->key, fresh->hash, equal_)) {
            home.count(*old, removal_cause::replaced, Clock::now());
            gone = home.replace(*old, std::move(fresh));
            return true;
        }
        room free(size_, capacity_);
        if (!free && donor.policy.empty()) {
            return false;
        }
        home.table.insert(*fresh); // nothing throws after this
        if (free) {
            free.keep();
        } else {
            gone = donor.evict();
            donor.count(*gone, removal_cause::capacity, Clock::now());
        }
        node& stored = *fresh.release();
        home.policy.insert(stored, stored.hash);
        return true;
    }

    // The table of a shard places its nodes by the highest bits and the lowest byte; what chooses the shard
    // must be others.
    std::size_t index_of(std::uint64_t hash) const noexcept {
        return static_cast<std::size_t>(hash >> 8) & (shard_count_ - 1);
    }
    shard& shard_of(std::uint64_t hash) noexcept { return shards_[index_of(hash)]; }

    const std::size_t capacity_;
    const std::size_t shard_count_;
    const std::unique_ptr<shard[]> shards_;
    [[no_unique_address]] const KeyEqual equal_;
    alignas(64) std::atomic<std::size_t> size_{0};
};

} // namespace acache::detail

#endif
