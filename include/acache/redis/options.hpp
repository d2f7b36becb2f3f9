// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_OPTIONS_HPP
#define ACACHE_REDIS_OPTIONS_HPP

#include <chrono>
#include <cstddef>

namespace acache {

/// How the caches on one connection get on with the server.
struct redis_client_options {
    /// What one operation may take. One that takes longer fails with `redis_errc::timeout`.
    std::chrono::nanoseconds timeout = std::chrono::milliseconds(250);
    /// How often the server is asked for its time, which also shows that it is there: without an answer
    /// within `timeout` operations fail at once, and what is in memory is not trusted, until it answers
    /// again.
    std::chrono::nanoseconds keepalive = std::chrono::seconds(1);
    /// After so many time-outs in a row operations fail at once, until the server has told its time again.
    std::size_t failures_to_open = 5;
    /// How many removals each cache keeps for the server while it is not to be reached.
    std::size_t max_queued_removals = 10'000;
};

} // namespace acache

#endif
