// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_ENTRY_LIFE_HPP
#define ACACHE_DETAIL_ENTRY_LIFE_HPP

#include <acache/clock.hpp>
#include <acache/detail/side_record.hpp>

#include <array>
#include <chrono>
#include <cstdint>

namespace acache::detail {

/// When an entry was created and how long it lives, exactly, in twelve bytes: the first instant, kept
/// elsewhere since few hits ask for it, and the length, here: in the finest of four units that it is a whole
/// number of and fits. Stamps that do not fit are in a side record.
class entry_life {
public:
    /// What is kept elsewhere: the instant of creation, or the side record that has it.
    union origin {
        time_point::rep created;
        side_record* record;
    };

    entry_life() noexcept = default;

    /// Fills `o`. Throws `std::bad_alloc` where a side record is needed.
    entry_life(time_point created, time_point expires, origin& o) : life_(encode(created, expires)) {
        if (life_ == beside) {
            o.record = new side_record{created, expires};
        } else {
            o.created = created.time_since_epoch().count();
        }
    }

    [[nodiscard]] time_point created(const origin& o) const noexcept {
        return life_ != beside ? first(o) : o.record->created;
    }

    [[nodiscard]] time_point expires(const origin& o) const noexcept {
        if (life_ == for_ever) [[likely]] {
            return time_point::max();
        }
        return life_ != beside ? first(o) + length() : o.record->expires;
    }

    /// Frees the side record, if there is one.
    void end(origin& o) const noexcept {
        if (life_ == beside) {
            delete o.record;
        }
    }

private:
    using nanoseconds = std::chrono::nanoseconds;

    // Two bits choose the unit, thirty count: up to a second exact to the nanosecond, up to 34 years in
    // seconds.
    static constexpr std::uint32_t most = (std::uint32_t{1} << 30) - 8;
    static constexpr std::uint32_t for_ever = UINT32_MAX;
    static constexpr std::uint32_t beside = UINT32_MAX - 1;
    static constexpr std::array<std::int64_t, 4> units{1, 1'000, 1'000'000, 1'000'000'000};

    [[nodiscard]] static std::uint32_t encode(time_point created, time_point expires) noexcept {
        if (expires == time_point::max()) {
            return for_ever;
        }
        if (created > expires || saturating_add(created, nanoseconds::max()) < expires) {
            return beside;
        }
        auto count = (expires - created).count();
        for (std::uint32_t unit = 0; unit != units.size(); ++unit) {
            if (count <= most) {
                return unit << 30 | static_cast<std::uint32_t>(count);
            }
            if (count % 1000 != 0) {
                break;
            }
            count /= 1000;
        }
        return beside;
    }

    [[nodiscard]] nanoseconds length() const noexcept {
        return nanoseconds{(life_ & ~(std::uint32_t{3} << 30)) * units[life_ >> 30]};
    }
    [[nodiscard]] static time_point first(const origin& o) noexcept {
        return time_point{nanoseconds{o.created}};
    }

    std::uint32_t life_ = for_ever;
};

} // namespace acache::detail

#endif
