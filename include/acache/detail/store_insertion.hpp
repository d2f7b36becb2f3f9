// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_STORE_INSERTION_HPP
#define ACACHE_DETAIL_STORE_INSERTION_HPP

#include <acache/clock.hpp>
#include <acache/detail/store_budget.hpp>
#include <acache/entry.hpp>
#include <acache/eviction_policy.hpp>
#include <acache/metrics.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>

namespace acache::detail {

/// One `set`. It makes a node in the key's shard, and then takes the place of the entry of that key, or
/// room that is free, or that of victims: from its own shard if there are any, else from the others.
template <class Store>
class store_insertion {
    using K = typename Store::key_type;
    using V = typename Store::mapped_type;
    using shard = typename Store::shard;
    using removed = typename Store::removed;
    using writing = typename Store::writing;

public:
    store_insertion(Store& store, removed& result, K&& key, entry<V>&& fresh, std::uint64_t hash,
                    std::size_t weight)
        : store_(store), result_(result), hash_(hash), weight_(weight), claim_(store.budget_),
          home_(store.index_of(hash)), key_(key), fresh_(fresh) {}
    store_insertion(const store_insertion&) = delete;
    store_insertion& operator=(const store_insertion&) = delete;
    ~store_insertion() {
        if (made_ != no_entry) {
            store_.shards_[home_].discard(made_); // under no lock
        }
    }

    /// Each shard gives a victim in turn, the key's own first, until there is room.
    void run() {
        std::size_t barren = 0;
        for (auto donor = home_; !put(donor == home_);) {
            if (weight_ > store_.budget_.max_weight()) { // of late
                return give_up();
            }
            barren = std::exchange(evicted_, false) ? 0 : barren + 1;
            if (barren > store_.shard_count_) {
                if (store_.all_pinned()) {
                    return give_up();
                }
                // Others hold claims, and may be waiting for this one.
                claim_.drop();
                std::this_thread::yield();
                barren = 0;
            }
            donor = (donor + 1) % store_.shard_count_;
            if (donor != home_) {
                writing at(store_, donor, result_);
                evict(at.home);
            }
        }
    }

private:
    /// False if there is no room, after an eviction if `evicts`.
    [[nodiscard]] bool put(bool evicts) {
        writing at(store_, home_, result_);
        at.expire();
        if (made_ == no_entry) {
            made_ = make(at.home);
        }
        const auto old = at.home.find(at.home[made_].key, hash_).id;
        if (old != no_entry) {
            return put_for(old, at.home, evicts);
        }
        at.home.make_room();
        if (!claim_.cover(1, weight_) && !(evicts && evict(at.home) && claim_.cover(1, weight_))) {
            return false;
        }
        claim_.use(weight_);
        at.home.insert(std::exchange(made_, no_entry), hash_);
        return true;
    }

    [[nodiscard]] bool put_for(entry_id old, shard& home, bool evicts) noexcept {
        const auto before = home.weight_of(old);
        const auto more = weight_ - std::min(weight_, before);
        if (!claim_.cover(0, more)) {
            if (!evicts) {
                return false;
            }
            home.withhold(old);
            const bool evicted = evict(home);
            home.admit(old, hash_);
            if (!evicted || !claim_.cover(0, more)) {
                return false;
            }
        }
        claim_.add(before);
        claim_.use(weight_);
        home.replace(old, std::exchange(made_, no_entry), hash_,
                     Store::cause_of(home, old, removal_cause::replaced));
        result_.displaced_ = true;
        return true;
    }

    void give_up() {
        writing at(store_, home_, result_);
        const auto old = at.home.find(at.home[made_].key, hash_).id;
        result_.refused_ = std::exchange(made_, no_entry);
        result_.home_ = home_;
        store_.refused(result_, at.home, old, true);
    }

    bool evict(shard& from) noexcept {
        if (!from.can_evict()) {
            return false;
        }
        Store::evict(from, claim_);
        evicted_ = result_.displaced_ = true;
        claim_.yield();
        return true;
    }

    [[nodiscard]] entry_id make(shard& home) {
        const bool expires = fresh_.expires != time_point::max() || store_.settings_.idle;
        if (!expires) {
            return home.make(std::move(key_), std::move(fresh_), hash_, weight_, {});
        }
        const auto id =
            home.make(std::move(key_), std::move(fresh_), hash_, weight_, Store::clock_type::now());
        store_.times_out_.store(true, std::memory_order_relaxed);
        return id;
    }

    Store& store_;
    removed& result_;
    const std::uint64_t hash_;
    const std::size_t weight_;
    store_budget::claim claim_;
    const std::size_t home_;
    K& key_;
    entry<V>& fresh_;
    entry_id made_ = no_entry;
    bool evicted_ = false;
};

} // namespace acache::detail

#endif
