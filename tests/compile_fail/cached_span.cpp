// expect: a pointer or a span does not own
// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

#include <acache/async_cache.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <span>
#include <string>

int main() {
    boost::asio::io_context context;
    acache::async_cache<std::string, int> cache(context);
    auto key = [](std::span<const int> n) { return std::to_string(n.size()); };
    auto fn =
        cache.cached(key, [](std::span<const int> n) -> boost::asio::awaitable<int> { co_return n[0]; });
}
