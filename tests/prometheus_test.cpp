// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"
#include "promtool.hpp"

#include <acache/prometheus.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <limits>
#include <locale>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace std::chrono_literals;
using acache_test::check_with_promtool;

acache::cache_metrics some_metrics() {
    acache::cache_metrics m;
    m.hits = 1;
    m.stale_hits = 2;
    m.misses = 3;
    m.coalesced = 4;
    m.loads = 5;
    m.load_failures = 6;
    m.backend_failures = 7;
    m.overloaded = 21;
    m.load_time.buckets[0] = 2;  // up to 100 us
    m.load_time.buckets[1] = 1;  // up to 200 us
    m.load_time.buckets[16] = 1; // over 3.2768 s
    m.load_time.sum = 5s + 250us;
    m.removals = {8, 9, 10, 11};
    m.size = 12;
    m.weight = 13;
    m.in_flight = 14;
    m.refreshes = 20;
    m.early_refreshes = 5;
    m.refresh_failures = 16;
    m.stale_on_error = 17;
    m.soft_timeouts = 18;
    m.negative_hits = 19;
    m.overloaded = 21;
    return m;
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);) {
        lines.push_back(line);
    }
    return lines;
}

int count_of(const std::string& text, std::string_view line) {
    int count = 0;
    for (const auto& l : lines_of(text)) {
        count += l == line ? 1 : 0;
    }
    return count;
}

TEST_CASE("every counter of a cache is one sample with its labels") {
    std::string page;
    acache::write_prometheus(page, "users", some_metrics());
    CHECK(page.ends_with('\n'));
    for (const auto* line : {
             R"(acache_requests_total{cache="users",result="hit"} 1)",
             R"(acache_requests_total{cache="users",result="stale_hit"} 2)",
             R"(acache_requests_total{cache="users",result="miss"} 3)",
             R"(acache_requests_total{cache="users",result="coalesced"} 4)",
             R"(acache_loads_total{cache="users"} 5)",
             R"(acache_load_failures_total{cache="users"} 6)",
             R"(acache_backend_failures_total{cache="users"} 7)",
             R"(acache_overloaded_total{cache="users"} 21)",
             R"(acache_removals_total{cache="users",cause="capacity"} 8)",
             R"(acache_removals_total{cache="users",cause="expired"} 9)",
             R"(acache_removals_total{cache="users",cause="invalidated"} 10)",
             R"(acache_removals_total{cache="users",cause="replaced"} 11)",
             R"(acache_entries{cache="users"} 12)",
             R"(acache_weight{cache="users"} 13)",
             R"(acache_loads_in_flight{cache="users"} 14)",
             R"(acache_refreshes_total{cache="users",entry="stale"} 15)",
             R"(acache_refreshes_total{cache="users",entry="early"} 5)",
             R"(acache_refresh_failures_total{cache="users"} 16)",
             R"(acache_fallbacks_total{cache="users",load="error"} 17)",
             R"(acache_fallbacks_total{cache="users",load="soft_timeout"} 18)",
             R"(acache_negative_hits_total{cache="users"} 19)",
             R"(acache_overloaded_total{cache="users"} 21)",
             "# TYPE acache_requests_total counter",
             "# TYPE acache_entries gauge",
             "# TYPE acache_load_duration_seconds histogram",
         }) {
        CAPTURE(line, page);
        CHECK(count_of(page, line) == 1);
    }
}

TEST_CASE("the histogram of load times is cumulative, in seconds, and ends with all") {
    std::string page;
    acache::write_prometheus(page, "users", some_metrics());
    for (const auto* line : {
             R"(acache_load_duration_seconds_bucket{cache="users",le="0.0001"} 2)",
             R"(acache_load_duration_seconds_bucket{cache="users",le="0.0002"} 3)",
             R"(acache_load_duration_seconds_bucket{cache="users",le="0.0004"} 3)",
             R"(acache_load_duration_seconds_bucket{cache="users",le="3.2768"} 3)",
             R"(acache_load_duration_seconds_bucket{cache="users",le="+Inf"} 4)",
             R"(acache_load_duration_seconds_sum{cache="users"} 5.00025)",
             R"(acache_load_duration_seconds_count{cache="users"} 4)",
         }) {
        CAPTURE(line, page);
        CHECK(count_of(page, line) == 1);
    }
}

TEST_CASE("a page of several caches has each family once") {
    const std::vector<acache::named_metrics> caches{{"users", some_metrics()}, {"orgs", {}}};
    std::string page = "# before\n";
    acache::write_prometheus(page, caches);
    CHECK(page.starts_with("# before\n# HELP "));
    std::vector<std::string> headers;
    for (const auto& line : lines_of(page)) {
        if (line.starts_with("# TYPE ")) {
            headers.push_back(line);
        }
    }
    CHECK(headers.size() == 15);
    CHECK(count_of(page, "# TYPE acache_requests_total counter") == 1);
    CHECK(count_of(page, R"(acache_entries{cache="users"} 12)") == 1);
    CHECK(count_of(page, R"(acache_entries{cache="orgs"} 0)") == 1);
    CHECK(count_of(page, R"(acache_load_duration_seconds_sum{cache="orgs"} 0)") == 1);

    std::string none;
    acache::write_prometheus(none, std::vector<acache::named_metrics>{});
    CHECK(none.empty());
}

TEST_CASE("quotes, backslashes and line ends in a name are escaped") {
    std::string page;
    acache::write_prometheus(page, "a\"b\\c\nd", {});
    CHECK(count_of(page, R"(acache_entries{cache="a\"b\\c\nd"} 0)") == 1);
}

TEST_CASE("numbers do not depend on the locale, and the greatest are whole") {
    struct grouping : std::numpunct<char> {
        char do_thousands_sep() const override { return '.'; }
        char do_decimal_point() const override { return ','; }
        std::string do_grouping() const override { return "\3"; }
    };
    const auto before = std::locale::global(std::locale(std::locale::classic(), new grouping));
    acache::cache_metrics metrics;
    metrics.hits = std::numeric_limits<std::uint64_t>::max();
    metrics.load_time.sum = 1234567s + 1ns;
    std::string page;
    acache::write_prometheus(page, "c", metrics);
    std::locale::global(before);
    CHECK(count_of(page, R"(acache_requests_total{cache="c",result="hit"} 18446744073709551615)") == 1);
    CHECK(count_of(page, R"(acache_load_duration_seconds_sum{cache="c"} 1234567.000000001)") == 1);
}

TEST_CASE("promtool finds nothing to complain about") {
    const std::vector<acache::named_metrics> caches{{"users", some_metrics()},
                                                    {"a\"b\\c\nd", some_metrics()}};
    std::string page;
    acache::write_prometheus(page, caches);
    check_with_promtool(page);
}

TEST_CASE("promtool finds nothing to complain about in the metrics of a cache that has seen it all") {
    using namespace setup;
    world<over_script> w({.ttl = 10s,
                          .load_timeout = 3s,
                          .max_concurrent_loads = 1,
                          .max_queued_loads = 0,
                          .stale_while_revalidate = 10s,
                          .stale_if_error = 60s,
                          .soft_timeout = 1s});
    (void)w.call(w.get_or_load("a"));
    (void)w.call(w.get_or_load("a")); // a hit
    manual_clock::advance(15s);
    w.src.fail_next(std::runtime_error("no source"));
    (void)w.call(w.get_or_load("a")); // stale; its refresh fails
    manual_clock::advance(10s);
    w.src.fail_next(std::runtime_error("no source"));
    (void)w.call(w.get_or_load("a")); // stale in place of an error
    manual_clock::advance(10s);       // past the time that the key is left alone
    w.src.hold();
    auto late = w.call(w.get_or_load("a"));
    auto joins = w.call(w.get_or_load("a"));
    auto refused = w.call(w.get_or_load("b"));
    manual_clock::advance(1s); // the soft timeout
    w.settle();
    manual_clock::advance(3s); // the load's
    w.settle();
    w.store->script().fail_next(op::get, std::runtime_error("no backend"));
    auto under_way = w.call(w.get_or_load("c"));
    const auto m = w.cache->metrics();
    for (const auto count : {m.hits, m.stale_hits, m.misses, m.coalesced, m.loads, m.load_failures,
                             m.backend_failures, m.refreshes, m.refresh_failures, m.stale_on_error,
                             m.soft_timeouts, m.overloaded, m.load_time.count(), m.in_flight}) {
        CHECK(count != 0);
    }
    std::string page;
    acache::write_prometheus(page, "of everything", m);
    check_with_promtool(page);
}

} // namespace
