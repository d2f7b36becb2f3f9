// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_CLIENT_HPP
#define ACACHE_REDIS_CLIENT_HPP

#include <acache/clock.hpp>
#include <acache/redis/detail/redis_link.hpp>
#include <acache/redis/metrics.hpp>
#include <acache/redis/options.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/redis/connection.hpp>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <utility>

namespace acache {

class redis_client;

namespace detail {

/// What a client is a handle to; keeps it going.
[[nodiscard]] std::shared_ptr<redis_link> link_of(const redis_client& client);

} // namespace detail

/// A connection to Redis or Valkey that caches share: a handle, cheap to copy. It takes over the connection's
/// requests and pushes, which nobody else may use; to configure it (address, TLS, authentication, database)
/// and to run it (`async_run`) remains the user's business, as does its executor: a strand where the context
/// is run by more than one thread.
///
/// A client lives as long as a handle of it or a cache over it. `connection.cancel()` ends its work for good,
/// as does the first loss of a connection whose `reconnect_wait_interval` is 0, which makes none again. Its
/// functions may be called from any thread. The connection's context may be destroyed before it: whatever is
/// asked then fails.
class redis_client {
public:
    /// Throws `std::invalid_argument` for options that make no sense.
    explicit redis_client(std::shared_ptr<boost::redis::connection> connection,
                          const redis_client_options& options = {})
        : running_(std::make_shared<running>(
              std::make_shared<detail::redis_link>(checked(std::move(connection)), options))) {}
    /// The connection outlives the context's work: destroy it after `cancel()` and the end of the context's
    /// `run`.
    explicit redis_client(boost::redis::connection& connection, const redis_client_options& options = {})
        : redis_client(std::shared_ptr<boost::redis::connection>(std::shared_ptr<void>(), &connection),
                       options) {}

    /// Completes when all caches made so far can use the server: true; or false, when the time is over.
    /// Look-ups before that fail, and loads go past Redis.
    [[nodiscard]] boost::asio::awaitable<bool> ready(std::chrono::nanoseconds at_most) const {
        const auto self = *this;
        const auto until = detail::saturating_add(std::chrono::steady_clock::now(), at_most);
        boost::asio::steady_timer again(co_await boost::asio::this_coro::executor);
        while (!self.connected() && std::chrono::steady_clock::now() < until) {
            again.expires_after(std::chrono::milliseconds(1));
            co_await again.async_wait(boost::asio::use_awaitable);
        }
        co_return self.connected();
    }
    /// The server is there, and tells what others change.
    [[nodiscard]] bool connected() const noexcept { return running_->link->connected(); }

    [[nodiscard]] redis_metrics metrics() const noexcept {
        auto result = running_->link->counters.snapshot();
        result.connected = connected();
        return result;
    }

private:
    friend std::shared_ptr<detail::redis_link> detail::link_of(const redis_client& client);

    static std::shared_ptr<boost::redis::connection>
    checked(std::shared_ptr<boost::redis::connection> connection) {
        if (!connection) {
            throw std::invalid_argument("acache: a redis_client was given a null connection; make one, by "
                                        "std::make_shared<boost::redis::connection>(context)");
        }
        return connection;
    }

    /// Ends with the last who needs it.
    struct running {
        explicit running(std::shared_ptr<detail::redis_link> l) : link(std::move(l)) { link->start(); }
        running(const running&) = delete;
        running& operator=(const running&) = delete;
        ~running() { link->stop(); }
        const std::shared_ptr<detail::redis_link> link;
    };

    std::shared_ptr<running> running_;
};

inline std::shared_ptr<detail::redis_link> detail::link_of(const redis_client& client) {
    return {client.running_, client.running_->link.get()};
}

} // namespace acache

#endif
