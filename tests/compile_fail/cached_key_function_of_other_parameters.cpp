// expect: the key function cannot be called
// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

#include <acache/async_cache.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <string>

int main() {
    boost::asio::io_context context;
    acache::async_cache<std::string, int> cache(context);
    auto key = [](std::string name, int) { return name; };
    auto fn =
        cache.cached(key, [](std::string name) -> boost::asio::awaitable<int> { co_return name.empty(); });
    return fn.key("text").empty();
}
