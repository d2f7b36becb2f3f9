// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "consumer.hpp"

#include <acache/acache.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <string>

namespace asio = boost::asio;

int loads_of_two_calls() {
    asio::io_context context;
    acache::async_cache<std::string, int> cache{context};
    int loads = 0;
    auto twice = cache.cached("k:{}", [&loads](int value) -> asio::awaitable<int> {
        ++loads;
        co_return 2 * value;
    });
    bool right = false;
    auto program = [&]() -> asio::awaitable<void> {
        int first = co_await twice(21);
        int second = co_await twice(21);
        right = first == 42 && second == 42;
    };
    asio::co_spawn(context, program, asio::detached);
    context.run();
    return right ? loads : -1;
}
