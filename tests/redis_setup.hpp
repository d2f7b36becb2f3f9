// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_REDIS_SETUP_HPP
#define ACACHE_TESTS_REDIS_SETUP_HPP

#include "redis_connection.hpp"
#include "redis_server.hpp"

#include <acache/redis/backend.hpp>
#include <acache/redis/client.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/redis/connection.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace acache_test {

/// What one process has of Redis: a connection that runs, and a client on it.
class redis_process {
public:
    redis_process(asio::io_context& context, std::uint16_t port,
                  const acache::redis_client_options& options = quick)
        : connection_(std::make_shared<boost::redis::connection>(context)), client_(connection_, options) {
        asio::co_spawn(context, keep_running(connection_, port), asio::detached);
    }
    redis_process(const redis_process&) = delete;
    redis_process& operator=(const redis_process&) = delete;
    ~redis_process() { connection_->cancel(); }

    [[nodiscard]] acache::redis_client& client() noexcept { return client_; }
    [[nodiscard]] acache::redis_metrics metrics() const { return client_.metrics(); }

private:
    std::shared_ptr<boost::redis::connection> connection_;
    acache::redis_client client_;
};

inline asio::awaitable<void> pause_for(std::chrono::nanoseconds time) {
    asio::steady_timer timer(co_await asio::this_coro::executor, time);
    co_await timer.async_wait(asio::use_awaitable);
}

/// Waits for a condition of the real world; false if it has not come true in all that time.
template <class Condition>
asio::awaitable<bool> comes_true(Condition condition, std::chrono::nanoseconds at_most = 20s) {
    const auto until = std::chrono::steady_clock::now() + at_most;
    while (!condition() && std::chrono::steady_clock::now() < until) {
        co_await pause_for(1ms);
    }
    co_return condition();
}

/// Runs a test's coroutine, and all else, until that has ended.
template <class F>
void run(asio::io_context& context, F&& test) {
    std::exception_ptr error;
    bool is_over = false;
    asio::co_spawn(context, test, [&](std::exception_ptr e) {
        error = e;
        is_over = true;
        context.stop();
    });
    context.restart();
    context.run_for(60s);
    REQUIRE(is_over);
    if (error) {
        std::rethrow_exception(error);
    }
}

[[nodiscard]] inline acache::entry<std::string> fresh(std::string value, std::chrono::nanoseconds ttl = 60s) {
    const auto now = acache::coarse_clock::now();
    return acache::entry<std::string>(std::move(value), now, now + ttl);
}

} // namespace acache_test

#endif
