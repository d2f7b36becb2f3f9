// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_CLIENT_HPP
#define ACACHE_REDIS_CLIENT_HPP

#include <acache/redis/detail/redis_link.hpp>
#include <acache/redis/metrics.hpp>
#include <acache/redis/options.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/redis/connection.hpp>

#include <chrono>
#include <memory>
#include <utility>

namespace acache {

/// What the caches of a process share on one connection to Redis or Valkey. A handle: copies are the same
/// client, and it ends with the last of them, those in backends included; what still waits then fails with
/// `operation_aborted`.
///
/// The connection is configured and run (`async_run`) by its owner, and used for nothing else. Where its
/// context has several threads it is made on a strand. It outlives the client, and the operations that its
/// context still has of it then. Boost.Redis connects again by itself what it has lost, but its `async_run`
/// ends where that fails: call it again then, after a pause. Until the client has ended it has work on the
/// context.
///
/// Thread safety: all members may be called from any thread.
class redis_client {
public:
    explicit redis_client(boost::redis::connection& connection, redis_client_options options = {})
        : redis_client(std::shared_ptr<boost::redis::connection>(std::shared_ptr<void>(), &connection),
                       options) {}
    explicit redis_client(std::shared_ptr<boost::redis::connection> connection,
                          redis_client_options options = {})
        : client_(std::make_shared<client>(std::move(connection), options)) {}

    /// Waits, on any executor, until the connection is made and all caches on it hear of changes; false where
    /// that takes longer. Cancellation: `operation_aborted`.
    [[nodiscard]] boost::asio::awaitable<bool> ready(std::chrono::nanoseconds at_most) const {
        return client_->link->ready(at_most);
    }

    /// Whether the server is connected, and has been heard of lately.
    [[nodiscard]] bool connected() const noexcept { return client_->link->is_open(); }

    [[nodiscard]] redis_metrics metrics() const noexcept { return client_->link->counters.read(); }

    /// For backends.
    [[nodiscard]] const std::shared_ptr<detail::redis_link>& link() const noexcept { return client_->link; }

private:
    struct client {
        client(std::shared_ptr<boost::redis::connection> connection, redis_client_options options)
            : link(std::make_shared<detail::redis_link>(std::move(connection), options)) {
            link->start();
        }
        client(const client&) = delete;
        client& operator=(const client&) = delete;
        ~client() { link->stop(); }

        std::shared_ptr<detail::redis_link> link;
    };

    std::shared_ptr<client> client_;
};

} // namespace acache

#endif
