// expect: without narrowing
// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

#include <acache/async_cache.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <string>

int main() {
    boost::asio::io_context context;
    acache::async_cache<int, int> cache(context);
    auto fn = cache.cached([](long long n) -> boost::asio::awaitable<int> { co_return n == 0; });
    return fn.key(1);
}
