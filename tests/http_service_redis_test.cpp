// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Drives instances of examples/http_service that share a Redis. Each has a data source of its own, so that
// what one knows of the other's it has from Redis.

#include "http_service_setup.hpp"
#include "promtool.hpp"
#include "redis_server.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <string>

namespace {

using namespace acache_test;

constexpr auto connected = "acache_redis_connected{client=\"redis\"}";
constexpr auto user_queries = "source_queries_total{of=\"users\"}";
constexpr auto report_queries = "source_queries_total{of=\"reports\"}";

/// An instance, and whether it has found Redis.
struct instance : running_service {
    explicit instance(std::uint16_t redis)
        : running_service({"--redis", "127.0.0.1:" + std::to_string(redis)}) {}

    bool is_connected(bool expected = true) {
        return eventually([&] { return metric(connected) == (expected ? 1 : 0); });
    }
    /// What changes elsewhere is heard of a moment later.
    bool comes_to_answer(const std::string& path, const std::string& body) {
        return eventually([&] { return ask(path).body() == body; });
    }
};

/// Two, both connected.
struct two_instances {
    two_instances() {
        REQUIRE(a.is_connected());
        REQUIRE(b.is_connected());
    }

    redis_server redis;
    instance a{redis.port()}, b{redis.port()};
};

} // namespace

TEST_CASE("what one instance has loaded another finds in Redis") {
    two_instances both;
    auto& [redis, a, b] = both;
    CHECK(a.ask("/users/7").body() == user_json(7));
    CHECK(a.ask("/reports/r").body() == "The report on r\n");
    CHECK(b.ask("/users/7").body() == user_json(7));
    CHECK(b.ask("/reports/r").body() == "The report on r\n");
    CHECK(a.metric(user_queries) == 1);
    CHECK(a.metric(report_queries) == 1);
    CHECK(b.metric(user_queries) == 0);
    CHECK(b.metric(report_queries) == 0);
    const std::string page = a.ask("/metrics").body();
    CHECK(a.stop() == 0);
    CHECK(b.stop() == 0);
    check_with_promtool(page);
}

TEST_CASE("a write to one instance is seen by the other") {
    two_instances both;
    auto& [redis, a, b] = both;
    CHECK(a.ask("/users/7").body() == user_json(7));
    CHECK(b.ask("/users/7").body() == user_json(7));

    CHECK(a.ask(http::verb::put, "/users/7", "Ada").body() == user_json(7, "Ada"));
    CHECK(b.comes_to_answer("/users/7", user_json(7, "Ada")));
    CHECK(b.metric(user_queries) == 0); // which would have told the old name

    // Now it asks, and its own source knows nothing of the new name.
    CHECK(a.ask(http::verb::delete_, "/users/7").result() == http::status::ok);
    CHECK(b.comes_to_answer("/users/7", user_json(7)));
    CHECK(b.metric(user_queries) == 1);
}

TEST_CASE("without Redis each instance answers alone, and they share again when it is back") {
    two_instances both;
    auto& [redis, a, b] = both;
    CHECK(a.ask("/users/7").result() == http::status::ok);

    redis.kill();
    for (auto* each : {&a, &b}) {
        for (const char* path : {"/users/7", "/users/8", "/reports/r"}) {
            CHECK(each->ask(path).result() == http::status::ok);
        }
        CHECK(each->is_connected(false));
        CHECK(each->ask(http::verb::put, "/users/8", "Ada").body() == user_json(8, "Ada"));
        CHECK(each->ask("/users/8").body() == user_json(8, "Ada"));
        CHECK(each->metric("acache_redis_losses_total{client=\"redis\"}") >= 1);
    }

    redis.restart();
    CHECK(a.is_connected());
    CHECK(b.is_connected());
    CHECK(a.ask("/users/9").body() == user_json(9));
    const auto before = b.metric(user_queries);
    CHECK(b.ask("/users/9").body() == user_json(9));
    CHECK(b.metric(user_queries) == before);
    CHECK(a.stop() == 0);
    CHECK(b.stop() == 0);
}

TEST_CASE("a Redis that does not answer costs a moment") {
    two_instances both;
    auto& [redis, a, b] = both;
    CHECK(a.ask("/users/7").body() == user_json(7));
    redis.pause();
    CHECK(a.ask("/users/8").body() == user_json(8));
    CHECK(b.ask(http::verb::put, "/users/9", "Ada").body() == user_json(9, "Ada"));
    CHECK(a.is_connected(false));
    CHECK(a.stop() == 0); // and does not keep a service from ending
    redis.resume();
    CHECK(b.is_connected());
}

TEST_CASE("an instance that has never found Redis answers, and ends when it is told to") {
    instance alone(tcp_socket().bind_any());
    CHECK(alone.ask("/users/7").body() == user_json(7));
    CHECK(alone.ask("/reports/r").body() == "The report on r\n");
    CHECK(alone.metric(connected) == 0);
    CHECK(alone.stop() == 0);
}

TEST_CASE("a signal lets requests under way be answered and shared") {
    two_instances both;
    auto& [redis, a, b] = both;
    running_service& first = both.a;
    client busy = a.connect();
    busy.send("GET /reports/late HTTP/1.1\r\nHost: localhost\r\n\r\n");
    CHECK(eventually([&] { return first.metric(report_queries) == 1; }));

    a.program.signal(SIGTERM);
    const response late = busy.answer();
    CHECK(late.result() == http::status::ok);
    CHECK(late.body() == "The report on late\n");
    CHECK(a.program.read_line() == "stopped");
    CHECK(a.program.wait() == 0);
    CHECK(b.ask("/reports/late").body() == "The report on late\n");
    CHECK(b.metric(report_queries) == 0);
}
