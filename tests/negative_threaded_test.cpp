// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "failures.hpp"
#include "tsan_suppressions.hpp"

#include <acache/async_cache.hpp>
#include <acache/testing.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <optional>

// Remembered failures on a pool of four threads, with a cache that nobody guards by a strand.

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using acache::errc;

using memory = acache::memory_backend<int, int>;
using remote = acache::testing::scripted_backend<int, int>;

TEMPLATE_TEST_CASE("C11 C14 on four threads nobody is told of a failure that was found before the last "
                   "invalidation that had returned",
                   "", memory, remote) {
    constexpr int keys = 4;
    constexpr int rounds = 100;
    asio::thread_pool pool(4);
    acache::async_cache<int, int, TestType> cache(pool, TestType(), {.negative_ttl = 1h});
    // Whether the source has the key, which one writer a key changes.
    std::array<std::atomic<bool>, keys> there{};
    std::atomic<int> writers = keys;
    std::atomic<int> wrong = 0;
    const auto load = [&](const int& key) -> asio::awaitable<std::optional<int>> {
        const bool found = there[static_cast<std::size_t>(key)];
        const auto executor = co_await asio::this_coro::executor;
        co_await asio::post(executor, asio::use_awaitable);
        co_return found ? std::optional(key) : std::nullopt;
    };
    const auto has = [&](int key) -> asio::awaitable<bool> {
        std::exception_ptr failure;
        try {
            co_return key == co_await cache.get_or_load(key, load);
        } catch (...) {
            failure = std::current_exception();
        }
        wrong += code_of(failure) == errc::not_found ? 0 : 1;
        co_return false;
    };
    const auto write = [&](int key) -> asio::awaitable<void> {
        for (int round = 0; round != rounds; ++round) {
            const bool now = round % 2 == 0;
            there[static_cast<std::size_t>(key)] = now;
            (void)co_await cache.invalidate(key);
            for (int n = 0; n != 3; ++n) {
                const bool seen = co_await has(key);
                wrong += seen == now ? 0 : 1;
            }
        }
        --writers;
    };
    const auto read = [&](int key) -> asio::awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        while (writers != 0) {
            (void)co_await has(key);
            co_await asio::post(executor, asio::use_awaitable);
        }
    };
    for (int key = 0; key != keys; ++key) {
        asio::co_spawn(pool, write(key), asio::detached);
        asio::co_spawn(pool, read(key), asio::detached);
        asio::co_spawn(pool, read(key), asio::detached);
    }
    pool.join();
    CHECK(wrong == 0);
    const auto m = cache.metrics();
    CHECK(m.negative_hits > 0);
    CHECK(m.negative_hits <= m.hits);
    CHECK(m.in_flight == 0);
}

} // namespace
