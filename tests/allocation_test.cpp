// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "sanitized.hpp"

#include <acache/async_cache.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

// How often a hit allocates. Asio allocates coroutine frames with aligned_alloc, which a counter on operator
// new does not see, so the C library's functions are counted; sanitizers have functions of their own there.

#if defined(__GLIBC__) && !defined(SANITIZED)

namespace {
std::atomic<std::size_t> allocations = 0;
}

extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t size) {
    ++allocations;
    return __libc_malloc(size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
    ++allocations;
    return __libc_memalign(alignment, size);
}
int posix_memalign(void** result, std::size_t alignment, std::size_t size) {
    ++allocations;
    *result = __libc_memalign(alignment, size);
    return *result == nullptr ? ENOMEM : 0;
}
}

namespace {

namespace asio = boost::asio;

/// The allocations of the hundred awaits of `call` that follow a few others.
template <class Call>
std::size_t allocations_of_a_hundred(asio::io_context& context, Call call) {
    std::size_t counted = 0;
    const auto run = [&]() -> asio::awaitable<void> {
        for (int i = 0; i != 5; ++i) {
            (void)co_await call();
        }
        const auto before = allocations.load();
        for (int i = 0; i != 100; ++i) {
            (void)co_await call();
        }
        counted = allocations.load() - before;
    };
    asio::co_spawn(context, run, asio::detached);
    context.restart();
    context.run();
    return counted;
}

TEST_CASE("The counter sees allocations of every kind") {
    asio::io_context context;
    const auto allocates = []() -> asio::awaitable<std::string> { co_return std::string(100, 'x'); };
    CHECK(allocations_of_a_hundred(context, allocates) == 100);
    const auto before = allocations.load();
    void* volatile aligned = std::aligned_alloc(64, 128);
    std::free(aligned);
    CHECK(allocations.load() == before + 1);
}

TEST_CASE("A hit through a format allocates nothing, however long the key") {
    asio::io_context context;
    acache::async_cache<std::string, int> cache(context);
    auto fn = cache.cached("a prefix that is too long for the small strings of any library:{}:{}",
                           [](std::int64_t, int) -> asio::awaitable<int> { co_return 1; });
    CHECK(allocations_of_a_hundred(context, [&] { return fn(1234567890123, 42); }) == 0);
    CHECK(cache.metrics().hits == 104);
}

TEST_CASE("A hit through a format allocates nothing for short text") {
    asio::io_context context;
    acache::async_cache<std::string, int> cache(context);
    auto fn = cache.cached("a prefix that is too long for the small strings of any library:{}",
                           [](std::string_view) -> asio::awaitable<int> { co_return 1; });
    CHECK(allocations_of_a_hundred(context, [&] { return fn("short text"); }) == 0);
}

TEST_CASE("A hit by a key that is looked up as text allocates nothing") {
    asio::io_context context;
    acache::async_cache<std::string, int> cache(context);
    const auto load = []() -> asio::awaitable<int> { co_return 1; };
    CHECK(allocations_of_a_hundred(context, [&] { return cache.get_or_load("short", load); }) == 0);
    const std::string_view long_key = "a key that is too long for the small strings of any library";
    CHECK(allocations_of_a_hundred(context, [&] { return cache.get_or_load(long_key, load); }) <= 100);
    const auto before = allocations.load();
    (void)cache.try_get(long_key);
    CHECK(allocations.load() == before);
}

TEST_CASE("A load allocates its job and its flight, but no coroutine, strand or wake-up") {
    asio::io_context context;
    acache::async_cache<std::int64_t, int> cache(context, {.capacity = 0});
    std::int64_t key = 0;
    const auto load = []() -> asio::awaitable<int> { co_return 1; };
    CHECK(allocations_of_a_hundred(context, [&] { return cache.get_or_load(++key, load); }) <= 500);
    CHECK(cache.metrics().loads == 105);
}

TEST_CASE("A hit of a cache with keys that are numbers allocates nothing") {
    asio::io_context context;
    acache::async_cache<std::int64_t, int> cache(context);
    auto fn = cache.cached([](std::int64_t) -> asio::awaitable<int> { co_return 1; });
    CHECK(allocations_of_a_hundred(context, [&] { return fn(42); }) == 0);
}

} // namespace

#else

TEST_CASE("A hit allocates nothing") {
    SKIP("only counted with glibc, and without sanitizers");
}

#endif
