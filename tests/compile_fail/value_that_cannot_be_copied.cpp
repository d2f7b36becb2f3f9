// expect: values are copied to each of their readers
// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

#include <acache/async_cache.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <string>

#include <memory>

int main() {
    boost::asio::io_context context;
    acache::async_cache<int, std::unique_ptr<int>> cache(context);
}
