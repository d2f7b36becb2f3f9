// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_S3_FIFO_HPP
#define ACACHE_S3_FIFO_HPP

#include <acache/detail/ghost_set.hpp>
#include <acache/detail/index_list.hpp>
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
class s3_fifo {
public:
    class hook : public detail::index_links {
        friend class s3_fifo;
        std::uint32_t tag_ : detail::ghost_tag_bits = 0;
        std::uint32_t in_main_ : 1 = 0;
        std::atomic<std::uint8_t> reads_{0};
    };
    static_assert(sizeof(hook) == 12);

    static constexpr bool concurrent_hits = true;

    [[nodiscard]] bool empty() const noexcept { return small_.empty() && main_.empty(); }

    template <class Hooks>
    void insert(Hooks& hooks, entry_id id, std::uint64_t hash) noexcept {
        auto& entry = hooks[id];
        entry.tag_ = detail::ghost_tag(hash) & detail::ghost_tag_mask;
        entry.in_main_ = ghosts_.take(entry.tag_).has_value();
        entry.reads_.store(0, std::memory_order_relaxed);
        queue_of(entry).push_front(hooks, id);
    }

    template <class Hooks>
    void hit(Hooks& hooks, entry_id id) noexcept {
        // Two hits at once may count as one: cheaper than a read-modify-write, and near enough.
        auto& entry = hooks[id];
        const auto reads = entry.reads_.load(std::memory_order_relaxed);
        if (reads < most_reads) {
            entry.reads_.store(static_cast<std::uint8_t>(reads + 1), std::memory_order_relaxed);
        }
    }

    template <class Hooks>
    void replace(Hooks& hooks, entry_id old, entry_id fresh) noexcept {
        auto& from = hooks[old];
        auto& to = hooks[fresh];
        to.tag_ = from.tag_;
        to.in_main_ = from.in_main_;
        to.reads_.store(from.reads_.load(std::memory_order_relaxed), std::memory_order_relaxed);
        queue_of(from).replace(hooks, old, fresh);
    }

    template <class Hooks>
    void remove(Hooks& hooks, entry_id id) noexcept {
        queue_of(hooks[id]).erase(hooks, id);
    }

    template <class Hooks>
    [[nodiscard]] entry_id evict(Hooks& hooks) noexcept {
        const auto held = small_.size() + main_.size();
        const auto small_share = std::max<std::size_t>(held / 10, 1);
        // Readers that are faster than the hand could keep it turning: no more turns than reads can pay for.
        for (auto turns = (most_reads + 1) * held;; turns -= std::min<std::size_t>(turns, 1)) {
            const bool from_small = main_.empty() || small_.size() >= small_share;
            const auto id = from_small ? small_.back() : main_.back();
            auto& oldest = hooks[id];
            const auto reads = oldest.reads_.load(std::memory_order_relaxed);
            if (from_small) {
                small_.erase(hooks, id);
                if (reads < 2) {
                    remember(oldest, held - held / 10);
                    return id;
                }
                oldest.reads_.store(0, std::memory_order_relaxed);
                oldest.in_main_ = true;
                main_.push_front(hooks, id);
            } else if (reads == 0 || turns == 0) {
                main_.erase(hooks, id);
                return id;
            } else {
                oldest.reads_.store(static_cast<std::uint8_t>(reads - 1), std::memory_order_relaxed);
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
    static constexpr std::uint8_t most_reads = 3;

    detail::index_list& queue_of(const hook& entry) noexcept { return entry.in_main_ ? main_ : small_; }
    void remember(const hook& entry, std::size_t capacity) noexcept { ghosts_.insert(entry.tag_, capacity); }

    detail::index_list small_;
    detail::index_list main_;
    detail::ghost_set<> ghosts_;
};

} // namespace acache

#endif
