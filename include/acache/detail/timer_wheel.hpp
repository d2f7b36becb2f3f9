// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_TIMER_WHEEL_HPP
#define ACACHE_DETAIL_TIMER_WHEEL_HPP

#include <acache/clock.hpp>
#include <acache/eviction_policy.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace acache::detail {

/// The neighbours of an entry in its slot of a wheel. The bits of an entry that is in none are its owner's.
struct timer_links {
    entry_id next = no_entry;
    entry_id prev = no_entry;
};

/// Entries by the time at which they are due: a hierarchy of timing wheels (Varghese and Lauck, "Hashed
/// and hierarchical timing wheels", SOSP '87). Each has 64 slots, of which one spans a whole turn of the
/// wheel below. An entry stands on the wheel of the highest digit in which its time differs from the present,
/// and comes down as that digit passes: at most once a wheel, so O(1) amortised, whatever the lengths.
/// Bits say which slots are taken, so that time may leap without a look at the empty ones.
///
/// It knows ids; the links are in the entries, eight bytes each: `links[id]` is a `timer_links&`.
class timer_wheel {
public:
    /// How finely time is told: 2^23 ns, 8.4 ms. An entry comes up within so much after it is due.
    static constexpr std::chrono::nanoseconds tick{std::int64_t{1} << 23};

    explicit timer_wheel(time_point now) noexcept : now_(passed(now)) {
        for (auto& level : slots_) {
            level.fill(no_entry);
        }
    }

    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }

    /// Adds an entry that is on no wheel, to come up when `due` has passed, and not before the next tick.
    template <class Links>
    void insert(Links& links, entry_id id, time_point due) noexcept {
        // Rounded up, so that what comes up is due.
        const auto at = std::max(passed(due) + (is_whole(due) ? 0 : 1), now_ + 1);
        const auto level = static_cast<unsigned>(std::bit_width(at ^ now_) - 1) / digit;
        const auto slot = static_cast<unsigned>(at >> level * digit) % slots;
        push(links, id, level, slot);
        ++count_;
    }

    /// Whether the entry is on the wheel.
    [[nodiscard]] static bool holds(const timer_links& links) noexcept { return links.prev != no_entry; }

    template <class Links>
    void remove(Links& links, entry_id id) noexcept {
        timer_links& gone = links[id];
        if (gone.next != no_entry) {
            timer_links& next = links[gone.next];
            next.prev = gone.prev;
        }
        if (gone.prev < first_in) {
            timer_links& prev = links[gone.prev];
            prev.next = gone.next;
        } else {
            set_first((gone.prev - first_in) / slots, (gone.prev - first_in) % slots, gone.next);
        }
        gone = {};
        --count_;
    }

    /// Moves the present on, and takes out what is due, or may be: `f(id)` puts it back with `insert`, or
    /// disposes of it. An entry is given at most once.
    template <class Links, class F>
    void advance(Links& links, time_point now, F&& f) noexcept {
        const auto to = passed(now);
        if (to <= now_) {
            return;
        }
        entry_id taken = no_entry;
        for (unsigned level = 0; level != levels; ++level) {
            const auto from_slot = now_ >> level * digit;
            const auto to_slot = to >> level * digit;
            if (from_slot == to_slot) {
                break;
            }
            take(links, level, between(from_slot, to_slot) & taken_[level], taken);
        }
        now_ = to;
        while (taken != no_entry) {
            timer_links& due = links[taken];
            const auto id = std::exchange(taken, due.next);
            due = {};
            --count_;
            f(id);
        }
    }

    /// Forgets all entries without touching them.
    void clear() noexcept {
        for (unsigned level = 0; level != levels; ++level) {
            taken_[level] = 0;
            slots_[level].fill(no_entry);
        }
        count_ = 0;
    }

    /// Whether `advance` would do anything.
    [[nodiscard]] bool behind(time_point now) const noexcept { return count_ != 0 && passed(now) > now_; }

private:
    static constexpr unsigned digit = 6;
    static constexpr unsigned slots = 1U << digit;
    static constexpr unsigned levels = 7; // 42 bits of ticks: more than there are
    static constexpr entry_id first_in = entry_id{1} << 31;

    static constexpr std::uint64_t offset = std::uint64_t{1} << 63;
    [[nodiscard]] static std::uint64_t nanoseconds(time_point at) noexcept {
        return static_cast<std::uint64_t>(at.time_since_epoch().count()) + offset;
    }
    /// Ticks from the beginning of time to `at`.
    [[nodiscard]] static std::uint64_t passed(time_point at) noexcept {
        return nanoseconds(at) / static_cast<std::uint64_t>(tick.count());
    }
    [[nodiscard]] static bool is_whole(time_point at) noexcept {
        return nanoseconds(at) % static_cast<std::uint64_t>(tick.count()) == 0;
    }

    /// The slots that the hand enters on its way, as bits.
    [[nodiscard]] static std::uint64_t between(std::uint64_t from, std::uint64_t to) noexcept {
        if (to - from >= slots) {
            return ~std::uint64_t{0};
        }
        return std::rotl((std::uint64_t{1} << (to - from)) - 1, static_cast<int>((from + 1) % slots));
    }

    void set_first(unsigned level, unsigned slot, entry_id id) noexcept {
        slots_[level][slot] = id;
        const auto bit = std::uint64_t{1} << slot;
        taken_[level] = id != no_entry ? taken_[level] | bit : taken_[level] & ~bit;
    }

    template <class Links>
    void push(Links& links, entry_id id, unsigned level, unsigned slot) noexcept {
        timer_links& fresh = links[id];
        fresh.prev = first_in + level * slots + slot;
        fresh.next = slots_[level][slot];
        if (fresh.next != no_entry) {
            timer_links& next = links[fresh.next];
            next.prev = id;
        }
        set_first(level, slot, id);
    }

    /// Puts the entries of those slots before `list`.
    template <class Links>
    void take(Links& links, unsigned level, std::uint64_t which, entry_id& list) noexcept {
        for (; which != 0; which &= which - 1) {
            const auto slot = static_cast<unsigned>(std::countr_zero(which));
            const auto first = slots_[level][slot];
            auto last = first;
            for (timer_links* at = &links[last]; at->next != no_entry; at = &links[last]) {
                last = at->next;
            }
            timer_links& end = links[last];
            end.next = std::exchange(list, first);
            set_first(level, slot, no_entry);
        }
    }

    std::uint64_t now_;
    std::size_t count_ = 0;
    std::array<std::uint64_t, levels> taken_{}; // a bit for each slot that is not empty
    std::array<std::array<entry_id, slots>, levels> slots_;
};

} // namespace acache::detail

#endif
