// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_SRC_HPP
#define ACACHE_REDIS_SRC_HPP

// What Boost.Redis and Boost.JSON are besides their headers. Exactly one source file of a program includes
// this.

#include <boost/json/src.hpp>
#include <boost/redis/src.hpp>

#endif
