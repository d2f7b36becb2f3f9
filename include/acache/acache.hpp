// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_ACACHE_HPP
#define ACACHE_ACACHE_HPP

// The core of acache. prometheus.hpp and testing.hpp are included by those who use them.

#include <acache/async_cache.hpp>
#include <acache/backend.hpp>
#include <acache/cached.hpp>
#include <acache/clock.hpp>
#include <acache/data_loader.hpp>
#include <acache/entry.hpp>
#include <acache/error.hpp>
#include <acache/eviction_policy.hpp>
#include <acache/flight_info.hpp>
#include <acache/hash.hpp>
#include <acache/key_format.hpp>
#include <acache/load_context.hpp>
#include <acache/lookup_result.hpp>
#include <acache/lru.hpp>
#include <acache/memory_backend.hpp>
#include <acache/metrics.hpp>
#include <acache/options.hpp>
#include <acache/s3_fifo.hpp>
#include <acache/single_flight.hpp>
#include <acache/tiered_backend.hpp>
#include <acache/turnstile.hpp>
#include <acache/version.hpp>

#endif
