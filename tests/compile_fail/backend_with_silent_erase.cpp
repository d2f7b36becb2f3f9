// expect: this class cannot be the backend of an async_cache
// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

#include <acache/async_cache.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <optional>
#include <string>

// An asynchronous backend whose erase does not tell whether there was something.
struct silent_erase {
    template <class T>
    using awaitable = boost::asio::awaitable<T>;

    awaitable<std::optional<acache::entry<int>>> get(const int&) { co_return std::nullopt; }
    awaitable<void> set(const int&, acache::entry<int>) { co_return; }
    awaitable<void> erase(const int&) { co_return; }
    awaitable<void> clear() { co_return; }
};

int main() {
    boost::asio::io_context context;
    acache::async_cache<int, int, silent_erase> cache(context, silent_erase());
}
