// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// What a cache makes of the features of its memory backend.

#include <acache/acache.hpp>
#include <acache/testing.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using acache::removal_cause;
using acache::testing::manual_clock;

using backend = acache::memory_backend<std::string, int, acache::hash<std::string>, std::equal_to<>,
                                       acache::lru, manual_clock>;
using cache = acache::async_cache<std::string, int, backend>;

struct world {
    asio::io_context context{1};
    acache::testing::stepper steps{context};

    world() { manual_clock::reset(); }

    template <class T>
    T run(asio::awaitable<T> operation) {
        return steps.run(std::move(operation));
    }
};

} // namespace

TEST_CASE("an entry that is asked for in time does not expire by time to idle, and one that is not does") {
    world w;
    cache c{w.context, {.time_to_idle = 10s}};
    w.run(c.set("used", 1));
    w.run(c.set("unused", 2));
    for (int i = 0; i != 5; ++i) {
        manual_clock::advance(9s);
        CHECK(c.try_get("used") == 1);
    }
    CHECK_FALSE(c.try_get("unused"));
    manual_clock::advance(10s);
    CHECK_FALSE(w.run(c.get("used")));
    manual_clock::advance(1s);
    const auto m = c.metrics();
    CHECK(m.size == 0);
    CHECK(m.removals.expired == 2);
    CHECK(m.hits == 5);
    CHECK(m.misses == 2);
}

TEST_CASE("a time to idle that is not positive is refused") {
    world w;
    CHECK_THROWS_AS((cache{w.context, {.time_to_idle = 0s}}), std::invalid_argument);
}

TEST_CASE(
    "a removal listener hears of each entry that leaves a cache, once and with its cause, under no lock") {
    world w;
    using removal = std::tuple<std::string, int, removal_cause>;
    std::vector<removal> heard;
    backend store{2};
    cache* whole = nullptr;
    store.on_removal([&](const std::string& key, int value, removal_cause cause) {
        heard.emplace_back(key, value, cause);
        (void)whole->try_get(key);
        (void)whole->metrics(); // takes all of the store's locks
    });
    cache c{w.context, std::move(store)};
    whole = &c;
    const auto one = [](const std::string&) -> asio::awaitable<int> { co_return 1; };
    CHECK(w.run(c.get_or_load("a", one)) == 1);
    w.run(c.set("a", 2));
    CHECK(heard == std::vector<removal>{{"a", 1, removal_cause::replaced}});
    CHECK(w.run(c.get_or_load("b", one)) == 1);
    CHECK(w.run(c.get_or_load("c", one)) == 1);
    CHECK(heard.back() == removal{"a", 2, removal_cause::capacity});
    CHECK(w.run(c.invalidate("b")));
    CHECK(heard.back() == removal{"b", 1, removal_cause::invalidated});
    w.run(c.set("d", 4, {.ttl = 1s}));
    manual_clock::advance(2s);
    w.run(c.set("e", 5));
    CHECK(heard.back() == removal{"d", 4, removal_cause::expired});
    w.run(c.clear());
    CHECK(heard.size() == 6);
    const auto m = c.metrics();
    CHECK(m.removals.replaced == 1);
    CHECK(m.removals.capacity == 1);
    CHECK(m.removals.invalidated == 3);
    CHECK(m.removals.expired == 1);
    CHECK(m.size == 0);
}

TEST_CASE(
    "a cache bounded by weight keeps what weighs nothing, and does not store what weighs more than all") {
    world w;
    backend store{acache::memory_options{.capacity = 100, .max_weight = 10}};
    store.weigh_by([](const std::string&, int value) { return static_cast<std::size_t>(value); });
    cache c{w.context, std::move(store)};
    w.run(c.set("pinned", 0));
    const auto eleven = [](const std::string&) -> asio::awaitable<int> { co_return 11; };
    CHECK(w.run(c.get_or_load("heavy", eleven)) == 11);
    CHECK_FALSE(c.try_get("heavy"));
    for (int i = 0; i != 20; ++i) {
        w.run(c.set("n" + std::to_string(i), 3));
        CHECK(c.metrics().weight <= 10);
    }
    CHECK(c.try_get("pinned") == 0);
    const auto m = c.metrics();
    CHECK(m.size == 4);
    CHECK(m.weight == 9);
    CHECK(m.rejected == 1);
}

TEST_CASE("a cache is resized through its backend") {
    world w;
    cache c{w.context, {.capacity = 4}};
    for (const auto* key : {"a", "b", "c", "d"}) {
        w.run(c.set(key, 1));
    }
    (void)c.backend().resize(2);
    CHECK(c.metrics().size == 2);
    CHECK(c.try_get("d"));
    (void)c.backend().resize(3);
    w.run(c.set("e", 1));
    CHECK(c.metrics().size == 3);
}
