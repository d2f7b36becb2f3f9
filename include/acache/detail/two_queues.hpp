// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_TWO_QUEUES_HPP
#define ACACHE_DETAIL_TWO_QUEUES_HPP

#include <acache/detail/ghost_set.hpp>
#include <acache/detail/index_list.hpp>
#include <acache/eviction_policy.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace acache::detail {

/// What such a policy keeps in an entry.
struct two_queues_hook : index_links {
    std::uint32_t tag : ghost_tag_bits = 0;
    std::uint32_t in_main : 1 = 0;
    std::atomic<std::uint8_t> reads{0};
};
static_assert(sizeof(two_queues_hook) == 12);

/// What policies with a small queue and a main one share: all but which of them a new entry enters, and who
/// leaves. A hit moves nothing: it raises a counter of two bits in the entry.
class two_queues {
public:
    using hook = two_queues_hook;

    static constexpr bool concurrent_hits = true;

    [[nodiscard]] bool empty() const noexcept { return held() == 0; }

    template <class Hooks>
    void hit(Hooks& hooks, entry_id id) noexcept {
        // Two hits at once may count as one: cheaper than a read-modify-write, and near enough.
        auto& reads = hooks[id].reads;
        const auto count = reads.load(std::memory_order_relaxed);
        if (count < most_reads) {
            reads.store(static_cast<std::uint8_t>(count + 1), std::memory_order_relaxed);
        }
    }

    template <class Hooks>
    void replace(Hooks& hooks, entry_id old, entry_id fresh) noexcept {
        const hook& from = hooks[old];
        hook& to = hooks[fresh];
        to.tag = from.tag;
        to.in_main = from.in_main;
        to.reads.store(from.reads.load(std::memory_order_relaxed), std::memory_order_relaxed);
        queue_of(from).replace(hooks, old, fresh);
    }

    template <class Hooks>
    void remove(Hooks& hooks, entry_id id) noexcept {
        queue_of(hooks[id]).erase(hooks, id);
    }

protected:
    static constexpr std::uint8_t most_reads = 3;

    [[nodiscard]] std::size_t held() const noexcept { return small_.size() + main_.size(); }
    index_list& queue_of(const hook& entry) noexcept { return entry.in_main ? main_ : small_; }

    index_list small_;
    index_list main_;
};

} // namespace acache::detail

#endif
