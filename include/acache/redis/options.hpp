// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_OPTIONS_HPP
#define ACACHE_REDIS_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <string_view>

namespace acache {

/// Of a connection that caches share.
struct redis_client_options {
    /// How long a request may take; one that takes longer has failed for who asked.
    std::chrono::nanoseconds timeout = std::chrono::milliseconds(250);
    /// How often the server is asked for its time. If it does not answer that within `timeout`, or
    /// `failures_to_open` requests in a row, then requests fail at once until it does.
    std::chrono::nanoseconds keepalive = std::chrono::seconds(1);
    std::size_t failures_to_open = 5;
};

/// Of one cache in Redis.
struct redis_options {
    /// What the names of its keys in Redis begin with, followed by a colon; copied. All processes that share
    /// the cache name the same, and no other cache one that begins like it.
    std::string_view prefix = {};
    /// One load in all processes: who misses what another process loads waits for that. Off, each process
    /// loads for itself; what is stored is right in either case.
    bool one_load = true;
    /// How long the others wait for a process that has died while it loaded, or hangs. Loads may take longer:
    /// their leases are renewed.
    std::chrono::nanoseconds lease = std::chrono::seconds(3);
    /// In bytes, encoded. Larger values are not stored in Redis, and counted.
    std::size_t max_payload = 16 * 1024 * 1024;
    /// Removals kept for the end of an outage, a key or tag each. With more than these the whole cache is
    /// cleared then.
    std::size_t max_queued_removals = 10'000;
};

} // namespace acache

#endif
