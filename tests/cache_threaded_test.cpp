// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "failures.hpp"
#include "tsan_suppressions.hpp"

#include <acache/async_cache.hpp>
#include <acache/single_flight.hpp>
#include <acache/testing.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

// The same rules on a pool of four threads, with a cache that nobody guards by a strand.

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using acache::errc;

using memory = acache::memory_backend<int, int>;
using remote = acache::testing::scripted_backend<int, int>;

template <class Backend>
using cache_of = acache::async_cache<int, int, Backend>;

asio::awaitable<void> yield(int times = 1) {
    const auto executor = co_await asio::this_coro::executor;
    for (int i = 0; i != times; ++i) {
        co_await asio::post(executor, asio::use_awaitable);
    }
}

template <class Work>
void spawn(asio::thread_pool& pool, Work work) {
    asio::co_spawn(pool, std::move(work), asio::detached);
}

TEMPLATE_TEST_CASE("C01 herds on four threads load each key once", "", memory, remote) {
    constexpr int keys = 500;
    constexpr int herd = 40;
    asio::thread_pool pool(4);
    cache_of<TestType> cache(pool, TestType(), {});
    std::array<std::atomic<int>, keys> loads{};
    std::atomic<int> wrong = 0;
    const auto load = [&](const int& key) -> asio::awaitable<int> {
        ++loads[static_cast<std::size_t>(key)];
        co_await yield();
        co_return 2 * key;
    };
    const auto ask = [&](int key) -> asio::awaitable<void> {
        const int value = co_await cache.get_or_load(key, load);
        wrong += value == 2 * key ? 0 : 1;
    };
    for (int key = 0; key != keys; ++key) {
        for (int i = 0; i != herd; ++i) {
            spawn(pool, ask(key));
        }
    }
    pool.join();
    CHECK(wrong == 0);
    for (const auto& n : loads) {
        CHECK(n == 1);
    }
    const auto m = cache.metrics();
    CHECK(m.hits + m.misses + m.coalesced == keys * herd);
    CHECK(m.misses == keys);
    CHECK(m.loads == keys);
    CHECK(m.in_flight == 0);
}

TEMPLATE_TEST_CASE(
    "C11 C13 C14 on four threads nobody sees a version older than the last write that had returned", "",
    memory, remote) {
    constexpr int keys = 8;
    asio::thread_pool pool(4);
    cache_of<TestType> cache(pool, TestType(), {});
    // The source's version of each key, and the oldest that a get may see that begins now.
    std::array<std::atomic<int>, keys> current{};
    std::array<std::atomic<int>, keys> oldest{};
    std::atomic<int> stale = 0;
    std::atomic<int> writers_left = keys;
    const auto load = [&](const int& key) -> asio::awaitable<int> {
        const int version = current[static_cast<std::size_t>(key)];
        co_await yield(2);
        co_return version;
    };
    const auto write = [&](int key) -> asio::awaitable<void> {
        const auto k = static_cast<std::size_t>(key);
        for (int i = 1; i != 1500; ++i) {
            const int version = ++current[k];
            if (i % 16 == 0) {
                co_await cache.clear();
            } else if (i % 2 == 0) {
                (void)co_await cache.invalidate(key);
            } else {
                co_await cache.set(key, version);
            }
            oldest[k] = version;
            co_await yield(3);
        }
        --writers_left;
    };
    const auto read = [&](unsigned seed) -> asio::awaitable<void> {
        std::minstd_rand random(seed + 1);
        while (writers_left != 0) {
            const auto key = static_cast<int>(random() % keys);
            const int from = oldest[static_cast<std::size_t>(key)];
            int version = 0;
            if (random() % 8 == 0) {
                version = co_await cache.refresh(key, load);
            } else {
                version = co_await cache.get_or_load(key, load);
            }
            stale += version < from ? 1 : 0;
            const int before = oldest[static_cast<std::size_t>(key)];
            const auto found = co_await cache.get(key);
            stale += found && *found < before ? 1 : 0;
            co_await yield();
        }
    };
    for (int key = 0; key != keys; ++key) {
        spawn(pool, write(key));
    }
    for (unsigned i = 0; i != 16; ++i) {
        spawn(pool, read(i));
    }
    pool.join();
    CHECK(stale == 0);
    CHECK(cache.metrics().in_flight == 0);
}

TEMPLATE_TEST_CASE("C03 C04 C05 storms of leaving callers on four threads disturb nobody who stays", "",
                   memory, remote) {
    constexpr int callers = 10000;
    asio::thread_pool pool(4);
    cache_of<TestType> cache(pool, TestType(), {.max_concurrent_loads = 3});
    std::atomic<int> values = 0;
    std::atomic<int> aborted = 0;
    std::atomic<int> wrong = 0;
    const auto load = [&](const int& key) -> asio::awaitable<int> {
        co_await yield(3);
        co_return key;
    };
    struct leaver {
        explicit leaver(asio::thread_pool& p) : strand(asio::make_strand(p)) {}
        asio::any_io_executor strand;
        asio::cancellation_signal signal;
    };
    // Kept to the end: ThreadSanitizer does not know the fence by which Asio orders the end of an executor.
    std::vector<std::shared_ptr<leaver>> all;
    const auto ask = [&](int n) -> asio::awaitable<void> {
        const int key = n % 50;
        const int value = co_await cache.get_or_load(key, load);
        wrong += value == key ? 0 : 1;
        if (n % 7 == 0) {
            (void)co_await cache.invalidate(key);
        }
    };
    for (int n = 0; n != callers; ++n) {
        const auto one = all.emplace_back(std::make_shared<leaver>(pool));
        const bool leaves = n % 3 != 0;
        asio::co_spawn(
            one->strand, ask(n),
            asio::bind_cancellation_slot(one->signal.slot(), [&, one, leaves](std::exception_ptr e) {
                if (e) {
                    ++aborted;
                    wrong += leaves && code_of(e) == asio::error::operation_aborted ? 0 : 1;
                } else {
                    ++values;
                }
            }));
        if (leaves) {
            const auto emit = [one] { one->signal.emit(asio::cancellation_type::terminal); };
            if (n % 2 == 0) {
                asio::post(one->strand, emit);
            } else {
                asio::post(pool, [one, emit] { asio::post(one->strand, emit); });
            }
        }
    }
    pool.join();
    CHECK(wrong == 0);
    CHECK(values + aborted == callers);
    CHECK(values >= callers / 3);
    CHECK(cache.metrics().in_flight == 0);
    CHECK(cache.metrics().load_failures == 0);
}

TEMPLATE_TEST_CASE("C26 with a short queue on four threads, calls are refused, and none from inside a load",
                   "", memory, remote) {
    constexpr int callers = 6000;
    for (const std::size_t room : {std::size_t{0}, std::size_t{2}}) {
        asio::thread_pool pool(4);
        cache_of<TestType> cache(pool, TestType(), {.max_concurrent_loads = 2, .max_queued_loads = room});
        std::atomic<int> values = 0;
        std::atomic<std::uint64_t> refused = 0;
        std::atomic<int> wrong = 0;
        std::atomic<int> outside = 0; // loads that were not asked for from inside one
        const auto part = [&](const int& key) -> asio::awaitable<int> {
            co_await yield();
            co_return key;
        };
        // Its parts are asked for from outside too, and may be refused there.
        const auto whole = [&](const int& key) -> asio::awaitable<int> {
            wrong += ++outside > 2 + 8 ? 1 : 0;
            co_await yield();
            int sum = co_await cache.get_or_load(100 + key % 5, part);
            const std::vector<int> both{105, 106};
            const auto rest = co_await cache.get_many_or_load(
                both, [](std::vector<int> keys) -> asio::awaitable<std::vector<int>> { co_return keys; });
            for (const int other : both) {
                sum += rest.at(other).value();
            }
            --outside;
            co_return sum;
        };
        const auto ask = [&](int n) -> asio::awaitable<void> {
            const bool asks_part = n % 2 == 0;
            const int key = asks_part ? 100 + n / 2 % 7 : n % 20;
            std::exception_ptr failure;
            try {
                const int value = asks_part ? co_await cache.get_or_load(key, part)
                                            : co_await cache.get_or_load(key, whole);
                wrong += value == (asks_part ? key : 100 + key % 5 + 105 + 106) ? 0 : 1;
                ++values;
            } catch (...) {
                failure = std::current_exception();
            }
            if (failure) {
                ++refused;
                wrong += code_of(failure) == errc::overloaded ? 0 : 1;
            }
            (void)co_await cache.invalidate(key);
            for (const auto& f : cache.in_flight()) {
                wrong += f.key < 0 || f.key > 106 ? 1 : 0;
            }
        };
        for (int n = 0; n != callers; ++n) {
            spawn(pool, ask(n));
        }
        pool.join();
        CHECK(wrong == 0);
        CHECK(values + static_cast<int>(refused) == callers);
        CHECK(cache.metrics().overloaded <= refused); // one load may have several callers
        CHECK(cache.metrics().in_flight == 0);
        CHECK(cache.metrics().load_failures == 0);
    }
}

TEMPLATE_TEST_CASE("C10 close during traffic on four threads ends it, and waits for every load", "", memory,
                   remote) {
    for (int round = 0; round != 40; ++round) {
        asio::thread_pool pool(4);
        cache_of<TestType> cache(pool, TestType(), {.max_concurrent_loads = 4});
        std::atomic<int> running = 0;
        std::atomic<int> wrong = 0;
        const auto load = [&](const int& key) -> asio::awaitable<int> {
            struct count {
                std::atomic<int>& of;
                explicit count(std::atomic<int>& n) : of(n) { ++of; }
                ~count() { --of; }
            } const c(running);
            co_await yield(2);
            co_return key;
        };
        const auto ask = [&](int n) -> asio::awaitable<void> {
            for (int i = 0; i != 20; ++i) {
                std::exception_ptr failure;
                try {
                    const int key = (n * 20 + i) % 97;
                    const int value = co_await cache.get_or_load(key, load);
                    wrong += value == key ? 0 : 1;
                    if (i % 5 == 0) {
                        co_await cache.set(key, key);
                    }
                } catch (...) {
                    failure = std::current_exception();
                }
                if (failure) {
                    wrong += code_of(failure) == errc::closed ? 0 : 1;
                    co_return;
                }
            }
        };
        for (int n = 0; n != 16; ++n) {
            spawn(pool, ask(n));
        }
        const auto end = [&](int after, bool drain) -> asio::awaitable<void> {
            co_await yield(after);
            if (drain) {
                co_await cache.drain();
            } else {
                co_await cache.close();
            }
            wrong += running;
        };
        auto first = asio::co_spawn(pool, end(round, round % 2 == 0), asio::use_future);
        auto second = asio::co_spawn(pool, end(round / 2, false), asio::use_future);
        first.get();
        second.get();
        pool.join();
        CHECK(wrong == 0);
        CHECK(cache.metrics().in_flight == 0);
    }
}

TEMPLATE_TEST_CASE("C10 a cache may be destroyed on one thread while wrapped functions are called on others",
                   "", memory, remote) {
    for (int round = 0; round != 40; ++round) {
        asio::thread_pool pool(4);
        std::atomic<int> wrong = 0;
        std::optional<cache_of<TestType>> cache(std::in_place, pool, TestType(), acache::cache_options{});
        const auto fn = cache->cached([](int n) -> asio::awaitable<int> {
            co_await yield(2);
            co_return n;
        });
        const auto ask = [&wrong, fn](int n) -> asio::awaitable<void> {
            for (int i = 0; i != 50; ++i) {
                std::exception_ptr failure;
                try {
                    const int value = co_await fn(n + i);
                    wrong += value == n + i ? 0 : 1;
                } catch (...) {
                    failure = std::current_exception();
                }
                if (failure) {
                    wrong += code_of(failure) == errc::closed ? 0 : 1;
                    co_return;
                }
            }
        };
        for (int n = 0; n != 8; ++n) {
            spawn(pool, ask(n));
        }
        while (cache->metrics().loads < static_cast<std::uint64_t>(round)) {
        }
        cache.reset();
        pool.join();
        CHECK(wrong == 0);
    }
}

TEST_CASE("C06 loads that hang on four threads time out, and their keys are free") {
    asio::thread_pool pool(4);
    acache::async_cache<int, int> cache(pool, {.load_timeout = 1ms});
    std::atomic<int> timed_out = 0;
    std::atomic<int> wrong = 0;
    const auto hangs = [&](const int&) -> asio::awaitable<int> {
        asio::steady_timer never(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
        co_await never.async_wait(asio::use_awaitable);
        co_return 0;
    };
    const auto works = [](const int& key) -> asio::awaitable<int> { co_return key; };
    const auto ask = [&](int key) -> asio::awaitable<void> {
        std::exception_ptr failure;
        try {
            (void)co_await cache.get_or_load(key, hangs);
        } catch (...) {
            failure = std::current_exception();
        }
        (code_of(failure) == errc::load_timeout ? timed_out : wrong) += 1;
        const int value = co_await cache.get_or_load(key, works, {.load_timeout = 1h});
        wrong += value == key ? 0 : 1;
    };
    for (int n = 0; n != 200; ++n) {
        spawn(pool, ask(n));
    }
    pool.join();
    CHECK(timed_out == 200);
    CHECK(wrong == 0);
}

TEST_CASE("C09 loads on four threads that wait for each other in a ring are told, and nobody hangs") {
    asio::thread_pool pool(4);
    acache::async_cache<int, int> cache(pool);
    constexpr int ring = 5;
    std::atomic<int> told = 0;
    std::function<asio::awaitable<int>(const int&)> ask_next;
    ask_next = [&](const int& key) -> asio::awaitable<int> {
        co_await yield(2);
        const int base = key - key % ring;
        const int next = base + (key + 1) % ring;
        co_return co_await cache.get_or_load(next, ask_next);
    };
    const auto ask = [&](int key) -> asio::awaitable<void> {
        std::exception_ptr failure;
        try {
            (void)co_await cache.get_or_load(key, ask_next);
        } catch (...) {
            failure = std::current_exception();
        }
        told += code_of(failure) == errc::recursive_load ? 1 : 0;
    };
    for (int key = 0; key != 200 * ring; ++key) {
        spawn(pool, ask(key));
    }
    pool.join();
    CHECK(told == 200 * ring);
    CHECK(cache.metrics().in_flight == 0);
}

TEST_CASE("C01 a single_flight on four threads never runs two of a key at once") {
    asio::thread_pool pool(4);
    acache::single_flight<int, int> flights(pool);
    std::array<std::atomic<int>, 10> running{};
    std::atomic<int> overlaps = 0;
    const auto run = [&](const int& key) -> asio::awaitable<int> {
        auto& mine = running[static_cast<std::size_t>(key)];
        overlaps += ++mine > 1 ? 1 : 0;
        co_await yield(2);
        --mine;
        co_return key;
    };
    const auto ask = [&](int key) -> asio::awaitable<void> {
        for (int i = 0; i != 50; ++i) {
            const int value = co_await flights.run(key, run);
            overlaps += value == key ? 0 : 1;
        }
    };
    for (int n = 0; n != 40; ++n) {
        spawn(pool, ask(n % 10));
    }
    pool.join();
    CHECK(overlaps == 0);
    CHECK(flights.in_flight() == 0);
}

TEST_CASE("A load may end on another executor while something else still has its own") {
    asio::thread_pool pool(2);
    asio::thread_pool other(2);
    acache::async_cache<int, int> cache(pool, {.capacity = 0});
    std::atomic<int> loaded = 0;
    const auto load = [&](int key) -> asio::awaitable<int> {
        if (key % 2 == 0) {
            const asio::any_io_executor mine = co_await asio::this_coro::executor;
            asio::post(other, [mine] {
                for (int i = 0; i != 20; ++i) {
                    (void)asio::prefer(mine, asio::execution::outstanding_work.tracked);
                }
            });
        }
        co_await asio::post(asio::bind_executor(other, asio::use_awaitable));
        co_return key;
    };
    const auto ask = [&](int from) -> asio::awaitable<void> {
        for (int key = from; key != from + 500; ++key) {
            loaded += co_await cache.get_or_load(key, load) == key ? 1 : 0;
        }
    };
    for (int n = 0; n != 4; ++n) {
        spawn(pool, ask(n * 1000));
    }
    pool.join();
    other.join();
    CHECK(loaded == 4 * 500);
}

} // namespace
