// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "shared_setup.hpp"

#include <acache/data_loader.hpp>
#include <acache/load_context.hpp>

#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

// Every suspension point of two caches on one store sees its frame destroyed: each scenario runs again and
// again, and ends after 0, 1, 2 ... handlers. AddressSanitizer sees what is touched too late, the count of
// living frames what is never destroyed, and the store which lease was left behind.

namespace {

using namespace setup;

/// What users' frames hold: a timer of their context, which must not outlive it.
struct guard {
    guard(const asio::any_io_executor& executor, std::shared_ptr<int> count)
        : timer(executor, 1h), alive(std::move(count)) {}
    asio::steady_timer timer;
    std::shared_ptr<int> alive;
};

/// A cache on a context of its own.
struct side {
    using client = store_client<std::string, int, true>;
    using cache_type = acache::async_cache<std::string, int, client>;

    side(const std::shared_ptr<shared_server<std::string, int>>& server, std::shared_ptr<int> count)
        : alive(std::move(count)), store(server), cache(std::in_place, *context, store, options) {}

    static constexpr acache::cache_options options{.ttl = 10s, .stale_while_revalidate = 1h};

    /// Suspends twice, with a guard in its frame.
    static asio::awaitable<int> load(std::shared_ptr<int> alive) {
        const auto executor = co_await asio::this_coro::executor;
        const guard g(executor, std::move(alive));
        co_await asio::post(executor, asio::deferred);
        co_await asio::post(executor, asio::deferred);
        co_return 1;
    }
    static asio::awaitable<std::vector<int>> load_all(std::shared_ptr<int> alive, std::size_t count) {
        co_return std::vector<int>(count, co_await load(std::move(alive)));
    }

    asio::awaitable<void> get(std::string key) {
        const guard g(co_await asio::this_coro::executor, alive);
        auto loader = [this](const std::string&) { return load(alive); };
        (void)co_await cache.value().get_or_load(key, loader);
    }
    asio::awaitable<void> refresh(std::string key) {
        const guard g(co_await asio::this_coro::executor, alive);
        auto loader = [this](acache::load_context& said) {
            said.tag("t");
            return load(alive);
        };
        (void)co_await cache.value().refresh(key, loader);
    }
    asio::awaitable<void> get_all(std::vector<std::string> keys) {
        const guard g(co_await asio::this_coro::executor, alive);
        auto batch = [this](std::vector<std::string> all) { return load_all(alive, all.size()); };
        (void)co_await cache.value().get_many_or_load(keys, batch);
    }

    template <class Work>
    void spawn(Work work) {
        // Who is told of the closing is content.
        asio::co_spawn(*context, std::move(work), [](const auto&...) {});
    }

    std::shared_ptr<int> alive;
    std::optional<asio::io_context> context{std::in_place};
    client store;
    std::optional<cache_type> cache;
};

enum class end_order { contexts_first, first_context, first_cache, caches_first };

std::size_t run_for(side& a, side& b, std::size_t n) {
    std::size_t count = 0;
    const auto step = [](side& s) { return s.context && stepper(*s.context).step(); };
    // In turns, so that neither is always done when the other begins.
    while (count != n && (count % 2 == 0 ? step(a) || step(b) : step(b) || step(a))) {
        ++count;
    }
    return count;
}

template <class Start>
void end_at_every_point(Start start) {
    for (const auto order : {end_order::contexts_first, end_order::first_context, end_order::first_cache,
                             end_order::caches_first}) {
        for (std::size_t n = 0;; ++n) {
            manual_clock::reset();
            const auto server = std::make_shared<shared_server<std::string, int>>();
            const auto alive = std::make_shared<int>(0);
            INFO("ended after " << n << " handlers, order " << static_cast<int>(order));
            std::size_t ran = 0;
            {
                side first(server, alive);
                side second(server, alive);
                start(first, second);
                ran = run_for(first, second, n);
                if (order == end_order::contexts_first) {
                    first.context.reset();
                    second.context.reset();
                } else if (order == end_order::first_context) {
                    first.context.reset();
                    run_for(first, second, 1000);
                } else if (order == end_order::first_cache) {
                    first.cache.reset();
                    run_for(first, second, 1000);
                    first.context.reset();
                } else {
                    first.cache.reset();
                    second.cache.reset();
                    run_for(first, second, 1000);
                }
                if (order == end_order::first_context || order == end_order::first_cache) {
                    CHECK(second.cache->metrics().in_flight == 0);
                }
                second.cache.reset();
                first.cache.reset();
                second.context.reset();
                first.context.reset();
            }
            REQUIRE(alive.use_count() == 1);
            for (const char* key : {"a", "b", "c"}) {
                REQUIRE_FALSE(server->leased(key));
            }
            if (ran < n) {
                REQUIRE(n > 3);
                break;
            }
        }
    }
}

TEST_CASE("C10 C32 the end may come at any handler of loads of one key in two processes") {
    end_at_every_point([](side& first, side& second) {
        for (const char* key : {"a", "a", "b"}) {
            first.spawn(first.get(key));
            second.spawn(second.get(key));
        }
    });
}

TEST_CASE("C10 the end may come at any handler of changes by another process") {
    end_at_every_point([](side& first, side& second) {
        first.spawn(first.get("a"));
        first.spawn(first.refresh("a"));
        second.spawn(second.cache->invalidate("a"));
        second.spawn(second.refresh("a"));
        second.spawn(second.cache->invalidate_tag("t"));
        first.spawn(first.cache->expire("a"));
        second.spawn(second.cache->clear());
        first.spawn(first.get("a"));
    });
}

TEST_CASE("C10 the end may come at any handler of batches in two processes") {
    end_at_every_point([](side& first, side& second) {
        first.spawn(first.get_all({"a", "b"}));
        second.spawn(second.get_all({"b", "a", "c"}));
        first.spawn(first.get("c"));
        second.spawn(second.get("b"));
        first.spawn(first.cache->set("b", 7));
    });
}

} // namespace
