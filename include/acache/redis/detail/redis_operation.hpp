// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_OPERATION_HPP
#define ACACHE_REDIS_DETAIL_REDIS_OPERATION_HPP

#include <acache/detail/waiter.hpp>
#include <acache/redis/detail/redis_reply.hpp>

#include <boost/asio/error.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/redis/request.hpp>

#include <chrono>
#include <memory>
#include <mutex>
#include <utility>

namespace acache::detail {

/// A request under way. It outlives whoever asked, for the connection works with it until it is answered. Of
/// the link's executor.
class redis_operation
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    /// It is never sent again on a later connection: what it was to do may be out of date by then.
    redis_operation()
        : request(boost::redis::request::config{.cancel_on_connection_lost = true,
                                                .cancel_if_not_connected = true,
                                                .cancel_if_unresponded = true}) {}
    virtual ~redis_operation() = default;

    /// It is over, in one way or the other; the first counts.
    void finish(error_code failure) {
        if (!std::exchange(finished_, true)) {
            end(failure);
        }
    }

    boost::redis::request request;
    redis_reply reply;
    std::chrono::steady_clock::time_point deadline{};

private:
    virtual void end(error_code failure) = 0;

    bool finished_ = false;
};

using redis_operation_ptr = std::shared_ptr<redis_operation>;

/// Ends an operation, at the latest when it goes: whoever waits is then told, also where the executor is no
/// more that was to carry it out.
class redis_ending {
public:
    explicit redis_ending(redis_operation_ptr of) noexcept : of_(std::move(of)) {}
    redis_ending(redis_ending&&) noexcept = default;
    redis_ending& operator=(redis_ending&&) = delete;
    ~redis_ending() { end(asio::error::operation_aborted); }

    void end(error_code failure) {
        if (const auto of = std::exchange(of_, nullptr)) {
            of->finish(failure);
        }
    }
    [[nodiscard]] const redis_operation_ptr& of() const noexcept { return of_; }

private:
    redis_operation_ptr of_;
};

} // namespace acache::detail

#endif
