// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_PROMETHEUS_HPP
#define ACACHE_REDIS_PROMETHEUS_HPP

#include <acache/detail/prometheus_text.hpp>
#include <acache/prometheus.hpp>
#include <acache/redis/detail/redis_families.hpp>
#include <acache/redis/metrics.hpp>

#include <span>
#include <string>
#include <string_view>

namespace acache {

/// The metrics of one client, and the name (in UTF-8) that they carry in the label `client`.
struct named_redis_metrics {
    std::string_view client_name;
    redis_metrics metrics;
};

/// Appends the metrics of Redis clients to `out`, as those of caches are: in Prometheus' text format, all
/// clients of a page by one call, with names that differ. A page may have caches too.
inline void write_prometheus(std::string& out, std::span<const named_redis_metrics> clients) {
    if (clients.empty()) {
        return;
    }
    detail::prometheus_text text(out, "client");
    detail::write_families(text, detail::redis_families, clients);
}

/// The same for one client.
inline void write_prometheus(std::string& out, std::string_view client_name, const redis_metrics& metrics) {
    const named_redis_metrics only{client_name, metrics};
    write_prometheus(out, std::span{&only, 1});
}

} // namespace acache

#endif
