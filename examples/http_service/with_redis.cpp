// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// The caches of a service that shares them with others through Redis. Another source file of the program
// includes <acache/redis/src.hpp>.

#include "caches.hpp"

#include <acache/redis.hpp>
#include <acache/redis/prometheus.hpp>
#include <acache/tiered_backend.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/describe/class.hpp>
#include <boost/redis/config.hpp>
#include <boost/redis/connection.hpp>
#include <boost/redis/logger.hpp>

/// By its description Boost.JSON writes a user to Redis, and reads it.
BOOST_DESCRIBE_STRUCT(user, (), (id, name))

namespace {

using users_backend = acache::tiered_backend<acache::memory_backend<std::int64_t, user>,
                                             acache::redis_backend<std::int64_t, user>>;
using reports_backend = acache::tiered_backend<acache::memory_backend<std::string, std::string>,
                                               acache::redis_backend<std::string, std::string>>;

/// Keeps the connection going, on its strand, until it is cancelled. `async_run` itself connects again when a
/// connection breaks, but not where one is refused, or where the server's name is not known.
asio::awaitable<void> run(std::shared_ptr<boost::redis::connection> connection, boost::redis::config config) {
    asio::steady_timer pause(co_await asio::this_coro::executor);
    while (connection->will_reconnect()) {
        co_await connection->async_run(config, boost::redis::logger{boost::redis::logger::level::crit},
                                       asio::as_tuple(asio::use_awaitable));
        connection->reset_stream();
        pause.expires_after(config.reconnect_wait_interval);
        co_await pause.async_wait(asio::use_awaitable);
    }
}

/// Until Redis is there, and whenever it is not, the memory and the data source answer alone.
class redis_caches final : public caches_over<users_backend, reports_backend> {
public:
    redis_caches(asio::thread_pool& pool, data_source& source,
                 std::shared_ptr<boost::redis::connection> connection, const acache::redis_client& client)
        : caches_over(pool.get_executor(), source,
                      users_backend(users_in_memory(), {client, {.prefix = "http_service:users"}}),
                      reports_backend(reports_in_memory(), {client, {.prefix = "http_service:reports"}})),
          connection_(std::move(connection)), client_(client) {}

    void write_metrics(std::string& page) const override {
        caches_over::write_metrics(page);
        acache::write_prometheus(page, "redis", client_.metrics());
    }

    asio::awaitable<void> drain() override {
        co_await caches_over::drain();
        asio::post(connection_->get_executor(), [connection = connection_] { connection->cancel(); });
    }

private:
    std::shared_ptr<boost::redis::connection> connection_;
    acache::redis_client client_;
};

} // namespace

std::unique_ptr<caches> make_redis_caches(asio::thread_pool& pool, data_source& source, std::string host,
                                          std::string port) {
    boost::redis::config config;
    config.addr = {std::move(host), std::move(port)};
    config.reconnect_wait_interval = 100ms;
    // A strand, since the pool has several threads.
    const auto connection = std::make_shared<boost::redis::connection>(asio::make_strand(pool));
    auto made = std::make_unique<redis_caches>(pool, source, connection, acache::redis_client(connection));
    asio::co_spawn(connection->get_executor(), run(connection, std::move(config)), asio::detached);
    return made;
}
