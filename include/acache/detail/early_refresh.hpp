// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_EARLY_REFRESH_HPP
#define ACACHE_DETAIL_EARLY_REFRESH_HPP

#include <acache/clock.hpp>
#include <acache/detail/random.hpp>

#include <chrono>
#include <cmath>

namespace acache::detail {

/// Whether an entry is so near its end that `refresh_early` may say yes.
[[nodiscard]] inline bool near_end(time_point now, time_point fresh_until, std::chrono::nanoseconds load_time,
                                   double eagerness) noexcept {
    constexpr double furthest = 37; // ln(share) is never below ln(2^-53)
    return static_cast<double>((fresh_until - now).count()) <
           static_cast<double>(load_time.count()) * eagerness * furthest;
}

/// Whether who has just found an entry, still fresh, should renew it: XFetch (Vattani, Chierichetti and
/// Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015). Each look-up decides by a draw
/// of its own; the nearer the end and the longer the load takes, the likelier it is, and the more look-ups
/// there are, the earlier the first one does. `eagerness` is the paper's beta: 1 is best where loads take
/// about as long as the last one did, more renews earlier.
[[nodiscard]] inline bool refresh_early(time_point now, time_point fresh_until,
                                        std::chrono::nanoseconds load_time, double eagerness,
                                        random_source& random = random_source::here()) {
    const auto left = static_cast<double>((fresh_until - now).count());
    const auto reach = static_cast<double>(load_time.count()) * eagerness;
    return near_end(now, fresh_until, load_time, eagerness) && left <= -reach * std::log(random.share());
}

} // namespace acache::detail

#endif
