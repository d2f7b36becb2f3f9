// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_METRICS_HPP
#define ACACHE_REDIS_METRICS_HPP

#include <atomic>
#include <cstdint>

namespace acache {

/// What has happened on one connection to Redis since its `redis_client` was made, over all of its caches.
struct redis_metrics {
    std::uint64_t commands = 0;           ///< sent by request of a cache
    std::uint64_t failures = 0;           ///< requests that ended with an error other than those below
    std::uint64_t timeouts = 0;           ///< requests not answered in time
    std::uint64_t refused = 0;            ///< requests not sent: not connected, or the circuit breaker open
    std::uint64_t connections = 0;        ///< times that a connection was made and tracking confirmed on it
    std::uint64_t losses = 0;             ///< times that coherence was lost
    std::uint64_t invalidations = 0;      ///< keys that were told to have changed
    std::uint64_t queued_removals = 0;    ///< removals that wait for the connection to return: a gauge
    std::uint64_t removals_replayed = 0;  ///< removals made up for
    std::uint64_t bad_payloads = 0;       ///< values that could not be read, which count as absent
    std::uint64_t oversized_payloads = 0; ///< values not stored because they are too large
    std::uint64_t leases_granted = 0;     ///< loads that this process has made for the cluster
    std::uint64_t leases_awaited = 0;     ///< loads of other processes that were waited for
    std::uint64_t leases_lost = 0; ///< fills refused because somebody wrote or removed the key meanwhile
};

namespace detail {

struct redis_counters {
    using count = std::atomic<std::uint64_t>;

    count commands = 0, failures = 0, timeouts = 0, refused = 0, connections = 0, losses = 0,
          invalidations = 0, queued_removals = 0, removals_replayed = 0, bad_payloads = 0,
          oversized_payloads = 0, leases_granted = 0, leases_awaited = 0, leases_lost = 0;

    static void add(count& to, std::uint64_t n = 1) noexcept { to.fetch_add(n, std::memory_order_relaxed); }

    [[nodiscard]] redis_metrics read() const noexcept {
        const auto get = [](const count& c) { return c.load(std::memory_order_relaxed); };
        return {.commands = get(commands),
                .failures = get(failures),
                .timeouts = get(timeouts),
                .refused = get(refused),
                .connections = get(connections),
                .losses = get(losses),
                .invalidations = get(invalidations),
                .queued_removals = get(queued_removals),
                .removals_replayed = get(removals_replayed),
                .bad_payloads = get(bad_payloads),
                .oversized_payloads = get(oversized_payloads),
                .leases_granted = get(leases_granted),
                .leases_awaited = get(leases_awaited),
                .leases_lost = get(leases_lost)};
    }
};

} // namespace detail
} // namespace acache

#endif
