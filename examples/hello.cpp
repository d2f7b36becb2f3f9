// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// The smallest whole program: four calls of a cached function, two loads. It is the one in the README.

// [program]
#include <acache/acache.hpp>
#include <boost/asio.hpp>
#include <iostream>
namespace asio = boost::asio;
using namespace std::chrono_literals;

asio::awaitable<std::string> find_name(std::int64_t id) { // what costs: a query, a request, a computation
    asio::steady_timer timer(co_await asio::this_coro::executor, 100ms);
    co_await timer.async_wait(asio::use_awaitable);
    co_return "user " + std::to_string(id);
}

int main() {
    asio::io_context context;
    acache::async_cache<std::string, std::string> cache{context, {.capacity = 100'000, .ttl = 60s}};
    auto get_name = cache.cached("user:{}", find_name);
    auto greet = [&](std::int64_t id) -> asio::awaitable<void> {
        std::cout << "hello, " + co_await get_name(id) + '\n';
    };
    for (std::int64_t id : {1, 2, 1, 1}) {
        asio::co_spawn(context, greet(id), asio::detached);
    }
    context.run();
    std::cout << cache.metrics().loads << " loads\n"; // 2: callers of one key share one load
}
// [/program]
