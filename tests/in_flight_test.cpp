// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <acache/data_loader.hpp>
#include <acache/flight_info.hpp>

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

namespace {

using namespace setup;

using strings = std::vector<std::string>;
using infos = std::vector<acache::flight_info<std::string>>;

/// The flights by key, and those of one key by age, the oldest first.
template <class World>
infos flights_of(World& w) {
    auto all = w.cache->in_flight();
    CHECK(all.size() == w.cache->metrics().in_flight);
    std::ranges::sort(
        all, [](const auto& a, const auto& b) { return a.key != b.key ? a.key < b.key : a.age > b.age; });
    return all;
}

strings keys_of(const infos& all) {
    strings keys;
    std::ranges::transform(all, std::back_inserter(keys), [](const auto& f) { return f.key; });
    return keys;
}

TEMPLATE_TEST_CASE("in_flight lists the loads under way with their ages", "", over_memory, over_script) {
    world<TestType> w;
    CHECK(flights_of(w).empty());
    w.src.hold();
    const auto a = w.call(w.get_or_load("a"));
    manual_clock::advance(3s);
    const auto b = w.call(w.get_or_load("b"));
    manual_clock::advance(2s);
    const auto all = flights_of(w);
    REQUIRE(keys_of(all) == strings{"a", "b"});
    CHECK(all[0].age == 5s);
    CHECK(all[1].age == 2s);
    for (const auto& f : all) {
        CHECK(f.callers == 1);
        CHECK(f.joinable);
        CHECK_FALSE(f.queued);
    }
    w.src.release_one();
    w.settle();
    CHECK(keys_of(flights_of(w)) == strings{"b"});
    w.src.release_one();
    w.settle();
    CHECK(flights_of(w).empty());
}

TEMPLATE_TEST_CASE("in_flight counts the callers of a load as they come and leave", "", over_memory,
                   over_script) {
    world<TestType> w;
    w.src.hold();
    w.src.ignore_cancellation();
    const auto first = w.call(w.get_or_load("a"));
    const auto second = w.call(w.cache->lookup("a", w.src));
    const auto many = w.call(
        w.cache->get_many_or_load(strings{"a"}, [](strings) { return asio::awaitable<std::vector<int>>(); }));
    CHECK(flights_of(w).at(0).callers == 3);
    first.leave();
    w.settle();
    CHECK(flights_of(w).at(0).callers == 2);
    CHECK(flights_of(w).at(0).joinable);
    second.leave();
    many.leave();
    w.settle();
    // Cancelled, which its loader does not heed.
    CHECK(flights_of(w).at(0).callers == 0);
    CHECK_FALSE(flights_of(w).at(0).joinable);
    w.src.release_all();
    w.settle();
    CHECK(flights_of(w).empty());
}

TEMPLATE_TEST_CASE("in_flight shows that a load which nobody waits for goes on, and may be joined", "",
                   over_memory, over_script) {
    world<TestType> w({.finish_abandoned_loads = true});
    w.src.hold();
    const auto only = w.call(w.get_or_load("a"));
    only.leave();
    w.settle();
    CHECK(flights_of(w).at(0).callers == 0);
    CHECK(flights_of(w).at(0).joinable);
}

TEMPLATE_TEST_CASE("in_flight lists fenced loads beside their successors, until they end", "", over_memory,
                   over_script) {
    world<TestType> w;
    w.src.hold();
    const auto before = w.call(w.get_or_load("a"));
    manual_clock::advance(1s);
    w.steps.run(w.cache->invalidate("a"));
    REQUIRE(flights_of(w).size() == 1);
    CHECK_FALSE(flights_of(w)[0].joinable);
    CHECK(flights_of(w)[0].callers == 1);
    const auto after = w.call(w.get_or_load("a"));
    const auto all = flights_of(w);
    REQUIRE(keys_of(all) == strings{"a", "a"});
    CHECK(all[0].age == 1s);
    CHECK_FALSE(all[0].joinable);
    CHECK(all[1].age == 0s);
    CHECK(all[1].joinable);
    w.src.release_one();
    w.settle();
    REQUIRE(flights_of(w).size() == 1);
    CHECK(flights_of(w)[0].joinable);
}

TEMPLATE_TEST_CASE("in_flight tells the loads that wait for their turn", "", over_memory, over_script) {
    world<TestType> w({.max_concurrent_loads = 1});
    w.src.hold();
    const auto running = w.call(w.get_or_load("a"));
    const auto queued = w.call(w.get_or_load("b"));
    manual_clock::advance(4s);
    CHECK_FALSE(flights_of(w).at(0).queued);
    CHECK(flights_of(w).at(1).queued);
    CHECK(flights_of(w).at(1).joinable);
    w.src.release_one();
    w.settle();
    REQUIRE(keys_of(flights_of(w)) == strings{"b"});
    CHECK_FALSE(flights_of(w)[0].queued);
    CHECK(flights_of(w)[0].age == 4s); // its wait included
}

TEMPLATE_TEST_CASE("in_flight lists each key of a loader's batches, and those whose batch waits", "",
                   over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    const auto batch = [&](strings keys) -> asio::awaitable<std::vector<int>> {
        (void)co_await w.src("batch");
        co_return std::vector<int>(keys.size(), 7);
    };
    acache::DataLoader loader{*w.cache, batch, {.batch_window = 2s, .max_concurrent_batches = 1}};
    const auto first = w.call(loader.load_many(strings{"a", "b"}));
    manual_clock::advance(1s);
    const auto joins = w.call(w.get_or_load("b"));
    auto all = flights_of(w);
    REQUIRE(keys_of(all) == strings{"a", "b"}); // still being gathered
    CHECK(all[0].callers == 1);
    CHECK(all[1].callers == 2);
    CHECK_FALSE(all[0].queued);
    manual_clock::advance(1s);
    w.settle();
    CHECK(w.src.starts("batch") == 1);
    const auto second = w.call(loader.load("c"));
    manual_clock::advance(2s);
    w.settle();
    all = flights_of(w);
    REQUIRE(keys_of(all) == strings{"a", "b", "c"});
    CHECK(all[0].age == 4s);
    CHECK_FALSE(all[0].queued);
    CHECK(all[2].queued);
    w.let_loads_end();
    CHECK(second.value() == 7);
    CHECK(flights_of(w).empty());
}

TEMPLATE_TEST_CASE("in_flight counts a warm-up as one caller of each of its loads", "", over_memory,
                   over_script) {
    world<TestType> w;
    w.src.hold();
    const auto warmup = w.call(w.cache->warmup(strings{"a", "b"}, w.src));
    const auto all = flights_of(w);
    REQUIRE(keys_of(all) == strings{"a", "b"});
    CHECK(all[0].callers == 1);
    CHECK(all[1].callers == 1);
}

TEMPLATE_TEST_CASE("in_flight does not list loads that have timed out, nor those of a closed cache", "",
                   over_memory, over_script) {
    world<TestType> w({.load_timeout = 5s});
    w.src.hold();
    w.src.ignore_cancellation();
    const auto a = w.call(w.get_or_load("a"));
    manual_clock::advance(5s);
    w.settle();
    CHECK(flights_of(w).empty());
    const auto b = w.call(w.get_or_load("b"));
    const auto closing = w.call(w.cache->close());
    CHECK(flights_of(w).empty());
    w.src.release_all();
    w.settle();
    CHECK(closing.done());
}

TEST_CASE("in_flight may be asked from inside a load, which it lists") {
    world<over_memory> w;
    const auto load = [&](const std::string&) -> asio::awaitable<int> {
        co_return static_cast<int>(w.cache->in_flight().at(0).callers);
    };
    CHECK(w.steps.run(w.cache->get_or_load("a", load)) == 1);
}

} // namespace
