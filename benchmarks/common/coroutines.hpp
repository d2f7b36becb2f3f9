// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_BENCHMARKS_COMMON_COROUTINES_HPP
#define ACACHE_BENCHMARKS_COMMON_COROUTINES_HPP

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>

#include <exception>
#include <utility>

namespace benchmarks {

namespace asio = boost::asio;
using asio::awaitable;

/// Runs a coroutine function without arguments to its end.
template <class F>
void run(asio::io_context& context, F coroutine) {
    context.restart();
    asio::co_spawn(context, std::move(coroutine), [](std::exception_ptr error) {
        if (error) {
            std::rethrow_exception(error);
        }
    });
    context.run();
}

/// Goes to the end of the executor's queue: the least that a coroutine which waits for another has to do.
inline awaitable<void> hop() {
    co_await asio::post(co_await asio::this_coro::executor, asio::deferred);
}

} // namespace benchmarks

#endif
