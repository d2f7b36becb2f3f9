// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_LOOKUP_RESULT_HPP
#define ACACHE_LOOKUP_RESULT_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <string_view>
#include <utility>
#include <vector>

namespace acache {

/// Where a value came from.
enum class lookup_source : std::uint8_t {
    hit,    ///< a fresh entry
    stale,  ///< an entry past its freshness
    joined, ///< a load that somebody else had begun
    loaded  ///< a load begun for this call
};

/// A value and its provenance.
template <class V>
struct lookup_result {
    using enum lookup_source;

    V value;
    lookup_source source;
    /// Since the value was made.
    std::chrono::nanoseconds age;
    /// Where it was found: "memory" for what a `memory_backend` had, fresh or stale; for other backends the
    /// `tier_name` of the class, or "backend" where it has none, but for what was told without suspending its
    /// `local_tier_name`, if it has one; "source" for what a loader has brought, this caller's or the one
    /// that it joined. Somebody who joined a load that found the value in the backend gets the backend's. For
    /// ever valid.
    std::string_view tier;
};

/// The `tier` of what a loader has brought.
inline constexpr std::string_view source_tier = "source";

/// What a warm-up did.
template <class K>
struct warmup_report {
    std::size_t loaded = 0;
    /// Keys that had a fresh entry, which was kept, or were being loaded for somebody else.
    std::size_t present = 0;
    /// Keys whose load failed, each with its exception.
    std::vector<std::pair<K, std::exception_ptr>> failed;
};

} // namespace acache

#endif
