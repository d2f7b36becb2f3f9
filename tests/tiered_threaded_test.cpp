// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "shared_fake.hpp"
#include "tsan_suppressions.hpp"

#include <acache/async_cache.hpp>
#include <acache/tiered_backend.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

// The rules of two levels on a pool of four threads, with others who write and a channel that breaks.

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using acache::entry;
using acache::lease_mode;

using near_type = acache::memory_backend<int, int>;
using far_type = shared::fake<int, int>;
using tier_type = acache::tiered_backend<near_type, far_type>;

entry<int> made(int value) {
    return entry<int>(value, acache::coarse_clock::now());
}

TEST_CASE("C28 herds on four threads make few reads of level 2, and all get the value") {
    asio::thread_pool pool(4);
    far_type far;
    tier_type tier(near_type(1000), far);
    constexpr int keys = 100;
    std::atomic<int> wrong = 0;
    for (int key = 0; key != keys; ++key) {
        far.write_elsewhere(key, made(key));
    }
    far.deliver();
    const auto ask = [&](int key) -> asio::awaitable<void> {
        const auto found = co_await tier.get(key);
        wrong += found && found->value == key ? 0 : 1;
    };
    for (int key = 0; key != keys; ++key) {
        for (int i = 0; i != 40; ++i) {
            asio::co_spawn(pool, ask(key), asio::detached);
        }
    }
    pool.join();
    CHECK(wrong == 0);
    // A reader may come between the end of a read, when level 1 has the value, and its own look there before.
    CHECK(tier.level_metrics().reads <= 2 * keys);
}

TEST_CASE("C30 C31 on four threads nobody sees a version older than what was heard or written here") {
    const bool awaits = GENERATE(true, false);
    constexpr int keys = 4;
    asio::thread_pool pool(4);
    far_type far;
    std::optional<tier_type> tier(
        std::in_place, near_type(1000), far,
        acache::tiered_options{.await_writes = awaits, .max_stale_on_partition = 0s});
    std::array<std::atomic<int>, keys> oldest{};
    std::atomic<int> stale = 0;
    std::atomic<int> reads = 0;
    std::atomic<bool> over = false;
    // One writer a key, elsewhere and here by turns, so that versions are in the server's order.
    const auto write = [&](int key) -> asio::awaitable<void> {
        const auto executor = co_await asio::this_coro::executor;
        auto& floor = oldest[static_cast<std::size_t>(key)];
        for (int version = 1; version != 400; ++version) {
            if (version % 3 == 0) {
                auto e = made(version);
                co_await tier->set(key, e);
                floor = version;
            } else if (version % 7 == 0) {
                co_await tier->erase(key);
                floor = version;
            } else {
                // Others do not overtake what is in the background: the test would not know the order.
                while (tier->level_metrics().pending_writes != 0) {
                    co_await asio::post(executor, asio::use_awaitable);
                }
                far.write_elsewhere(key, made(version));
                far.deliver();
                // What was on its way when the channel broke is heard of when it is back.
                while (tier->coherence() == 0) {
                    co_await asio::post(executor, asio::use_awaitable);
                }
                far.deliver();
                floor = version;
            }
        }
    };
    const auto read = [&](int key, int way) -> asio::awaitable<void> {
        auto& floor = oldest[static_cast<std::size_t>(key)];
        while (!over) {
            const int least = floor;
            std::optional<entry<int>> found;
            if (way == 0) {
                found = co_await tier->get(key);
            } else if (way == 1) {
                const std::vector<int> both{key, (key + 1) % keys};
                found = (co_await tier->get_many(both))[0];
            } else {
                tier_type::lease lease;
                found = co_await tier->get(key, lease, lease_mode::go_on);
            }
            stale += found && found->value < least ? 1 : 0;
            ++reads;
        }
    };
    std::atomic<int> writers = keys;
    for (int key = 0; key != keys; ++key) {
        asio::co_spawn(pool, write(key), [&](std::exception_ptr failure) {
            stale += failure ? 1000 : 0;
            over = --writers == 0;
        });
        for (int way = 0; way != 3; ++way) {
            asio::co_spawn(pool, read(key, way), asio::detached);
        }
    }
    while (!over) {
        far.lose();
        std::this_thread::yield();
        far.restore();
        std::this_thread::sleep_for(1ms);
    }
    pool.join();
    CHECK(stale == 0);
    CHECK(reads > 0);
}

/// g++ 12 warns, falsely, where a result with a destructor is spawned.
template <class T>
asio::awaitable<void> drop_result(asio::awaitable<T> work) {
    (void)co_await std::move(work);
}

TEST_CASE("on four threads the tier goes while operations and messages are under way") {
    for (int round = 0; round != 20; ++round) {
        asio::thread_pool pool(4);
        far_type far;
        std::optional<tier_type> tier(std::in_place, near_type(1000), far,
                                      acache::tiered_options{.await_writes = round % 2 == 0});
        std::atomic<bool> over = false;
        for (int key = 0; key != 20; ++key) {
            asio::co_spawn(pool, tier->set(key, made(key)), asio::detached);
            asio::co_spawn(pool, drop_result(tier->get(key)), asio::detached);
            asio::co_spawn(pool, drop_result(tier->erase(key)), asio::detached);
        }
        std::thread others([&] {
            while (!over) {
                far.write_elsewhere(1, made(1));
                far.deliver();
                far.lose();
                far.restore();
            }
        });
        tier.reset();
        pool.join();
        over = true;
        others.join();
    }
    SUCCEED();
}

} // namespace
