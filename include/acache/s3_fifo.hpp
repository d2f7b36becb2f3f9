// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_S3_FIFO_HPP
#define ACACHE_S3_FIFO_HPP

#include <acache/detail/ghost_set.hpp>
#include <acache/detail/intrusive_list.hpp>

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
    class hook : detail::list_hook {
        friend class s3_fifo;
        std::uint32_t hash_ = 0;
        std::atomic<std::uint8_t> reads_{0};
        bool in_main_ = false;
    };

    static constexpr bool concurrent_hits = true;

    [[nodiscard]] bool empty() const noexcept { return small_.empty() && main_.empty(); }

    void insert(hook& entry, std::uint64_t hash) noexcept {
        entry.hash_ = static_cast<std::uint32_t>(hash >> 32);
        entry.in_main_ = ghosts_.take(hash);
        queue_of(entry).push_front(entry);
    }

    void hit(hook& entry) noexcept {
        // Two hits at once may count as one: cheaper than a read-modify-write, and near enough.
        const auto reads = entry.reads_.load(std::memory_order_relaxed);
        if (reads < most_reads) {
            entry.reads_.store(static_cast<std::uint8_t>(reads + 1), std::memory_order_relaxed);
        }
    }

    void replace(hook& old, hook& fresh) noexcept {
        fresh.hash_ = old.hash_;
        fresh.in_main_ = old.in_main_;
        fresh.reads_.store(old.reads_.load(std::memory_order_relaxed), std::memory_order_relaxed);
        queue_of(old).replace(old, fresh);
    }

    void remove(hook& entry) noexcept { queue_of(entry).erase(entry); }

    [[nodiscard]] hook& evict() noexcept {
        const auto held = small_.size() + main_.size();
        const auto small_share = std::max<std::size_t>(held / 10, 1);
        for (;;) {
            if (main_.empty() || small_.size() >= small_share) {
                auto& oldest = static_cast<hook&>(small_.back());
                small_.erase(oldest);
                if (oldest.reads_.load(std::memory_order_relaxed) < 2) {
                    ghosts_.insert(std::uint64_t{oldest.hash_} << 32, held - held / 10);
                    return oldest;
                }
                oldest.reads_.store(0, std::memory_order_relaxed);
                oldest.in_main_ = true;
                main_.push_front(oldest);
            } else {
                auto& oldest = static_cast<hook&>(main_.back());
                const auto reads = oldest.reads_.load(std::memory_order_relaxed);
                if (reads == 0) {
                    main_.erase(oldest);
                    return oldest;
                }
                oldest.reads_.store(static_cast<std::uint8_t>(reads - 1), std::memory_order_relaxed);
                main_.move_to_front(oldest);
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

    detail::intrusive_list& queue_of(const hook& entry) noexcept { return entry.in_main_ ? main_ : small_; }

    detail::intrusive_list small_;
    detail::intrusive_list main_;
    detail::ghost_set ghosts_;
};

} // namespace acache

#endif
