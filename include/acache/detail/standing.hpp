// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_STANDING_HPP
#define ACACHE_DETAIL_STANDING_HPP

#include <acache/clock.hpp>
#include <acache/entry.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace acache::detail {

/// How long after its freshness an entry may still be of use (RFC 5861). Counted both from the end of
/// freshness, independent of each other.
struct stale_windows {
    std::chrono::nanoseconds while_revalidate{0};
    std::chrono::nanoseconds if_error{0};
    /// For no reader, but for loaders that ask what has changed since.
    std::chrono::nanoseconds to_compare{0};

    /// Stale entries are served.
    [[nodiscard]] bool serve() const noexcept { return std::max(while_revalidate, if_error).count() > 0; }
    /// How long after its freshness an entry is to be kept.
    [[nodiscard]] std::chrono::nanoseconds longest() const noexcept {
        return std::max({while_revalidate, if_error, to_compare});
    }
};

/// What an entry is to a reader.
enum class standing : std::uint8_t {
    dead,       ///< as good as not there
    kept,       ///< of no use to this reader, but to a loader that asks what has changed since
    if_error,   ///< better than an error
    revalidate, ///< to be served at once, and renewed
    fresh
};

/// What a reader demands.
struct demand {
    stale_windows windows;
    /// No older than that, in whatever state.
    std::optional<std::chrono::nanoseconds> max_age = std::nullopt;
};

/// Whether what is so old is too old for a reader. With zero everything is, even of the same tick of the
/// clock.
[[nodiscard]] constexpr bool is_older(std::chrono::nanoseconds age,
                                      std::chrono::nanoseconds max_age) noexcept {
    return age > max_age || max_age.count() == 0;
}

[[nodiscard]] inline standing judge(const entry_stamps& stamps, const entry_details* details, time_point now,
                                    const demand& reader) noexcept {
    if (stamps.expires <= now || (details != nullptr && details->invalidated())) {
        return standing::dead;
    }
    if (reader.max_age && is_older(now - stamps.created, *reader.max_age)) {
        return standing::kept;
    }
    if (now < stamps.fresh_until) {
        return standing::fresh;
    }
    const auto stale_for = now - stamps.fresh_until;
    return stale_for < reader.windows.while_revalidate ? standing::revalidate
           : stale_for < reader.windows.if_error       ? standing::if_error
                                                       : standing::kept;
}

} // namespace acache::detail

#endif
