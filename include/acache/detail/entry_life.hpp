// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_ENTRY_LIFE_HPP
#define ACACHE_DETAIL_ENTRY_LIFE_HPP

#include <acache/clock.hpp>
#include <acache/detail/side_record.hpp>

#include <array>
#include <chrono>
#include <cstdint>

namespace acache::detail {

/// When an entry was created and when it expires, exactly, in eight bytes: as a rule the first instant in
/// milliseconds, and a length in milliseconds, seconds or minutes. That is what the default clock gives, for
/// lengths of whole milliseconds up to 70 minutes, of whole seconds up to 48 days and of whole minutes up to
/// eight years. Stamps that do not fit are in a side record.
///
/// Four of the bytes are kept elsewhere (`rest`), since a hit on an entry that never expires needs but these.
class entry_life {
public:
    using rest = std::uint32_t;

    entry_life() noexcept = default;

    /// Fills `r`. Throws `std::bad_alloc` where a side record is needed.
    entry_life(time_point created, time_point expires, rest& r) {
        auto all = encode(created, expires);
        if (all == beside) {
            all |= reinterpret_cast<std::uintptr_t>(new side_record{created, expires});
        }
        life_ = static_cast<std::uint32_t>(all >> 32);
        r = static_cast<std::uint32_t>(all);
    }

    [[nodiscard]] time_point created(const rest& r) const noexcept {
        return has_record() ? record(r)->created : first(r);
    }

    /// Whether the entry never expires, which can be told without the rest.
    [[nodiscard]] bool lasts_for_ever() const noexcept { return life_ >> 29 == for_ever >> 61; }

    [[nodiscard]] time_point expires(const rest& r) const noexcept {
        if (lasts_for_ever()) {
            return time_point::max();
        }
        return has_record() ? record(r)->expires : first(r) + length();
    }

    /// Frees the side record, if there is one.
    void end(const rest& r) const noexcept {
        if (has_record()) {
            delete record(r);
        }
    }

private:
    using milliseconds = std::chrono::milliseconds;
    using word = std::uint64_t;

    // From above: two bits for the unit of the length, 22 for the length, 40 for the instant. The fourth unit
    // stands, with the next bit, for an entry that never expires, and without it for a side record, whose
    // address is the rest.
    static constexpr int length_at = 40;
    static constexpr word instants = word{1} << length_at;
    static constexpr word lengths = word{1} << 22;
    static constexpr word for_ever = word{7} << 61;
    static constexpr word beside = word{6} << 61;
    static constexpr std::array<std::int64_t, 3> units{1, 1'000, 60'000}; // in milliseconds

    [[nodiscard]] static word encode(time_point created, time_point expires) noexcept {
        const auto instant = std::chrono::duration_cast<milliseconds>(created.time_since_epoch());
        if (created != time_point{instant} || instant.count() < 0 ||
            static_cast<word>(instant.count()) >= instants) {
            return beside;
        }
        const auto first = static_cast<word>(instant.count());
        if (expires == time_point::max()) {
            return for_ever | first;
        }
        const auto length = std::chrono::duration_cast<milliseconds>(expires - time_point{});
        if (expires < created || expires != time_point{length}) {
            return beside;
        }
        const auto whole = static_cast<word>((length - instant).count());
        for (word unit = 0; unit != units.size(); ++unit) {
            const auto each = static_cast<word>(units[unit]);
            if (whole % each == 0 && whole / each < lengths) {
                return unit << 62 | whole / each << length_at | first;
            }
        }
        return beside;
    }

    [[nodiscard]] word whole(rest r) const noexcept { return word{life_} << 32 | r; }
    [[nodiscard]] bool has_record() const noexcept { return life_ >> 29 == beside >> 61; }
    [[nodiscard]] side_record* record(rest r) const noexcept {
        return reinterpret_cast<side_record*>(static_cast<std::uintptr_t>(whole(r) & ~for_ever));
    }
    [[nodiscard]] time_point first(rest r) const noexcept {
        return time_point{milliseconds{static_cast<std::int64_t>(whole(r) % instants)}};
    }
    [[nodiscard]] milliseconds length() const noexcept {
        return milliseconds{static_cast<std::int64_t>((life_ >> (length_at - 32)) % lengths) *
                            units[life_ >> 30]};
    }

    std::uint32_t life_ = static_cast<std::uint32_t>(for_ever >> 32);
};

} // namespace acache::detail

#endif
