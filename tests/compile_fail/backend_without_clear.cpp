// expect: this class cannot be the backend of an async_cache
// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

#include <acache/async_cache.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <optional>
#include <string>

struct no_clear {
    std::optional<acache::entry<int>> get(const int&) { return {}; }
    void set(const int&, acache::entry<int>) {}
    bool erase(const int&) { return false; }
};

int main() {
    boost::asio::io_context context;
    acache::async_cache<int, int, no_clear> cache(context, no_clear());
}
