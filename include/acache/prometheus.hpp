// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_PROMETHEUS_HPP
#define ACACHE_PROMETHEUS_HPP

#include <acache/detail/prometheus_families.hpp>
#include <acache/detail/prometheus_text.hpp>
#include <acache/metrics.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace acache {

/// The `Content-Type` of a page that `write_prometheus` has written.
inline constexpr std::string_view prometheus_content_type = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics of one cache, and the name (in UTF-8) that they carry in the label `cache`.
struct named_metrics {
    std::string_view cache_name;
    cache_metrics metrics;
};

namespace detail {

inline void write_load_durations(prometheus_text& text, std::span<const named_metrics> caches) {
    constexpr std::string_view name = "acache_load_duration_seconds";
    text.header(name, "histogram", "How long loads took that ended with a value or a failure.");
    for (const auto& [cache, metrics] : caches) {
        const auto& times = metrics.load_time;
        std::uint64_t so_far = 0;
        for (std::size_t n = 0; n != times.bounds.size(); ++n) {
            so_far += times.buckets[n];
            text.sample(name, "_bucket", cache).label("le", times.bounds[n]).value(so_far);
        }
        text.sample(name, "_bucket", cache).label("le", "+Inf").value(times.count());
        text.sample(name, "_sum", cache).value(times.sum);
        text.sample(name, "_count", cache).value(times.count());
    }
}

} // namespace detail

/// Appends the metrics of caches to `out` in Prometheus' text format, what `/metrics` answers. A page holds
/// each family of samples once, so one call must write all caches of a page; their names must differ.
inline void write_prometheus(std::string& out, std::span<const named_metrics> caches) {
    if (caches.empty()) {
        return;
    }
    detail::prometheus_text text(out, "cache");
    detail::write_families(text, detail::prometheus_families, caches);
    detail::write_load_durations(text, caches);
}

/// The same for one cache.
inline void write_prometheus(std::string& out, std::string_view cache_name, const cache_metrics& metrics) {
    const named_metrics only{cache_name, metrics};
    write_prometheus(out, std::span{&only, 1});
}

} // namespace acache

#endif
