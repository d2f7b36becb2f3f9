// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

// What each operation of a cache does and counts, over both kinds of backend.

namespace {

using namespace setup;
using acache::lookup_source;

/// Neither default-constructible nor comparable.
struct page {
    explicit page(std::string t) : text(std::move(t)) {}
    std::string text;
};

TEMPLATE_TEST_CASE("A value needs no default, and keys may be of any type that hashes", "", over_memory,
                   over_script) {
    world<TestType, std::pair<std::int64_t, std::string>, page> w;
    using key = std::pair<std::int64_t, std::string>;
    const auto load = [](const key& k) -> asio::awaitable<page> { co_return page(k.second + "!"); };
    const key k(1, "a");
    CHECK(w.steps.run(w.cache->get_or_load(k, load)).text == "a!");
    CHECK(w.steps.run(w.cache->get(k))->text == "a!");
    w.steps.run(w.cache->set(k, page("b")));
    CHECK(w.steps.run(w.cache->lookup(k, load)).value.text == "b");
    CHECK(w.steps.run(w.cache->refresh(k, load)).text == "a!");
    const std::vector<key> keys{k, key(2, "c")};
    const auto batch = [](std::vector<key> missing) -> asio::awaitable<std::vector<page>> {
        co_return std::vector<page>(missing.size(), page("many"));
    };
    auto all = w.steps.run(w.cache->get_many_or_load(keys, batch));
    CHECK(all.at(key(2, "c")).value().text == "many");
    CHECK(w.steps.run(w.cache->get_many(keys)).size() == 2);
    auto wrapped = w.cache->cached([](std::int64_t id, std::string name) -> asio::awaitable<page> {
        co_return page(name + std::to_string(id));
    });
    CHECK(w.steps.run(wrapped(7, "x")).text == "x7");
}

TEMPLATE_TEST_CASE("set stores, get finds, invalidate and clear remove", "", over_memory, over_script) {
    world<TestType> w;
    CHECK(w.get("a") == std::nullopt);
    w.steps.run(w.cache->set("a", 1));
    w.steps.run(w.cache->set("b", 2));
    CHECK(w.get("a") == 1);
    w.steps.run(w.cache->set("a", 3));
    CHECK(w.get("a") == 3);
    CHECK(w.steps.run(w.cache->invalidate("a")));
    CHECK_FALSE(w.steps.run(w.cache->invalidate("a")));
    CHECK(w.get("a") == std::nullopt);
    CHECK(w.get("b") == 2);
    w.steps.run(w.cache->clear());
    CHECK(w.get("b") == std::nullopt);
    if constexpr (!TestType::remote) {
        CHECK(w.cache->try_get("b") == std::nullopt);
        w.steps.run(w.cache->set("b", 4));
        CHECK(w.cache->try_get("b") == 4);
    }
}

TEMPLATE_TEST_CASE("An entry lives for the cache's ttl, the function's, the entry's or the loader's", "",
                   over_memory, over_script) {
    world<TestType> w({.ttl = 10s});
    const auto lives_for = [&](std::chrono::nanoseconds d) {
        CHECK(w.get("a"));
        manual_clock::advance(d - 1ns);
        CHECK(w.get("a"));
        manual_clock::advance(1ns);
        CHECK(w.get("a") == std::nullopt);
    };
    w.steps.run(w.get_or_load("a"));
    lives_for(10s);
    w.steps.run(w.cache->get_or_load("a", w.src, {.ttl = 20s}));
    lives_for(20s);
    w.steps.run(w.cache->set("a", 1));
    lives_for(10s);
    w.steps.run(w.cache->set("a", 1, {.ttl = 3s}));
    lives_for(3s);
    const auto own = [](acache::load_context& context) -> asio::awaitable<int> {
        context.ttl(7s);
        co_return 1;
    };
    w.steps.run(w.cache->get_or_load("a", own, {.ttl = 20s}));
    lives_for(7s);
    const auto until = [](acache::load_context& context, const std::string&) -> asio::awaitable<int> {
        context.ttl(7s);
        context.expires_at(manual_clock::now() + 30s);
        co_return 1;
    };
    w.steps.run(w.cache->get_or_load("a", until));
    lives_for(30s);
    const auto aged = [](acache::load_context& context) -> asio::awaitable<int> {
        context.valid_from(manual_clock::now() - 4s);
        co_return 1;
    };
    CHECK(w.steps.run(w.cache->lookup("a", aged)).age == 4s);
    lives_for(6s);
    auto wrapped = w.cache->cached([](std::string) -> asio::awaitable<int> { co_return 1; }, {.ttl = 5s});
    w.steps.run(wrapped("a"));
    lives_for(5s);
    w.steps.run(wrapped.set(1, "a"));
    lives_for(5s);
}

TEMPLATE_TEST_CASE("Without a ttl an entry never expires", "", over_memory, over_script) {
    world<TestType> w;
    w.steps.run(w.cache->set("a", 1));
    manual_clock::advance(24h * 365 * 100);
    CHECK(w.get("a") == 1);
    w.steps.run(w.cache->set("a", 2, {.ttl = std::chrono::nanoseconds::max()}));
    manual_clock::advance(24h * 365);
    CHECK(w.get("a") == 2);
}

TEMPLATE_TEST_CASE("A ttl that is not positive means: do not store, and an older entry goes", "", over_memory,
                   over_script) {
    const auto ttl = GENERATE(as<std::chrono::nanoseconds>(), 0s, -5s);
    world<TestType> w;
    w.steps.run(w.cache->set("a", 1));
    w.steps.run(w.cache->set("a", 2, {.ttl = ttl}));
    CHECK(w.get("a") == std::nullopt);
    CHECK_FALSE(w.holds("a"));
    w.steps.run(w.cache->set("a", 1));
    const auto dead = [&](acache::load_context& context) -> asio::awaitable<int> {
        context.ttl(ttl);
        co_return 2;
    };
    CHECK(w.steps.run(w.cache->refresh("a", dead)) == 2);
    CHECK(w.get("a") == std::nullopt);
    CHECK_FALSE(w.holds("a"));
}

TEMPLATE_TEST_CASE("A load that is not to be stored goes to its callers, and the older entry stays", "",
                   over_memory, over_script) {
    world<TestType> w;
    w.steps.run(w.cache->set("a", 1));
    const auto fleeting = [](acache::load_context& context) -> asio::awaitable<int> {
        context.no_store();
        co_return 2;
    };
    CHECK(w.steps.run(w.cache->refresh("a", fleeting)) == 2);
    CHECK(w.get("a") == 1);
    CHECK(w.steps.run(w.cache->get_or_load("b", fleeting)) == 2);
    CHECK(w.get("b") == std::nullopt);
}

TEMPLATE_TEST_CASE("Options that make no sense are refused when they are given", "", over_memory,
                   over_script) {
    asio::io_context context;
    using world_type = world<TestType>;
    const auto make = [&](acache::cache_options options) {
        return typename world_type::cache_type(context, typename world_type::backend_type(), options);
    };
    CHECK_THROWS_AS(make({.ttl = 0s}), std::invalid_argument);
    CHECK_THROWS_AS(make({.ttl = -1s}), std::invalid_argument);
    CHECK_THROWS_AS(make({.load_timeout = 0s}), std::invalid_argument);
    CHECK_THROWS_AS(make({.max_concurrent_loads = 0}), std::invalid_argument);
    world_type w;
    CHECK_THROWS_AS(w.cache->get_or_load("a", w.src, {.ttl = 0s}), std::invalid_argument);
    CHECK_THROWS_AS(w.cache->get_or_load("a", w.src, {.load_timeout = -1s}), std::invalid_argument);
    CHECK_THROWS_AS(w.cache->cached(w.src, {.ttl = 0s}), std::invalid_argument);
    const std::vector<std::string> keys;
    CHECK_THROWS_AS(w.cache->warmup(keys, w.src, {.concurrency = 0}), std::invalid_argument);
}

TEST_CASE("A cache of capacity 0 stores nothing and still coalesces") {
    world<over_memory> w({.capacity = 0});
    w.src.hold();
    const auto a = w.call(w.get_or_load("a"));
    const auto b = w.call(w.get_or_load("a"));
    w.src.release_all();
    w.settle();
    CHECK(a.value() == 1);
    CHECK(b.value() == 1);
    CHECK(w.get("a") == std::nullopt);
    w.steps.run(w.cache->set("a", 5));
    CHECK(w.get("a") == std::nullopt);
    w.src.let_pass();
    CHECK(w.steps.run(w.get_or_load("a")) == 2);
}

TEST_CASE("A cache says what it is called, and where it loads") {
    world<over_memory> w({.name = std::string(40, 'n')});
    CHECK(w.cache->name() == std::string(40, 'n'));
    CHECK(w.cache->get_executor() == asio::any_io_executor(w.context.get_executor()));
}

TEMPLATE_TEST_CASE("A lookup tells where the value came from, and how old it is", "", over_memory,
                   over_script) {
    world<TestType> w;
    w.src.hold();
    const auto first = w.call(w.cache->lookup("a", w.src));
    const auto second = w.call(w.cache->lookup("a", w.src));
    manual_clock::advance(3s);
    w.src.release_all();
    w.settle();
    CHECK(first.value().source == lookup_source::loaded);
    CHECK(first.value().age == 0s);
    CHECK(second.value().source == lookup_source::joined);
    manual_clock::advance(5s);
    const auto third = w.steps.run(w.cache->lookup("a", w.src));
    CHECK(third.source == lookup_source::hit);
    CHECK(third.age == 5s);
    CHECK(third.value == 1);
}

TEMPLATE_TEST_CASE("A refresh loads whatever is stored, and a failure keeps the old entry", "", over_memory,
                   over_script) {
    world<TestType> w;
    w.steps.run(w.cache->set("a", 100));
    CHECK(w.steps.run(w.cache->refresh("a", w.src)) == 1);
    CHECK(w.get("a") == 1);
    w.src.fail_next(std::runtime_error("down"));
    CHECK_THROWS_AS(w.steps.run(w.cache->refresh("a", w.src)), std::runtime_error);
    CHECK(w.get("a") == 1);
    // It joins no load that began before, which goes on for its callers and stores nothing.
    w.steps.run(w.cache->invalidate("a"));
    w.src.hold();
    const auto before = w.call(w.get_or_load("a"));
    const auto refreshed = w.call(w.cache->refresh("a", w.src));
    const auto joins = w.call(w.get_or_load("a"));
    CHECK(w.src.starts() == 4);
    w.src.release_all();
    w.settle();
    CHECK(before.value() == 3);
    CHECK(refreshed.value() == 4);
    CHECK(joins.value() == 4);
    CHECK(w.get("a") == 4);
}

TEMPLATE_TEST_CASE("get_many gives the fresh values of those keys that have one", "", over_memory,
                   over_script) {
    world<TestType> w;
    w.steps.run(w.cache->set("a", 1));
    w.steps.run(w.cache->set("b", 2, {.ttl = 1s}));
    w.steps.run(w.cache->set("c", 3));
    manual_clock::advance(1s);
    const std::vector<std::string> keys{"a", "b", "c", "d", "a"};
    const auto found = w.steps.run(w.cache->get_many(keys));
    CHECK(found == std::unordered_map<std::string, int>{{"a", 1}, {"c", 3}});
    const std::vector<std::string> none;
    CHECK(w.steps.run(w.cache->get_many(none)).empty());
}

TEMPLATE_TEST_CASE("C22 get_many_or_load makes one batch of what is neither stored nor being loaded", "",
                   over_memory, over_script) {
    world<TestType> w;
    w.steps.run(w.cache->set("stored", 100));
    w.src.hold();
    const auto single = w.call(w.get_or_load("loading"));
    std::vector<std::vector<std::string>> batches;
    const auto batch = [&](std::span<const std::string> missing) -> asio::awaitable<std::vector<int>> {
        batches.emplace_back(missing.begin(), missing.end());
        (void)co_await w.src("batch");
        co_return std::vector<int>{10, 20};
    };
    const std::vector<std::string> keys{"stored", "loading", "x", "y", "x"};
    const auto bulk = w.call(w.cache->get_many_or_load(keys, batch));
    const auto joins = w.call(w.get_or_load("y"));
    CHECK(batches == std::vector<std::vector<std::string>>{{"x", "y"}});
    w.src.release_all();
    w.settle();
    CHECK(single.value() == 1);
    CHECK(joins.value() == 20);
    const auto& all = bulk.value();
    CHECK(all.size() == 4);
    CHECK(all.at("stored").value() == 100);
    CHECK(all.at("loading").value() == 1);
    CHECK(all.at("x").value() == 10);
    CHECK(all.at("y").value() == 20);
    CHECK(w.get("x") == 10);
    CHECK(w.src.starts() == 2);
}

TEMPLATE_TEST_CASE("C24 a bulk load's failures stand at the keys that they concern", "", over_memory,
                   over_script) {
    world<TestType> w;
    const std::vector<std::string> keys{"a", "b", "c"};
    const auto some = [](std::vector<std::string>) -> asio::awaitable<std::unordered_map<std::string, int>> {
        co_return std::unordered_map<std::string, int>{{"a", 1}, {"c", 3}};
    };
    auto all = w.steps.run(w.cache->get_many_or_load(keys, some));
    CHECK(all.at("a").value() == 1);
    CHECK(code_of(all.at("b").error()) == errc::not_found);
    CHECK(all.at("c").value() == 3);
    CHECK(w.get("b") == std::nullopt);

    w.steps.run(w.cache->clear());
    const auto short_one = [](std::vector<std::string>) -> asio::awaitable<std::vector<int>> {
        co_return std::vector<int>{1, 2};
    };
    all = w.steps.run(w.cache->get_many_or_load(keys, short_one));
    for (const auto& [key, result] : all) {
        CHECK(code_of(result.error()) == errc::batch_size_mismatch);
    }
    CHECK(w.get("a") == std::nullopt);

    const auto throws = [](std::vector<std::string>) -> asio::awaitable<std::vector<int>> {
        throw std::out_of_range("no batches today");
        co_return std::vector<int>{};
    };
    all = w.steps.run(w.cache->get_many_or_load(keys, throws));
    CHECK(all.size() == 3);
    CHECK(text_of(all.at("c").error()) == "no batches today");
    const std::vector<std::string> none;
    CHECK(w.steps.run(w.cache->get_many_or_load(none, throws)).empty());
    CHECK(w.steps.run(w.get_or_load("a")) == 1);
}

TEMPLATE_TEST_CASE("A warm-up loads what is missing, a few at a time, and goes on past errors", "",
                   over_memory, over_script) {
    world<TestType> w;
    w.steps.run(w.cache->set("c", 100));
    w.src.hold();
    w.src.fail_next(std::runtime_error("no a"));
    const std::vector<std::string> keys{"a", "b", "c", "d", "e"};
    const auto warming = w.call(w.cache->warmup(keys, w.src, {.concurrency = 2}));
    if constexpr (!TestType::remote) {
        CHECK(w.src.starts() == 2);
    }
    while (w.src.parked() != 0) {
        CHECK(w.src.parked() <= 2);
        w.src.release_one();
        w.settle();
    }
    const auto& report = warming.value();
    CHECK(report.loaded == 3);
    CHECK(report.present == 1);
    REQUIRE(report.failed.size() == 1);
    CHECK(report.failed[0].first == "a");
    CHECK(text_of(report.failed[0].second) == "no a");
    CHECK(w.get("c") == 100);
    CHECK(w.get("e"));
    CHECK(w.src.starts() == 4);
}

TEMPLATE_TEST_CASE("Each look-up counts exactly once", "", over_memory, over_script) {
    world<TestType> w;
    const std::vector<std::string> keys{"a", "b", "x", "y"};
    const auto batch = [](std::vector<std::string> missing) -> asio::awaitable<std::vector<int>> {
        co_return std::vector<int>(missing.size(), 9);
    };
    const auto counts = [&] {
        const auto m = w.cache->metrics();
        return std::vector<std::uint64_t>{m.hits, m.misses, m.coalesced, m.loads, m.load_failures};
    };
    using list = std::vector<std::uint64_t>;
    (void)w.get("a");
    CHECK(counts() == list{0, 1, 0, 0, 0});
    w.steps.run(w.get_or_load("a"));
    CHECK(counts() == list{0, 2, 0, 1, 0});
    (void)w.get("a");
    w.steps.run(w.get_or_load("a"));
    (void)w.steps.run(w.cache->lookup("a", w.src));
    CHECK(counts() == list{3, 2, 0, 1, 0});
    w.src.hold();
    const auto first = w.call(w.get_or_load("b"));
    const auto second = w.call(w.get_or_load("b"));
    w.src.release_all();
    w.src.let_pass();
    w.settle();
    CHECK(counts() == list{3, 3, 1, 2, 0});
    (void)w.steps.run(w.cache->get_many(keys));
    CHECK(counts() == list{5, 5, 1, 2, 0});
    (void)w.steps.run(w.cache->get_many_or_load(keys, batch));
    CHECK(counts() == list{7, 7, 1, 4, 0});
    w.src.fail_next(std::runtime_error("down"));
    CHECK_THROWS(w.steps.run(w.get_or_load("c")));
    CHECK(counts() == list{7, 8, 1, 5, 1});
    w.steps.run(w.cache->refresh("a", w.src));
    CHECK(counts() == list{7, 8, 1, 6, 1});
    w.src.hold();
    const auto leaver = w.call(w.get_or_load("d"));
    leaver.leave();
    w.settle();
    CHECK(counts() == list{7, 9, 1, 7, 1});
    // Both keys of the batch took one time.
    CHECK(w.cache->metrics().load_time.count() == 5);
    CHECK(w.cache->metrics().hit_ratio() == 7.0 / 17);
}

TEST_CASE("try_get counts as one look-up, and a call of a wrapped function as one") {
    world<over_memory> w;
    (void)w.cache->try_get("a");
    w.steps.run(w.cache->set("a", 1));
    (void)w.cache->try_get("a");
    (void)w.cache->try_get(std::string_view("a"));
    CHECK(w.cache->metrics().hits == 2);
    CHECK(w.cache->metrics().misses == 1);
    auto wrapped = w.cache->cached("n:{}", [&](int) { return w.src("n"); });
    w.steps.run(wrapped(1));
    w.steps.run(wrapped(1));
    (void)wrapped.try_get(2);
    CHECK(w.cache->metrics().hits == 3);
    CHECK(w.cache->metrics().misses == 3);
    const auto m = w.cache->metrics();
    CHECK(m.size == 2);
    CHECK(m.removals.replaced == 0);
}

TEMPLATE_TEST_CASE("C26 loads over the cap wait their turn, first come first served", "", over_memory,
                   over_script) {
    world<TestType> w({.max_concurrent_loads = 2});
    w.src.hold();
    std::vector<caller<int>> callers;
    for (const char* key : {"a", "b", "c", "d", "e"}) {
        callers.push_back(w.call(w.get_or_load(key)));
    }
    CHECK(w.src.starts() == 2);
    callers[2].leave();
    w.settle();
    CHECK(callers[2].code() == asio::error::operation_aborted);
    w.src.release_one();
    w.settle();
    CHECK(w.src.starts() == 3);
    CHECK(w.src.starts("d") == 1);
    w.src.release_all();
    w.settle();
    w.src.release_all();
    w.settle();
    CHECK(w.src.starts("c") == 0);
    CHECK(callers[4].value() == 4);
}

TEMPLATE_TEST_CASE("C26 with a cap of 1, a load may ask for another key", "", over_memory, over_script) {
    world<TestType> w({.max_concurrent_loads = 1});
    const auto outer = [&](const std::string&) -> asio::awaitable<int> {
        const int n = co_await w.get_or_load("inner");
        co_return n + 10;
    };
    CHECK(w.steps.run(w.cache->get_or_load("outer", outer)) == 11);
    CHECK(w.steps.run(w.get_or_load("next")) == 2);
}

TEMPLATE_TEST_CASE("C26 with a cap of 1, a load may join a load that waits for its turn", "", over_memory,
                   over_script) {
    world<TestType> w({.max_concurrent_loads = 1});
    source gate;
    gate.hold();
    const auto outer = [&](const std::string& key) -> asio::awaitable<int> {
        (void)co_await gate(key);
        const int n = co_await w.get_or_load("queued");
        co_return n + 10;
    };
    const auto first = w.call(w.cache->get_or_load("outer", outer));
    const auto queued = w.call(w.get_or_load("queued"));
    CHECK(w.src.starts() == 0);
    gate.release_all();
    w.settle();
    CHECK(queued.value() == 1);
    CHECK(first.value() == 11);
}

TEMPLATE_TEST_CASE("C26 with a cap of 1, a load may warm up and load in bulk", "", over_memory, over_script) {
    world<TestType> w({.max_concurrent_loads = 1});
    const std::vector<std::string> keys{"a", "b", "c"};
    const auto batch = [](std::vector<std::string> missing) -> asio::awaitable<std::vector<int>> {
        co_return std::vector<int>(missing.size(), 7);
    };
    const std::vector<std::string> others{"c", "d"};
    const auto outer = [&](const std::string&) -> asio::awaitable<int> {
        const auto report = co_await w.cache->warmup(keys, w.src, {.concurrency = 3});
        auto all = co_await w.cache->get_many_or_load(others, batch);
        co_return static_cast<int>(report.loaded) * 10 + all.at("d").value();
    };
    CHECK(w.steps.run(w.cache->get_or_load("outer", outer)) == 37);
}

TEST_CASE("A second level that fails costs a load, is counted, and recovers by itself") {
    world<over_script> w;
    auto script = w.store->script();
    script.fail_next(op::get, std::runtime_error("down"));
    script.fail_next(op::set, std::runtime_error("down"));
    CHECK(w.steps.run(w.get_or_load("a")) == 1);
    CHECK(w.cache->metrics().backend_failures == 2);
    CHECK(w.cache->metrics().load_failures == 0);
    script.fail_next(op::get, std::runtime_error("down"));
    CHECK(w.get("a") == std::nullopt);
    CHECK(w.steps.run(w.get_or_load("a")) == 2);
    CHECK(w.get("a") == 2);
    const std::vector<std::string> keys{"a", "b"};
    script.fail_next(op::get_many, std::runtime_error("down"));
    CHECK(w.steps.run(w.cache->get_many(keys)).empty());
    CHECK(w.cache->metrics().backend_failures == 4);
}

TEST_CASE("C04 a caller who is cancelled while the second level fails gets operation_aborted") {
    world<over_script> w;
    w.store->script().hold(op::get);
    const auto leaver = w.call(w.cache->get("a"));
    w.store->script().fail_next(op::get, std::runtime_error("down"));
    leaver.leave();
    w.store->script().release_one(); // the cancellation is late: the operation goes on, and fails
    w.settle();
    CHECK(leaver.code() == asio::error::operation_aborted);
    CHECK(w.cache->metrics().backend_failures == 0);
}

TEST_CASE("A second level's failure to write or to remove is told to who asked for it") {
    world<over_script> w;
    auto script = w.store->script();
    script.fail_next(op::set, std::runtime_error("disk full"));
    CHECK(w.call(w.cache->set("a", 1)).what() == "disk full");
    script.fail_next(op::erase, std::runtime_error("read only"));
    CHECK(w.call(w.cache->invalidate("a")).what() == "read only");
    script.fail_next(op::clear, std::runtime_error("read only"));
    CHECK(w.call(w.cache->clear()).what() == "read only");
    w.steps.run(w.cache->set("a", 1));
    CHECK(w.get("a") == 1);
}

TEST_CASE("What an asynchronous backend still has of an expired entry is a miss") {
    world<over_script> w({.ttl = 10s});
    w.steps.run(w.get_or_load("a"));
    manual_clock::advance(10s);
    CHECK(w.store->peek("a"));
    CHECK(w.get("a") == std::nullopt);
    CHECK(w.steps.run(w.get_or_load("a")) == 2);
}

} // namespace
