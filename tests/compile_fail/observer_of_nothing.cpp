// expect: no on.event. for any event of acache::events
// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

#include <acache/async_cache.hpp>

#include <boost/asio/io_context.hpp>

#include <string>

struct of_another_key {
    void on(const acache::events::hit<std::string>&) {}
};

int main() {
    boost::asio::io_context context;
    acache::async_cache<int, int, acache::memory_backend<int, int>, of_another_key> cache(context);
}
