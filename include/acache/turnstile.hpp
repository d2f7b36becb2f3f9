// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TURNSTILE_HPP
#define ACACHE_TURNSTILE_HPP

#include <acache/detail/ghost_set.hpp>
#include <acache/detail/two_queues.hpp>
#include <acache/eviction_policy.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace acache {

/// The default policy: two clocks, and between them a gate that opens to what comes back soon enough. It
/// suits itself to recency, to frequency, to scans and to loops, and a hit moves nothing: it raises a
/// counter of two bits in its own entry.
///
/// - New entries stand in the small queue. It is a clock (Corbató, "A paging experiment with the Multics
///   system", 1968): of those whose turn it is, the ones read since their last turn take another, the
///   others leave and are remembered as ghosts. However often it is read there, an entry does not move on:
///   a burst of reads soon after the first says little about later ones.
/// - The main queue is a clock too, which gives an entry a turn for each of its reads, three at most, as in
///   S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023).
/// - A key that comes back enters the main queue if it was away for less than one turn of the main queue's
///   hand: if, put there when it was last new, it would be there still. This is how LIRS (Jiang and Zhang,
///   SIGMETRICS 2002) and CLOCK-Pro (Jiang, Chen and Zhang, USENIX ATC 2005) compare reuse distances with
///   that of the coldest hot block. Keys of a loop longer than the cache make the hand turn until they come
///   back too late, and the rest of them stays; for those of a scan nothing moves at all.
/// - How many entries the small queue holds is steered. A ghost that comes back soon after it left the small
///   queue would have stayed in a longer one: the share of the small queue grows. A victim of the main
///   queue that comes back soon makes it shrink. "Soon" is the same number of evictions for both, so the
///   share settles where an entry more is worth the same to either queue. The idea is that of ARC
///   (Megiddo and Modha, FAST 2003) and CAR (Bansal and Modha, FAST 2004), which count all ghosts.
/// - What the small queue holds beyond its share moves to the main queue, read or not. So the main queue
///   fills from the start, and takes what the small one must give up.
///
/// Ghosts cost a little more than three bytes an entry. What they measure blurs in shards of more than
/// 100,000 entries or so (see `detail::ghost_set`).
class turnstile : public detail::two_queues {
public:
    template <class Hooks>
    void insert(Hooks& hooks, entry_id id, std::uint64_t hash) noexcept {
        auto& entry = hooks[id];
        entry.tag = detail::ghost_tag(hash) & detail::ghost_tag_mask;
        entry.reads.store(0, std::memory_order_relaxed);
        entry.in_main = comes_back_in_time(entry.tag);
        queue_of(entry).push_front(hooks, id);
    }

    template <class Hooks>
    [[nodiscard]] entry_id evict(Hooks& hooks) noexcept {
        const auto size = small_size();
        // Readers that are faster than the hands could keep them turning: no more turns than reads can pay
        // for.
        for (auto turns = (most_reads + 1) * held();; turns -= std::min<std::size_t>(turns, 1)) {
            const bool from_small = small_.size() >= size || main_.empty();
            const auto id = from_small ? turn_small(hooks, size, turns != 0) : turn_main(hooks, turns != 0);
            if (id != no_entry) {
                return id;
            }
        }
    }

    void clear() noexcept { *this = {}; }

private:
    static constexpr std::size_t few = 32; // ghosts more, which only the smallest of stores notice, and need
    static constexpr double step = 2; // entries: more adapt sooner, and stray further around the best share

    /// How many entries the small queue is to hold. The share is a fraction, as stores change size.
    [[nodiscard]] std::size_t small_size() const noexcept {
        return std::max<std::size_t>(static_cast<std::size_t>(static_cast<double>(held()) * share_), 1);
    }

    /// Moves the share by so many entries.
    void steer(double entries) noexcept {
        share_ = std::clamp(share_ + entries / static_cast<double>(held() + 1), 1 / 64., 7 / 8.);
    }

    /// Whether a new entry is an old one that belongs in the main queue. Steers the share of the small one.
    bool comes_back_in_time(std::uint32_t tag) noexcept {
        if (victims_.take(tag)) {
            steer(-step);
        }
        const auto age = ghosts_.take(tag);
        if (!age) {
            return false;
        }
        if (*age == 0) {
            steer(step);
        }
        // Before it left it had gone through the small queue, whose length is that of time too.
        const auto periods = *age + small_.size() / ghosts_.period();
        const auto then = period_ - std::min(periods, hand_at_.size() - 1);
        // An eighth short of a turn: ages are blurred, and a loop just too long must not slip in and out.
        return hand_ - hand_at_[then % hand_at_.size()] <= main_.size() - main_.size() / 8;
    }

    void remember(const hook& entry) noexcept {
        const auto all = held() + 1;
        ghosts_.insert(entry.tag, all + all / 2 + few);
        if (++in_period_ >= ghosts_.period()) {
            in_period_ = 0;
            ++period_;
        }
        hand_at_[period_ % hand_at_.size()] = hand_;
    }

    /// The oldest entry of the small queue leaves, or takes another turn somewhere (`no_entry`).
    template <class Hooks>
    entry_id turn_small(Hooks& hooks, std::size_t size, bool may_stay) noexcept {
        const auto id = small_.back();
        auto& entry = hooks[id];
        const bool surplus = small_.size() > size;
        const bool read = entry.reads.load(std::memory_order_relaxed) != 0;
        small_.erase(hooks, id);
        if (!surplus && !(read && may_stay)) {
            remember(entry);
            return id;
        }
        entry.reads.store(0, std::memory_order_relaxed);
        entry.in_main = surplus;
        queue_of(entry).push_front(hooks, id);
        return no_entry;
    }

    /// The oldest entry of the main queue leaves, or takes another turn there (`no_entry`).
    template <class Hooks>
    entry_id turn_main(Hooks& hooks, bool may_stay) noexcept {
        const auto id = main_.back();
        auto& entry = hooks[id];
        const auto reads = entry.reads.load(std::memory_order_relaxed);
        ++hand_;
        main_.erase(hooks, id);
        if (reads == 0 || !may_stay) {
            victims_.insert(entry.tag, ghosts_.period());
            return id;
        }
        entry.reads.store(static_cast<std::uint8_t>(reads - 1), std::memory_order_relaxed);
        main_.push_front(hooks, id);
        return no_entry;
    }

    detail::ghost_set<32> ghosts_;            // of the small queue: half as many again as entries, and a few
    detail::ghost_set<1> victims_;            // of the main queue: as many as are ghosts of age 0
    double share_ = 1 / 16.;                  // of the small queue
    std::size_t in_period_ = 0;               // ghosts since the last period ended
    std::uint32_t period_ = 0;                // of as many ghosts as `ghosts_.period()`
    std::uint32_t hand_ = 0;                  // steps that the main queue's hand has taken
    std::array<std::uint32_t, 64> hand_at_{}; // the same at the end of each of the latest periods
};

} // namespace acache

#endif
