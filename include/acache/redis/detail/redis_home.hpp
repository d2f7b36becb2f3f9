// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_HOME_HPP
#define ACACHE_REDIS_DETAIL_REDIS_HOME_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

namespace acache::detail {

namespace asio = boost::asio;

/// Whether the calling thread runs a function of `executor`: one of a strand, or of a context that has one
/// thread. False where that cannot be told.
class redis_home {
public:
    explicit redis_home(const asio::any_io_executor& executor) : executor_(executor) {
        look_for<asio::io_context::executor_type>() ||
            look_for<asio::strand<asio::io_context::executor_type>>() ||
            look_for<asio::strand<asio::any_io_executor>>() ||
            look_for<asio::strand<asio::thread_pool::executor_type>>();
    }
    redis_home(const redis_home&) = delete;
    redis_home& operator=(const redis_home&) = delete;

    [[nodiscard]] bool here() const noexcept { return found_ != nullptr && is_here_(found_); }
    [[nodiscard]] const asio::any_io_executor& executor() const noexcept { return executor_; }

private:
    template <class E>
    bool look_for() {
        found_ = executor_.target<E>();
        is_here_ = [](const void* e) { return static_cast<const E*>(e)->running_in_this_thread(); };
        return found_ != nullptr;
    }

    asio::any_io_executor executor_;
    const void* found_ = nullptr;
    bool (*is_here_)(const void*) = nullptr;
};

} // namespace acache::detail

#endif
