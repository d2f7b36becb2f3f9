// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <boost/asio/this_coro.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

// How a cache ends: contract C10.

namespace {

using namespace setup;

TEMPLATE_TEST_CASE("C10 close refuses new work, of every kind", "", over_memory, over_script) {
    world<TestType> w;
    auto wrapped = w.cache->cached("n:{}", [&](int) { return w.src("n"); });
    w.steps.run(w.cache->set("a", 1));
    w.steps.run(w.cache->close());

    const std::vector<std::string> keys{"a", "b"};
    const auto batch = [](std::vector<std::string> k) -> asio::awaitable<std::vector<int>> {
        co_return std::vector<int>(k.size());
    };
    CHECK(w.call(w.get_or_load("a")).code() == errc::closed);
    CHECK(w.call(w.get_or_load("b")).code() == errc::closed);
    CHECK(w.call(w.cache->get("a")).code() == errc::closed);
    CHECK(w.call(w.cache->lookup("a", w.src)).code() == errc::closed);
    CHECK(w.call(w.cache->refresh("a", w.src)).code() == errc::closed);
    CHECK(w.call(w.cache->set("a", 1)).code() == errc::closed);
    CHECK(w.call(w.cache->invalidate("a")).code() == errc::closed);
    CHECK(w.call(w.cache->clear()).code() == errc::closed);
    CHECK(w.call(w.cache->get_many(keys)).code() == errc::closed);
    CHECK(w.call(w.cache->get_many_or_load(keys, batch)).code() == errc::closed);
    CHECK(w.call(w.cache->warmup(keys, w.src)).code() == errc::closed);
    CHECK(w.call(wrapped(1)).code() == errc::closed);
    CHECK(w.call(wrapped.set(1, 1)).code() == errc::closed);
    CHECK(w.call(wrapped.refresh(1)).code() == errc::closed);
    CHECK(wrapped.key(1) == "n:1");
    if constexpr (!TestType::remote) {
        CHECK_THROWS_AS((void)w.cache->try_get("a"), boost::system::system_error);
        CHECK_THROWS_AS((void)wrapped.try_get(1), boost::system::system_error);
    }
    CHECK(w.src.starts() == 0);
    CHECK(w.cache->metrics().in_flight == 0);
}

TEMPLATE_TEST_CASE("C10 close gives waiting callers closed at once, and waits for the loads it has cancelled",
                   "", over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    w.src.ignore_cancellation();
    const auto caller = w.call(w.get_or_load("a"));
    const auto first = w.call(w.cache->close());
    CHECK(caller.code() == errc::closed);
    CHECK_FALSE(first.done());
    const auto second = w.call(w.cache->close());
    CHECK_FALSE(second.done());
    w.src.release_all();
    w.settle();
    CHECK(first.done());
    CHECK(second.done());
    CHECK_FALSE(first.failed());
    CHECK_FALSE(second.failed());
    // Again, when it is all over.
    CHECK_NOTHROW(w.steps.run(w.cache->close()));
    CHECK_NOTHROW(w.steps.run(w.cache->drain()));
}

TEMPLATE_TEST_CASE("C10 close cancels loads that heed it, those that wait for their turn too", "",
                   over_memory, over_script) {
    world<TestType> w({.max_concurrent_loads = 1});
    w.src.hold();
    const auto running = w.call(w.get_or_load("a"));
    const auto queued = w.call(w.get_or_load("b"));
    CHECK(w.src.starts() == 1);
    const auto closing = w.call(w.cache->close());
    CHECK(closing.done());
    CHECK(running.code() == errc::closed);
    CHECK(queued.code() == errc::closed);
    CHECK(w.src.starts() == 1);
    CHECK(w.src.given_up() == 1);
    CHECK(w.cache->metrics().load_failures == 0);
}

TEMPLATE_TEST_CASE("C10 close waits for loads that were fenced, and for those that all have left", "",
                   over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    w.src.ignore_cancellation();
    const auto fenced = w.call(w.get_or_load("a"));
    w.steps.run(w.cache->invalidate("a"));
    const auto abandoned = w.call(w.get_or_load("b"));
    abandoned.leave();
    w.settle();
    const auto closing = w.call(w.cache->close());
    CHECK(fenced.code() == errc::closed);
    w.src.release_one();
    w.settle();
    CHECK_FALSE(closing.done());
    w.src.release_one();
    w.settle();
    CHECK(closing.done());
}

TEST_CASE("C10 close waits for operations on an asynchronous backend") {
    world<over_script> w;
    auto script = w.store->script();
    const auto kind = GENERATE(op::get, op::set, op::erase, op::clear);
    script.hold(kind);
    const auto work = [](auto& cache, op what) -> asio::awaitable<void> {
        if (what == op::get) {
            (void)co_await cache.get("a");
        } else if (what == op::set) {
            co_await cache.set("a", 1);
        } else if (what == op::erase) {
            (void)co_await cache.invalidate("a");
        } else {
            co_await cache.clear();
        }
    };
    const auto pending = w.call(work(*w.cache, kind));
    const auto closing = w.call(w.cache->close());
    CHECK_FALSE(closing.done());
    script.release_all();
    w.settle();
    CHECK(closing.done());
    CHECK(pending.done());
    CHECK_FALSE(pending.failed());
}

TEMPLATE_TEST_CASE("C10 drain lets loads and callers finish, and then the cache is closed", "", over_memory,
                   over_script) {
    world<TestType> w({.max_concurrent_loads = 1});
    w.src.hold();
    const auto running = w.call(w.get_or_load("a"));
    const auto queued = w.call(w.get_or_load("b"));
    const auto first = w.call(w.cache->drain());
    const auto second = w.call(w.cache->drain());
    CHECK_FALSE(first.done());
    CHECK(w.call(w.get_or_load("c")).code() == errc::closed);
    w.src.release_one();
    w.settle();
    CHECK(running.value() == 1);
    CHECK_FALSE(first.done());
    w.src.release_one();
    w.settle();
    CHECK(queued.value() == 2);
    CHECK(first.done());
    CHECK(second.done());
    CHECK(w.call(w.cache->get("a")).code() == errc::closed);
}

TEMPLATE_TEST_CASE("C10 while draining, a load may still ask for other keys", "", over_memory, over_script) {
    world<TestType> w;
    source gate;
    gate.hold();
    const auto needs_another = [&](const std::string&) -> asio::awaitable<int> {
        (void)co_await gate("first");
        const int n = co_await w.get_or_load("inner");
        co_return n * 10;
    };
    const auto outer = w.call(w.cache->get_or_load("outer", needs_another));
    const auto draining = w.call(w.cache->drain());
    gate.release_all();
    w.settle();
    CHECK(outer.value() == 10);
    CHECK(draining.done());
}

TEMPLATE_TEST_CASE("C10 close ends a drain that takes too long", "", over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    const auto caller = w.call(w.get_or_load("a"));
    const auto draining = w.call(w.cache->drain());
    const auto closing = w.call(w.cache->close());
    CHECK(caller.code() == errc::closed);
    CHECK(closing.done());
    CHECK(draining.done());
}

TEMPLATE_TEST_CASE("C10 who waits for close may be cancelled, and the cache closes all the same", "",
                   over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    w.src.ignore_cancellation();
    const auto caller = w.call(w.get_or_load("a"));
    const auto impatient = w.call(w.cache->close());
    const auto patient = w.call(w.cache->close());
    impatient.leave();
    w.settle();
    CHECK(impatient.code() == asio::error::operation_aborted);
    CHECK(caller.code() == errc::closed);
    CHECK_FALSE(patient.done());
    w.src.release_all();
    w.settle();
    CHECK(patient.done());
}

TEMPLATE_TEST_CASE("C10 close and drain from inside a load are refused, and change nothing", "", over_memory,
                   over_script) {
    world<TestType> w;
    const bool drains = GENERATE(false, true);
    const bool nested = GENERATE(false, true);
    const auto closes = [&](const std::string&) -> asio::awaitable<int> {
        error_code seen;
        try {
            if (drains) {
                co_await w.cache->drain();
            } else {
                co_await w.cache->close();
            }
        } catch (const boost::system::system_error& e) {
            seen = e.code();
        }
        co_return seen == errc::recursive_load ? 1 : 2;
    };
    // From inside a load of another cache that a load of this one waits for, too.
    acache::async_cache<std::string, int> other(w.context);
    const auto through_other = [&](const std::string& key) -> asio::awaitable<int> {
        co_return co_await other.get_or_load(key, closes);
    };
    if (nested) {
        CHECK(w.steps.run(w.cache->get_or_load("a", through_other)) == 1);
    } else {
        CHECK(w.steps.run(w.cache->get_or_load("a", closes)) == 1);
    }
    CHECK(w.get("a") == 1);
}

TEMPLATE_TEST_CASE("C10 another cache may be closed from inside a load", "", over_memory, over_script) {
    world<TestType> w;
    acache::async_cache<std::string, int> other(w.context);
    const auto closes = [&](const std::string&) -> asio::awaitable<int> {
        co_await other.close();
        co_return 1;
    };
    CHECK(w.steps.run(w.cache->get_or_load("a", closes)) == 1);
}

TEMPLATE_TEST_CASE("C10 the destructor closes without waiting, and what still runs keeps what it needs", "",
                   over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    w.src.ignore_cancellation();
    const auto alive = std::make_shared<int>(0);
    const auto held = [alive, src = w.src](const std::string& key) -> asio::awaitable<int> {
        const auto mine = alive;
        co_return co_await src(key);
    };
    const auto first = w.call(w.cache->get_or_load("a", held));
    const auto second = w.call(w.cache->get_or_load("a", held));
    w.cache.reset();
    w.settle();
    CHECK(first.code() == errc::closed);
    CHECK(second.code() == errc::closed);
    CHECK(alive.use_count() > 2);
    w.src.release_all();
    w.settle();
    CHECK(alive.use_count() == 2); // here and in `held`
}

TEMPLATE_TEST_CASE("C10 a wrapped function that outlives its cache gives closed", "", over_memory,
                   over_script) {
    world<TestType> w;
    auto wrapped = w.cache->cached("n:{}", [&](int) { return w.src("n"); });
    CHECK(w.steps.run(wrapped(1)) == 1);
    const auto copy = wrapped;
    w.cache.reset();
    CHECK(w.call(copy(1)).code() == errc::closed);
    CHECK(w.call(wrapped.invalidate(1)).code() == errc::closed);
    CHECK(copy.key(7) == "n:7");
}

TEMPLATE_TEST_CASE(
    "C10 an operation that was made before the end of its cache and is awaited after it gives closed", "",
    over_memory, over_script) {
    world<TestType> w;
    w.steps.run(w.cache->set("a", 1));
    auto get = w.cache->get("a");
    auto get_or_load = w.get_or_load("a");
    auto lookup = w.cache->lookup("a", w.src);
    auto never = w.cache->get("a");
    w.cache.reset();
    // Another cache in its place is not taken for it.
    world<TestType> other;
    other.steps.run(other.cache->set("a", 2));
    CHECK(w.call(std::move(get)).code() == errc::closed);
    CHECK(w.call(std::move(get_or_load)).code() == errc::closed);
    CHECK(w.call(std::move(lookup)).code() == errc::closed);
}

TEMPLATE_TEST_CASE("C10 a cache may be moved, and the old one's loads go on", "", over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    const auto caller = w.call(w.get_or_load("a"));
    auto moved = std::move(*w.cache);
    w.cache.reset();
    w.src.release_all();
    w.settle();
    CHECK(caller.value() == 1);
    CHECK(w.steps.run(moved.get("a")) == 1);
    // What is assigned to closes first.
    w.src.hold();
    const auto second = w.call(moved.get_or_load("b", w.src));
    world<TestType> other;
    moved = std::move(*other.cache);
    w.settle();
    CHECK(second.code() == errc::closed);
}

TEMPLATE_TEST_CASE("C10 the context may be destroyed before the cache, which then only says closed", "",
                   over_memory, over_script) {
    typename world<TestType>::backend_type backend;
    std::optional<typename world<TestType>::cache_type> cache;
    source src;
    src.hold();
    const auto alive = std::make_shared<int>(0);
    std::optional<caller<int>> waiting;
    {
        asio::io_context context;
        cache.emplace(context, std::move(backend));
        const auto held = [alive, src](const std::string& key) -> asio::awaitable<int> {
            co_return co_await src(key);
        };
        waiting.emplace(context.get_executor(), cache->get_or_load("a", held));
        stepper(context).run_until_idle();
        CHECK(src.starts() == 1);
    }
    CHECK(alive.use_count() == 1);
    CHECK_FALSE(waiting->done());
    asio::io_context later;
    const caller<int> late(later.get_executor(), cache->get_or_load("a", src));
    stepper(later).run_until_idle();
    CHECK(late.code() == errc::closed);
    const caller<void> closing(later.get_executor(), cache->close());
    stepper(later).run_until_idle();
    CHECK(closing.done());
}

TEMPLATE_TEST_CASE("C10 callers on another context are told closed when the cache's context goes", "",
                   over_memory, over_script) {
    asio::io_context callers;
    source src;
    src.hold();
    std::optional<typename world<TestType>::cache_type> cache;
    std::optional<caller<int>> waiting;
    {
        asio::io_context loads;
        cache.emplace(loads, typename world<TestType>::backend_type());
        waiting.emplace(callers.get_executor(), cache->get_or_load("a", src));
        stepper(callers).run_until_idle();
        stepper(loads).run_until_idle();
        CHECK(src.starts() == 1);
    }
    stepper(callers).run_until_idle();
    CHECK(waiting->code() == errc::closed);
}

} // namespace
