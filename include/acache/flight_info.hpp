// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_FLIGHT_INFO_HPP
#define ACACHE_FLIGHT_INFO_HPP

#include <chrono>
#include <cstddef>

namespace acache {

/// A load under way, as `async_cache::in_flight` lists it.
template <class K>
struct flight_info {
    K key;
    /// Since it was asked for, by the cache's clock: what it waited for its turn, or for its batch, included.
    std::chrono::nanoseconds age;
    /// Who waits for it; a warm-up counts as one, and so do a renewal in the background and a caller whom a
    /// soft timeout has let go, for whom the load goes on. 0 where all have left, and it has not ended yet.
    std::size_t callers;
    /// Who asks for the key now joins it, and its value will be stored. False once it is fenced, by
    /// `invalidate`, `set` or `refresh` say, or cancelled since all have left.
    bool joinable;
    /// It waits for its turn under `max_concurrent_loads`, or its batch under `max_concurrent_batches`.
    bool queued;
};

} // namespace acache

#endif
