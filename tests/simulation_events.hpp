// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_SIMULATION_EVENTS_HPP
#define ACACHE_TESTS_SIMULATION_EVENTS_HPP

#include <acache/clock.hpp>
#include <acache/testing/manual_clock.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>

/// What happens in a run, as it is written down: calls, values and changes, each with the numbers of its
/// events.
namespace simulation {

using acache::time_point;
using acache::testing::manual_clock;
using std::chrono::nanoseconds;

/// The place of something in a run: each thing that happens has a number of its own.
using event = std::uint64_t;
inline constexpr event never = std::numeric_limits<event>::max();

inline constexpr int every_key = -1;

/// Of tags, a bit each.
using tag_set = unsigned;

/// How an operation comes by values.
enum class access {
    reads, ///< from the store alone
    joins, ///< from the store, a load under way or its own load
    loads, ///< from its own load alone: a refresh
    writes
};

/// For how long after its freshness a value is of use.
struct windows {
    nanoseconds while_revalidate{0};
    nanoseconds if_error{0};

    [[nodiscard]] bool serve() const { return while_revalidate.count() > 0 || if_error.count() > 0; }
};

/// One call of a caller.
struct operation {
    int id;
    const char* name;
    access how;
    event began;
    time_point began_at;
    bool cancelled = false;
    /// It has come back.
    bool is_over = false;
    /// What it will do with stale values.
    windows stale{};
    /// It asks for one key, and gets at once what is stored and will do, also while that is loaded.
    bool at_once = false;
    std::optional<nanoseconds> max_age = std::nullopt;
    std::optional<nanoseconds> soft_timeout = std::nullopt;
};

/// A value, or a load that is to bring one.
struct version {
    enum class status { loading, value, failed, given_up };

    int number;
    int key;
    /// Whose load or `set` it is; 0 for a batch of several callers.
    int by;
    /// When the flight began (or `set` was called). Of some loads that is known within bounds only: not
    /// before `earliest`, not after `born`.
    event earliest;
    event born;
    /// When the loader was called, and the time then.
    event called = 0;
    time_point begun_at{};
    event ended = never;
    time_point ended_at{};
    /// When its flight was over, as far as that can be told: no later than when one of those who waited for
    /// it had its value or error.
    event landed = never;
    /// One of those has it.
    bool is_known = false;
    status is = status::loading;
    bool is_load = true;
    /// It is to renew an entry, and nobody waited for it at first.
    bool in_background = false;
    /// The number that callers see: another version's where that was found not to be modified.
    int value = number;
    tag_set tags = 0;
    time_point created{};
    time_point fresh_until = time_point::max();
    time_point expires = time_point::max();
    /// The number of the error it failed with.
    int error = 0;
    /// Such a failure holds refreshes of the key back.
    bool holds_back = false;
};

/// What makes older versions of a key disappear, or keeps loads of it from being stored.
struct change {
    enum class kind {
        set,      ///< puts its value in the place of what there was; fences
        removal,  ///< invalidate, clear; fences
        by_value, ///< removes the values with that rest
        by_tag,   ///< removes what has the tag, and began before
        expiry,   ///< makes stale; fences
        refresh,  ///< the beginning of one: fences, and leaves what is stored
        newer,    ///< a look-up with a `max_age`: may fence, and leaves what is stored
        planting, ///< a write past the cache, which loads may overwrite, but not refreshes
        load      ///< one that is known to have been stored
    };
    static constexpr int divisor = 3;

    kind is;
    int key;
    event called;
    /// When it had taken effect for certain, and the time then.
    event settled = never;
    time_point settled_at{};
    /// When it was over, with success or without.
    event ended = never;
    const version* value = nullptr;
    tag_set tags = 0;
    int rest = 0;
    /// Nobody waits for it: it is over some time before `ended`.
    bool in_background = false;

    [[nodiscard]] bool touches(int k) const { return key == k || key == every_key; }
    [[nodiscard]] bool fences() const {
        return is == kind::set || is == kind::removal || is == kind::expiry || is == kind::refresh;
    }
    /// The version, if it is older, is gone.
    [[nodiscard]] bool replaces(const version& v) const {
        switch (is) {
        case kind::set:
        case kind::removal:
        case kind::load:
            return touches(v.key) && v.born < called;
        case kind::by_value:
            return v.value % divisor == rest && v.born < called;
        case kind::planting:
            return touches(v.key) && (v.ended < called || (v.in_background && v.born < called));
        case kind::by_tag:
            return (v.tags & tags) != 0 && v.called < called;
        default:
            return false;
        }
    }
};

} // namespace simulation

#endif
