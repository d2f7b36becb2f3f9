// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
// A second translation unit that includes everything and makes the same classes: the two must link.
#include "consumer.hpp"

#include <acache/acache.hpp>

#include <boost/asio/io_context.hpp>

#include <iostream>
#include <string>

int main() {
    boost::asio::io_context context;
    acache::async_cache<std::string, int> cache{context};
    const bool empty = !cache.try_get("k:21");
    const int loads = loads_of_two_calls();
    std::cout << "acache " << ACACHE_VERSION << ", loads: " << loads << '\n';
    return empty && loads == 1 ? 0 : 1;
}
