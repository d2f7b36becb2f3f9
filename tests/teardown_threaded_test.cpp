// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "failures.hpp"
#include "tsan_suppressions.hpp"

#include <acache/acache.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

// What ends on one thread while another is in the midst of it.

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

TEST_CASE("C10 a context may go while another thread wakes the callers that run on it") {
    for (int round = 0; round != 20; ++round) {
        std::atomic<bool> go = false;
        asio::thread_pool pool(2);
        acache::async_cache<int, int> cache{pool, {.capacity = 0}};
        const auto load = [&](int) -> asio::awaitable<int> {
            while (!go) {
                co_await asio::post(co_await asio::this_coro::executor, asio::deferred);
            }
            co_return 1;
        };
        auto callers = std::make_unique<asio::io_context>();
        const auto ask = [&]() -> asio::awaitable<void> {
            // Belongs to the context, and has to go with it.
            asio::steady_timer local(co_await asio::this_coro::executor, 1h);
            co_await cache.get_or_load(1, load);
        };
        for (int n = 0; n != 2000; ++n) {
            asio::co_spawn(*callers, ask, asio::detached);
        }
        callers->poll();
        go = true;
        while (cache.metrics().in_flight != 0) { // then its callers are being woken
        }
        callers.reset();
    }
    SUCCEED();
}

TEST_CASE("C10 look-ups that begin while their cache is destroyed on another thread hit or are told closed") {
    for (int round = 0; round != 300; ++round) {
        asio::thread_pool pool(2);
        auto cache = std::make_unique<acache::async_cache<int, std::string>>(pool);
        const std::string value(100, 'v');
        asio::co_spawn(pool, cache->set(1, value), asio::use_future).get();
        std::atomic<int> begun = 0;
        std::atomic<int> hits = 0;
        std::atomic<int> closed = 0;
        const auto ask = [&](asio::awaitable<std::optional<std::string>> look_up) -> asio::awaitable<void> {
            ++begun;
            std::exception_ptr failure;
            try {
                hits += (co_await std::move(look_up)).value() == value ? 1 : 0;
            } catch (...) {
                failure = std::current_exception();
            }
            closed += code_of(failure) == acache::errc::closed ? 1 : 0;
        };
        constexpr int asked = 40;
        for (int n = 0; n != asked; ++n) {
            asio::co_spawn(pool, ask(cache->get(1)), asio::detached);
        }
        while (begun < round % asked) {
        }
        cache.reset();
        pool.join();
        REQUIRE(hits + closed == asked);
    }
}

TEST_CASE("C10 close ends a bulk load that is still entering its keys on another thread") {
    std::vector<int> keys(3000);
    for (std::size_t n = 0; n != keys.size(); ++n) {
        keys[n] = static_cast<int>(n);
    }
    for (int round = 0; round != 20; ++round) {
        std::atomic<bool> begun = false;
        asio::thread_pool pool(4);
        acache::async_cache<int, int> cache{pool};
        const auto batch = [](std::span<const int> missing) -> asio::awaitable<std::vector<int>> {
            asio::steady_timer never(co_await asio::this_coro::executor, 1h);
            co_await never.async_wait(asio::deferred);
            co_return std::vector<int>(missing.begin(), missing.end());
        };
        const auto ask = [&]() -> asio::awaitable<void> {
            begun = true;
            co_await cache.get_many_or_load(keys, batch);
        };
        auto asked = asio::co_spawn(pool, ask, asio::use_future);
        while (!begun) {
        }
        auto closed = asio::co_spawn(pool, cache.close(), asio::use_future);
        closed.get();
        try {
            asked.get(); // each key with its error,
        } catch (const boost::system::system_error& e) {
            CHECK(e.code() == acache::errc::closed); // or the whole call
        }
        CHECK(cache.metrics().in_flight == 0);
    }
}

TEST_CASE("A wrapped function may be destroyed while its calls begin and end on other threads") {
    constexpr int threads = 4;
    for (int round = 0; round != 100; ++round) {
        asio::thread_pool pool(threads);
        acache::async_cache<std::string, int> cache(pool);
        const auto alive = std::make_shared<int>(round);
        std::atomic<int> right = 0;
        std::atomic<int> asked = 0;
        {
            auto wrapped = cache.cached("n:{}", [alive](int n) -> asio::awaitable<int> {
                co_await asio::post(co_await asio::this_coro::executor, asio::deferred);
                co_return n + *alive;
            });
            // Calls that begin when this one's copy may be the last, and calls that are given to others.
            const auto ask = [&, wrapped]() -> asio::awaitable<void> {
                for (int i = 0; i != 20 * (round % 10); ++i) {
                    ++asked;
                    right += co_await wrapped(i % 7) == i % 7 + *alive ? 1 : 0;
                }
                for (int i = 0; i != 3; ++i) {
                    ++asked;
                    asio::co_spawn(pool, wrapped(i), [&, i](const std::exception_ptr& e, int value) {
                        right += !e && value == i + *alive ? 1 : 0;
                    });
                }
                const auto never = wrapped(1);
            };
            for (int n = 0; n != threads; ++n) {
                asio::co_spawn(pool, ask, asio::detached);
            }
        }
        pool.join();
        REQUIRE(right == asked);
        REQUIRE(alive.use_count() == 1);
    }
}

} // namespace
