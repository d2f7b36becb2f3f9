// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "promtool.hpp"

#include <acache/prometheus.hpp>
#include <acache/redis/prometheus.hpp>

#include <catch2/catch_test_macros.hpp>

#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr acache::redis_metrics some_metrics{.requests = 1,
                                             .timeouts = 2,
                                             .failures = 3,
                                             .refused = 4,
                                             .connections = 5,
                                             .losses = 6,
                                             .invalidations = 7,
                                             .removals_replayed = 8,
                                             .bad_payloads = 9,
                                             .oversized_payloads = 10,
                                             .leases_granted = 11,
                                             .leases_awaited = 12,
                                             .leases_lost = 13,
                                             .queued_removals = 14,
                                             .connected = true};

/// Those that are no comments.
std::multiset<std::string> samples_of(const std::string& page) {
    std::multiset<std::string> samples;
    std::istringstream in(page);
    for (std::string line; std::getline(in, line);) {
        if (!line.starts_with('#')) {
            samples.insert(line);
        }
    }
    return samples;
}

TEST_CASE("every number of a client is one sample with its labels") {
    std::string page;
    acache::write_prometheus(page, "main", some_metrics);
    CHECK(page.ends_with('\n'));
    CHECK(samples_of(page) ==
          std::multiset<std::string>{
              R"(acache_redis_requests_total{client="main"} 1)",
              R"(acache_redis_request_failures_total{client="main",reason="timeout"} 2)",
              R"(acache_redis_request_failures_total{client="main",reason="error"} 3)",
              R"(acache_redis_request_failures_total{client="main",reason="refused"} 4)",
              R"(acache_redis_connections_total{client="main"} 5)",
              R"(acache_redis_losses_total{client="main"} 6)",
              R"(acache_redis_invalidations_total{client="main"} 7)",
              R"(acache_redis_replayed_removals_total{client="main"} 8)",
              R"(acache_redis_rejected_payloads_total{client="main",reason="unreadable"} 9)",
              R"(acache_redis_rejected_payloads_total{client="main",reason="oversized"} 10)",
              R"(acache_redis_leases_granted_total{client="main"} 11)",
              R"(acache_redis_leases_awaited_total{client="main"} 12)",
              R"(acache_redis_leases_lost_total{client="main"} 13)",
              R"(acache_redis_queued_removals{client="main"} 14)",
              R"(acache_redis_connected{client="main"} 1)",
          });
}

TEST_CASE("a client that is not connected says 0, and never less than no removal") {
    std::string page;
    acache::write_prometheus(page, "main", acache::redis_metrics{.queued_removals = -1});
    CHECK(samples_of(page).contains(R"(acache_redis_connected{client="main"} 0)"));
    CHECK(samples_of(page).contains(R"(acache_redis_queued_removals{client="main"} 0)"));
}

TEST_CASE("a page of caches and several clients has each family once, and promtool does not complain") {
    std::string page;
    acache::write_prometheus(page, "users", acache::cache_metrics());
    const auto caches_alone = page.size();
    acache::write_prometheus(page, std::vector<acache::named_redis_metrics>());
    CHECK(page.size() == caches_alone);
    acache::write_prometheus(
        page, std::vector<acache::named_redis_metrics>{{"near", some_metrics}, {"a\"b\\c\nd", some_metrics}});
    CHECK(samples_of(page).contains(R"(acache_redis_connected{client="near"} 1)"));
    CHECK(samples_of(page).contains(R"(acache_redis_connected{client="a\"b\\c\nd"} 1)"));

    std::set<std::string> families;
    std::istringstream in(page);
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("# TYPE ")) {
            CHECK(families.insert(line).second);
        }
    }
    CHECK(families.size() == 15 + 12);
    acache_test::check_with_promtool(page);
}

} // namespace
