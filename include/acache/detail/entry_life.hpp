// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_ENTRY_LIFE_HPP
#define ACACHE_DETAIL_ENTRY_LIFE_HPP

#include <acache/clock.hpp>
#include <acache/detail/side_record.hpp>
#include <acache/detail/standing.hpp>
#include <acache/entry.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <utility>

namespace acache::detail {

/// The stamps and the details of an entry, exactly, in eight bytes: as a rule the end of its freshness in
/// milliseconds, and the length of it in milliseconds, seconds or minutes; it expires as long after that as
/// all entries of its store do (`retention`). That is what the default clock gives, for lengths of whole
/// milliseconds up to 70 minutes, of whole seconds up to 48 days and of whole minutes up to eight years, as
/// long as freshness ends within 34 years of the clock's beginning. Entries that do not fit, and those that
/// have details, have a side record.
///
/// Four of the bytes are kept elsewhere (`rest`): a hit needs but these, except where freshness ends within
/// the same quarter of a second.
class entry_life {
public:
    using rest = std::uint32_t;

    entry_life() noexcept = default;

    /// Fills `r`. Throws `std::bad_alloc` where a side record is needed.
    entry_life(const entry_stamps& stamps, entry_details_ptr details, std::chrono::nanoseconds retention,
               rest& r) {
        const bool plain =
            details == nullptr && stamps.expires == saturating_add(stamps.fresh_until, retention);
        auto all = plain ? encode(stamps.created, stamps.fresh_until) : beside;
        if (all == beside) {
            all |= reinterpret_cast<std::uintptr_t>(new side_record{stamps, std::move(details)}) >> 4;
        }
        life_ = static_cast<std::uint32_t>(all >> 32);
        r = static_cast<std::uint32_t>(all);
    }

    /// Whether the entry is fresh. Calls `now` at most once, and not for one that is so for ever.
    template <class Now>
    [[nodiscard]] bool fresh(const rest& r, Now now) const noexcept {
        if (lasts_for_ever()) {
            return true;
        }
        const time_point at = now();
        return (life_ < beside >> 32 && at < last_moments()) || fresh_exactly(r, at);
    }

    [[nodiscard]] time_point created(const rest& r) const noexcept {
        if (lasts_for_ever()) {
            return time_point{milliseconds{static_cast<std::int64_t>(whole(r) % infixes)}};
        }
        return has_record() ? record(r)->stamps.created : end_of_freshness(r) - length(r);
    }

    [[nodiscard]] time_point fresh_until(const rest& r) const noexcept {
        if (lasts_for_ever()) {
            return time_point::max();
        }
        return has_record() ? record(r)->stamps.fresh_until : end_of_freshness(r);
    }

    [[nodiscard]] time_point expires(const rest& r, std::chrono::nanoseconds retention) const noexcept {
        if (lasts_for_ever()) {
            return time_point::max();
        }
        return has_record() ? record(r)->stamps.expires : saturating_add(end_of_freshness(r), retention);
    }

    [[nodiscard]] const entry_details* details(const rest& r) const noexcept {
        return has_record() ? record(r)->details.get() : nullptr;
    }

    /// Whether the entry neither becomes stale nor expires, and has no record: told without the rest.
    [[nodiscard]] bool lasts_for_ever() const noexcept { return life_ >= for_ever >> 32; }

    /// Frees the side record, if there is one.
    void end(const rest& r) const noexcept {
        if (has_record()) {
            delete record(r);
        }
    }

private:
    using milliseconds = std::chrono::milliseconds;
    using word = std::uint64_t;

    // From above: 32 bits for the end of freshness in units of 256 ms; then, for the rest, two bits for the
    // unit of the length, 22 for the length, and eight for the milliseconds of that end. The last values of
    // the first eight bits stand for an entry that is fresh for ever, of which the others say when it was
    // created, and for a side record, of which they have the address.
    static constexpr milliseconds fineness{256};
    static constexpr int infix_bits = 56;
    static constexpr word infixes = word{1} << infix_bits;
    static constexpr word for_ever = word{0xff} << infix_bits;
    static constexpr word beside = word{0xfe} << infix_bits;
    static constexpr int length_at = 8;
    static constexpr int unit_at = 30;
    static constexpr word lengths = word{1} << (unit_at - length_at);
    static constexpr std::array<std::int64_t, 3> units{1, 1'000, 60'000}; // in milliseconds

    [[nodiscard]] static bool is_whole(time_point at) noexcept {
        return at.time_since_epoch() % milliseconds{1} == at.time_since_epoch().zero();
    }
    [[nodiscard]] static std::int64_t in_milliseconds(time_point at) noexcept {
        return std::chrono::duration_cast<milliseconds>(at.time_since_epoch()).count();
    }

    [[nodiscard]] static word encode(time_point created, time_point fresh_until) noexcept {
        const auto first = in_milliseconds(created);
        if (fresh_until == time_point::max()) {
            return is_whole(created) && first >= 0 ? for_ever | static_cast<word>(first) : beside;
        }
        const auto last = in_milliseconds(fresh_until);
        if (!is_whole(created) || !is_whole(fresh_until) || last < 0 || last < first) {
            return beside;
        }
        const auto parts = static_cast<word>(last);
        const auto high = parts / 256 << 32;
        if (parts / 256 >= beside >> 32) {
            return beside;
        }
        const auto whole = static_cast<word>(last - first);
        for (word unit = 0; unit != units.size(); ++unit) {
            const auto each = static_cast<word>(units[unit]);
            if (whole % each == 0 && whole / each < lengths) {
                return high | unit << unit_at | whole / each << length_at | parts % 256;
            }
        }
        return beside;
    }

    /// The beginning of the 256 ms within which freshness ends.
    [[nodiscard]] time_point last_moments() const noexcept {
        return time_point{std::int64_t{life_} * std::chrono::nanoseconds(fineness)};
    }

    /// For those with a record, in the last moments and later.
    [[nodiscard, gnu::noinline]] bool fresh_exactly(rest r, time_point now) const noexcept {
        if (!has_record()) {
            return now < last_moments() + fineness && now < end_of_freshness(r);
        }
        const side_record& all = *record(r);
        return judge(all.stamps, all.details.get(), now, {}) == standing::fresh;
    }

    [[nodiscard]] word whole(rest r) const noexcept { return word{life_} << 32 | r; }
    [[nodiscard]] bool has_record() const noexcept { return life_ >> 24 == beside >> infix_bits; }
    [[nodiscard]] side_record* record(rest r) const noexcept {
        return reinterpret_cast<side_record*>(static_cast<std::uintptr_t>(whole(r) % infixes << 4));
    }
    [[nodiscard]] time_point end_of_freshness(rest r) const noexcept {
        return time_point{milliseconds{std::int64_t{life_} * 256 + r % 256}};
    }
    [[nodiscard]] static milliseconds length(rest r) noexcept {
        return milliseconds{static_cast<std::int64_t>((r >> length_at) % lengths) * units[r >> unit_at]};
    }

    std::uint32_t life_ = static_cast<std::uint32_t>(for_ever >> 32);
};

/// The stamps and details of an entry in a store, worked out when asked for: good as long as its value is.
class packed_stamps {
public:
    /// Whatever the entry's own time, it is dead from `idle_end` on.
    packed_stamps(const entry_life& life, const entry_life::rest& rest, std::chrono::nanoseconds retention,
                  time_point idle_end) noexcept
        : life_(life), rest_(rest), retention_(retention), idle_end_(idle_end) {}

    /// Whether the entry is fresh and none of its tags was invalidated. Calls `now` if need be.
    template <class Now>
    [[nodiscard]] bool fresh(Now now) const noexcept {
        if (idle_end_ == time_point::max()) [[likely]] {
            return life_.fresh(rest_, now);
        }
        const time_point at = now();
        return at < idle_end_ && life_.fresh(rest_, [at] { return at; });
    }

    [[nodiscard]] time_point created() const noexcept { return life_.created(rest_); }
    [[nodiscard]] time_point fresh_until() const noexcept {
        return std::min(life_.fresh_until(rest_), idle_end_);
    }
    [[nodiscard]] time_point expires() const noexcept {
        return std::min(life_.expires(rest_, retention_), idle_end_);
    }
    /// Null for plain entries.
    [[nodiscard]] const entry_details* details() const noexcept { return life_.details(rest_); }
    [[nodiscard]] entry_stamps all() const noexcept { return {created(), fresh_until(), expires()}; }

private:
    const entry_life& life_;
    const entry_life::rest& rest_;
    const std::chrono::nanoseconds retention_;
    const time_point idle_end_;
};

} // namespace acache::detail

#endif
