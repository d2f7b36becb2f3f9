// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Drives examples/http_service over HTTP, as its clients would.

#include "http_service_setup.hpp"

#include <boost/asio/co_spawn.hpp>

#include <catch2/catch_test_macros.hpp>

#include <csignal>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace acache_test;

TEST_CASE("a thousand requests, a hundred at once, reach the source a few times") {
    constexpr int connections = 100, requests_each = 10, users = 50, reports = 5;
    running_service service;
    std::vector<std::unique_ptr<client>> clients;
    for (int i = 0; i != connections; ++i) {
        clients.push_back(std::make_unique<client>(service.connect()));
    }

    std::map<std::string, int> wrong;
    int right = 0;
    const auto converse = [&](int number) -> asio::awaitable<void> {
        for (int i = 0; i != requests_each; ++i) {
            const bool of_user = i % 2 == 0;
            const int which = 1 + (number + i) % (of_user ? users : reports);
            const std::string path = (of_user ? "/users/" : "/reports/r") + std::to_string(which);
            const std::string expected =
                of_user ? user_json(which) : "The report on r" + std::to_string(which) + "\n";
            const response got = co_await clients[static_cast<std::size_t>(number)]->ask_async(path);
            got.result() == http::status::ok&& got.body() == expected ? void(++right) : void(++wrong[path]);
        }
    };
    for (int i = 0; i != connections; ++i) {
        asio::co_spawn(service.context, converse(i), [](std::exception_ptr error) {
            if (error) {
                std::rethrow_exception(error);
            }
        });
    }
    service.context.run();

    CHECK(right == connections * requests_each);
    CHECK(wrong == std::map<std::string, int>());
    CHECK(service.metric("source_queries_total{of=\"reports\"}") == reports);
    // Fifty users, gathered by windows: not a query each, however slow the machine.
    CHECK(service.metric("source_queries_total{of=\"users\"}") <= users / 2);
    CHECK(service.metric("acache_loads_total{cache=\"users\"}") == users);
    CHECK(service.metric("acache_loads_total{cache=\"reports\"}") == reports);
    CHECK(service.stop() == 0);
}

TEST_CASE("errors have their status, and the connection lives on") {
    running_service service;
    client connection = service.connect();
    CHECK(connection.ask("/users/1001").result() == http::status::not_found);
    CHECK(connection.ask("/users/abc").result() == http::status::bad_request);
    CHECK(connection.ask("/users/").result() == http::status::bad_request);
    CHECK(connection.ask("/users/99999999999999999999").result() == http::status::bad_request);
    CHECK(connection.ask("/elsewhere").result() == http::status::not_found);
    CHECK(connection.ask("/reports/").result() == http::status::not_found);
    CHECK(connection.ask("/reports/broken").result() == http::status::internal_server_error);
    CHECK(connection.ask("/reports/endless").result() == http::status::service_unavailable);
    CHECK(connection.ask(ask_for(http::verb::post, "/users/1")).result() == http::status::method_not_allowed);
    CHECK(connection.ask("/users/7").body() == user_json(7));
    CHECK(service.stop() == 0);
}

TEST_CASE("what is no HTTP is answered, and the connection closed") {
    running_service service;
    client connection = service.connect();
    connection.send("nonsense\r\n\r\n");
    CHECK(connection.answer().result() == http::status::bad_request);
    CHECK(connection.closed_by_peer());
    CHECK(service.stop() == 0);
}

TEST_CASE("a signal lets requests under way be answered, and ends the service") {
    running_service service;
    client idle = service.connect();
    CHECK(idle.ask("/users/1").body() == user_json(1));
    client busy = service.connect();
    busy.send("GET /reports/late HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (service.metric("source_queries_total{of=\"reports\"}") == 0) {
    }

    service.program.signal(SIGTERM);
    const response late = busy.answer();
    CHECK(late.result() == http::status::ok);
    CHECK(late.body() == "The report on late\n");
    CHECK(busy.closed_by_peer());
    CHECK(idle.closed_by_peer());
    CHECK(service.program.read_line() == "stopped");
    CHECK(service.program.wait() == 0);
}

TEST_CASE("a user that is changed is answered as changed, from then on") {
    running_service service;
    client connection = service.connect();
    CHECK(connection.ask("/users/7").body() == user_json(7));

    const response renamed = connection.ask(ask_for(http::verb::put, "/users/7", "Ada Lovelace"));
    CHECK(renamed.result() == http::status::ok);
    CHECK(renamed.body() == user_json(7, "Ada Lovelace"));
    CHECK(connection.ask("/users/7").body() == user_json(7, "Ada Lovelace"));
    CHECK(connection.ask("/users/8").body() == user_json(8));

    CHECK(connection.ask(ask_for(http::verb::delete_, "/users/7")).result() == http::status::ok);
    CHECK(connection.ask("/users/7").result() == http::status::not_found);
    CHECK(connection.ask(ask_for(http::verb::delete_, "/users/7")).result() == http::status::not_found);
    CHECK(connection.ask(ask_for(http::verb::put, "/users/7", "Ada")).result() == http::status::not_found);
    CHECK(service.stop() == 0);
}

TEST_CASE("what cannot be a change is refused") {
    running_service service;
    client connection = service.connect();
    const auto put = [&](const std::string& path, std::string name) {
        return connection.ask(ask_for(http::verb::put, path, std::move(name))).result();
    };
    for (const char* name : {"", "\"", "\\", "a\nb", "\x7f", "\xff"}) {
        CHECK(put("/users/1", name) == http::status::bad_request);
    }
    CHECK(put("/users/1", std::string(101, 'a')) == http::status::bad_request);
    CHECK(put("/users/abc", "Ada") == http::status::bad_request);
    CHECK(put("/reports/r", "Ada") == http::status::method_not_allowed);
    CHECK(connection.ask(ask_for(http::verb::delete_, "/users/")).result() == http::status::bad_request);
    CHECK(connection.ask(ask_for(http::verb::delete_, "/metrics")).result() ==
          http::status::method_not_allowed);
    CHECK(connection.ask("/users/1").body() == user_json(1));
    CHECK(service.stop() == 0);
}

TEST_CASE("arguments that are none are refused") {
    for (const std::vector<std::string>& arguments : {std::vector<std::string>{"x"},
                                                      {"1x"},
                                                      {"65536"},
                                                      {"0", "0"},
                                                      {"--other"},
                                                      {"--redis"},
                                                      {"--redis", "host"},
                                                      {"--redis", ":1"},
                                                      {"--redis", "host:"},
                                                      {"--redis", "host:1x"},
                                                      {"--redis", "host:1", "--redis", "host:1"}}) {
        std::vector<std::string> command{EXAMPLE_PROGRAM};
        command.insert(command.end(), arguments.begin(), arguments.end());
        CHECK(acache_test::run(command).status == 2);
    }
}
