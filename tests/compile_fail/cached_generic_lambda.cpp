// expect: wrap it in a lambda with named parameter types
// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

#include <acache/async_cache.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <string>

int main() {
    boost::asio::io_context context;
    acache::async_cache<std::string, int> cache(context);
    auto fn = cache.cached("n:{}", [](auto n) -> boost::asio::awaitable<int> { co_return n; });
}
