// expect: (no matching member function for call|no matching function for call|constraints not satisfied)
// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

#include <acache/async_cache.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <string>

boost::asio::awaitable<void> store(boost::asio::io_context& context) {
    acache::async_cache<int, int> cache(context);
    co_await cache.set(1, std::string("text"));
}

int main() {}
