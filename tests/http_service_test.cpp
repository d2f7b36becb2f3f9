// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Drives examples/http_service over HTTP, as its clients would.

#include "child_process.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include <catch2/catch_test_macros.hpp>

#include <csignal>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using response = http::response<http::string_body>;

http::request<http::empty_body> get(const std::string& path) {
    http::request<http::empty_body> made{http::verb::get, path, 11};
    made.set(http::field::host, "localhost");
    return made;
}

/// A connection that is kept alive.
class client {
public:
    explicit client(asio::io_context& context, std::uint16_t port) : socket_(context) {
        socket_.connect({asio::ip::address_v4::loopback(), port});
    }

    response ask(const http::request<http::empty_body>& request) {
        http::write(socket_, request);
        return answer();
    }
    response ask(const std::string& path) { return ask(get(path)); }
    void send(std::string_view bytes) { asio::write(socket_, asio::buffer(bytes)); }
    response answer() {
        response got;
        http::read(socket_, buffer_, got);
        return got;
    }

    asio::awaitable<response> ask_async(std::string path) {
        auto request = get(path);
        co_await http::async_write(socket_, request, asio::use_awaitable);
        response got;
        co_await http::async_read(socket_, buffer_, got, asio::use_awaitable);
        co_return got;
    }

    bool closed_by_peer() {
        char byte{};
        boost::system::error_code error;
        asio::read(socket_, asio::buffer(&byte, 1), error);
        return error == asio::error::eof;
    }

private:
    tcp::socket socket_;
    beast::flat_buffer buffer_;
};

/// The program, on a port of its own choice.
struct running_service {
    running_service() {
        const std::string line = program.read_line();
        port = static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1)));
    }

    int stop() {
        program.signal(SIGTERM);
        return program.wait();
    }

    client connect() { return client(context, port); }

    /// The value of one sample of /metrics.
    std::uint64_t metric(const std::string& sample) {
        const std::string page = connect().ask("/metrics").body();
        const auto at = page.find('\n' + sample + ' ');
        INFO(page);
        REQUIRE(at != std::string::npos);
        return std::stoull(page.substr(at + sample.size() + 2));
    }

    asio::io_context context;
    acache_test::child_process program{{EXAMPLE_PROGRAM}};
    std::uint16_t port = 0;
};

std::string user_json(int id) {
    return "{\"id\":" + std::to_string(id) + ",\"name\":\"user " + std::to_string(id) + "\"}";
}

} // namespace

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
    auto post = get("/users/1");
    post.method(http::verb::post);
    CHECK(connection.ask(post).result() == http::status::method_not_allowed);
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
