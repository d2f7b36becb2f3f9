// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <acache/data_loader.hpp>
#include <acache/lookup_result.hpp>

#include <boost/asio/this_coro.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// Loads that end without a value: what of it is remembered, who is told, and what makes it be forgotten.

namespace {

using namespace setup;
using boost::system::system_error;

constexpr acache::cache_options remembering{.ttl = 10s, .negative_ttl = 5s};

const system_error none(errc::not_found);

/// The load of "a" finds no value.
template <class World>
void find_nothing(World& w) {
    w.src.fail_next(none);
    REQUIRE(w.call(w.get_or_load("a")).code() == errc::not_found);
    REQUIRE(w.src.starts("a") == 1);
}

/// What an operation throws, the object itself.
asio::awaitable<std::exception_ptr> failure_of(asio::awaitable<int> work) {
    std::exception_ptr failure;
    try {
        (void)co_await std::move(work);
    } catch (...) {
        failure = std::current_exception();
    }
    co_return failure;
}

/// A batch function that has values for the keys it is told.
class shelf {
public:
    std::map<std::string, int> values;
    std::vector<std::vector<std::string>> asked;

    [[nodiscard]] auto fn() {
        return [this](std::vector<std::string> keys) { return find(std::move(keys)); };
    }

private:
    asio::awaitable<std::map<std::string, int>> find(std::vector<std::string> keys) {
        asked.push_back(keys);
        co_return values;
    }
};

using strings = std::vector<std::string>;

// ---- Remembering "not found" -----------------------------------------------------------------------------

TEMPLATE_TEST_CASE("that a key has no value is remembered for negative_ttl, and told without a load", "",
                   over_memory, over_script) {
    world<TestType> w(remembering);
    find_nothing(w);
    manual_clock::advance(5s - 1ns);
    for (int n = 0; n != 3; ++n) {
        CHECK(w.call(w.get_or_load("a")).code() == errc::not_found);
    }
    CHECK(w.src.starts("a") == 1);
    const auto m = w.cache->metrics();
    CHECK(m.hits == 3);
    CHECK(m.negative_hits == 3);
    CHECK(m.misses == 1);
    CHECK(m.stale_hits == 0);
    CHECK(m.coalesced == 0);
    CHECK(m.loads == 1);
    CHECK(m.size == 0);
    manual_clock::advance(1ns);
    CHECK(w.call(w.get_or_load("a")).value() == 2);
    CHECK(w.cache->metrics().negative_hits == 3);
}

TEMPLATE_TEST_CASE("C02 without negative_ttl nothing is remembered", "", over_memory, over_script) {
    world<TestType> w({.ttl = 10s});
    find_nothing(w);
    CHECK(w.call(w.get_or_load("a")).value() == 2);
    CHECK(w.cache->metrics().negative_hits == 0);
}

TEMPLATE_TEST_CASE("C02 with negative_ttl other errors are not remembered", "", over_memory, over_script) {
    world<TestType> w(remembering);
    w.src.fail_next(std::runtime_error("down"));
    CHECK(w.call(w.get_or_load("a")).what() == "down");
    CHECK(w.call(w.get_or_load("a")).value() == 2);
}

TEMPLATE_TEST_CASE("C02 a failed load gives one exception to all its callers, and to later ones", "",
                   over_memory, over_script) {
    world<TestType> w(remembering);
    w.src.hold();
    w.src.fail_next(none);
    auto first = w.begin(failure_of(w.get_or_load("a")));
    auto second = w.call(failure_of(w.get_or_load("a")));
    w.let_loads_end();
    const auto third = w.call(failure_of(w.get_or_load("a")));
    CHECK(code_of(first.value()) == errc::not_found);
    CHECK(first.value() == second.value());
    CHECK(first.value() == third.value());
    CHECK(w.src.starts() == 1);
    CHECK(w.cache->metrics().coalesced == 1);
    CHECK(w.cache->metrics().load_failures == 1);
}

TEMPLATE_TEST_CASE("what only looks gets nothing for a key without a value, and that is a miss", "",
                   over_memory, over_script) {
    world<TestType> w(remembering);
    find_nothing(w);
    CHECK(w.get("a") == std::nullopt);
    CHECK(w.steps.run(w.cache->get_many(strings{"a"})).empty());
    if constexpr (!TestType::remote) {
        CHECK(w.cache->try_get("a") == std::nullopt);
    }
    CHECK(w.cache->metrics().negative_hits == 0);
    CHECK(w.cache->metrics().misses == (TestType::remote ? 3 : 4));
}

TEMPLATE_TEST_CASE("every way to a value tells that there is none", "", over_memory, over_script) {
    world<TestType> w(remembering);
    find_nothing(w);
    CHECK(w.call(w.cache->lookup("a", w.src)).code() == errc::not_found);
    auto wrapped = w.cache->cached("{}", [src = w.src](std::string key) { return src(std::move(key)); });
    CHECK(w.call(wrapped("a")).code() == errc::not_found);
    CHECK(w.call(wrapped.lookup("a")).code() == errc::not_found);
    shelf s;
    acache::DataLoader loader{*w.cache, s.fn()};
    CHECK(w.call(loader.load("a")).code() == errc::not_found);
    CHECK(code_of(w.call(loader.load_many(strings{"a"})).value().at(0)) == errc::not_found);
    const auto many = w.call(w.cache->get_many_or_load(strings{"a"}, s.fn()));
    CHECK(code_of(many.value().at("a")) == errc::not_found);
    CHECK(s.asked.empty());
    CHECK(w.src.starts() == 1);
    CHECK(w.cache->metrics().hits == 6);
    CHECK(w.cache->metrics().negative_hits == 6);
}

TEMPLATE_TEST_CASE("one load may have a negative_ttl of its own", "", over_memory, over_script) {
    world<TestType> w(remembering);
    w.src.fail_next(none);
    const acache::load_options longer{.negative_ttl = 20s};
    CHECK(w.call(w.cache->get_or_load("a", w.src, longer)).code() == errc::not_found);
    manual_clock::advance(20s - 1ns);
    CHECK(w.call(w.get_or_load("a")).code() == errc::not_found);
    manual_clock::advance(1ns);
    CHECK(w.call(w.get_or_load("a")).value() == 2);
}

TEST_CASE("a negative_ttl that is not positive is refused") {
    asio::io_context context;
    using cache = acache::async_cache<std::string, int>;
    CHECK_THROWS_AS(cache(context, {.negative_ttl = 0s}), std::invalid_argument);
    cache good(context);
    source src;
    const acache::load_options bad{.negative_ttl = -1s};
    CHECK_THROWS_AS((void)good.get_or_load("a", src, bad), std::invalid_argument);
    CHECK_THROWS_AS((void)good.cached(
                        "{}", [](int) -> asio::awaitable<int> { co_return 1; }, bad),
                    std::invalid_argument);
}

TEST_CASE("no more keys without a value are remembered than the cache has room for") {
    world<over_memory> w({.capacity = 16, .negative_ttl = 1h});
    for (int round = 0; round != 2; ++round) {
        for (int n = 0; n != 200; ++n) {
            w.src.fail_next(none);
            REQUIRE(w.call(w.get_or_load(std::to_string(n))).code() == errc::not_found);
        }
    }
    const auto m = w.cache->metrics();
    CHECK(m.negative_hits <= 16);
    CHECK(m.loads >= 384);
}

TEST_CASE("a cache that stores nothing remembers nothing") {
    world<over_memory> w({.capacity = 0, .negative_ttl = 1h});
    find_nothing(w);
    CHECK(w.call(w.get_or_load("a")).value() == 2);
}

TEMPLATE_TEST_CASE("a loader that asks not to store has nothing remembered", "", over_memory, over_script) {
    world<TestType> w({.ttl = 10s, .stale_while_revalidate = 20s, .negative_ttl = 5s});
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    const auto absent = [](acache::load_context& load) -> asio::awaitable<std::optional<int>> {
        load.no_store();
        co_return std::nullopt;
    };
    CHECK(w.call(w.cache->refresh("a", absent)).code() == errc::not_found);
    CHECK(w.get("a") == 1);
}

TEMPLATE_TEST_CASE("a remembered failure that is older than max_age is no answer", "", over_memory,
                   over_script) {
    world<TestType> w(remembering);
    find_nothing(w);
    manual_clock::advance(2s);
    const acache::load_options within{.max_age = 2s};
    const acache::load_options before{.max_age = 1s};
    CHECK(w.call(w.cache->get_or_load("a", w.src, within)).code() == errc::not_found);
    CHECK(w.src.starts("a") == 1);
    CHECK(w.call(w.cache->get_or_load("a", w.src, before)).value() == 2);
    CHECK(w.call(w.get_or_load("a")).value() == 2);
}

// ---- The stored value goes -------------------------------------------------------------------------------

TEMPLATE_TEST_CASE("not found removes a stale value, negative_ttl or not", "", over_memory, over_script) {
    const bool remembers = GENERATE(true, false);
    world<TestType> w(
        {.ttl = 10s,
         .stale_if_error = 1h,
         .negative_ttl = remembers ? std::optional<std::chrono::nanoseconds>(5s) : std::nullopt});
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(20s);
    w.src.fail_next(none);
    CHECK(w.call(w.get_or_load("a")).code() == errc::not_found);
    CHECK_FALSE(w.holds("a"));
    manual_clock::advance(5s);
    w.src.fail_next(std::runtime_error("down"));
    CHECK(w.call(w.get_or_load("a")).what() == "down"); // no stale value in its place
}

TEMPLATE_TEST_CASE("an explicit refresh that finds no value removes the one there is", "", over_memory,
                   over_script) {
    world<TestType> w(remembering);
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    w.src.fail_next(none);
    CHECK(w.call(w.cache->refresh("a", w.src)).code() == errc::not_found);
    CHECK(w.get("a") == std::nullopt);
    CHECK_FALSE(w.holds("a"));
    CHECK(w.call(w.get_or_load("a")).code() == errc::not_found);
    CHECK(w.src.starts("a") == 2);
}

TEMPLATE_TEST_CASE("a refresh in the background that finds no value removes the old one and remembers", "",
                   over_memory, over_script) {
    world<TestType> w({.ttl = 10s, .stale_while_revalidate = 1h, .negative_ttl = 5s});
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(10s);
    w.src.fail_next(none);
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    CHECK_FALSE(w.holds("a"));
    CHECK(w.call(w.get_or_load("a")).code() == errc::not_found);
    CHECK(w.src.starts("a") == 2);
    CHECK(w.cache->metrics().refreshes == 1);
}

TEMPLATE_TEST_CASE("a key is not held back since it had no value", "", over_memory, over_script) {
    world<TestType> w({.ttl = 10s, .stale_while_revalidate = 1h});
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(10s);
    w.src.fail_next(none);
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    (void)w.call(w.cache->set("a", 100));
    manual_clock::advance(10s);
    CHECK(w.call(w.get_or_load("a")).value() == 100);
    CHECK(w.src.starts("a") == 3); // it is renewed at once
    CHECK(w.cache->metrics().refresh_failures == 0);
}

TEMPLATE_TEST_CASE("C19 a refresh that finds no value leaves another entry than it set out to renew", "",
                   over_memory, over_script) {
    world<TestType> w({.ttl = 10s, .stale_while_revalidate = 1h, .negative_ttl = 1h});
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(10s);
    w.src.hold();
    w.src.fail_next(none);
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    const auto now = manual_clock::now();
    const acache::entry<int> other(7, now, now + 10s);
    if constexpr (TestType::remote) {
        w.store->plant("a", other);
    } else {
        (void)w.cache->backend().set("a", other);
    }
    w.let_loads_end();
    CHECK(w.get("a") == 7);
    CHECK(w.call(w.get_or_load("a")).value() == 7);
    manual_clock::advance(10s);
    CHECK(w.call(w.get_or_load("a")).value() == 3);
}

TEST_CASE("an asynchronous backend is not asked to erase where nothing was found") {
    world<over_script> w(remembering);
    find_nothing(w);
    CHECK(w.store->script().calls(op::erase) == 0);
    CHECK(w.store->script().calls(op::get) == 1);
    CHECK(w.call(w.get_or_load("a")).code() == errc::not_found);
    CHECK(w.store->script().calls(op::get) == 1); // what is remembered is told from here
}

TEST_CASE("C29 a backend that cannot erase keeps nobody from the answer") {
    world<over_script> w(remembering);
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    w.src.fail_next(none);
    w.store->script().fail_next(op::erase, std::runtime_error("down"));
    CHECK(w.call(w.cache->refresh("a", w.src)).code() == errc::not_found);
    CHECK(w.cache->metrics().backend_failures == 1);
}

// ---- What makes it be forgotten --------------------------------------------------------------------------

TEMPLATE_TEST_CASE("what is written or removed makes the failure of its key be forgotten", "", over_memory,
                   over_script) {
    world<TestType> w({.ttl = 10s, .negative_ttl = 1h});
    find_nothing(w);
    w.src.fail_next(none);
    REQUIRE(w.call(w.get_or_load("b")).code() == errc::not_found);
    shelf s;
    acache::DataLoader loader{*w.cache, s.fn()};
    SECTION("set") {
        (void)w.call(w.cache->set("a", 100));
        CHECK(w.call(w.get_or_load("a")).value() == 100);
        manual_clock::advance(10s);
    }
    SECTION("set that stores nothing") {
        (void)w.call(w.cache->set("a", 100, {.ttl = 0s}));
    }
    SECTION("invalidate") {
        CHECK_FALSE(w.call(w.cache->invalidate("a")).value()); // it had no entry
    }
    SECTION("DataLoader::clear") {
        loader.clear("a");
        w.settle();
    }
    SECTION("DataLoader::prime") {
        loader.prime("a", 100);
        w.settle();
        CHECK(w.call(w.get_or_load("a")).value() == 100);
        manual_clock::advance(10s);
    }
    SECTION("refresh") {
        CHECK(w.call(w.cache->refresh("a", w.src)).value() == 3);
        CHECK(w.call(w.get_or_load("a")).value() == 3);
        manual_clock::advance(10s);
    }
    SECTION("a load whose value is not stored") {
        const auto passing = [](acache::load_context& load) -> asio::awaitable<int> {
            load.no_store();
            co_return 5;
        };
        CHECK(w.call(w.cache->refresh("a", passing)).value() == 5);
    }
    CHECK(w.call(w.get_or_load("a")).value() > 2);
    CHECK(w.call(w.get_or_load("b")).code() == errc::not_found);
    CHECK(w.src.starts("b") == 1);
}

TEMPLATE_TEST_CASE("clear makes all failures be forgotten", "", over_memory, over_script) {
    world<TestType> w(remembering);
    find_nothing(w);
    shelf s;
    acache::DataLoader loader{*w.cache, s.fn()};
    SECTION("the cache's") {
        (void)w.call(w.cache->clear());
    }
    SECTION("a loader's") {
        loader.clear_all();
        w.settle();
    }
    CHECK(w.call(w.get_or_load("a")).value() == 2);
}

TEMPLATE_TEST_CASE("C11 C13 C14 a load that was fenced has nothing remembered", "", over_memory,
                   over_script) {
    world<TestType> w({.ttl = 10s, .negative_ttl = 1h});
    w.src.hold();
    w.src.fail_next(none);
    auto caller = w.call(w.get_or_load("a"));
    int expected = 2;
    SECTION("invalidate") {
        (void)w.call(w.cache->invalidate("a"));
    }
    SECTION("clear") {
        (void)w.call(w.cache->clear());
    }
    SECTION("set") {
        (void)w.call(w.cache->set("a", 100));
        expected = 100;
    }
    SECTION("refresh") {
        auto other = w.call(w.cache->refresh("a", w.src));
        w.src.let_pass();
        CHECK(w.src.release_one());
        w.settle();
        CHECK(caller.code() == errc::not_found);
        w.let_loads_end();
        CHECK(other.value() == 2);
    }
    w.let_loads_end();
    CHECK(caller.code() == errc::not_found);
    CHECK(w.call(w.get_or_load("a")).value() == expected);
    manual_clock::advance(10s);
    const int loads = w.src.starts();
    CHECK(w.call(w.get_or_load("a")).value() == loads + 1);
}

TEST_CASE("C11 what a load finds out while an erasure is under way is not remembered") {
    world<over_script> w(remembering);
    w.store->script().hold(op::erase);
    auto removal = w.call(w.cache->invalidate("a"));
    find_nothing(w);
    w.store->script().release_all();
    w.settle();
    CHECK(removal.done());
    CHECK(w.call(w.get_or_load("a")).value() == 2);
}

TEST_CASE("C11 an invalidation that comes while the old value is being removed wins") {
    world<over_script> w(remembering);
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    w.src.fail_next(none);
    w.store->script().hold(op::erase);
    auto refresh = w.call(w.cache->refresh("a", w.src));
    auto removal = w.begin(w.cache->invalidate("a"));
    w.settle();
    CHECK_FALSE(refresh.done());
    w.store->script().let_pass(op::erase);
    w.store->script().release_all();
    w.settle();
    CHECK(refresh.code() == errc::not_found);
    CHECK(removal.done());
    CHECK(w.call(w.get_or_load("a")).value() == 3);
}

TEMPLATE_TEST_CASE("refresh looks at no remembered failure, and a failure of its own keeps that", "",
                   over_memory, over_script) {
    world<TestType> w(remembering);
    find_nothing(w);
    manual_clock::advance(3s);
    SECTION("of the same kind: for longer") {
        w.src.fail_next(none);
        CHECK(w.call(w.cache->refresh("a", w.src)).code() == errc::not_found);
        manual_clock::advance(4s);
        CHECK(w.call(w.get_or_load("a")).code() == errc::not_found);
    }
    SECTION("of another kind") {
        w.src.fail_next(std::runtime_error("down"));
        CHECK(w.call(w.cache->refresh("a", w.src)).what() == "down");
        CHECK(w.call(w.get_or_load("a")).code() == errc::not_found);
    }
    CHECK(w.src.starts("a") == 2);
}

TEMPLATE_TEST_CASE("who is told of a remembered failure does not wait for a refresh that is under way", "",
                   over_memory, over_script) {
    world<TestType> w(remembering);
    find_nothing(w);
    w.src.hold();
    auto refresh = w.call(w.cache->refresh("a", w.src));
    CHECK(w.call(w.get_or_load("a")).code() == errc::not_found);
    CHECK_FALSE(refresh.done());
    w.let_loads_end();
    CHECK(refresh.value() == 2);
    CHECK(w.call(w.get_or_load("a")).value() == 2);
}

/// An exception that looks at the cache when it goes, which takes the locks of all flights.
template <class World>
struct nosy : std::runtime_error {
    explicit nosy(World& w, int& gone)
        : std::runtime_error("nosy"), look(nullptr, [&w, &gone](void*) {
              ++gone;
              (void)w.cache->in_flight();
          }) {}
    std::shared_ptr<void> look;
};

TEMPLATE_TEST_CASE("a failure that is forgotten or displaced goes under no lock", "", over_memory,
                   over_script) {
    int gone = 0;
    world<TestType> w;
    w.cache->remember_errors([](const std::exception_ptr&) { return std::optional(1h); });
    const auto fails = [&](std::string) -> asio::awaitable<int> {
        throw nosy<world<TestType>>(w, gone);
        co_return 0;
    };
    REQUIRE(w.call(w.cache->get_or_load("a", fails)).what() == "nosy");
    CHECK(gone == 0);
    REQUIRE(w.call(w.cache->refresh("a", fails)).what() == "nosy");
    CHECK(gone == 1);
    (void)w.call(w.cache->set("a", 1));
    CHECK(gone == 2);
    REQUIRE(w.call(w.cache->get_or_load("b", fails)).what() == "nosy");
    (void)w.call(w.cache->clear());
    (void)w.cache->metrics();
    CHECK(gone == 3);
    REQUIRE(w.call(w.cache->get_or_load("c", fails)).what() == "nosy");
    CHECK(w.call(w.cache->refresh("c", w.src)).value() == 1);
    CHECK(gone == 4);
}

// ---- Loaders that return optionals -----------------------------------------------------------------------

TEMPLATE_TEST_CASE("a loader may return an optional, where an empty one is errc::not_found", "", over_memory,
                   over_script) {
    world<TestType> w({.ttl = 10s});
    int loads = 0;
    bool there = false;
    const auto load = [&](const std::string&) -> asio::awaitable<std::optional<int>> {
        ++loads;
        co_return there ? std::optional(loads) : std::nullopt;
    };
    const auto with_context = [&](acache::load_context& c,
                                  const std::string&) -> asio::awaitable<std::optional<int>> {
        c.ttl(1s);
        co_return there ? std::optional(++loads) : std::nullopt;
    };
    CHECK(w.call(w.cache->get_or_load("a", load)).code() == errc::not_found);
    CHECK(w.call(w.cache->get_or_load("a", with_context)).code() == errc::not_found);
    CHECK(w.call(w.cache->lookup("a", load)).code() == errc::not_found);
    CHECK(w.call(w.cache->refresh("a", load)).code() == errc::not_found);
    CHECK(loads == 3);
    auto wrapped = w.cache->cached("{}", load);
    CHECK(w.call(wrapped("a")).code() == errc::not_found);
    const auto report = w.call(w.cache->warmup(strings{"a", "b"}, load)).value();
    CHECK(report.failed.size() == 2);
    CHECK(code_of(report.failed.at(0).second) == errc::not_found);
    CHECK(report.loaded == 0);
    CHECK(report.present == 0);
    CHECK(w.call(wrapped.warmup(strings{"a"})).value().failed.size() == 1);
    CHECK(w.cache->metrics().negative_hits == 0);
    there = true;
    loads = 0;
    CHECK(w.call(wrapped("a")).value() == 1);
    CHECK(w.call(w.cache->get_or_load("a", load)).value() == 1);
    CHECK(w.call(w.cache->refresh("a", with_context)).value() == 2);
    CHECK(w.call(w.cache->warmup(strings{"b"}, load)).value().loaded == 1);
    CHECK(w.get("b") == 3);
}

TEMPLATE_TEST_CASE("what an empty optional says is remembered for negative_ttl", "", over_memory,
                   over_script) {
    world<TestType> w(remembering);
    int loads = 0;
    auto wrapped = w.cache->cached("{}", [&](std::string) -> asio::awaitable<std::optional<int>> {
        ++loads;
        co_return std::nullopt;
    });
    CHECK(w.call(wrapped("a")).code() == errc::not_found);
    CHECK(w.call(wrapped("a")).code() == errc::not_found);
    CHECK(loads == 1);
    const auto report = w.call(wrapped.warmup(strings{"a"})).value();
    CHECK(code_of(report.failed.at(0).second) == errc::not_found);
    CHECK(report.present == 0);
    CHECK(loads == 1);
    CHECK(w.cache->metrics().negative_hits == 1); // a warm-up is no look-up
    CHECK(w.call(wrapped.refresh("a")).code() == errc::not_found);
    CHECK(loads == 2);
    (void)w.call(wrapped.set(5, "a"));
    CHECK(w.call(wrapped("a")).value() == 5);
}

TEST_CASE("an empty optional is a value where the cache's values are such optionals") {
    manual_clock::reset();
    world<over_memory, std::string, std::optional<int>> w(remembering);
    int loads = 0;
    const auto load = [&](const std::string&) -> asio::awaitable<std::optional<int>> {
        ++loads;
        co_return std::nullopt;
    };
    CHECK(w.call(w.cache->get_or_load("a", load)).value() == std::nullopt);
    CHECK(w.call(w.cache->get_or_load("a", load)).value() == std::nullopt);
    CHECK(loads == 1);
    CHECK(w.cache->metrics().size == 1);
    const auto outer = [](const std::string&) -> asio::awaitable<std::optional<std::optional<int>>> {
        co_return std::nullopt;
    };
    CHECK(w.call(w.cache->get_or_load("b", outer)).code() == errc::not_found);
}

TEST_CASE("an optional is no bool") {
    world<over_memory, std::string, bool> w;
    const auto load = [](const std::string& key) -> asio::awaitable<std::optional<bool>> {
        co_return key == "a" ? std::optional(false) : std::nullopt;
    };
    CHECK(w.call(w.cache->get_or_load("a", load)).value() == false);
    CHECK(w.call(w.cache->get_or_load("b", load)).code() == errc::not_found);
}

// ---- Batches ---------------------------------------------------------------------------------------------

TEMPLATE_TEST_CASE("the keys of a batch that have no value are remembered, each by itself", "", over_memory,
                   over_script) {
    world<TestType> w({.ttl = 10s, .negative_ttl = 5s});
    shelf s;
    s.values = {{"a", 1}};
    SECTION("get_many_or_load") {
        auto all = w.call(w.cache->get_many_or_load(strings{"a", "b"}, s.fn()));
        CHECK(all.value().at("a").value() == 1);
        CHECK(code_of(all.value().at("b")) == errc::not_found);
        s.values["b"] = 2;
        CHECK(code_of(w.call(w.cache->get_many_or_load(strings{"b", "c"}, s.fn())).value().at("b")) ==
              errc::not_found);
        CHECK(s.asked == std::vector<strings>{{"a", "b"}, {"c"}});
    }
    SECTION("a DataLoader") {
        acache::DataLoader loader{*w.cache, s.fn()};
        CHECK(code_of(w.call(loader.load_many(strings{"a", "b"})).value().at(1)) == errc::not_found);
        s.values["b"] = 2;
        CHECK(w.call(loader.load("b")).code() == errc::not_found);
        CHECK(w.call(loader.load("a")).value() == 1);
        CHECK(s.asked == std::vector<strings>{{"a", "b"}});
    }
    CHECK(w.call(w.get_or_load("b")).code() == errc::not_found);
    CHECK(w.src.starts() == 0);
    manual_clock::advance(5s);
    CHECK(w.call(w.cache->get_many_or_load(strings{"b"}, s.fn())).value().at("b").value() == 2);
}

TEMPLATE_TEST_CASE("a batch that says a key has no value removes the stale one", "", over_memory,
                   over_script) {
    world<TestType> w({.ttl = 10s, .stale_if_error = 1h});
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(20s);
    const auto absent = [](strings keys) -> asio::awaitable<std::vector<std::optional<int>>> {
        co_return std::vector<std::optional<int>>(keys.size());
    };
    CHECK(code_of(w.call(w.cache->get_many_or_load(strings{"a"}, absent)).value().at("a")) ==
          errc::not_found);
    CHECK_FALSE(w.holds("a"));
}

TEMPLATE_TEST_CASE("C11 a key of a batch that was fenced has nothing remembered", "", over_memory,
                   over_script) {
    world<TestType> w(remembering);
    const auto absent = [src = w.src](strings keys) -> asio::awaitable<std::vector<std::optional<int>>> {
        (void)co_await src("batch");
        co_return std::vector<std::optional<int>>(keys.size());
    };
    w.src.hold();
    auto all = w.call(w.cache->get_many_or_load(strings{"a", "b"}, absent));
    (void)w.call(w.cache->invalidate("a"));
    w.let_loads_end();
    CHECK(code_of(all.value().at("a")) == errc::not_found);
    CHECK(code_of(all.value().at("b")) == errc::not_found);
    CHECK(w.call(w.get_or_load("a")).value() == 2);
    CHECK(w.call(w.get_or_load("b")).code() == errc::not_found);
}

TEMPLATE_TEST_CASE("an error of a whole batch says of no key that it has no value", "", over_memory,
                   over_script) {
    world<TestType> w(remembering);
    const auto fails = [](strings) -> asio::awaitable<std::vector<int>> {
        throw none;
        co_return std::vector<int>();
    };
    CHECK(code_of(w.call(w.cache->get_many_or_load(strings{"a"}, fails)).value().at("a")) == errc::not_found);
    CHECK(w.call(w.get_or_load("a")).value() == 1);
}

TEMPLATE_TEST_CASE("errors of batches are remembered where the predicate says so", "", over_memory,
                   over_script) {
    world<TestType> w;
    w.cache->remember_errors([](const std::exception_ptr&) { return std::optional(5s); });
    int batches = 0;
    const auto fails = [&](strings) -> asio::awaitable<std::vector<int>> {
        ++batches;
        throw std::runtime_error("down");
        co_return std::vector<int>();
    };
    for (int n = 0; n != 2; ++n) {
        const auto all = w.call(w.cache->get_many_or_load(strings{"a", "b"}, fails));
        CHECK(text_of(all.value().at("a").error()) == "down");
        CHECK(text_of(all.value().at("b").error()) == "down");
    }
    CHECK(batches == 1);
    const auto of_one = [](strings keys) -> asio::awaitable<std::vector<acache::load_result<int>>> {
        std::vector<acache::load_result<int>> results;
        for (const auto& key : keys) {
            results.push_back(key == "c"
                                  ? acache::load_result<int>(boost::system::in_place_error,
                                                             std::make_exception_ptr(std::runtime_error("c")))
                                  : acache::load_result<int>(1));
        }
        co_return results;
    };
    (void)w.call(w.cache->get_many_or_load(strings{"c", "d"}, of_one)).value();
    CHECK(w.call(w.get_or_load("c")).what() == "c");
    CHECK(w.call(w.get_or_load("d")).value() == 1);
    // C24: nothing is kept of a result of the wrong length.
    const auto wrong = [](strings) -> asio::awaitable<std::vector<int>> { co_return std::vector<int>(7); };
    CHECK(code_of(w.call(w.cache->get_many_or_load(strings{"e"}, wrong)).value().at("e")) ==
          errc::batch_size_mismatch);
    CHECK(w.call(w.get_or_load("e")).value() == 1);
}

// ---- Other errors ----------------------------------------------------------------------------------------

/// Remembers what `std::runtime_error` says, and counts the questions.
struct choosy {
    int* asked;
    std::optional<std::chrono::seconds> operator()(const std::exception_ptr& error) const {
        ++*asked;
        try {
            std::rethrow_exception(error);
        } catch (const std::runtime_error&) {
            return 5s;
        } catch (...) {
            return std::nullopt;
        }
    }
};

TEMPLATE_TEST_CASE("an error is remembered for as long as the predicate says", "", over_memory, over_script) {
    world<TestType> w;
    int asked = 0;
    w.cache->remember_errors(choosy{&asked});
    w.src.fail_next(std::runtime_error("down"));
    const auto first = w.call(failure_of(w.get_or_load("a")));
    CHECK(text_of(first.value()) == "down");
    manual_clock::advance(5s - 1ns);
    CHECK(w.call(failure_of(w.get_or_load("a"))).value() == first.value());
    CHECK(w.src.starts("a") == 1);
    CHECK(w.cache->metrics().negative_hits == 1);
    manual_clock::advance(1ns);
    w.src.fail_next(std::logic_error("wrong"));
    CHECK(w.call(w.get_or_load("a")).what() == "wrong");
    CHECK(w.call(w.get_or_load("a")).value() == 3);
    CHECK(asked == 2);
}

TEMPLATE_TEST_CASE("not found is no matter of the predicate", "", over_memory, over_script) {
    world<TestType> w;
    int asked = 0;
    w.cache->remember_errors(choosy{&asked});
    find_nothing(w);
    CHECK(w.call(w.get_or_load("a")).value() == 2);
    CHECK(asked == 0);
}

TEMPLATE_TEST_CASE("a predicate that throws, or names no time, has nothing remembered", "", over_memory,
                   over_script) {
    world<TestType> w;
    const bool throws = GENERATE(true, false);
    w.cache->remember_errors([throws](const std::exception_ptr&) -> std::optional<std::chrono::seconds> {
        if (throws) {
            throw std::logic_error("predicate");
        }
        return 0s;
    });
    w.src.fail_next(std::runtime_error("down"));
    CHECK(w.call(w.get_or_load("a")).what() == "down");
    CHECK(w.call(w.get_or_load("a")).value() == 2);
}

TEMPLATE_TEST_CASE("C21 a cancellation that the cache asked for is never remembered", "", over_memory,
                   over_script) {
    world<TestType> w(remembering);
    int asked = 0;
    w.cache->remember_errors([&](const std::exception_ptr&) {
        ++asked;
        return std::optional(1h);
    });
    w.src.hold();
    auto only = w.call(w.get_or_load("a"));
    REQUIRE(w.src.parked() == 1);
    only.leave();
    w.settle();
    CHECK(only.code() == asio::error::operation_aborted);
    CHECK(w.src.given_up() == 1);
    CHECK(asked == 0);
    // Nor is what a loader makes of it.
    const auto turns = [src = w.src](std::string key) -> asio::awaitable<int> {
        bool cancelled = false;
        try {
            co_return co_await src(std::move(key));
        } catch (const system_error&) {
            cancelled = true;
        }
        throw system_error(cancelled ? errc::not_found : errc::closed);
    };
    auto other = w.call(w.cache->get_or_load("a", turns));
    other.leave();
    w.settle();
    CHECK(asked == 0);
    w.src.let_pass();
    CHECK(w.call(w.get_or_load("a")).value() == 3);
}

TEMPLATE_TEST_CASE("C21 a cancellation that a loader throws unasked is an error like others", "", over_memory,
                   over_script) {
    world<TestType> w;
    w.cache->remember_errors([](const std::exception_ptr&) { return std::optional(1h); });
    w.src.fail_next(system_error(asio::error::operation_aborted));
    for (int n = 0; n != 2; ++n) {
        CHECK(w.call(w.get_or_load("a")).code() == asio::error::operation_aborted);
    }
    CHECK(w.src.starts("a") == 1);
}

TEMPLATE_TEST_CASE("a load_timeout may be remembered, the library's other errors may not", "", over_memory,
                   over_script) {
    world<TestType> w({.load_timeout = 2s, .max_concurrent_loads = 1, .max_queued_loads = 0});
    int asked = 0;
    w.cache->remember_errors([&](const std::exception_ptr&) {
        ++asked;
        return std::optional(1h);
    });
    w.src.hold();
    auto slow = w.call(w.get_or_load("a"));
    CHECK(w.call(w.get_or_load("b")).code() == errc::overloaded);
    CHECK(asked == 0);
    manual_clock::advance(2s);
    w.settle();
    CHECK(slow.code() == errc::load_timeout);
    CHECK(asked == 1);
    w.src.let_pass();
    CHECK(w.call(w.get_or_load("a")).code() == errc::load_timeout);
    CHECK(w.src.starts("a") == 1);
    CHECK(w.call(w.get_or_load("b")).value() == 2);
    const auto own = [&](std::string key) -> asio::awaitable<int> {
        co_return co_await w.cache->get_or_load(std::move(key), w.src);
    };
    CHECK(w.call(w.cache->get_or_load("c", own)).code() == errc::recursive_load);
    CHECK(w.call(w.get_or_load("c")).value() == 3);
    CHECK(asked == 1);
}

TEMPLATE_TEST_CASE("where stale_if_error allows it a stale value takes the place of a remembered error", "",
                   over_memory, over_script) {
    // Held back for shorter than the error is remembered.
    world<TestType> w({.ttl = 10s, .stale_if_error = 20s, .refresh_backoff = 1s});
    w.cache->remember_errors([](const std::exception_ptr&) { return std::optional(1min); });
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(10s);
    w.src.fail_next(std::runtime_error("down"));
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(5s);
    const auto found = w.call(w.cache->lookup("a", w.src));
    CHECK(found.value().value == 1);
    CHECK(found.value().source == acache::lookup_source::stale);
    CHECK(w.cache->metrics().stale_hits == 1);
    CHECK(w.cache->metrics().negative_hits == 0);
    const acache::load_options strict{.stale_if_error = 0s};
    CHECK(w.call(w.cache->get_or_load("a", w.src, strict)).what() == "down");
    manual_clock::advance(15s);
    CHECK(w.call(w.get_or_load("a")).what() == "down"); // the value is too old, the error is not
    CHECK(w.src.starts("a") == 2);
    manual_clock::advance(40s);
    CHECK(w.call(w.get_or_load("a")).value() == 3);
}

TEMPLATE_TEST_CASE("a stale value within its window is renewed although an error is remembered", "",
                   over_memory, over_script) {
    world<TestType> w({.ttl = 10s, .stale_while_revalidate = 1h, .refresh_backoff = 1s});
    w.cache->remember_errors([](const std::exception_ptr&) { return std::optional(1min); });
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(10s);
    w.src.fail_next(std::runtime_error("down"));
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(1s);
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    CHECK(w.call(w.get_or_load("a")).value() == 3);
}

} // namespace
