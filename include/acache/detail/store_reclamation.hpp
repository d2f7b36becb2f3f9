// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_STORE_RECLAMATION_HPP
#define ACACHE_DETAIL_STORE_RECLAMATION_HPP

#include <acache/detail/read_section.hpp>
#include <acache/detail/retired_list.hpp>
#include <acache/detail/shard_count.hpp>
#include <acache/eviction_policy.hpp>
#include <acache/metrics.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <type_traits>
#include <utility>

namespace acache::detail {

/// How a store frees what it removes, in three steps. A write unlinks entries under the lock of their shard.
/// What it returns tells the listener of them, when the caller holds no lock any more. And when all read
/// sections that may have found them are over they are destroyed, outside the locks, and their ids used anew:
/// at once where no other thread reads at all, else many at a time, since finding out is dear (`settle`).
template <class K, class V, class Shard>
class store_reclamation {
    template <class, class, class, class, class, class>
    friend class memory_store;
    template <class>
    friend class store_insertion;
    using shard_set = std::uint64_t; // a bit each
    static_assert(most_shards <= 64);

public:
    using listener = std::function<void(const K&, const V&, removal_cause)>;

    /// Nothing is left to do outside the locks for an entry that nobody reads.
    static constexpr bool trivial =
        std::is_trivially_destructible_v<K> && std::is_trivially_destructible_v<V>;

    /// What is left to do of a write when the locks of its caller are released.
    class removed {
    public:
        removed(removed&& other) noexcept
            : how_(other.how_), shards_(std::exchange(other.shards_, 0)), displaced_(other.displaced_),
              refused_(std::exchange(other.refused_, no_entry)), home_(other.home_) {}
        removed& operator=(removed&&) = delete;
        ~removed() {
            if (refused_ != no_entry) {
                how_.shards_[home_].discard(refused_);
            }
            if (shards_ != 0) {
                how_.settle(shards_);
            }
        }

        [[nodiscard]] explicit operator bool() const noexcept { return displaced_; }

    private:
        friend store_reclamation;
        template <class, class, class, class, class, class>
        friend class memory_store;
        template <class>
        friend class store_insertion;
        explicit removed(store_reclamation& how) noexcept : how_(how) {}

        store_reclamation& how_;
        shard_set shards_ = 0;
        bool displaced_ = false;
        entry_id refused_ = no_entry; // was never published
        std::size_t home_ = 0;        // the shard of that one
    };

    store_reclamation(Shard* shards, std::size_t count) noexcept : shards_(shards), shard_count_(count) {}
    store_reclamation(const store_reclamation&) = delete;
    store_reclamation& operator=(const store_reclamation&) = delete;

    void tell(listener f) {
        if (!listener_) {
            listener_ = std::move(f);
            return;
        }
        listener_ = [first = std::move(listener_), second = std::move(f)](const K& key, const V& value,
                                                                          removal_cause cause) {
            first(key, value, cause);
            second(key, value, cause);
        };
    }
    [[nodiscard]] bool tells() const noexcept { return static_cast<bool>(listener_); }

    /// What was unlinked in a shard that is locked is left for `result` to settle, unless it could be freed
    /// on the spot.
    void leave(std::size_t index, removed& result) noexcept {
        if (!shards_[index].pending().empty() && !settled(shards_[index])) {
            result.shards_ |= shard_set{1} << index;
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

private:
    /// Whether what was unlinked in a shard needs no more to be done outside its lock.
    [[nodiscard]] bool settled(Shard& home) noexcept {
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

    [[nodiscard]] static bool crowded(Shard& home) noexcept {
        return home.limbo().count() >= std::max(batch(home), home.patience);
    }

    /// How many unlinked nodes may wait in a shard: the look for readers is dear, and so is what waits.
    [[nodiscard]] static std::size_t batch(const Shard& home) noexcept {
        const auto all = home.size() + home.cleared().count();
        return trivial ? std::clamp<std::size_t>(all / 16, 8, 1024)
                       : std::clamp<std::size_t>(all / 64, 1, 128);
    }

    /// Tells of what is pending in these shards, and sees to it that it is freed. Called under no lock.
    void settle(shard_set which) noexcept {
        bool many = false;
        for (; which != 0; which &= which - 1) {
            Shard& home = shards_[static_cast<std::size_t>(std::countr_zero(which))];
            auto gone = [&] {
                const std::scoped_lock lock(home.mutex());
                return std::move(home.pending());
            }();
            if (listener_) {
                gone.for_each(home.links(), [&](entry_id id, removal_cause cause) {
                    const auto& node = home[id];
                    listener_(node.key, node.value, cause);
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

    Shard* const shards_;
    const std::size_t shard_count_;
    listener listener_;
};

} // namespace acache::detail

#endif
