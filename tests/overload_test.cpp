// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <acache/data_loader.hpp>
#include <acache/single_flight.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

namespace {

using namespace setup;

using strings = std::vector<std::string>;

asio::awaitable<std::vector<int>> sevens(strings keys) {
    co_return std::vector<int>(keys.size(), 7);
}

TEMPLATE_TEST_CASE("A load over the cap that finds the queue full is refused, and its key is free at once",
                   "", over_memory, over_script) {
    world<TestType> w({.max_concurrent_loads = 1, .max_queued_loads = 1});
    w.src.hold();
    const auto running = w.call(w.get_or_load("a"));
    const auto queued = w.call(w.get_or_load("b"));
    const auto refused = w.call(w.get_or_load("c"));
    CHECK(refused.code() == errc::overloaded);
    CHECK(refused.what().find("max_queued_loads") != std::string::npos);
    CHECK_FALSE(queued.done());
    const auto again = w.call(w.get_or_load("c"));
    CHECK(again.code() == errc::overloaded);
    CHECK(w.cache->metrics().in_flight == 2);
    CHECK(w.cache->metrics().overloaded == 2);
    w.let_loads_end();
    CHECK(running.value() == 1);
    CHECK(queued.value() == 2);
    CHECK(w.get("c") == std::nullopt);
    CHECK(w.call(w.get_or_load("c")).value() == 3);
    const auto m = w.cache->metrics();
    CHECK(m.overloaded == 2);
    CHECK(m.loads == 3);
    CHECK(m.load_failures == 0);
    CHECK(m.load_time.count() == 3);
    CHECK(m.misses == 6); // that get too
    CHECK(m.coalesced == 0);
}

TEMPLATE_TEST_CASE(
    "A load that is refused gives its callers a stale value, where stale_if_error lets them have it", "",
    over_memory, over_script) {
    world<TestType> w({.ttl = 10s, .max_concurrent_loads = 1, .max_queued_loads = 0, .stale_if_error = 20s});
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(12s);
    w.src.hold();
    const auto running = w.call(w.get_or_load("b"));
    const auto refused = w.call(w.cache->lookup("a", w.src));
    CHECK(refused.value().value == 1);
    CHECK(refused.value().source == acache::lookup_source::stale);
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    CHECK(w.call(w.get_or_load("c")).code() == errc::overloaded); // there is none
    const acache::load_options strict{.stale_if_error = 0s};
    CHECK(w.call(w.cache->get_or_load("a", w.src, strict)).code() == errc::overloaded);
    CHECK(w.cache->metrics().stale_on_error == 2);
    CHECK(w.cache->metrics().overloaded == 4);
    manual_clock::advance(20s);
    CHECK(w.call(w.get_or_load("a")).code() == errc::overloaded); // it is dead by now
    w.let_loads_end();
    CHECK(w.call(w.get_or_load("a")).value() == 3);
}

TEMPLATE_TEST_CASE("Where no load may wait, one over the cap is refused, and one that ends makes room", "",
                   over_memory, over_script) {
    world<TestType> w({.max_concurrent_loads = 2, .max_queued_loads = 0});
    w.src.hold();
    const auto a = w.call(w.get_or_load("a"));
    const auto b = w.call(w.get_or_load("b"));
    const auto joins = w.call(w.get_or_load("b"));
    CHECK(w.call(w.get_or_load("c")).code() == errc::overloaded);
    CHECK_FALSE(joins.done());
    w.src.release_one();
    w.settle();
    CHECK(a.value() == 1);
    const auto c = w.call(w.get_or_load("c"));
    CHECK_FALSE(c.done());
    CHECK(w.call(w.get_or_load("d")).code() == errc::overloaded);
    w.src.release_all();
    w.settle();
    CHECK(joins.value() == 2);
    CHECK(c.value() == 3);
    CHECK(w.cache->metrics().coalesced == 1);
}

TEMPLATE_TEST_CASE("Whoever joins a load that waits for its turn takes no place in the queue", "",
                   over_memory, over_script) {
    world<TestType> w({.max_concurrent_loads = 1, .max_queued_loads = 1});
    w.src.hold();
    const auto running = w.call(w.get_or_load("a"));
    const auto first = w.call(w.get_or_load("b"));
    const auto second = w.call(w.get_or_load("b"));
    CHECK_FALSE(second.done());
    CHECK(w.call(w.get_or_load("c")).code() == errc::overloaded);
    w.let_loads_end();
    CHECK(first.value() == second.value());
}

TEMPLATE_TEST_CASE("When the callers of a load that waits for its turn have left, its place is free", "",
                   over_memory, over_script) {
    world<TestType> w({.max_concurrent_loads = 1, .max_queued_loads = 1});
    w.src.hold();
    const auto running = w.call(w.get_or_load("a"));
    const auto first = w.call(w.get_or_load("b"));
    const auto second = w.call(w.get_or_load("b"));
    first.leave();
    w.settle();
    CHECK(w.call(w.get_or_load("c")).code() == errc::overloaded);
    second.leave();
    w.settle();
    const auto c = w.call(w.get_or_load("c"));
    CHECK_FALSE(c.done());
    w.let_loads_end();
    CHECK(c.value() == 2);
    CHECK(w.src.starts("b") == 0);
}

TEMPLATE_TEST_CASE("A refresh that is refused keeps the old entry", "", over_memory, over_script) {
    world<TestType> w({.max_concurrent_loads = 1, .max_queued_loads = 0});
    CHECK(w.steps.run(w.get_or_load("a")) == 1);
    w.src.hold();
    const auto running = w.call(w.get_or_load("b"));
    CHECK(w.call(w.cache->refresh("a", w.src)).code() == errc::overloaded);
    CHECK(w.get("a") == 1);
    CHECK(w.cache->metrics().overloaded == 1);
}

TEMPLATE_TEST_CASE("A bulk load that is refused is refused for each of its keys", "", over_memory,
                   over_script) {
    world<TestType> w({.max_concurrent_loads = 1, .max_queued_loads = 0});
    w.src.hold();
    const auto running = w.call(w.get_or_load("a"));
    const auto bulk = w.call(w.cache->get_many_or_load(strings{"a", "b", "c"}, sevens));
    CHECK_FALSE(bulk.done()); // it has joined the load of a
    CHECK(w.cache->metrics().overloaded == 2);
    w.let_loads_end();
    CHECK(bulk.value().at("a").value() == 1);
    for (const char* key : {"b", "c"}) {
        CHECK(code_of(bulk.value().at(key).error()) == errc::overloaded);
        CHECK(w.get(key) == std::nullopt);
    }
    CHECK(w.cache->metrics().loads == 1);
}

TEMPLATE_TEST_CASE("A warm-up reports the keys whose loads were refused", "", over_memory, over_script) {
    world<TestType> w({.max_concurrent_loads = 1, .max_queued_loads = 1});
    w.src.hold();
    const auto warmup = w.call(w.cache->warmup(strings{"a", "b", "c", "d"}, w.src, {.concurrency = 4}));
    w.let_loads_end();
    CHECK(warmup.value().loaded == 2);
    REQUIRE(warmup.value().failed.size() == 2);
    CHECK(warmup.value().failed[0].first == "c");
    CHECK(code_of(warmup.value().failed[0].second) == errc::overloaded);
}

TEMPLATE_TEST_CASE("C26 what a load asks for neither waits nor is refused, though no load may wait", "",
                   over_memory, over_script) {
    world<TestType> w({.max_concurrent_loads = 1, .max_queued_loads = 0});
    acache::DataLoader loader{*w.cache, sevens};
    const strings two{"two", "three"};
    const strings one{"four"};
    const auto outer = [&](const std::string&) -> asio::awaitable<int> {
        int sum = co_await w.get_or_load("one");
        const auto report = co_await w.cache->warmup(two, w.src);
        sum += static_cast<int>(report.loaded);
        auto many = co_await w.cache->get_many_or_load(one, sevens);
        sum += many.at("four").value();
        sum += co_await loader.load("five");
        sum += co_await w.cache->refresh("one", w.src);
        co_return sum;
    };
    CHECK(w.steps.run(w.cache->get_or_load("outer", outer)) == 1 + 2 + 7 + 7 + 4);
    CHECK(w.cache->metrics().overloaded == 0);
}

TEMPLATE_TEST_CASE("C26 a load that another load comes to wait for leaves the queue, and its place is free",
                   "", over_memory, over_script) {
    world<TestType> w({.max_concurrent_loads = 1, .max_queued_loads = 1});
    source gate;
    gate.hold();
    w.src.hold();
    const auto outer = [&](const std::string& key) -> asio::awaitable<int> {
        (void)co_await gate(key);
        const int n = co_await w.get_or_load("queued");
        co_return n + 10;
    };
    const auto first = w.call(w.cache->get_or_load("outer", outer));
    const auto queued = w.call(w.get_or_load("queued"));
    CHECK(w.call(w.get_or_load("other")).code() == errc::overloaded);
    gate.release_all();
    w.settle();
    CHECK(w.src.starts("queued") == 1);
    const auto other = w.call(w.get_or_load("other"));
    CHECK_FALSE(other.done());
    w.let_loads_end();
    CHECK(first.value() == 11);
    CHECK(queued.value() == 1);
    CHECK(other.value() == 2);
}

TEMPLATE_TEST_CASE("Batches of a loader over a cache whose queue is full are not refused", "", over_memory,
                   over_script) {
    world<TestType> w({.max_concurrent_loads = 1, .max_queued_loads = 0});
    acache::DataLoader loader{*w.cache, sevens, {.max_concurrent_batches = 1}};
    w.src.hold();
    const auto running = w.call(w.get_or_load("a"));
    CHECK(w.call(loader.load("b")).value() == 7);
    CHECK(w.call(w.get_or_load("c")).code() == errc::overloaded);
}

TEMPLATE_TEST_CASE("C10 close gives closed to those who wait for their turn, and later calls are not refused",
                   "", over_memory, over_script) {
    world<TestType> w({.max_concurrent_loads = 1, .max_queued_loads = 1});
    w.src.hold();
    const auto running = w.call(w.get_or_load("a"));
    const auto queued = w.call(w.get_or_load("b"));
    const auto refused = w.call(w.get_or_load("c"));
    const auto closing = w.call(w.cache->close());
    CHECK(closing.done());
    CHECK(running.code() == errc::closed);
    CHECK(queued.code() == errc::closed);
    CHECK(refused.code() == errc::overloaded);
    CHECK(w.call(w.get_or_load("d")).code() == errc::closed);
    CHECK(w.src.starts() == 1);
    CHECK(w.cache->metrics().overloaded == 1);
}

TEMPLATE_TEST_CASE("C10 drain lets those who wait have their turn, and waits for none that were refused", "",
                   over_memory, over_script) {
    world<TestType> w({.max_concurrent_loads = 1, .max_queued_loads = 1});
    w.src.hold();
    const auto running = w.call(w.get_or_load("a"));
    const auto queued = w.call(w.get_or_load("b"));
    const auto refused = w.call(w.get_or_load("c"));
    const auto draining = w.call(w.cache->drain());
    CHECK(w.call(w.get_or_load("d")).code() == errc::closed);
    w.src.release_one();
    w.settle();
    CHECK_FALSE(draining.done());
    w.src.release_one();
    w.settle();
    CHECK(queued.value() == 2);
    CHECK(draining.done());
}

TEMPLATE_TEST_CASE("A cache destroyed while loads wait for their turn gives closed to their callers", "",
                   over_memory, over_script) {
    world<TestType> w({.max_concurrent_loads = 1, .max_queued_loads = 3});
    w.src.hold();
    std::vector<caller<int>> callers;
    for (const char* key : {"a", "b", "c", "d"}) {
        callers.push_back(w.call(w.get_or_load(key)));
    }
    w.cache.reset();
    w.settle();
    CHECK(std::ranges::all_of(callers, [](const auto& c) { return c.code() == errc::closed; }));
}

TEMPLATE_TEST_CASE("A key whose loads pile up keeps the others waiting no longer than one load", "",
                   over_memory, over_script) {
    world<TestType> w({.max_concurrent_loads = 1});
    const bool refreshes = GENERATE(false, true);
    w.src.hold();
    std::vector<caller<int>> callers;
    for (int i = 0; i != 5; ++i) {
        if (refreshes) {
            callers.push_back(w.call(w.cache->refresh("a", w.src)));
        } else {
            callers.push_back(w.call(w.get_or_load("a")));
            w.steps.run(w.cache->invalidate("a"));
        }
    }
    for (const char* key : {"b", "c"}) {
        callers.push_back(w.call(w.get_or_load(key)));
    }
    const auto started = [&](const std::string& key) {
        w.src.release_one();
        w.settle();
        return w.src.starts(key);
    };
    CHECK(started("a") == 2);
    CHECK(started("b") == 1);
    CHECK(started("c") == 1);
    CHECK(started("a") == 3);
    w.let_loads_end();
    CHECK(std::ranges::all_of(callers, [](const auto& c) { return c.done() && !c.failed(); }));
    CHECK(w.src.starts("a") == 5);
}

TEST_CASE("A single_flight refuses runs that find its queue full") {
    asio::io_context context;
    stepper steps(context);
    acache::single_flight<std::string, int> flights(context,
                                                    {.max_concurrent_loads = 1, .max_queued_loads = 1});
    source src;
    src.hold();
    const auto ask = [&](std::string key) {
        caller<int> result(context.get_executor(), flights.run(std::move(key), src));
        steps.run_until_idle();
        return result;
    };
    const auto a = ask("a");
    const auto b = ask("b");
    CHECK(ask("c").code() == errc::overloaded);
    CHECK(flights.in_flight() == 2);
    src.let_pass();
    src.release_all();
    steps.run_until_idle();
    CHECK(b.value() == 2);
    CHECK(ask("c").value() == 3);
}

/// Many keys, cap and queue as drawn, callers that come, leave, invalidate and refresh. Never do more loads
/// run or wait than may, nobody is refused while there is room, and every caller comes to an end.
template <class Kind>
void crowd(unsigned seed) {
    std::mt19937 random(seed);
    const auto below = [&](unsigned n) { return static_cast<std::size_t>(random() % n); };
    const std::size_t cap = 1 + below(3);
    const std::size_t room = below(4);
    world<Kind> w(
        {.finish_abandoned_loads = seed % 3 == 0, .max_concurrent_loads = cap, .max_queued_loads = room});
    w.src.hold();
    std::vector<caller<int>> callers;
    for (int step = 0; step != 300; ++step) {
        const std::string key(1, static_cast<char>('a' + below(20)));
        const auto before = w.cache->in_flight();
        const auto queued =
            static_cast<std::size_t>(std::ranges::count_if(before, [](const auto& f) { return f.queued; }));
        const auto kind = below(10);
        if (kind < 5) {
            const auto refused = w.cache->metrics().overloaded;
            callers.push_back(w.call(kind == 0 ? w.cache->refresh(key, w.src) : w.get_or_load(key)));
            if (w.cache->metrics().overloaded != refused) {
                REQUIRE(callers.back().code() == errc::overloaded);
                REQUIRE(queued == room);
            }
        } else if (kind == 5) {
            w.steps.run(w.cache->invalidate(key));
        } else if (kind == 6 && !callers.empty()) {
            callers[below(static_cast<unsigned>(callers.size()))].leave();
        } else {
            w.src.release_one();
        }
        w.settle();
        REQUIRE(w.src.parked() <= cap);
        REQUIRE(queued <= room);
    }
    w.let_loads_end();
    for (const auto& c : callers) {
        REQUIRE(c.done());
        REQUIRE((!c.failed() || c.code() == errc::overloaded || c.code() == asio::error::operation_aborted));
    }
    REQUIRE(w.cache->metrics().overloaded ==
            static_cast<std::size_t>(
                std::ranges::count_if(callers, [](const auto& c) { return c.code() == errc::overloaded; })));
    REQUIRE(w.cache->in_flight().empty());
    w.steps.run(w.cache->drain());
}

TEMPLATE_TEST_CASE("Simulation: many keys, few loads at a time and a short queue", "", over_memory,
                   over_script) {
    for (unsigned seed = 1; seed != 60; ++seed) {
        CAPTURE(seed);
        crowd<TestType>(seed);
    }
}

} // namespace
