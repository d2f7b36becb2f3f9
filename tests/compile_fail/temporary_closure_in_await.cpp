// expect: (destroys a temporary closure or aggregate twice|fine with this compiler)
// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

#include <acache/async_cache.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <string>

// g++ from 13 on and clang are right about such temporaries, and refuse nothing.
#if defined(__clang__) || __GNUC__ >= 13
#error fine with this compiler
#endif
boost::asio::awaitable<int> load(boost::asio::io_context& context, std::string text) {
    acache::async_cache<int, int> cache(context);
    co_return co_await cache.get_or_load(
        1, [text](int) -> boost::asio::awaitable<int> { co_return static_cast<int>(text.size()); });
}

int main() {}
