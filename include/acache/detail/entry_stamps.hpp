// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_ENTRY_STAMPS_HPP
#define ACACHE_DETAIL_ENTRY_STAMPS_HPP

#include <acache/clock.hpp>
#include <acache/detail/side_record.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

namespace acache::detail {

/// When an entry was created and when it expires, exactly, in twelve bytes: the first instant and the
/// length, in the finest of four units that it is a whole number of and fits. Stamps that do not fit are in
/// a side record.
class entry_stamps {
public:
    /// Throws `std::bad_alloc`, where a side record is needed.
    entry_stamps(time_point created, time_point expires) : life_(encode(created, expires)) {
        if (life_ == beside) {
            put(std::make_unique<side_record>(created, expires).release());
        } else {
            put(created.time_since_epoch().count());
        }
    }
    entry_stamps(const entry_stamps&) = delete;
    entry_stamps& operator=(const entry_stamps&) = delete;
    ~entry_stamps() {
        if (life_ == beside) {
            delete get<side_record*>();
        }
    }

    [[nodiscard]] bool has_record() const noexcept { return life_ == beside; }

    [[nodiscard]] time_point created() const noexcept {
        return life_ != beside ? first() : get<side_record*>()->created;
    }

    [[nodiscard]] time_point expires() const noexcept {
        if (life_ == for_ever) {
            return time_point::max();
        }
        return life_ != beside ? first() + length() : get<side_record*>()->expires;
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
    [[nodiscard]] time_point first() const noexcept { return time_point{nanoseconds{get<std::int64_t>()}}; }

    // Eight bytes without their alignment, which would cost four more.
    template <class T>
    [[nodiscard]] T get() const noexcept {
        T value;
        std::memcpy(&value, first_.data(), sizeof value);
        return value;
    }
    template <class T>
    void put(T value) noexcept {
        static_assert(sizeof value <= sizeof first_);
        std::memcpy(first_.data(), &value, sizeof value);
    }

    const std::uint32_t life_;
    std::array<std::uint32_t, 2> first_; // the instant, or where the side record is
};

static_assert(sizeof(entry_stamps) == 12);

} // namespace acache::detail

#endif
