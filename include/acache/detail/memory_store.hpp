// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_MEMORY_STORE_HPP
#define ACACHE_DETAIL_MEMORY_STORE_HPP

#include <acache/detail/checks.hpp>
#include <acache/detail/read_section.hpp>
#include <acache/detail/shard_count.hpp>
#include <acache/detail/store_budget.hpp>
#include <acache/detail/store_insertion.hpp>
#include <acache/detail/store_shard.hpp>
#include <acache/entry.hpp>
#include <acache/metrics.hpp>
#include <acache/options.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

namespace acache::detail {

/// The shared, immovable part of a `memory_backend`, which documents the operations.
///
/// Removed entries are freed in three steps. A write unlinks them under the lock of their shard. What it
/// returns tells the listener of them, when the caller holds no lock any more. And when all read sections
/// that may have found them are over they are destroyed, outside the locks, and their ids used anew: at once
/// where no other thread reads at all, else many at a time, since finding out is dear (`settle`).
template <class K, class V, class Hash, class KeyEqual, class Policy, class Clock>
class memory_store {
    friend store_insertion<memory_store>;
    using shard = store_shard<K, V, Hash, KeyEqual, Policy>;
    using node = typename shard::node;
    using shard_set = std::uint64_t; // a bit each

    /// Nothing is left to do outside the locks for an entry that nobody reads.
    static constexpr bool trivial =
        std::is_trivially_destructible_v<K> && std::is_trivially_destructible_v<V>;

public:
    using key_type = K;
    using mapped_type = V;
    using clock_type = Clock;
    using listener = std::function<void(const K&, const V&, removal_cause)>;
    using weigher = std::function<std::size_t(const K&, const V&)>;

    /// What is left to do of a write when the locks of its caller are released.
    class removed {
    public:
        removed(removed&& other) noexcept
            : store_(other.store_), shards_(std::exchange(other.shards_, 0)), displaced_(other.displaced_),
              refused_(std::exchange(other.refused_, no_entry)), home_(other.home_) {}
        removed& operator=(removed&&) = delete;
        ~removed() {
            if (refused_ != no_entry) {
                store_.shards_[home_].discard(refused_);
            }
            if (shards_ != 0) {
                store_.settle(shards_);
            }
        }

        [[nodiscard]] explicit operator bool() const noexcept { return displaced_; }

    private:
        friend memory_store;
        friend store_insertion<memory_store>;
        explicit removed(memory_store& store) noexcept : store_(store) {}

        memory_store& store_;
        shard_set shards_ = 0;
        bool displaced_ = false;
        entry_id refused_ = no_entry; // was never published
        std::size_t home_ = 0;        // the shard of that one
    };

    memory_store(std::size_t capacity, std::size_t max_weight, std::size_t shards,
                 std::optional<std::chrono::nanoseconds> idle, std::chrono::nanoseconds retention, Hash hash,
                 KeyEqual equal)
        : settings_{.idle = idle, .retention = retention}, budget_(capacity, max_weight),
          shard_count_(shard_count(shards, std::min(capacity, max_weight))),
          shards_(std::make_unique<shard[]>(shard_count_)), hash_(std::move(hash)), equal_(std::move(equal)) {
        for (std::size_t i = 0; i != shard_count_; ++i) {
            shards_[i].set_up(settings_, hash_, equal_);
            expect_in(shards_[i]);
        }
    }

    template <class Q>
    [[nodiscard]] std::uint64_t hash_of(const Q& key) const {
        return hash_mix(hash_(key));
    }

    template <class Q, class F>
    bool read(const Q& key, std::uint64_t hash, F&& f) {
        const read_section reading;
        shard& home = shard_of(hash);
        const auto found = home.find(key, hash);
        if (found.at == nullptr) {
            return false;
        }
        auto idle_end = time_point::max();
        if (settings_.idle) [[unlikely]] {
            idle_end = home.idle_end(found.id);
            if (const auto now = Clock::now(); home.stamps(found, idle_end).expires() > now) {
                home.touch(found.id, now);
            }
        }
        f(std::as_const(found.at->value), home.stamps(found, idle_end));
        home.use(found, hash);
        return true;
    }

    removed set(K&& key, entry<V>&& fresh, std::uint64_t hash) {
        removed result(*this);
        const auto weight = settings_.weighs ? weigher_(key, fresh.value) : 0;
        if (budget_.capacity() == 0 || weight > budget_.max_weight()) {
            refuse(result, std::move(key), std::move(fresh), hash);
            return result;
        }
        if (times_out_.load(std::memory_order_relaxed) && budget_.lacks_room(weight)) {
            expire_once_a_tick(result);
        }
        store_insertion<memory_store>(*this, result, std::move(key), std::move(fresh), hash, weight).run();
        return result;
    }

    template <class Q>
    removed erase(const Q& key, std::uint64_t hash) {
        removed result(*this);
        writing at(*this, index_of(hash), result);
        at.expire();
        const auto id = at.home.find(key, hash).id;
        if (id != no_entry) {
            const auto cause = cause_of(at.home, id, removal_cause::invalidated);
            result.displaced_ = cause == removal_cause::invalidated;
            budget_.release(1, at.home.weight_of(id));
            at.home.remove(id, cause);
        }
        return result;
    }

    removed clear() {
        removed result(*this);
        std::array<std::unique_ptr<bucket_index>, most_shards> empty;
        for (std::size_t i = 0; i != shard_count_; ++i) {
            empty[i] = std::make_unique<bucket_index>(1);
        }
        for (std::size_t i = 0; i != shard_count_; ++i) {
            clear(i, std::move(empty[i]), result);
        }
        return result;
    }

    [[nodiscard]] static entry<V> unpacked(const V& value, const packed_stamps& stamps) {
        return entry<V>(value, stamps.all(), entry_details_ptr(stamps.details()));
    }

    std::size_t size() const noexcept { return budget_.size(); }

    backend_metrics metrics() {
        backend_metrics result;
        {
            removed expired(*this);
            for (std::size_t i = 0; i != shard_count_; ++i) {
                writing at(*this, i, expired);
                at.expire();
                const auto& removals = at.home.removals();
                result.removals.capacity += removals.capacity;
                result.removals.expired += removals.expired;
                result.removals.invalidated += removals.invalidated;
                result.removals.replaced += removals.replaced;
            }
        }
        sweep();
        result.size = budget_.size();
        result.weight = settings_.weighs ? budget_.weight() : result.size;
        result.rejected = rejected_.load(std::memory_order_relaxed);
        return result;
    }

    template <class F>
    void visit(F& f) {
        for (std::size_t i = 0; i != shard_count_; ++i) {
            const std::scoped_lock lock(shards_[i].mutex());
            shards_[i].for_each([&](entry_id id) {
                node& n = shards_[i][id];
                f(n.key, unpacked(n.value, shards_[i].stamps({&n, id}, shards_[i].idle_end(id))));
            });
        }
    }

    void weigh_by(weigher f) {
        check_unused("weigh_by");
        weigher_ = std::move(f);
        settings_.weighs = true;
        for (std::size_t i = 0; i != shard_count_; ++i) {
            shards_[i].keep_weights();
        }
        budget_.weigh();
    }

    void on_removal(listener f) {
        check_unused("on_removal");
        listener_ = std::move(f);
    }

    removed resize(std::size_t capacity) {
        budget_.allow(capacity);
        return shrink();
    }
    removed resize_weight(std::size_t max_weight) {
        budget_.allow_weight(max_weight);
        return shrink();
    }

private:
    /// A shard that is being written to. When it goes, what was unlinked there is left for `result` to
    /// settle, unless it could be freed on the spot.
    struct writing {
        writing(memory_store& s, std::size_t index, removed& r)
            : home(s.shards_[index]), store(s), index_(index), result_(r), lock_(home.mutex()) {}
        writing(const writing&) = delete;
        writing& operator=(const writing&) = delete;
        ~writing() {
            if (!home.pending().empty() && !store.settled(home)) {
                result_.shards_ |= shard_set{1} << index_;
            }
        }

        /// Removes what has expired here.
        void expire() noexcept {
            if (home.times_out()) {
                home.expire(Clock::now(),
                            [this](entry_id id) { store.budget_.release(1, home.weight_of(id)); });
            }
        }

        shard& home;
        memory_store& store;

    private:
        const std::size_t index_;
        removed& result_;
        const std::scoped_lock<std::mutex> lock_;
    };

    /// The cause of a removal: whatever drove an entry out, an expired one was no loss.
    [[nodiscard]] static removal_cause cause_of(const shard& home, entry_id id,
                                                removal_cause cause) noexcept {
        const auto due = home.due(id);
        return due != time_point::max() && due <= Clock::now() ? removal_cause::expired : cause;
    }

    static void evict(shard& from, store_budget::claim& claim) noexcept {
        const auto victim = from.choose_victim();
        claim.add(from.weight_of(victim));
        from.unlink(victim, cause_of(from, victim, removal_cause::capacity));
    }

    /// Stores nothing; an older entry goes.
    void refuse(removed& result, K&& key, entry<V>&& fresh, std::uint64_t hash) {
        const bool stores = budget_.capacity() != 0;
        result.home_ = index_of(hash);
        writing at(*this, result.home_, result);
        const auto old = at.home.find(key, hash).id;
        if constexpr (!trivial) {
            static_cast<entry_stamps&>(fresh) = {}; // so that it needs no timer, and no record
            fresh.details.reset();
            result.refused_ = at.home.make(std::move(key), std::move(fresh), hash, 0, Clock::now());
        }
        refused(result, at.home, old, stores);
    }

    /// Nothing is stored for a key, whose entry was `old`.
    void refused(removed& result, shard& home, entry_id old, bool counts) noexcept {
        result.displaced_ = true;
        if (counts) {
            rejected_.fetch_add(1, std::memory_order_relaxed);
        }
        if (old != no_entry) {
            budget_.release(1, home.weight_of(old));
            home.remove(old, cause_of(home, old, removal_cause::replaced));
        }
    }

    /// Whether there are as many pinned entries as there may be entries.
    [[nodiscard]] bool all_pinned() {
        std::size_t held = 0;
        for (std::size_t i = 0; i != shard_count_; ++i) {
            const std::scoped_lock lock(shards_[i].mutex());
            if (shards_[i].can_evict()) {
                return false;
            }
            held += shards_[i].size();
        }
        return held >= budget_.capacity();
    }

    /// Once a tick, so that no entry is evicted for long while expired ones are held in other shards.
    void expire_once_a_tick(removed& result) {
        const auto tick = Clock::now().time_since_epoch() / timer_wheel::tick;
        if (expired_at_.load(std::memory_order_relaxed) != tick &&
            expired_at_.exchange(tick, std::memory_order_relaxed) != tick) {
            expire(result);
        }
    }

    void expire(removed& result) {
        for (std::size_t i = 0; i != shard_count_; ++i) {
            writing at(*this, i, result);
            at.expire();
        }
    }

    void clear(std::size_t index, std::unique_ptr<bucket_index> empty, removed& result) noexcept {
        shard& home = shards_[index];
        std::unique_ptr<bucket_index> old;
        {
            const std::scoped_lock lock(home.mutex());
            budget_.release(home.size(), 0);
            old = home.clear(std::move(empty));
        }
        retired_list gone;
        std::size_t weight = 0;
        std::size_t expired = 0;
        old->for_each([&](entry_id id) {
            const auto cause = cause_of(home, id, removal_cause::invalidated);
            expired += cause == removal_cause::expired ? 1 : 0;
            weight += home.weight_of(id);
            gone.push(home.links(), id, cause);
        });
        budget_.release(0, weight);
        writing at(*this, index, result);
        home.count(removal_cause::expired, expired);
        home.count(removal_cause::invalidated, gone.count() - expired);
        gone.push(std::move(old));
        home.pending().append(home.links(), std::move(gone));
    }

    void expect_in(shard& home) noexcept {
        home.expect(budget_.capacity() / shard_count_, budget_.capacity());
    }

    removed shrink() {
        removed result(*this);
        expire(result);
        std::size_t idle = 0;
        for (std::size_t i = 0; idle != shard_count_; i = (i + 1) % shard_count_) {
            writing at(*this, i, result);
            expect_in(at.home);
            idle = budget_.exceeded() && at.home.can_evict() ? 0 : idle + 1;
            if (idle == 0) {
                store_budget::claim claim(budget_);
                evict(at.home, claim);
            }
        }
        return result;
    }

    /// Whether what was unlinked in a shard needs no more to be done outside its lock.
    [[nodiscard]] bool settled(shard& home) noexcept {
        if (listener_) {
            return false;
        }
        if (alone()) {
            if constexpr (trivial) {
                home.pending().append(home.links(), std::move(home.limbo()));
                home.free_now(std::move(home.pending()));
                return true;
            }
            return false;
        }
        home.limbo().append(home.links(), std::move(home.pending()));
        return !crowded(home);
    }

    [[nodiscard]] static bool crowded(shard& home) noexcept {
        return home.limbo().count() >= std::max(batch(home), home.patience);
    }

    /// How many unlinked nodes may wait in a shard: the look for readers is dear, and so is what waits.
    [[nodiscard]] static std::size_t batch(const shard& home) noexcept {
        return trivial ? std::clamp<std::size_t>(home.size() / 16, 8, 1024)
                       : std::clamp<std::size_t>(home.size() / 64, 1, 128);
    }

    /// Tells of what is pending in these shards, and sees to it that it is freed. Called under no lock.
    void settle(shard_set which) noexcept {
        bool many = false;
        for (; which != 0; which &= which - 1) {
            shard& home = shards_[static_cast<std::size_t>(std::countr_zero(which))];
            auto gone = [&] {
                const std::scoped_lock lock(home.mutex());
                return std::move(home.pending());
            }();
            if (listener_) {
                gone.for_each(home.links(), [&](entry_id id, removal_cause cause) {
                    const node& n = home[id];
                    listener_(n.key, n.value, cause);
                });
            }
            if (alone()) {
                home.free_unlocked(std::move(gone));
                continue;
            }
            const std::scoped_lock lock(home.mutex());
            home.limbo().append(home.links(), std::move(gone));
            many = many || crowded(home);
        }
        if (many) {
            sweep();
        }
    }

    /// Frees what no reader can have found any more. Called under no lock.
    void sweep() noexcept {
        std::array<retired_list, most_shards> gone;
        bool any = false;
        for (std::size_t i = 0; i != shard_count_; ++i) {
            const std::scoped_lock lock(shards_[i].mutex());
            gone[i].append(shards_[i].links(), std::move(shards_[i].limbo()));
            shards_[i].patience = 0;
            any = any || !gone[i].empty();
        }
        if (!any) {
            return;
        }
        const bool free = alone() || readers_gone();
        for (std::size_t i = 0; i != shard_count_; ++i) {
            if (free) {
                shards_[i].free_unlocked(std::move(gone[i]));
            } else if (!gone[i].empty()) {
                const std::scoped_lock lock(shards_[i].mutex());
                shards_[i].limbo().append(shards_[i].links(), std::move(gone[i]));
                shards_[i].patience = shards_[i].limbo().count() + batch(shards_[i]);
            }
        }
    }

    void check_unused(const char* what) const {
        for (std::size_t i = 0; i != shard_count_; ++i) {
            if (!shards_[i].unused()) {
                throw std::logic_error(std::string("acache: ") + what +
                                       " was called on a store that has been written to; call it before the "
                                       "first set");
            }
        }
    }

    // The table of a shard places its nodes by the upper half of a hash; what chooses the shard must be
    // others.
    std::size_t index_of(std::uint64_t hash) const noexcept {
        return static_cast<std::size_t>(hash >> 8) & shard_mask_;
    }
    shard& shard_of(std::uint64_t hash) noexcept { return shards_[index_of(hash)]; }

    shard_settings settings_;
    store_budget budget_;
    const std::size_t shard_count_;
    const std::size_t shard_mask_ = shard_count_ - 1;
    const std::unique_ptr<shard[]> shards_;
    [[no_unique_address]] const Hash hash_;
    [[no_unique_address]] const KeyEqual equal_;
    listener listener_;
    weigher weigher_;
    std::atomic<bool> times_out_{false};
    std::atomic<std::chrono::nanoseconds::rep> expired_at_{0};
    std::atomic<std::uint64_t> rejected_{0};
};

} // namespace acache::detail

#endif
