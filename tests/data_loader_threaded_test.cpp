// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "failures.hpp"
#include "tsan_suppressions.hpp"

#include <acache/acache.hpp>
#include <acache/testing.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

// Four threads. Values are checked as they arrive; what is counted, after all is quiet.

namespace {

namespace asio = boost::asio;
using acache::errc;
using acache::load_result;
using namespace std::chrono_literals;

using memory_cache = acache::async_cache<int, std::string>;
using remote_cache =
    acache::async_cache<int, std::string, acache::testing::scripted_backend<int, std::string>>;
using loader_type = acache::DataLoader<int, std::string>;

std::string value_of(int key) {
    return "the value of the key " + std::to_string(key);
}

/// A batch function that answers after a hop or two, and knows which keys are being loaded.
struct source {
    std::atomic<int> calls{0};
    std::atomic<int> keys{0};
    std::atomic<int> repeated{0};

    auto fn() {
        return [this](std::span<const int> ids) -> asio::awaitable<std::vector<std::string>> {
            ++calls;
            keys += static_cast<int>(ids.size());
            const std::set<int> different(ids.begin(), ids.end());
            repeated += static_cast<int>(ids.size() - different.size());
            for (std::size_t i = 0; i != ids.size() % 3; ++i) {
                co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
            }
            std::vector<std::string> out;
            for (const int id : ids) {
                out.push_back(value_of(id));
            }
            co_return out;
        };
    }
};

/// What callers have seen.
struct outcome {
    std::atomic<int> right{0};
    std::atomic<int> wrong{0};
    std::atomic<int> closed{0};
    std::atomic<int> cancelled{0};
    std::atomic<int> other{0};

    void note(int key, const std::string& value) { ++(value == value_of(key) ? right : wrong); }
    void note(const std::exception_ptr& failure) {
        const auto code = code_of(failure);
        ++(code == errc::closed ? closed : code == asio::error::operation_aborted ? cancelled : other);
    }
};

asio::awaitable<void> load_some(loader_type& loader, outcome& seen, unsigned seed, int rounds, int range) {
    std::mt19937 random{seed};
    for (int i = 0; i != rounds; ++i) {
        const int key = static_cast<int>(random()) & (range - 1);
        std::exception_ptr failure;
        try {
            if (random() % 4 != 0) {
                const std::string got = co_await loader.load(key);
                seen.note(key, got);
            } else {
                const std::vector<int> three{key, (key + 1) & (range - 1), key};
                const auto got = co_await loader.load_many(three);
                for (std::size_t k = 0; k != three.size(); ++k) {
                    if (got[k].has_value()) {
                        seen.note(three[k], *got[k]);
                    } else {
                        seen.note(got[k].error());
                    }
                }
            }
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure) {
            seen.note(failure);
        }
    }
}

template <class Where>
void spawn(Where where, asio::awaitable<void> work) {
    asio::co_spawn(where, std::move(work), [](const std::exception_ptr& failure) {
        if (failure) {
            std::rethrow_exception(failure);
        }
    });
}

TEST_CASE("C22 C23 Loads from many strands, with a window, share batches and get their own values") {
    asio::thread_pool pool(4);
    source from;
    outcome seen;
    loader_type loader{pool, from.fn(), {.max_batch_size = 50, .batch_window = 200us, .cache = false}};
    for (unsigned i = 0; i != 40; ++i) {
        spawn(asio::make_strand(pool), load_some(loader, seen, i, 300, 64));
    }
    pool.join();
    CHECK(seen.wrong == 0);
    CHECK(seen.closed + seen.cancelled + seen.other == 0);
    CHECK(seen.right >= 40 * 300);
    CHECK(from.repeated == 0);
    CHECK(from.keys <= seen.right);
    CHECK(from.calls < seen.right / 2);
}

TEST_CASE("C22 A loader that remembers asks for each key once, from however many threads") {
    asio::thread_pool pool(4);
    source from;
    outcome seen;
    loader_type loader{pool, from.fn(), {.max_concurrent_batches = 3}};
    for (unsigned i = 0; i != 40; ++i) {
        spawn(asio::make_strand(pool), load_some(loader, seen, i, 300, 256));
    }
    pool.join();
    CHECK(seen.wrong == 0);
    CHECK(seen.closed + seen.cancelled + seen.other == 0);
    CHECK(from.keys <= 256);
    CHECK(from.repeated == 0);
}

template <class Cache>
asio::awaitable<void> use_cache(Cache& cache, outcome& seen, unsigned seed, int rounds) {
    std::mt19937 random{seed};
    const auto load = [](int key) -> asio::awaitable<std::string> {
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        co_return value_of(key);
    };
    const auto load_many = [](std::vector<int> ids) -> asio::awaitable<std::vector<std::string>> {
        std::vector<std::string> out;
        for (const int id : ids) {
            out.push_back(value_of(id));
        }
        co_return out;
    };
    for (int i = 0; i != rounds; ++i) {
        const int key = static_cast<int>(random() & 63);
        std::exception_ptr failure;
        try {
            switch (random() % 8) {
            case 0:
                static_cast<void>(co_await cache.invalidate(key));
                break;
            case 1:
                if (random() % 8 == 0) {
                    co_await cache.clear();
                }
                break;
            case 2: {
                const std::vector<int> three{key, key + 1, key + 2};
                const auto got = co_await cache.get_many_or_load(three, load_many);
                for (const auto& [k, result] : got) {
                    if (result.has_value()) {
                        seen.note(k, *result);
                    } else {
                        seen.note(result.error());
                    }
                }
                break;
            }
            case 3: {
                const std::string value = value_of(key);
                co_await cache.set(key, value);
                break;
            }
            default: {
                const std::string got = co_await cache.get_or_load(key, load);
                seen.note(key, got);
            }
            }
        } catch (...) {
            failure = std::current_exception();
        }
        if (failure) {
            seen.note(failure);
        }
    }
}

asio::awaitable<void> write_through(loader_type& loader, unsigned seed, int rounds) {
    std::mt19937 random{seed};
    for (int i = 0; i != rounds; ++i) {
        const int key = static_cast<int>(random() & 63);
        try {
            switch (random() % 16) {
            case 0:
                loader.clear_all();
                break;
            case 1:
            case 2:
                loader.flush();
                break;
            case 3:
            case 4:
            case 5:
                loader.prime(key, value_of(key));
                break;
            default:
                loader.clear(key);
            }
        } catch (const boost::system::system_error&) { // closed
        }
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
    }
}

TEST_CASE("C11 C13 C22 A loader over a cache, mixed with every other use of the cache, gives right values") {
    asio::thread_pool pool(4);
    memory_cache cache{pool, {.capacity = 40}};
    source from;
    outcome seen;
    loader_type loader{
        cache, from.fn(), {.max_batch_size = 8, .batch_window = 50us, .max_concurrent_batches = 4}};
    for (unsigned i = 0; i != 16; ++i) {
        spawn(asio::make_strand(pool), load_some(loader, seen, i, 800, 64));
        spawn(asio::make_strand(pool), use_cache(cache, seen, i + 100, 800));
        if (i % 4 == 0) {
            spawn(asio::make_strand(pool), write_through(loader, i, 800));
        }
    }
    pool.join();
    CHECK(seen.wrong == 0);
    CHECK(seen.closed + seen.cancelled + seen.other == 0);
    CHECK(seen.right > 0);
    CHECK(from.repeated == 0);
    const auto m = cache.metrics();
    CHECK(m.in_flight == 0);
    CHECK(m.hits + m.misses + m.coalesced == static_cast<std::uint64_t>(seen.right));
    CHECK(m.load_failures == 0);
}

TEST_CASE("C11 C13 C22 The same over an asynchronous backend") {
    asio::thread_pool pool(4);
    acache::testing::scripted_backend<int, std::string> backend;
    remote_cache cache{pool, backend};
    source from;
    outcome seen;
    // The window would be that of a clock that stands still.
    acache::DataLoader loader{cache, from.fn(), {.max_batch_size = 8, .max_concurrent_batches = 4}};
    const auto load = [&](unsigned seed) -> asio::awaitable<void> {
        std::mt19937 random{seed};
        for (int i = 0; i != 500; ++i) {
            const int key = static_cast<int>(random() & 63);
            const std::string got = co_await loader.load(key);
            seen.note(key, got);
            switch (random() % 8) {
            case 0:
                loader.clear(key);
                break;
            case 1:
                loader.prime(key, value_of(key));
                break;
            case 2:
                if (random() % 8 == 0) {
                    loader.clear_all();
                }
                break;
            default:
                break;
            }
        }
    };
    for (unsigned i = 0; i != 16; ++i) {
        spawn(asio::make_strand(pool), load(i));
        spawn(asio::make_strand(pool), use_cache(cache, seen, i + 100, 500));
    }
    pool.join();
    CHECK(seen.wrong == 0);
    CHECK(seen.closed + seen.cancelled + seen.other == 0);
    CHECK(from.repeated == 0);
    const auto m = cache.metrics();
    CHECK(m.in_flight == 0);
    CHECK(m.backend_failures == 0);
    CHECK(m.hits + m.misses + m.coalesced == static_cast<std::uint64_t>(seen.right));
}

TEST_CASE(
    "C25 Callers cancelled from other threads get operation_aborted or their value, and disturb nobody") {
    asio::thread_pool pool(4);
    source from;
    outcome seen;
    outcome left;
    loader_type loader{pool, from.fn(), {.batch_window = 100us, .cache = false, .max_concurrent_batches = 2}};
    std::vector<std::shared_ptr<asio::cancellation_signal>> signals;
    for (unsigned i = 0; i != 100; ++i) {
        const auto strand = asio::make_strand(pool);
        auto signal = std::make_shared<asio::cancellation_signal>();
        asio::co_spawn(strand, load_some(loader, left, i, 5, 8),
                       asio::bind_cancellation_slot(signal->slot(), [signal](const std::exception_ptr&) {}));
        asio::post(strand, [signal] { signal->emit(asio::cancellation_type::terminal); });
        spawn(asio::make_strand(pool), load_some(loader, seen, i, 20, 8));
    }
    pool.join();
    CHECK(seen.wrong + left.wrong == 0);
    CHECK(seen.right >= 100 * 20);
    CHECK(seen.closed + seen.cancelled + seen.other == 0);
    CHECK(left.closed + left.other == 0);
}

TEST_CASE("C10 A loader closed or drained during traffic, or its cache, ends every caller with a value or "
          "errc::closed") {
    const int how = GENERATE(0, 1, 2, 3);
    const bool over_a_cache = GENERATE(false, true);
    CAPTURE(how, over_a_cache);
    for (int round = 0; round != 5; ++round) {
        asio::thread_pool pool(4);
        std::optional<memory_cache> cache;
        source from;
        outcome seen;
        std::optional<loader_type> loader;
        const acache::data_loader_options options{.max_batch_size = 4, .batch_window = 100us, .cache = false};
        if (over_a_cache) {
            cache.emplace(pool, acache::cache_options{.capacity = 0});
            loader.emplace(*cache, from.fn(), options);
        } else {
            loader.emplace(pool, from.fn(), options);
        }
        std::atomic<bool> ended = false;
        for (unsigned i = 0; i != 16; ++i) {
            spawn(asio::make_strand(pool), load_some(*loader, seen, i, 40, 32));
        }
        const auto end = [&]() -> asio::awaitable<void> {
            // Lets some of the traffic by.
            while (seen.right < 50) {
                co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
            }
            if (how == 0) {
                co_await loader->close();
            } else if (how == 1) {
                co_await loader->drain();
            } else if (how == 2) {
                co_await loader->drain();
                co_await loader->close();
            } else if (cache) {
                co_await cache->close();
            } else {
                co_await loader->close();
            }
            ended = true;
        };
        spawn(asio::make_strand(pool), end());
        pool.join();
        CHECK(ended);
        CHECK(seen.wrong == 0);
        CHECK(seen.other == 0);
        CHECK(seen.cancelled == 0);
        CHECK(seen.right >= 50);
        CHECK(seen.closed > 0);
    }
}

} // namespace
