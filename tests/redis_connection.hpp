// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_REDIS_CONNECTION_HPP
#define ACACHE_TESTS_REDIS_CONNECTION_HPP

#include <acache/redis/options.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/redis/config.hpp>
#include <boost/redis/connection.hpp>
#include <boost/redis/logger.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace acache_test {

namespace asio = boost::asio;
using namespace std::chrono_literals;

/// Short times, so that outages are noticed soon.
inline constexpr acache::redis_client_options quick{
    .timeout = 500ms, .keepalive = 100ms, .failures_to_open = 3};

[[nodiscard]] inline boost::redis::config config_of(std::uint16_t port) {
    boost::redis::config config;
    config.addr.port = std::to_string(port);
    config.reconnect_wait_interval = 20ms;
    config.health_check_interval = 500ms;
    return config;
}

/// Runs a connection as its owner does: again and again, since `async_run` ends where a connection is
/// refused.
inline asio::awaitable<void> keep_running(std::shared_ptr<boost::redis::connection> connection,
                                          std::uint16_t port) {
    const auto config = config_of(port);
    asio::steady_timer pause(co_await asio::this_coro::executor);
    while (connection->will_reconnect()) {
        co_await connection->async_run(config, {boost::redis::logger::level::disabled},
                                       asio::as_tuple(asio::use_awaitable));
        connection->reset_stream();
        pause.expires_after(10ms);
        co_await pause.async_wait(asio::use_awaitable);
    }
}

} // namespace acache_test

#endif
