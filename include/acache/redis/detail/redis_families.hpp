// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_FAMILIES_HPP
#define ACACHE_REDIS_DETAIL_REDIS_FAMILIES_HPP

#include <acache/detail/prometheus_families.hpp>
#include <acache/redis/metrics.hpp>

#include <algorithm>
#include <cstdint>

namespace acache::detail {

using redis_sample = basic_prometheus_sample<redis_metrics>;
using redis_family = basic_prometheus_family<redis_metrics>;

inline constexpr redis_sample redis_requests[] = {{"", [](const redis_metrics& m) { return m.requests; }}};
inline constexpr redis_sample redis_failures[] = {
    {"error", [](const redis_metrics& m) { return m.failures; }},
    {"refused", [](const redis_metrics& m) { return m.refused; }},
    {"timeout", [](const redis_metrics& m) { return m.timeouts; }},
};
inline constexpr redis_sample redis_connections[] = {
    {"", [](const redis_metrics& m) { return m.connections; }}};
inline constexpr redis_sample redis_losses[] = {{"", [](const redis_metrics& m) { return m.losses; }}};
inline constexpr redis_sample redis_invalidations[] = {
    {"", [](const redis_metrics& m) { return m.invalidations; }}};
inline constexpr redis_sample redis_replayed[] = {
    {"", [](const redis_metrics& m) { return m.removals_replayed; }}};
inline constexpr redis_sample redis_rejected[] = {
    {"oversized", [](const redis_metrics& m) { return m.oversized_payloads; }},
    {"unreadable", [](const redis_metrics& m) { return m.bad_payloads; }},
};
inline constexpr redis_sample redis_leases_granted[] = {
    {"", [](const redis_metrics& m) { return m.leases_granted; }}};
inline constexpr redis_sample redis_leases_awaited[] = {
    {"", [](const redis_metrics& m) { return m.leases_awaited; }}};
inline constexpr redis_sample redis_leases_lost[] = {
    {"", [](const redis_metrics& m) { return m.leases_lost; }}};
inline constexpr redis_sample redis_queued[] = {{"", [](const redis_metrics& m) {
                                                     return static_cast<std::uint64_t>(
                                                         std::max<std::int64_t>(m.queued_removals, 0));
                                                 }}};
inline constexpr redis_sample redis_connected[] = {
    {"", [](const redis_metrics& m) { return std::uint64_t{m.connected}; }}};

inline constexpr redis_family redis_families[] = {
    {"acache_redis_requests_total", "counter", "Requests sent to Redis.", "", redis_requests},
    {"acache_redis_request_failures_total", "counter",
     "Requests that failed, by reason; those refused were not sent.", "reason", redis_failures},
    {"acache_redis_connections_total", "counter", "Times that Redis was there, and taken into use.", "",
     redis_connections},
    {"acache_redis_losses_total", "counter", "Times that Redis was lost, or stopped answering.", "",
     redis_losses},
    {"acache_redis_invalidations_total", "counter", "Keys that others were heard to have changed.", "",
     redis_invalidations},
    {"acache_redis_replayed_removals_total", "counter", "Removals carried out after an outage.", "",
     redis_replayed},
    {"acache_redis_rejected_payloads_total", "counter",
     "Values too large to be stored, or found and not readable.", "reason", redis_rejected},
    {"acache_redis_leases_granted_total", "counter", "Loads that other processes were told of.", "",
     redis_leases_granted},
    {"acache_redis_leases_awaited_total", "counter", "Loads by other processes that were waited for.", "",
     redis_leases_awaited},
    {"acache_redis_leases_lost_total", "counter", "Loads not stored, as another wrote or removed the key.",
     "", redis_leases_lost},
    {"acache_redis_queued_removals", "gauge", "Removals that wait for Redis.", "", redis_queued},
    {"acache_redis_connected", "gauge", "1 if Redis is there for all caches, or else 0.", "",
     redis_connected},
};

} // namespace acache::detail

#endif
