// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTING_MANUAL_BACKEND_HPP
#define ACACHE_TESTING_MANUAL_BACKEND_HPP

#include <acache/hash.hpp>
#include <acache/memory_backend.hpp>
#include <acache/testing/manual_clock.hpp>
#include <acache/turnstile.hpp>

#include <functional>

namespace acache::testing {

/// The default backend of a cache, on the clock that a test turns.
template <class K, class V>
using manual_backend = memory_backend<K, V, hash<K>, std::equal_to<>, turnstile, manual_clock>;

} // namespace acache::testing

#endif
