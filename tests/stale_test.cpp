// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <acache/detail/random.hpp>
#include <acache/load_context.hpp>
#include <acache/lookup_result.hpp>

#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

// Values past their freshness: who gets them, and when they are renewed.

namespace {

using namespace setup;
using enum acache::lookup_source;

constexpr acache::cache_options revalidating{.ttl = 10s, .stale_while_revalidate = 20s};
constexpr acache::cache_options forgiving{.ttl = 10s, .stale_if_error = 20s};

/// "a" is stored with the value 1, and so many seconds old.
template <class World>
void store_a(World& w, std::chrono::nanoseconds age) {
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(age);
}

TEMPLATE_TEST_CASE("C18 a stale value within its window is returned at once, and one refresh begins", "",
                   over_memory, over_script) {
    world<TestType> w(revalidating);
    store_a(w, 10s);
    w.src.hold();
    std::vector<caller<int>> callers;
    for (int n = 0; n != 5; ++n) {
        callers.push_back(w.call(w.get_or_load("a")));
    }
    for (const auto& c : callers) {
        CHECK(c.value() == 1);
    }
    CHECK(w.src.starts("a") == 2);
    CHECK(w.cache->metrics().in_flight == 1);
    w.src.release_all();
    w.settle();
    CHECK(w.call(w.get_or_load("a")).value() == 2);
    const auto m = w.cache->metrics();
    CHECK(m.stale_hits == 5);
    CHECK(m.hits == 1);
    CHECK(m.misses == 1);
    CHECK(m.loads == 2);
    CHECK(m.refreshes == 1);
    CHECK(m.in_flight == 0);
}

TEMPLATE_TEST_CASE("C18 nobody waits behind a refresh whose first caller has left", "", over_memory,
                   over_script) {
    world<TestType> w(revalidating);
    store_a(w, 15s);
    w.src.hold();
    auto first = w.begin(w.get_or_load("a"));
    w.settle();
    first.leave();
    w.settle();
    CHECK(w.src.given_up() == 0); // the refresh is an interested party of its own
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    w.src.release_all();
    w.settle();
    CHECK(w.call(w.get_or_load("a")).value() == 2);
}

TEST_CASE("C18 a stale value is there before the loader is called that is to renew it") {
    world<over_memory> w(revalidating);
    store_a(w, 10s);
    std::vector<std::string> order;
    const auto loader = [&order](const std::string&) -> asio::awaitable<int> {
        order.emplace_back("loading");
        co_return 2;
    };
    const auto ask = [&]() -> asio::awaitable<int> {
        const int found = co_await w.cache->get_or_load("a", loader);
        order.emplace_back("served");
        co_return found;
    };
    CHECK(w.call(ask()).value() == 1);
    CHECK(order == std::vector<std::string>{"served", "loading"});
}

TEMPLATE_TEST_CASE("past its window a stale value is loaded anew", "", over_memory, over_script) {
    world<TestType> w(revalidating);
    store_a(w, 30s);
    CHECK(w.call(w.get_or_load("a")).value() == 2);
    CHECK(w.cache->metrics().refreshes == 0);
    CHECK(w.cache->metrics().misses == 2);
}

TEMPLATE_TEST_CASE("the provenance of a stale value is told, with its age", "", over_memory, over_script) {
    world<TestType> w(revalidating);
    store_a(w, 12s);
    const auto found = w.call(w.cache->lookup("a", w.src)).value();
    CHECK(found.value == 1);
    CHECK(found.source == stale);
    CHECK(found.age == 12s);
}

TEMPLATE_TEST_CASE("get never gives a stale value", "", over_memory, over_script) {
    world<TestType> w(revalidating);
    store_a(w, 12s);
    CHECK(w.get("a") == std::nullopt);
    CHECK(w.src.starts("a") == 1);
}

TEMPLATE_TEST_CASE("the window of the one who asks counts", "", over_memory, over_script) {
    world<TestType> w(revalidating);
    store_a(w, 12s);
    const acache::load_options never{.stale_while_revalidate = 0s};
    CHECK(w.call(w.cache->get_or_load("a", w.src, never)).value() == 2);
}

TEMPLATE_TEST_CASE("C20 a failed refresh keeps the old value and is not tried again at once", "", over_memory,
                   over_script) {
    world<TestType> w(revalidating);
    store_a(w, 10s);
    w.src.fail_next(std::runtime_error("down"));
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    CHECK(w.src.starts("a") == 2);
    for (int n = 0; n != 5; ++n) {
        CHECK(w.call(w.get_or_load("a")).value() == 1);
    }
    CHECK(w.src.starts("a") == 2);
    CHECK(w.cache->metrics().refresh_failures == 1);
    manual_clock::advance(1s);
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    CHECK(w.src.starts("a") == 3);
    CHECK(w.call(w.get_or_load("a")).value() == 3);
}

TEMPLATE_TEST_CASE("C20 an explicit refresh is not held back", "", over_memory, over_script) {
    world<TestType> w(revalidating);
    store_a(w, 10s);
    w.src.fail_next(std::runtime_error("down"));
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    CHECK(w.call(w.cache->refresh("a", w.src)).value() == 3);
    CHECK(w.call(w.get_or_load("a")).value() == 3);
}

TEMPLATE_TEST_CASE("C19 a refresh is not stored when the entry it set out to replace has been replaced", "",
                   over_memory, over_script) {
    world<TestType> w(revalidating);
    store_a(w, 10s);
    w.src.hold();
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    (void)w.call(w.cache->set("a", 100));
    w.src.release_all();
    w.settle();
    CHECK(w.get("a") == 100);
}

TEMPLATE_TEST_CASE("C19 a refresh is not stored when the entry it set out to replace is gone", "",
                   over_memory, over_script) {
    world<TestType> w(revalidating);
    store_a(w, 10s);
    w.src.hold();
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    if constexpr (TestType::remote) {
        (void)w.steps.run(w.cache->backend().erase("a"));
    } else {
        (void)w.cache->backend().erase("a");
    }
    w.src.release_all();
    w.settle();
    CHECK(w.get("a") == std::nullopt);
}

TEMPLATE_TEST_CASE("all who wait for a load that fails get the stale value", "", over_memory, over_script) {
    world<TestType> w(forgiving);
    store_a(w, 10s);
    w.src.hold();
    const auto fails = [src = w.src](std::string key) -> asio::awaitable<int> {
        co_await src(std::move(key));
        throw std::runtime_error("down");
    };
    auto first = w.call(w.cache->lookup("a", fails));
    auto second = w.call(w.get_or_load("a"));
    CHECK_FALSE(second.done());
    w.src.release_all();
    w.settle();
    CHECK(first.value().value == 1);
    CHECK(first.value().source == stale);
    CHECK(second.value() == 1);
    CHECK(w.src.starts("a") == 2);
    CHECK(w.cache->metrics().stale_on_error == 2);
}

TEMPLATE_TEST_CASE("a load that fails within stale_if_error gives the old value, and after it the error", "",
                   over_memory, over_script) {
    world<TestType> w(forgiving);
    store_a(w, 29s);
    w.src.fail_next(std::runtime_error("down"));
    const auto rescued = w.call(w.cache->lookup("a", w.src));
    CHECK(rescued.value().value == 1);
    CHECK(rescued.value().source == stale);
    CHECK(rescued.value().age == 29s);
    CHECK(w.cache->metrics().stale_on_error == 1);
    CHECK(w.cache->metrics().load_failures == 1);
    manual_clock::advance(1s);
    w.src.fail_next(std::runtime_error("down"));
    CHECK(w.call(w.get_or_load("a")).what() == "down");
}

TEMPLATE_TEST_CASE("while a key is held back after a failure, its stale value is given without a load", "",
                   over_memory, over_script) {
    world<TestType> w(forgiving);
    store_a(w, 10s);
    w.src.fail_next(std::runtime_error("down"));
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    CHECK(w.src.starts("a") == 2);
    CHECK(w.cache->metrics().stale_hits == 1);
    manual_clock::advance(1s);
    CHECK(w.call(w.get_or_load("a")).value() == 3);
}

TEMPLATE_TEST_CASE("not found is an answer, which no stale value takes the place of", "", over_memory,
                   over_script) {
    world<TestType> w(forgiving);
    store_a(w, 10s);
    w.src.fail_next(boost::system::system_error(errc::not_found));
    CHECK(w.call(w.get_or_load("a")).code() == errc::not_found);
}

TEMPLATE_TEST_CASE("C21 who is cancelled gets no stale value in place of that", "", over_memory,
                   over_script) {
    world<TestType> w(forgiving);
    store_a(w, 10s);
    w.src.hold();
    auto only = w.call(w.get_or_load("a"));
    only.leave();
    w.settle();
    CHECK(only.code() == asio::error::operation_aborted);
    CHECK(w.cache->metrics().load_failures == 0);
    CHECK(w.cache->metrics().stale_on_error == 0);
    w.src.let_pass();
    CHECK(w.call(w.get_or_load("a")).value() == 3); // and it holds nothing back
}

TEMPLATE_TEST_CASE("C21 operation_aborted that a loader throws unasked is a failure like any other", "",
                   over_memory, over_script) {
    world<TestType> w(forgiving);
    store_a(w, 10s);
    w.src.fail_next(boost::system::system_error(asio::error::operation_aborted));
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    CHECK(w.cache->metrics().load_failures == 1);
}

TEMPLATE_TEST_CASE("C06 a load that times out gives the stale value", "", over_memory, over_script) {
    auto options = forgiving;
    options.load_timeout = 1s;
    world<TestType> w(options);
    store_a(w, 10s);
    w.src.hold();
    auto late = w.call(w.get_or_load("a"));
    manual_clock::advance(1s);
    w.settle();
    CHECK(late.value() == 1);
    CHECK(w.cache->metrics().stale_on_error == 1);
}

TEMPLATE_TEST_CASE("C11 an invalidated value is never served stale", "", over_memory, over_script) {
    world<TestType> w({.ttl = 10s, .stale_while_revalidate = 20s, .stale_if_error = 20s});
    store_a(w, 10s);
    w.src.hold();
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    (void)w.call(w.cache->invalidate("a"));
    w.src.release_all();
    w.settle();
    w.src.let_pass();
    w.src.fail_next(std::runtime_error("down"));
    CHECK(w.call(w.get_or_load("a")).what() == "down");
}

TEMPLATE_TEST_CASE("max_age has an older value loaded anew, and a younger one served", "", over_memory,
                   over_script) {
    world<TestType> w({.ttl = 100s});
    store_a(w, 5s);
    const acache::load_options within_5s{.max_age = 5s};
    const acache::load_options within_1s{.max_age = 1s};
    CHECK(w.call(w.cache->get_or_load("a", w.src, within_5s)).value() == 1);
    CHECK(w.call(w.cache->get_or_load("a", w.src, within_1s)).value() == 2);
    CHECK(w.call(w.get_or_load("a")).value() == 2);
}

TEST_CASE("a look-up whose value grew too old before it was resumed still has its loader") {
    world<over_script> w({.ttl = 100s});
    store_a(w, 5s);
    auto alive = std::make_shared<int>(7);
    const auto load = [alive](std::string) -> asio::awaitable<int> { co_return alive ? *alive : 0; };
    w.store->script().hold(op::get);
    auto found = w.begin(w.cache->get_or_load("a", load, acache::load_options{.max_age = 5s}));
    w.settle();
    w.store->script().let_pass(op::get);
    w.store->script().release_all();
    while (w.cache->metrics().hits == 0) {
        REQUIRE(w.steps.step());
    }
    manual_clock::advance(1s);
    w.settle();
    CHECK(found.value() == 1);
}

TEMPLATE_TEST_CASE("a fresh value that was set while a load fails is no stale one", "", over_memory,
                   over_script) {
    world<TestType> w({.ttl = 100s, .stale_if_error = 10s});
    w.src.hold();
    const auto fails = [src = w.src](std::string key) -> asio::awaitable<int> {
        (void)co_await src(std::move(key));
        throw std::runtime_error("down");
    };
    const auto found = w.call(w.cache->lookup("a", fails));
    (void)w.call(w.cache->set("a", 5));
    w.let_loads_end();
    if constexpr (TestType::remote) {
        CHECK(found.what() == "down"); // only what was there before the load is at hand
    } else {
        CHECK(found.value().value == 5);
        CHECK(found.value().source == hit);
    }
}

TEST_CASE("who joins a refresh that fails gets the stale value that its loader was shown") {
    world<over_script> w({.ttl = 10s, .stale_if_error = 20s});
    store_a(w, 10s);
    w.src.hold();
    const auto fails = [src = w.src](acache::load_context&, std::string key) -> asio::awaitable<int> {
        (void)co_await src(std::move(key));
        throw std::runtime_error("down");
    };
    const auto refreshed = w.call(w.cache->refresh("a", fails));
    const auto joined = w.call(w.get_or_load("a"));
    w.let_loads_end();
    CHECK(refreshed.what() == "down");
    CHECK(joined.value() == 1);
}

TEST_CASE("who joins a look-up that found a stale value gets it only within windows of his own") {
    world<over_script> w({.ttl = 10s, .keep_stale = 60s});
    store_a(w, 10s);
    w.store->script().hold(op::get);
    const acache::load_options forgives{.stale_while_revalidate = 20s};
    const auto first = w.call(w.cache->get_or_load("a", w.src, forgives));
    const auto second = w.call(w.get_or_load("a"));
    w.store->script().let_pass(op::get);
    w.store->script().release_all();
    w.settle();
    CHECK(first.value() == 1);
    CHECK(second.value() == 2);
}

TEST_CASE("C14 what a look-up had read before an invalidation is not served to those who come after it") {
    world<over_script> w({.ttl = 10s, .stale_while_revalidate = 20s});
    store_a(w, 10s);
    w.src.hold();
    w.store->script().hold_answers(op::get);
    const auto before = w.call(w.get_or_load("a"));
    w.store->script().hold(op::erase);
    const auto erased = w.call(w.cache->invalidate("a"));
    w.store->script().let_pass(op::get);
    (void)w.store->script().release_one(op::get);
    w.settle();
    CHECK(before.value() == 1);
    CHECK(w.cache->metrics().refreshes == 0);
    CHECK(w.src.starts("a") == 1);
    w.store->script().release_all();
    w.settle();
    CHECK(erased.done());
}

TEMPLATE_TEST_CASE("C20 an early refresh that has failed is not tried again at once", "", over_memory,
                   over_script) {
    world<TestType> w({.ttl = 10s, .refresh_backoff = 4s, .early_refresh = 1e6});
    const auto load = [src = w.src](std::string key) -> asio::awaitable<int> {
        const int value = co_await src(std::move(key));
        manual_clock::advance(1s); // as long as it takes
        co_return value;
    };
    CHECK(w.call(w.cache->get_or_load("a", load)).value() == 1);
    w.src.fail_next(std::runtime_error("down"));
    for (int n = 0; n != 3; ++n) {
        CHECK(w.call(w.cache->get_or_load("a", load)).value() == 1);
    }
    CHECK(w.cache->metrics().early_refreshes == 1);
    manual_clock::advance(4s);
    CHECK(w.call(w.cache->get_or_load("a", load)).value() == 1);
    CHECK(w.cache->metrics().early_refreshes == 2);
}

TEMPLATE_TEST_CASE("a call of a wrapped function may have options of its own", "", over_memory, over_script) {
    world<TestType> w({.ttl = 100s});
    auto fn = w.cache->cached("a:{}", [src = w.src](int) { return src("a"); },
                              {.stale_if_error = 20s, .max_age = 10s});
    REQUIRE(w.call(fn(1)).value() == 1);
    manual_clock::advance(5s);
    CHECK(w.call(fn(1)).value() == 1);
    CHECK(w.call(fn.with({.max_age = 6s}, 1)).value() == 1);
    CHECK(w.call(fn.with({.max_age = 4s}, 1)).value() == 2);
    CHECK(w.call(fn(1)).value() == 2);
    manual_clock::advance(11s);
    CHECK(w.call(fn.with({.ttl = 3s}, 1)).value() == 3); // what it does not say is as the function has it
    manual_clock::advance(4s);
    w.src.fail_next(std::runtime_error("the source is down"));
    CHECK(w.call(fn(1)).value() == 3);
    CHECK_THROWS_AS((void)fn.with({.ttl = 0s}, 1), std::invalid_argument);
}

TEMPLATE_TEST_CASE("max_age joins a load only if that began late enough", "", over_memory, over_script) {
    world<TestType> w({.ttl = 100s});
    w.src.hold();
    auto first = w.call(w.get_or_load("a"));
    manual_clock::advance(2s);
    const acache::load_options within_2s{.max_age = 2s};
    const acache::load_options within_1s{.max_age = 1s};
    auto joins = w.call(w.cache->get_or_load("a", w.src, within_2s));
    auto loads = w.call(w.cache->get_or_load("a", w.src, within_1s));
    CHECK(w.src.starts("a") == 2);
    w.src.release_all();
    w.settle();
    CHECK(first.value() == 1);
    CHECK(joins.value() == 1);
    CHECK(loads.value() == 2);
    CHECK(w.get("a") == 2);
}

TEMPLATE_TEST_CASE("a ttl is shortened by ttl_jitter at most, and not always the same", "", over_memory) {
    world<TestType, int> w({.ttl = 100s, .ttl_jitter = 0.2});
    const auto one = [](int key) -> asio::awaitable<int> { co_return key; };
    for (int key = 0; key != 200; ++key) {
        (void)w.call(w.cache->get_or_load(key, one));
    }
    manual_clock::advance(79s);
    std::size_t early = 0;
    std::size_t late = 0;
    for (int key = 0; key != 200; ++key) {
        CHECK(w.cache->try_get(key).has_value());
    }
    manual_clock::advance(11s);
    for (int key = 0; key != 200; ++key) {
        early += w.cache->try_get(key) ? 0 : 1;
    }
    manual_clock::advance(10s);
    for (int key = 0; key != 200; ++key) {
        late += w.cache->try_get(key) ? 1 : 0;
    }
    CHECK(early > 50);
    CHECK(early < 150);
    CHECK(late == 0);
}

TEMPLATE_TEST_CASE(
    "a caller who could have a stale value gets it after the soft timeout, and the load goes on", "",
    over_memory, over_script) {
    auto options = forgiving;
    options.soft_timeout = 1s;
    world<TestType> w(options);
    store_a(w, 10s);
    w.src.hold();
    auto first = w.call(w.cache->lookup("a", w.src));
    manual_clock::advance(500ms);
    auto second = w.call(w.get_or_load("a"));
    CHECK_FALSE(first.done());
    manual_clock::advance(500ms);
    w.settle();
    CHECK(first.value().value == 1);
    CHECK(first.value().source == stale);
    CHECK_FALSE(second.done());
    manual_clock::advance(500ms);
    w.settle();
    CHECK(second.value() == 1);
    CHECK(w.src.given_up() == 0);
    w.src.release_all();
    w.settle();
    CHECK(w.get("a") == 2);
    const auto m = w.cache->metrics();
    CHECK(m.soft_timeouts == 2);
    CHECK(m.misses + m.coalesced + m.hits + m.stale_hits == 4); // with the first load and the last look
    CHECK(m.in_flight == 0);
}

TEMPLATE_TEST_CASE("a caller without a stale value waits for its load, whatever the soft timeout", "",
                   over_memory, over_script) {
    auto options = forgiving;
    options.soft_timeout = 1s;
    world<TestType> w(options);
    w.src.hold();
    auto only = w.call(w.get_or_load("a"));
    manual_clock::advance(5s);
    w.settle();
    CHECK_FALSE(only.done());
    w.src.release_all();
    w.settle();
    CHECK(only.value() == 1);
}

TEMPLATE_TEST_CASE("a caller who leaves before the soft timeout is not woken by it", "", over_memory,
                   over_script) {
    auto options = forgiving;
    options.soft_timeout = 1s;
    world<TestType> w(options);
    store_a(w, 10s);
    w.src.hold();
    auto only = w.call(w.get_or_load("a"));
    only.leave();
    w.settle();
    CHECK(only.code() == asio::error::operation_aborted);
    manual_clock::advance(5s);
    w.settle();
    CHECK(w.src.given_up() == 1);
    CHECK(w.cache->metrics().soft_timeouts == 0);
}

/// What callers of one hot key meet with, over a minute in steps of ten milliseconds, five a step, where a
/// load takes a tenth of a second and a value is fresh for ten.
struct traffic {
    std::size_t waited = 0; ///< callers who had to wait for a load, the first one's aside
    int loads = 0;
};
template <class Kind>
traffic of_hot_key(acache::cache_options options) {
    options.ttl = 10s;
    world<Kind> w(options);
    acache::detail::random_source::here().seed(1);
    traffic seen;
    const auto load = [&seen](std::string) -> asio::awaitable<int> {
        acache::testing::manual_timer slow(co_await asio::this_coro::executor, 100ms);
        co_await slow.async_wait(asio::use_awaitable);
        co_return ++seen.loads;
    };
    const auto ask = [&] { return w.call(w.cache->get_or_load("hot", load)); };
    const auto first = ask();
    manual_clock::advance(100ms);
    w.settle();
    REQUIRE(first.done());
    for (int step = 0; step != 6000; ++step) {
        for (int n = 0; n != 5; ++n) {
            seen.waited += ask().done() ? 0 : 1;
        }
        manual_clock::advance(10ms);
        w.settle();
    }
    return seen;
}

TEMPLATE_TEST_CASE("early_refresh renews a hot key before it expires, so that no herd waits when it does", "",
                   over_memory, over_script) {
    const auto without = of_hot_key<TestType>({});
    CHECK(without.loads == 6);
    CHECK(without.waited >= 5 * 10 * 5); // all of a tenth of a second, each ten seconds
    const auto with = of_hot_key<TestType>({.early_refresh = 1});
    CHECK(with.waited == 0);
    CHECK(with.loads >= 6);
    CHECK(with.loads <= 8); // and seldom earlier than it has to be
}

TEMPLATE_TEST_CASE("an early refresh is one at a time, and a hit for those who come meanwhile", "",
                   over_memory, over_script) {
    world<TestType> w({.ttl = 10s, .early_refresh = 1e6});
    const auto load = [src = w.src](std::string key) -> asio::awaitable<int> {
        const int value = co_await src(std::move(key));
        manual_clock::advance(1s); // as long as it takes
        co_return value;
    };
    CHECK(w.call(w.cache->get_or_load("a", load)).value() == 1);
    w.src.hold();
    for (int n = 0; n != 5; ++n) {
        const auto found = w.call(w.cache->lookup("a", load)).value();
        CHECK(found.value == 1);
        CHECK(found.source == hit);
    }
    CHECK(w.src.starts("a") == 2);
    CHECK(w.cache->metrics().hits == 5);
    CHECK(w.cache->metrics().refreshes == 1);
    CHECK(w.cache->metrics().early_refreshes == 1);
    w.src.release_all();
    w.settle();
    CHECK(w.get("a") == 2);
}

TEST_CASE("options of staleness that make no sense are refused with what is wrong") {
    asio::io_context context;
    using cache = acache::async_cache<int, int>;
    CHECK_THROWS_AS(cache(context, {.stale_while_revalidate = -1s}), std::invalid_argument);
    CHECK_THROWS_AS(cache(context, {.stale_if_error = -1s}), std::invalid_argument);
    CHECK_THROWS_AS(cache(context, {.early_refresh = -1}), std::invalid_argument);
    CHECK_THROWS_AS(cache(context, {.ttl_jitter = 1}), std::invalid_argument);
    CHECK_THROWS_AS(cache(context, {.soft_timeout = 0s}), std::invalid_argument);
}

TEMPLATE_TEST_CASE("a warm-up leaves a fresh entry alone, however near its end it is", "", over_memory,
                   over_script) {
    world<TestType> w({.ttl = 10s, .early_refresh = 1e6});
    w.src.hold();
    auto first = w.call(w.get_or_load("a"));
    manual_clock::advance(1s); // the load takes so long
    w.let_loads_end();
    REQUIRE(first.value() == 1);
    const std::vector<std::string> keys{"a"};
    CHECK(w.call(w.cache->warmup(keys, w.src)).value().present == 1);
    CHECK(w.src.starts() == 1);
    CHECK(w.cache->metrics().in_flight == 0);
    CHECK(w.call(w.get_or_load("a")).done()); // and nobody waits for a load that never begins
}

TEMPLATE_TEST_CASE("C20 a key whose load has timed out is held back, though the loader has not ended yet", "",
                   over_memory, over_script) {
    auto options = revalidating;
    options.load_timeout = 1s;
    options.refresh_backoff = 8s;
    world<TestType> w(options);
    store_a(w, 10s);
    w.src.hold();
    w.src.ignore_cancellation();
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(1s);
    w.settle();
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    CHECK(w.src.starts() == 2);
    CHECK(w.cache->metrics().refresh_failures == 1);
    w.let_loads_end(); // its late value is discarded, and frees nothing
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    CHECK(w.src.starts() == 2);
    manual_clock::advance(8s);
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    CHECK(w.src.starts() == 3);
    CHECK(w.cache->metrics().refresh_failures == 1);
}

TEMPLATE_TEST_CASE("a max_age of zero is a load of one's own, even within one tick of the clock", "",
                   over_memory, over_script) {
    world<TestType> w({.ttl = 10s});
    const acache::load_options anew{.max_age = 0s};
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    CHECK(w.call(w.cache->get_or_load("a", w.src, anew)).value() == 2);
    w.src.hold();
    auto under_way = w.call(w.get_or_load("b"));
    auto own = w.call(w.cache->get_or_load("b", w.src, anew));
    CHECK(w.src.starts("b") == 2);
    w.let_loads_end();
    CHECK(own.value() == 4);
}

TEMPLATE_TEST_CASE("a value set through a wrapped function is kept as the function's options say", "",
                   over_memory, over_script) {
    world<TestType> w;
    auto fn =
        w.cache->cached("a:{}", [src = w.src](int) { return src("a"); }, {.ttl = 10s, .stale_if_error = 20s});
    REQUIRE(w.call(fn.set(7, 1)).done());
    manual_clock::advance(12s);
    w.src.fail_next(std::runtime_error("the source is down"));
    CHECK(w.call(fn(1)).value() == 7);
}

} // namespace
