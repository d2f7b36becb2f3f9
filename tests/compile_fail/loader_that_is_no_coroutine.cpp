// expect: a loader is a coroutine function called as
// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

#include <acache/async_cache.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <string>

boost::asio::awaitable<int> load(boost::asio::io_context& context) {
    acache::async_cache<int, int> cache(context);
    auto loader = [](int n) { return n; };
    co_return co_await cache.get_or_load(1, loader);
}

int main() {}
