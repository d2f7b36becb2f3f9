// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Where there is no acache::redis: see with_redis.cpp.

#include "caches.hpp"

#include <stdexcept>

std::unique_ptr<caches> make_redis_caches(asio::thread_pool&, data_source&, std::string, std::string) {
    throw std::runtime_error("built without Redis, and cannot take --redis: build it where CMake finds "
                             "Boost 1.84 or later and OpenSSL, or leave the option out");
}
