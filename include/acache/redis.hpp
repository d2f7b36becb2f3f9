// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_HPP
#define ACACHE_REDIS_HPP

// What acache::redis has. One source file of the program includes <acache/redis/src.hpp> besides.

#include <acache/redis/client.hpp>
#include <acache/redis/error.hpp>
#include <acache/redis/metrics.hpp>
#include <acache/redis/options.hpp>

#endif
