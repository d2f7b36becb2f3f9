// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTING_HPP
#define ACACHE_TESTING_HPP

/// The test kit: for tests of code that uses acache, without real time and without luck.
///
///     using namespace acache::testing;
///     using backend = manual_backend<std::string, user>;
///     boost::asio::io_context context;
///     stepper steps(context);
///     acache::async_cache<std::string, user, backend> cache{context, backend{100}, {.ttl = 60s}};
///
///     user first = steps.run(cache.get_or_load("42", load));
///     manual_clock::advance(61s);                  // the entry has expired, and nobody has slept
///     user second = steps.run(cache.get_or_load("42", load));

#include <acache/testing/manual_backend.hpp>   // IWYU pragma: export
#include <acache/testing/manual_clock.hpp>     // IWYU pragma: export
#include <acache/testing/scripted_backend.hpp> // IWYU pragma: export
#include <acache/testing/stepper.hpp>          // IWYU pragma: export

#endif
