// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// What README.md shows of Redis, compiled and run.

#include "redis_server.hpp"

#include <acache/acache.hpp>
#include <acache/redis.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/describe/class.hpp>
#include <boost/redis/connection.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

// [redis user]
struct user {
    std::int64_t id = 0;
    std::string name;
};
BOOST_DESCRIBE_STRUCT(user, (), (id, name)) // so that Boost.JSON can write and read it
// [/redis user]

// [redis run]
/// Until `connection->cancel()`: `async_run` ends where a connection is refused, or does not come about.
asio::awaitable<void> keep_running(std::shared_ptr<boost::redis::connection> connection,
                                   boost::redis::config config) {
    asio::steady_timer pause(co_await asio::this_coro::executor);
    while (connection->will_reconnect()) {
        co_await connection->async_run(config, {boost::redis::logger::level::err},
                                       asio::as_tuple(asio::use_awaitable));
        connection->reset_stream();
        pause.expires_after(1s);
        co_await pause.async_wait(asio::use_awaitable);
    }
}
// [/redis run]

TEST_CASE("The README's cache over Redis works") {
    const acache_test::redis_server server;
    boost::redis::config config;
    config.addr.port = std::to_string(server.port());
    asio::io_context context;
    int loads = 0;
    const auto find_user = [&loads](std::int64_t id) -> asio::awaitable<user> {
        ++loads;
        co_return user{id, "user " + std::to_string(id)};
    };
    // [redis cache]
    auto connection = std::make_shared<boost::redis::connection>(context);
    asio::co_spawn(context, keep_running(connection, config), asio::detached);
    acache::redis_client redis(connection);

    using memory = acache::memory_backend<std::string, user>;
    using shared = acache::redis_backend<std::string, user>;
    using levels = acache::tiered_backend<memory, shared>;
    acache::async_cache<std::string, user, levels> users{
        context, levels(memory(100'000), shared(redis, {.prefix = "users"})), {.ttl = 600s}};
    auto get_user = users.cached("user:{}", find_user);
    // [/redis cache]
    std::exception_ptr error;
    const auto use = [&]() -> asio::awaitable<void> {
        // [redis use]
        co_await redis.ready(2s); // else the first look-ups find no Redis, and load
        user u = co_await get_user(42);
        // [/redis use]
        CHECK(u.name == "user 42");
        CHECK((co_await get_user(42)).id == 42);
        CHECK(loads == 1);
        CHECK(redis.metrics().leases_granted == 1);
        CHECK(co_await get_user.invalidate(42));
        CHECK((co_await get_user(42)).id == 42);
        CHECK(loads == 2);
    };
    asio::co_spawn(context, use, [&](std::exception_ptr e) {
        error = e;
        context.stop();
    });
    context.run();
    if (error) {
        std::rethrow_exception(error);
    }
}

} // namespace
