// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_OPERATION_HPP
#define ACACHE_REDIS_DETAIL_REDIS_OPERATION_HPP

#include <acache/detail/waiter.hpp>
#include <acache/redis/detail/redis_reply.hpp>

#include <boost/intrusive/list.hpp>
#include <boost/redis/request.hpp>
#include <boost/system/error_code.hpp>

#include <chrono>
#include <utility>

namespace acache::detail {

/// A request that is under way. Boost.Redis refers to it until it is through with it, which may be long after
/// somebody has lost his patience: the completion handler there owns it too.
class redis_operation
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    redis_operation()
        : request({.cancel_on_connection_lost = true,
                   .cancel_if_not_connected = true,
                   .cancel_if_unresponded = true,
                   .hello_with_priority = false}) {}
    redis_operation(const redis_operation&) = delete;
    redis_operation& operator=(const redis_operation&) = delete;
    virtual ~redis_operation() = default;

    /// Its outcome, on the link's executor; once at most.
    virtual void settled(error_code) {}
    /// The answer to what was settled without it. On the link's executor.
    virtual void answered_late(error_code) {}

    /// Whether it is the link's own, by which it learns that the server answers.
    [[nodiscard]] virtual bool is_probe() const noexcept { return false; }

    boost::redis::request request;
    redis_reply reply;

    // Guarded by the link's mutex, as is the hook: what is not settled is on the link's list.
    std::chrono::steady_clock::time_point deadline;
    bool is_settled = false;
    error_code outcome;
    wait_list caller;  // the coroutine that waits for it, if there is one
    bool here = false; // it runs on the link's executor; constant
};

/// One whose outcome is given to a function.
template <class Done>
class redis_submission final : public redis_operation {
public:
    explicit redis_submission(Done done) : done_(std::move(done)) {}
    void settled(error_code ec) override { done_(ec, this->reply); }

private:
    Done done_;
};

} // namespace acache::detail

#endif
