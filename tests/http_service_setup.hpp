// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_HTTP_SERVICE_SETUP_HPP
#define ACACHE_TESTS_HTTP_SERVICE_SETUP_HPP

#include "child_process.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
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
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acache_test {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using request = http::request<http::string_body>;
using response = http::response<http::string_body>;

[[nodiscard]] inline request ask_for(http::verb method, const std::string& path, std::string body = {}) {
    request made{method, path, 11, std::move(body)};
    made.set(http::field::host, "localhost");
    made.prepare_payload();
    return made;
}

/// A connection that is kept alive.
class client {
public:
    explicit client(asio::io_context& context, std::uint16_t port) : socket_(context) {
        socket_.connect({asio::ip::address_v4::loopback(), port});
    }

    response ask(const request& asked) {
        http::write(socket_, asked);
        return answer();
    }
    response ask(const std::string& path) { return ask(ask_for(http::verb::get, path)); }
    void send(std::string_view bytes) { asio::write(socket_, asio::buffer(bytes)); }
    response answer() {
        response got;
        http::read(socket_, buffer_, got);
        return got;
    }

    asio::awaitable<response> ask_async(std::string path) {
        auto asked = ask_for(http::verb::get, path);
        co_await http::async_write(socket_, asked, asio::use_awaitable);
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
    explicit running_service(std::vector<std::string> arguments = {})
        : program(command(std::move(arguments)), true) {
        const std::string line = program.read_line();
        port = static_cast<std::uint16_t>(std::stoul(line.substr(line.rfind(':') + 1)));
    }

    int stop() {
        program.signal(SIGTERM);
        return program.wait();
    }

    client connect() { return client(context, port); }
    /// Over a connection of its own.
    response ask(const std::string& path) { return connect().ask(path); }
    response ask(http::verb method, const std::string& path, std::string body = {}) {
        return connect().ask(ask_for(method, path, std::move(body)));
    }

    /// The value of one sample of /metrics.
    std::uint64_t metric(const std::string& sample) {
        const std::string page = ask("/metrics").body();
        const auto at = page.find('\n' + sample + ' ');
        INFO(page);
        REQUIRE(at != std::string::npos);
        return std::stoull(page.substr(at + sample.size() + 2));
    }

    asio::io_context context;
    child_process program;
    std::uint16_t port = 0;

private:
    static std::vector<std::string> command(std::vector<std::string> arguments) {
        arguments.insert(arguments.begin(), EXAMPLE_PROGRAM);
        return arguments;
    }
};

inline std::string user_json(int id, const std::string& name) {
    return "{\"id\":" + std::to_string(id) + ",\"name\":\"" + name + "\"}";
}
inline std::string user_json(int id) {
    return user_json(id, "user " + std::to_string(id));
}

} // namespace acache_test

#endif
