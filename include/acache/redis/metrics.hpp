// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_METRICS_HPP
#define ACACHE_REDIS_METRICS_HPP

#include <atomic>
#include <cstdint>

namespace acache {

/// What a `redis_client` has seen, of all caches that use it. A snapshot; each number by itself is exact.
struct redis_metrics {
    std::uint64_t requests = 0;           ///< of caches that were sent, each of one or more commands
    std::uint64_t timeouts = 0;           ///< not answered in time
    std::uint64_t failures = 0;           ///< failed otherwise, or answered with an error
    std::uint64_t refused = 0;            ///< not sent, since the server is not there or does not answer
    std::uint64_t connections = 0;        ///< made, over which the server has answered
    std::uint64_t losses = 0;             ///< times that the server was lost, or stopped answering
    std::uint64_t invalidations = 0;      ///< keys heard to have changed
    std::uint64_t removals_replayed = 0;  ///< carried out after an outage
    std::uint64_t bad_payloads = 0;       ///< found, and taken for absent
    std::uint64_t oversized_payloads = 0; ///< not stored
    std::uint64_t leases_granted = 0;     ///< loads that others were told of
    std::uint64_t leases_awaited = 0;     ///< loads by others that were waited for
    std::uint64_t leases_lost = 0; ///< loads that were not stored, as somebody else wrote or removed the key
    std::int64_t queued_removals = 0; ///< that wait for the server, now
    bool connected = false;           ///< now
};

namespace detail {

/// The same, as it is counted.
struct redis_counters {
    using counter = std::atomic<std::uint64_t>;

    counter requests = 0, timeouts = 0, failures = 0, refused = 0, connections = 0, losses = 0;
    counter invalidations = 0, removals_replayed = 0, bad_payloads = 0, oversized_payloads = 0;
    counter leases_granted = 0, leases_awaited = 0, leases_lost = 0;
    std::atomic<std::int64_t> queued_removals = 0;

    static void add(counter& to, std::uint64_t n = 1) noexcept { to.fetch_add(n, std::memory_order_relaxed); }

    [[nodiscard]] redis_metrics snapshot() const noexcept {
        return {.requests = requests,
                .timeouts = timeouts,
                .failures = failures,
                .refused = refused,
                .connections = connections,
                .losses = losses,
                .invalidations = invalidations,
                .removals_replayed = removals_replayed,
                .bad_payloads = bad_payloads,
                .oversized_payloads = oversized_payloads,
                .leases_granted = leases_granted,
                .leases_awaited = leases_awaited,
                .leases_lost = leases_lost,
                .queued_removals = queued_removals};
    }
};

} // namespace detail
} // namespace acache

#endif
