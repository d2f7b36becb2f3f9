// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TURNSTILE_HPP
#define ACACHE_TURNSTILE_HPP

#include <acache/detail/ghost_set.hpp>
#include <acache/detail/index_list.hpp>
#include <acache/eviction_policy.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace acache {

class turnstile {
public:
    class hook : public detail::index_links {
        friend class turnstile;
        std::uint32_t tag_ : detail::ghost_tag_bits = 0;
        std::uint32_t in_main_ : 1 = 0;
        std::atomic<std::uint8_t> reads_{0};
    };
    static_assert(sizeof(hook) == 12);

    static constexpr bool concurrent_hits = true;

    [[nodiscard]] bool empty() const noexcept { return held() == 0; }

    template <class Hooks>
    void insert(Hooks& hooks, entry_id id, std::uint64_t hash) noexcept {
        auto& entry = hooks[id];
        entry.tag_ = detail::ghost_tag(hash) & detail::ghost_tag_mask;
        entry.reads_.store(0, std::memory_order_relaxed);
        entry.in_main_ = returns_in_time(entry.tag_);
        queue_of(entry).push_front(hooks, id);
    }

    template <class Hooks>
    void hit(Hooks& hooks, entry_id id) noexcept {
        // Two hits at once may count as one: cheaper than a read-modify-write, and near enough.
        auto& reads = hooks[id].reads_;
        const auto count = reads.load(std::memory_order_relaxed);
        if (count < most_reads) {
            reads.store(static_cast<std::uint8_t>(count + 1), std::memory_order_relaxed);
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
        const auto share = small_share();
        for (;;) {
            const auto id =
                small_.size() >= share || main_.empty() ? turn_small(hooks, share) : turn_main(hooks);
            if (id != no_entry) {
                return id;
            }
        }
    }

    void clear() noexcept { *this = {}; }

private:
    static constexpr std::uint8_t most_reads = 3;

    std::size_t held() const noexcept { return small_.size() + main_.size(); }
    detail::index_list& queue_of(const hook& entry) noexcept { return entry.in_main_ ? main_ : small_; }

    std::size_t small_share() noexcept {
        const auto all = held();
        if (share_ == 0) {
            share_ = all / 16;
        }
        return share_ = std::clamp<std::size_t>(share_, std::max<std::size_t>(all / 64, 1),
                                                std::max<std::size_t>(all - all / 8, 1));
    }

    bool returns_in_time(std::uint32_t tag) noexcept {
        if (victims_.take(tag)) {
            share_ -= share_ > 1 ? 1 : 0;
        }
        const auto age = ghosts_.take(tag);
        if (!age) {
            return false;
        }
        if (*age == 0) {
            ++share_;
        }
        const auto periods = *age + small_.size() / ghosts_.period();
        const auto then = hand_at_[(period_ - std::min(periods, hand_at_.size() - 1)) % hand_at_.size()];
        return hand_ - then <= main_.size();
    }

    void remember(std::uint32_t tag) noexcept {
        const auto all = held() + 1;
        ghosts_.insert(tag, all + all / 2);
        if (++in_period_ >= ghosts_.period()) {
            in_period_ = 0;
            ++period_;
        }
        hand_at_[period_ % hand_at_.size()] = hand_;
    }

    template <class Hooks>
    entry_id turn_small(Hooks& hooks, std::size_t share) noexcept {
        const auto id = small_.back();
        auto& entry = hooks[id];
        const bool read = entry.reads_.load(std::memory_order_relaxed) != 0;
        const bool surplus = small_.size() > share;
        small_.erase(hooks, id);
        if (!read && !surplus) {
            remember(entry.tag_);
            return id;
        }
        entry.reads_.store(0, std::memory_order_relaxed);
        entry.in_main_ = surplus;
        queue_of(entry).push_front(hooks, id);
        return no_entry;
    }

    template <class Hooks>
    entry_id turn_main(Hooks& hooks) noexcept {
        const auto id = main_.back();
        auto& entry = hooks[id];
        const auto reads = entry.reads_.load(std::memory_order_relaxed);
        ++hand_;
        main_.erase(hooks, id);
        if (reads == 0) {
            victims_.insert(entry.tag_, ghosts_.period());
            return id;
        }
        entry.reads_.store(static_cast<std::uint8_t>(reads - 1), std::memory_order_relaxed);
        main_.push_front(hooks, id);
        return no_entry;
    }

    detail::index_list small_;
    detail::index_list main_;
    detail::ghost_set<32> ghosts_;
    detail::ghost_set<1> victims_;
    std::size_t share_ = 0;
    std::uint32_t hand_ = 0;
    std::uint32_t period_ = 0;
    std::size_t in_period_ = 0;
    std::array<std::uint32_t, 64> hand_at_{};
};

} // namespace acache

#endif
