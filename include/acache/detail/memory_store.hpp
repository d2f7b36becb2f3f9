// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_MEMORY_STORE_HPP
#define ACACHE_DETAIL_MEMORY_STORE_HPP

#include <acache/detail/checks.hpp>
#include <acache/detail/read_section.hpp>
#include <acache/detail/shard_count.hpp>
#include <acache/detail/store_budget.hpp>
#include <acache/detail/store_insertion.hpp>
#include <acache/detail/store_reclamation.hpp>
#include <acache/detail/store_shard.hpp>
#include <acache/entry.hpp>
#include <acache/metrics.hpp>
#include <acache/options.hpp>

#include <algorithm>
#include <array>
#include <atomic>
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

/// The shared, immovable part of a `memory_backend`, which documents the operations. How what is removed is
/// freed: see `store_reclamation`.
template <class K, class V, class Hash, class KeyEqual, class Policy, class Clock>
class memory_store {
    friend store_insertion<memory_store>;
    using shard = store_shard<K, V, Hash, KeyEqual, Policy>;
    using node = typename shard::node;
    using reclamation = store_reclamation<K, V, shard>;

public:
    using key_type = K;
    using mapped_type = V;
    using clock_type = Clock;
    using listener = typename reclamation::listener;
    using removed = typename reclamation::removed;
    using weigher = std::function<std::size_t(const K&, const V&)>;

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
        removed result(reclamation_);
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
        removed result(reclamation_);
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
        removed result(reclamation_);
        std::array<std::unique_ptr<bucket_index>, most_shards> empty;
        for (std::size_t i = 0; i != shard_count_; ++i) {
            empty[i] = std::make_unique<bucket_index>(1);
        }
        for (std::size_t i = 0; i != shard_count_; ++i) {
            clear(i, std::move(empty[i]), result);
        }
        if (reclamation_.tells()) {
            for (std::size_t i = 0; i != shard_count_; ++i) {
                reclaim(i, result);
            }
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
            removed gone(reclamation_);
            for (std::size_t i = 0; i != shard_count_; ++i) {
                reclaim(i, gone);
                writing at(*this, i, gone);
                at.expire();
                const auto& removals = at.home.removals();
                result.removals.capacity += removals.capacity;
                result.removals.expired += removals.expired;
                result.removals.invalidated += removals.invalidated;
                result.removals.replaced += removals.replaced;
            }
        }
        reclamation_.sweep();
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
        reclamation_.tell(std::move(f));
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
    /// A shard that is being written to. Each such write retires a few of the entries that were cleared, more
    /// than it adds, so that they and those that come after them are soon no more than those that were
    /// there. What was unlinked is left for `result` in the end.
    struct writing {
        static constexpr std::size_t few = 4;

        writing(memory_store& s, std::size_t index, removed& r)
            : home(s.shards_[index]), store(s), index_(index), result_(r), lock_(home.mutex()) {}
        writing(const writing&) = delete;
        writing& operator=(const writing&) = delete;
        ~writing() {
            if (!home.cleared().empty()) [[unlikely]] {
                home.reclaim(few);
            }
            store.reclamation_.leave(index_, result_);
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
        if constexpr (!reclamation::trivial) {
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
        writing at(*this, index, result);
        budget_.release(at.home.size(), at.home.weight());
        at.home.clear(std::move(empty), at.home.times_out() ? Clock::now() : time_point::min());
    }

    /// Retires all that was cleared in a shard, in many steps, so that no other write waits for long.
    void reclaim(std::size_t index, removed& result) noexcept {
        for (bool more = true; more;) {
            writing at(*this, index, result);
            at.home.reclaim(256);
            more = !at.home.cleared().empty();
        }
    }

    void expect_in(shard& home) noexcept {
        home.expect(budget_.capacity() / shard_count_, budget_.capacity());
    }

    removed shrink() {
        removed result(reclamation_);
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
    reclamation reclamation_{shards_.get(), shard_count_};
    weigher weigher_;
    std::atomic<bool> times_out_{false};
    std::atomic<std::chrono::nanoseconds::rep> expired_at_{0};
    std::atomic<std::uint64_t> rejected_{0};
};

} // namespace acache::detail

#endif
