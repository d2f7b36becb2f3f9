// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_PROMETHEUS_FAMILIES_HPP
#define ACACHE_DETAIL_PROMETHEUS_FAMILIES_HPP

#include <acache/detail/prometheus_text.hpp>
#include <acache/metrics.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace acache::detail {

/// One sample of a family: the value of the label that tells it from the others, and where its number is.
template <class Metrics>
struct basic_prometheus_sample {
    std::string_view label_value;
    std::uint64_t (*number)(const Metrics&);
};

/// Samples of one name. `label` is empty where a cache, or whatever is measured, has but one.
template <class Metrics>
struct basic_prometheus_family {
    std::string_view name;
    std::string_view type;
    std::string_view help;
    std::string_view label;
    std::span<const basic_prometheus_sample<Metrics>> samples;
};

using prometheus_sample = basic_prometheus_sample<cache_metrics>;
using prometheus_family = basic_prometheus_family<cache_metrics>;

/// `all` have a name and metrics each.
template <class Metrics, std::size_t N, class Named>
void write_families(prometheus_text& text, const basic_prometheus_family<Metrics> (&families)[N],
                    std::span<const Named> all) {
    for (const auto& family : families) {
        text.header(family.name, family.type, family.help);
        for (const auto& [owner, metrics] : all) {
            for (const auto& sample : family.samples) {
                text.sample(family.name, "", owner)
                    .label(family.label, sample.label_value)
                    .value(sample.number(metrics));
            }
        }
    }
}

inline constexpr prometheus_sample prometheus_requests[] = {
    {"hit", [](const cache_metrics& m) { return m.hits; }},
    {"stale_hit", [](const cache_metrics& m) { return m.stale_hits; }},
    {"miss", [](const cache_metrics& m) { return m.misses; }},
    {"coalesced", [](const cache_metrics& m) { return m.coalesced; }},
};

inline constexpr prometheus_sample prometheus_removals[] = {
    {"capacity", [](const cache_metrics& m) { return m.removals.capacity; }},
    {"expired", [](const cache_metrics& m) { return m.removals.expired; }},
    {"invalidated", [](const cache_metrics& m) { return m.removals.invalidated; }},
    {"replaced", [](const cache_metrics& m) { return m.removals.replaced; }},
};

inline constexpr prometheus_sample prometheus_loads[] = {
    {"", [](const cache_metrics& m) { return m.loads; }}};
inline constexpr prometheus_sample prometheus_load_failures[] = {
    {"", [](const cache_metrics& m) { return m.load_failures; }}};
inline constexpr prometheus_sample prometheus_backend_failures[] = {
    {"", [](const cache_metrics& m) { return m.backend_failures; }}};
inline constexpr prometheus_sample prometheus_refreshes[] = {
    {"stale", [](const cache_metrics& m) { return m.refreshes - std::min(m.early_refreshes, m.refreshes); }},
    {"early", [](const cache_metrics& m) { return m.early_refreshes; }},
};
inline constexpr prometheus_sample prometheus_refresh_failures[] = {
    {"", [](const cache_metrics& m) { return m.refresh_failures; }}};
inline constexpr prometheus_sample prometheus_fallbacks[] = {
    {"error", [](const cache_metrics& m) { return m.stale_on_error; }},
    {"soft_timeout", [](const cache_metrics& m) { return m.soft_timeouts; }},
};
inline constexpr prometheus_sample prometheus_negative_hits[] = {
    {"", [](const cache_metrics& m) { return m.negative_hits; }}};
inline constexpr prometheus_sample prometheus_overloaded[] = {
    {"", [](const cache_metrics& m) { return m.overloaded; }}};
inline constexpr prometheus_sample prometheus_rejected[] = {
    {"", [](const cache_metrics& m) { return m.rejected; }}};
inline constexpr prometheus_sample prometheus_entries[] = {
    {"", [](const cache_metrics& m) { return m.size; }}};
inline constexpr prometheus_sample prometheus_weight[] = {
    {"", [](const cache_metrics& m) { return m.weight; }}};
inline constexpr prometheus_sample prometheus_in_flight[] = {
    {"", [](const cache_metrics& m) { return m.in_flight; }}};

inline constexpr prometheus_family prometheus_families[] = {
    {"acache_requests_total", "counter", "Look-ups by how they were answered.", "result",
     prometheus_requests},
    {"acache_loads_total", "counter", "Keys whose load was started.", "", prometheus_loads},
    {"acache_load_failures_total", "counter", "Loads that threw or timed out.", "", prometheus_load_failures},
    {"acache_backend_failures_total", "counter", "Backend operations that threw.", "",
     prometheus_backend_failures},
    {"acache_refreshes_total", "counter", "Loads in the background that renewed an entry.", "entry",
     prometheus_refreshes},
    {"acache_refresh_failures_total", "counter", "Such loads that threw or timed out.", "",
     prometheus_refresh_failures},
    {"acache_fallbacks_total", "counter", "Callers given a stale value, by what the load did.", "load",
     prometheus_fallbacks},
    {"acache_negative_hits_total", "counter", "Hits that told a remembered failure.", "",
     prometheus_negative_hits},
    {"acache_overloaded_total", "counter", "Loads refused since too many were waiting.", "",
     prometheus_overloaded},
    {"acache_removals_total", "counter", "Entries removed, by cause.", "cause", prometheus_removals},
    {"acache_rejected_total", "counter", "Values not stored since they were too heavy.", "",
     prometheus_rejected},
    {"acache_entries", "gauge", "Entries held.", "", prometheus_entries},
    {"acache_weight", "gauge", "Weight of the entries held; their number where nothing weighs them.", "",
     prometheus_weight},
    {"acache_loads_in_flight", "gauge", "Loads under way.", "", prometheus_in_flight},
};

} // namespace acache::detail

#endif
