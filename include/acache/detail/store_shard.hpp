// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_STORE_SHARD_HPP
#define ACACHE_DETAIL_STORE_SHARD_HPP

#include <acache/clock.hpp>
#include <acache/detail/bucket_index.hpp>
#include <acache/detail/cache_node.hpp>
#include <acache/detail/cleared_tables.hpp>
#include <acache/detail/entry_slab.hpp>
#include <acache/detail/hash_mix.hpp>
#include <acache/detail/retired_list.hpp>
#include <acache/detail/timer_wheel.hpp>
#include <acache/entry.hpp>
#include <acache/metrics.hpp>
#include <acache/options.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace acache::detail {

[[nodiscard]] inline std::uint64_t& count_of(removal_counts& counts, removal_cause cause) noexcept {
    switch (cause) {
    case removal_cause::capacity:
        return counts.capacity;
    case removal_cause::expired:
        return counts.expired;
    case removal_cause::invalidated:
        return counts.invalidated;
    case removal_cause::replaced:
        break;
    }
    return counts.replaced;
}

/// What is the same for all shards of a store.
struct shard_settings {
    /// An entry expires so long after its last use.
    std::optional<std::chrono::nanoseconds> idle = std::nullopt;
    /// Plain entries expire so long after they have become stale.
    std::chrono::nanoseconds retention{0};
    /// Entries have weights.
    bool weighs = false;
};

/// One part of a sharded store: its entries, the table that finds them, the policy that ranks them and the
/// wheel that times them out. Only `find`, `use` and `due` are for readers, in a read section; everything
/// else wants the mutex held.
///
/// Why a reader never sees a node half made, torn or used anew. The pattern is that of read-copy update
/// (McKenney and Slingwine, PDCS 1998; in user space: see `read_section`): publish what does not change any
/// more, unlink it, wait, free it.
/// - A node is made before its id is stored in the table, and the id before the tag (`index_bucket`); readers
///   go the other way, with acquire loads. What they read of a node then is constant (key, value, life, kept
///   hash) or atomic (the hook as far as `hit` touches it, the last use). A new value for a key is a new
///   node, whose id takes the place of the old one's: who reads finds one or the other, whole.
/// - Who finds an id finds its chunk (`entry_slab`). A stale id, read from a place just before it was given
/// to
///   another entry, is that of a node unlinked since the section began: it is still whole, and its key
///   decides.
/// - A table that grows is filled before it is published, and gets no new entries once it is superseded. Who
///   still reads it misses at most what was inserted after he began to read.
/// - What is unlinked (nodes, superseded tables) is destroyed, and the id given to another, only when all
///   read sections are over that had begun by then: `store_reclamation`. Sections that begin later find the
///   new table, and in it nothing that was unlinked before.
/// - What was cleared is unlinked by the exchange of the table, and goes the same way later, a few entries at
///   a time. Its ids are its own until then.
template <class K, class V, class Hash, class KeyEqual, class Policy>
class alignas(64) store_shard {
    static constexpr bool keeps_hash = !hashed_again<K, Hash>;

public:
    using node = cache_node<K, V, typename Policy::hook, keeps_hash>;
    using slab_type = entry_slab<node, cold_part>;

    store_shard() : table_(new bucket_index(1)) {}
    store_shard(const store_shard&) = delete;
    store_shard& operator=(const store_shard&) = delete;
    ~store_shard() {
        const std::unique_ptr<bucket_index> table(table_.load(std::memory_order_relaxed));
        table->for_each([this](entry_id id) { unmake(id); });
        while (!cleared_.empty()) {
            (void)cleared_.take(unbounded, [this](entry_id id, time_point) { unmake(id); });
        }
        free_now(std::move(pending_));
        free_now(std::move(limbo_));
    }

    /// Before anything else.
    void set_up(const shard_settings& settings, const Hash& hash, const KeyEqual& equal) {
        settings_ = &settings;
        hash_ = &hash;
        equal_ = &equal;
        if (settings.idle) {
            slab_.keep_usage();
        }
    }
    void keep_weights() noexcept { slab_.keep_usage(); }
    /// No entry was ever made.
    [[nodiscard]] bool unused() const noexcept { return slab_.unused(); }
    /// So many entries will be held, and `all` in the store; the table grows to suit them, no further. While
    /// the processor's caches hold a table, a third of it stays free: searches that end in the first
    /// bucket are guessed right by the processor. A larger one is kept denser, since it costs memory, and its
    /// searches wait for that.
    void expect(std::size_t share, std::size_t all) noexcept {
        constexpr std::size_t small = 256 * 1024;
        const auto buckets = all <= small ? share / 8 + 1 : share / 21 * 2 + 1;
        suitable_ = std::min(buckets, bucket_index::most_buckets);
    }

    struct found {
        node* at;
        entry_id id;
    };

    /// The entry of a key; null and `no_entry` if there is none. Throws what the comparison throws.
    template <class Q>
    [[nodiscard]] found find(const Q& key, std::uint64_t hash) const {
        const bucket_index& table = *table_.load(std::memory_order_acquire);
        found guess{nullptr, no_entry};
        const bool right = table.guess(place_bits(hash), [&](entry_id id) {
            guess = {&slab_[id], id};
            return is_of(*guess.at, key, hash);
        });
        if (right) [[likely]] {
            return guess;
        }
        return search(table, key, hash);
    }

    [[nodiscard]] node& operator[](entry_id id) const noexcept { return slab_[id]; }

    /// What is kept of the entry beside its value; `idle_end` as below.
    [[nodiscard]] packed_stamps stamps(const found& entry, time_point idle_end) const noexcept {
        return {entry.at->life, slab_.cold(*entry.at, entry.id).life_rest, settings_->retention, idle_end};
    }
    /// When the entry expires unless it is used meanwhile.
    [[nodiscard]] time_point idle_end(entry_id id) const noexcept {
        if (!settings_->idle) [[likely]] {
            return time_point::max();
        }
        const std::chrono::nanoseconds used{slab_.usage(id).used.load(std::memory_order_relaxed)};
        return saturating_add(time_point{used}, *settings_->idle);
    }

    /// When the entry expires.
    [[nodiscard]] time_point due(entry_id id) const noexcept {
        return stamps({&slab_[id], id}, idle_end(id)).expires();
    }

    /// Says that a reader has found the entry of use.
    void use(const found& entry, std::uint64_t hash) noexcept {
        const auto id = entry.id;
        if constexpr (Policy::concurrent_hits) {
            const one_hook hooks{entry.at->hook};
            policy_.hit(hooks, id);
        } else if (std::unique_lock lock(mutex_, std::try_to_lock); lock) {
            // It may have left in the meantime.
            const auto held = table_.load(std::memory_order_relaxed)->find(place_bits(hash), [&](entry_id i) {
                return i == id;
            });
            if (held == id && !pinned(id)) {
                policy_.hit(hooks_, id);
            }
        }
    }

    /// A use at this time, for time-to-idle. A change of less than a thousandth of that time, or than a
    /// millisecond, is not worth a store.
    void touch(entry_id id, time_point now) const noexcept {
        auto& used = slab_.usage(id).used;
        const auto step = std::min<std::int64_t>(settings_->idle->count() / 1024, 1'000'000);
        if (now.time_since_epoch().count() - used.load(std::memory_order_relaxed) > step) {
            used.store(now.time_since_epoch().count(), std::memory_order_relaxed);
        }
    }

    // From here on for writers alone.

    [[nodiscard]] std::mutex& mutex() noexcept { return mutex_; }

    [[nodiscard]] std::size_t size() const noexcept { return held_; }
    /// Of all entries.
    [[nodiscard]] std::size_t weight() const noexcept { return weight_; }
    [[nodiscard]] std::size_t weight_of(entry_id id) const noexcept {
        return settings_->weighs ? slab_.usage(id).weight : 0;
    }

    /// A node that is not published yet. What throws leaves the shard as it was.
    [[nodiscard]] entry_id make(K&& key, entry<V>&& fresh, std::uint64_t hash, std::size_t weight,
                                time_point now) {
        const bool expires = fresh.expires != time_point::max() || settings_->idle;
        if (expires && wheel_ == nullptr) {
            wheel_ = std::make_unique<timer_wheel>(now);
        }
        const auto id = slab_.make(std::move(key), std::move(fresh.value), hash);
        try {
            slab_[id].life =
                entry_life(fresh, std::move(fresh.details), settings_->retention, slab_.cold(id).life_rest);
        } catch (...) {
            slab_.destroy(id);
            throw;
        }
        if (settings_->weighs) {
            slab_.usage(id).weight = weight;
        }
        if (settings_->idle) {
            slab_.usage(id).used.store(now.time_since_epoch().count(), std::memory_order_relaxed);
        }
        return id;
    }
    /// Destroys a node that was never published.
    void unmake(entry_id id) noexcept {
        end(id);
        slab_.destroy(id);
    }

    /// Makes room in the table for one entry more. What throws leaves the shard as it was.
    void make_room() {
        auto& small = *table_.load(std::memory_order_relaxed);
        if (held_ < bucket_index::most_held(small.buckets())) {
            return;
        }
        if (small.buckets() == bucket_index::most_buckets) {
            throw std::bad_alloc();
        }
        auto larger = std::make_unique<bucket_index>(next_size(small.buckets()));
        small.for_each([&](entry_id id) { larger->insert(place_bits(id), id); });
        pending_.push(publish(std::move(larger)));
    }

    /// Publishes a new node; there has to be room.
    void insert(entry_id id, std::uint64_t hash) noexcept {
        if (!pinned(id)) {
            policy_.insert(hooks_, id, hash);
        }
        set_timer(id);
        table_.load(std::memory_order_relaxed)->insert(place_bits(hash), id);
        ++held_;
        weight_ += weight_of(id);
    }

    /// A new node takes the place of one with the same key.
    void replace(entry_id old, entry_id fresh, std::uint64_t hash, removal_cause cause) noexcept {
        if (pinned(old) && !pinned(fresh)) {
            policy_.insert(hooks_, fresh, hash);
        } else if (!pinned(old) && pinned(fresh)) {
            policy_.remove(hooks_, old);
        } else if (!pinned(old)) {
            policy_.replace(hooks_, old, fresh);
            policy_.hit(hooks_, fresh);
        }
        stop_timer(old);
        set_timer(fresh);
        table_.load(std::memory_order_relaxed)->replace(place_bits(hash), old, fresh);
        weight_ += weight_of(fresh) - weight_of(old);
        retire(old, cause);
    }

    /// Removes an entry for another reason than room.
    void remove(entry_id id, removal_cause cause) noexcept {
        if (!pinned(id)) {
            policy_.remove(hooks_, id);
        }
        stop_timer(id);
        unlink(id, cause);
    }

    [[nodiscard]] bool can_evict() const noexcept { return !policy_.empty(); }

    /// Takes the victim out of all but the table; it has to be given to `unlink`.
    [[nodiscard]] entry_id choose_victim() noexcept {
        const auto victim = policy_.evict(hooks_);
        stop_timer(victim);
        return victim;
    }
    void unlink(entry_id id, removal_cause cause) noexcept {
        table_.load(std::memory_order_relaxed)->erase(place_bits(id), id);
        --held_;
        weight_ -= weight_of(id);
        retire(id, cause);
    }

    /// Keeps an entry from being chosen, until `admit`.
    void withhold(entry_id id) noexcept {
        if (!pinned(id)) {
            policy_.remove(hooks_, id);
        }
    }
    void admit(entry_id id, std::uint64_t hash) noexcept {
        if (!pinned(id)) {
            policy_.insert(hooks_, id, hash);
        }
    }

    [[nodiscard]] bool times_out() const noexcept { return wheel_ != nullptr && !wheel_->empty(); }

    /// Removes what has expired by now, but for what did so within the last tick of the wheel. Calls
    /// `gone(id)` before each.
    template <class F>
    void expire(time_point now, F&& gone) noexcept {
        if (wheel_ == nullptr) {
            return;
        }
        wheel_->advance(timers_, now, [&](entry_id id) {
            const auto until = due(id);
            if (until > now) {
                wheel_->insert(timers_, id, until);
                return;
            }
            gone(id);
            if (!pinned(id)) {
                policy_.remove(hooks_, id);
            }
            unlink(id, removal_cause::expired);
        });
    }

    /// Empties the shard, and does not touch its entries: `empty` takes the place of the table. O(1). They
    /// are out of reach of whoever begins to read, and of policy and wheel; `reclaim` is to count and retire
    /// them.
    void clear(std::unique_ptr<bucket_index> empty, time_point now) noexcept {
        policy_.clear();
        if (wheel_ != nullptr) {
            wheel_->clear();
        }
        weight_ = 0;
        cleared_.push(publish(std::move(empty)), std::exchange(held_, 0), now);
    }
    /// What `reclaim` has left.
    [[nodiscard]] const cleared_tables& cleared() const noexcept { return cleared_; }
    /// Retires up to `most` entries that were cleared, as expired where that they had been then.
    void reclaim(std::size_t most) noexcept {
        auto table = cleared_.take(most, [this](entry_id id, time_point cleared) {
            retire(id, due(id) <= cleared ? removal_cause::expired : removal_cause::invalidated);
        });
        if (table != nullptr) {
            pending_.push(std::move(table));
        }
    }

    template <class F>
    void for_each(F&& f) const {
        table_.load(std::memory_order_relaxed)->for_each(f);
    }

    void count(removal_cause cause, std::uint64_t times = 1) noexcept { count_of(removals_, cause) += times; }
    [[nodiscard]] const removal_counts& removals() const noexcept { return removals_; }

    /// What has been unlinked and not told of yet.
    [[nodiscard]] retired_list& pending() noexcept { return pending_; }
    /// What has been told of, and waits for its readers to leave.
    [[nodiscard]] retired_list& limbo() noexcept { return limbo_; }
    /// How many are to be in there before their readers are looked for again.
    std::size_t patience = 0;

    /// The links by which retired entries are chained.
    [[nodiscard]] auto& links() noexcept { return timers_; }

    /// Destroys what nobody reads any more.
    void free_now(retired_list gone) noexcept {
        for (auto id = gone.first(); id != no_entry;) {
            unmake(std::exchange(id, timers_[id].next));
        }
    }
    /// The same from outside the lock.
    void free_unlocked(retired_list gone) noexcept {
        slab_.destroy_chain(gone.first(), [this](entry_id id) {
            end(id);
            return timers_[id].next;
        });
    }
    /// The same for a node that was never published.
    void discard(entry_id id) noexcept {
        slab_.destroy_chain(id, [this](entry_id only) {
            end(only);
            return no_entry;
        });
    }

private:
    /// The slab as a policy sees it, and as the wheel does.
    struct hook_view {
        const slab_type& slab;
        typename Policy::hook& operator[](entry_id id) const noexcept { return slab[id].hook; }
    };
    struct one_hook {
        typename Policy::hook& hook;
        typename Policy::hook& operator[](entry_id) const noexcept { return hook; }
    };
    struct timer_view {
        const slab_type& slab;
        timer_links& operator[](entry_id id) const noexcept { return slab.cold(id).links; }
    };

    [[nodiscard]] static std::uint32_t place_bits(std::uint64_t hash) noexcept {
        return kept_hash(hash).bits;
    }
    [[nodiscard]] std::uint32_t place_bits(entry_id id) const noexcept {
        if constexpr (keeps_hash) {
            return slab_[id].hash.bits;
        } else {
            return place_bits(hash_mix((*hash_)(slab_[id].key)));
        }
    }

    template <class Q>
    [[nodiscard]] bool is_of(const node& candidate, const Q& key, std::uint64_t hash) const {
        if constexpr (keeps_hash) {
            if (candidate.hash.bits != place_bits(hash)) {
                return false;
            }
        }
        return (*equal_)(key, candidate.key);
    }
    /// For misses, and the few hits that are no `guess`. Not inline, so that the others stay short.
    template <class Q>
    [[nodiscard, gnu::noinline]] found search(const bucket_index& table, const Q& key,
                                              std::uint64_t hash) const {
        const auto id =
            table.find(place_bits(hash), [&](entry_id each) { return is_of(slab_[each], key, hash); });
        return {id != no_entry ? &slab_[id] : nullptr, id};
    }

    void end(entry_id id) noexcept { slab_[id].life.end(slab_.cold(id).life_rest); }

    [[nodiscard]] bool pinned(entry_id id) const noexcept {
        return settings_->weighs && slab_.usage(id).weight == 0;
    }

    void set_timer(entry_id id) noexcept {
        if (const auto until = due(id); until != time_point::max()) {
            wheel_->insert(timers_, id, until);
        }
    }
    void stop_timer(entry_id id) noexcept {
        if (wheel_ != nullptr && timer_wheel::holds(timers_[id])) {
            wheel_->remove(timers_, id);
        }
    }

    void retire(entry_id id, removal_cause cause) noexcept {
        count(cause);
        pending_.push(timers_, id, cause);
    }

    [[nodiscard]] std::unique_ptr<bucket_index> publish(std::unique_ptr<bucket_index> table) noexcept {
        return std::unique_ptr<bucket_index>(table_.exchange(table.release(), std::memory_order_acq_rel));
    }

    [[nodiscard]] std::size_t next_size(std::size_t buckets) const noexcept {
        const auto larger =
            buckets < suitable_ ? std::min(2 * buckets, suitable_) : buckets + buckets / 4 + 1;
        return std::min(larger, bucket_index::most_buckets);
    }

    // What readers look at comes first, apart from what writers change.
    std::atomic<bucket_index*> table_;
    const shard_settings* settings_ = nullptr;
    const Hash* hash_ = nullptr;
    const KeyEqual* equal_ = nullptr;
    slab_type slab_;
    hook_view hooks_{slab_};
    timer_view timers_{slab_};
    alignas(64) std::mutex mutex_;
    Policy policy_;
    std::unique_ptr<timer_wheel> wheel_;
    std::size_t held_ = 0;
    std::size_t weight_ = 0;
    std::size_t suitable_ = 1;
    removal_counts removals_;
    cleared_tables cleared_;
    retired_list pending_;
    retired_list limbo_;
};

} // namespace acache::detail

#endif
