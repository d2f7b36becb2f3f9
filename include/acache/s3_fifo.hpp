// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_S3_FIFO_HPP
#define ACACHE_S3_FIFO_HPP

#include <acache/detail/ghost_set.hpp>
#include <acache/detail/two_queues.hpp>
#include <acache/eviction_policy.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace acache {

/// S3-FIFO (Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are all you need for cache eviction", SOSP
/// 2023). New entries stand in a small queue, a tenth of the whole, from which those read at least twice
/// move on to the main queue and the others leave, remembered as ghosts. A ghost that comes back
/// enters the main queue at once. The main queue gives each entry another round for each of its reads,
/// three at most. A hit moves nothing: it raises a counter of two bits.
class s3_fifo : public detail::two_queues {
public:
    template <class Hooks>
    void insert(Hooks& hooks, entry_id id, std::uint64_t hash) noexcept {
        auto& entry = hooks[id];
        entry.tag = detail::ghost_tag(hash) & detail::ghost_tag_mask;
        entry.in_main = ghosts_.take(entry.tag).has_value();
        entry.reads.store(0, std::memory_order_relaxed);
        queue_of(entry).push_front(hooks, id);
    }

    template <class Hooks>
    [[nodiscard]] entry_id evict(Hooks& hooks) noexcept {
        const auto all = held();
        const auto small_share = std::max<std::size_t>(all / 10, 1);
        // Readers that are faster than the hand could keep it turning: no more turns than reads can pay for.
        for (auto turns = (most_reads + 1) * all;; turns -= std::min<std::size_t>(turns, 1)) {
            const bool from_small = main_.empty() || small_.size() >= small_share;
            const auto id = from_small ? small_.back() : main_.back();
            auto& oldest = hooks[id];
            const auto reads = oldest.reads.load(std::memory_order_relaxed);
            if (from_small) {
                small_.erase(hooks, id);
                if (reads < 2) {
                    remember(oldest, all - all / 10);
                    return id;
                }
                oldest.reads.store(0, std::memory_order_relaxed);
                oldest.in_main = true;
                main_.push_front(hooks, id);
            } else if (reads == 0 || turns == 0) {
                main_.erase(hooks, id);
                return id;
            } else {
                oldest.reads.store(static_cast<std::uint8_t>(reads - 1), std::memory_order_relaxed);
                main_.move_to_front(hooks, id);
            }
        }
    }

    void clear() noexcept {
        small_.clear();
        main_.clear();
        ghosts_.clear();
    }

private:
    void remember(const hook& entry, std::size_t capacity) noexcept { ghosts_.insert(entry.tag, capacity); }

    detail::ghost_set<> ghosts_;
};

} // namespace acache

#endif
