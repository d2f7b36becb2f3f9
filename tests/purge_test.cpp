// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <acache/load_context.hpp>
#include <acache/lookup_result.hpp>

#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>

// Entries that are made stale before their time, and entries that are removed by a predicate.

namespace {

using namespace setup;
using enum acache::lookup_source;

TEMPLATE_TEST_CASE("an entry that was expired is served stale while it is renewed", "", over_memory,
                   over_script) {
    world<TestType> w({.ttl = 100s, .stale_while_revalidate = 20s});
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(5s);
    CHECK(w.call(w.cache->expire("a")).value());
    CHECK(!w.get("a"));
    const auto stale_one = w.call(w.cache->lookup("a", w.src));
    CHECK(stale_one.value().value == 1);
    CHECK(stale_one.value().source == stale);
    CHECK(stale_one.value().age == 5s);
    CHECK(w.call(w.get_or_load("a")).value() == 2);
    REQUIRE(w.call(w.cache->expire("a")).value());
    manual_clock::advance(20s); // the window counts from there
    CHECK(w.call(w.cache->lookup("a", w.src)).value().source == loaded);
}

TEMPLATE_TEST_CASE("an entry that was expired is kept as a fallback for errors", "", over_memory,
                   over_script) {
    world<TestType> w({.stale_if_error = 20s});
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    REQUIRE(w.call(w.cache->expire("a")).value());
    w.src.fail_next(std::runtime_error("the source is down"));
    CHECK(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(20s);
    w.src.fail_next(std::runtime_error("the source is down"));
    CHECK(w.call(w.get_or_load("a")).what() == "the source is down");
}

TEMPLATE_TEST_CASE("where no option lets stale values be served, to expire an entry is to remove it", "",
                   over_memory, over_script) {
    world<TestType> w({.ttl = 100s});
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    CHECK(w.call(w.cache->expire("a")).value());
    CHECK(!w.holds("a"));
    CHECK(!w.call(w.cache->expire("a")).value());
    CHECK(w.call(w.get_or_load("a")).value() == 2);
}

TEST_CASE("C11 what was cleared while an entry is made stale does not come back") {
    world<over_script> w({.ttl = 100s, .stale_while_revalidate = 20s});
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    w.store->script().hold(op::clear);
    w.store->script().hold(op::set);
    const auto cleared = w.call(w.cache->clear());
    const auto expired = w.call(w.cache->expire("a"));
    REQUIRE(w.store->script().release_one(op::clear));
    w.settle();
    w.store->script().release_all();
    w.settle();
    CHECK(cleared.done());
    CHECK(expired.done());
    CHECK(!w.holds("a"));
}

TEMPLATE_TEST_CASE("to expire an entry does not keep it longer than it would have been", "", over_memory,
                   over_script) {
    world<TestType> w({.ttl = 10s, .stale_if_error = 20s});
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(25s);
    CHECK(w.call(w.cache->expire("a")).value()); // stale already
    manual_clock::advance(5s);
    w.src.fail_next(std::runtime_error("the source is down"));
    CHECK(w.call(w.get_or_load("a")).failed());
}

TEMPLATE_TEST_CASE("an entry is kept for as long as its own windows, or those of who expires it", "",
                   over_memory, over_script) {
    world<TestType> w;
    const auto fail_with = [&] { w.src.fail_next(std::runtime_error("the source is down")); };
    auto own = w.cache->cached("own:{}", [src = w.src](int) { return src("own"); },
                               {.ttl = 10s, .stale_if_error = 20s});
    REQUIRE(w.call(own(1)).value() == 1);
    REQUIRE(w.call(w.cache->expire("own:1")).value()); // the cache has no windows
    fail_with();
    CHECK(w.call(own(1)).value() == 1);
    REQUIRE(w.call(own.invalidate(1)).value());
    REQUIRE(w.call(w.cache->set("own:1", 7)).done());
    REQUIRE(w.call(own.expire(1)).value()); // the function has
    fail_with();
    CHECK(w.call(own(1)).value() == 7);
}

TEMPLATE_TEST_CASE("C11 C14 a load under way when its key is expired stores nothing and is not joined", "",
                   over_memory, over_script) {
    world<TestType> w({.ttl = 100s, .stale_if_error = 20s});
    w.src.hold();
    auto before = w.call(w.get_or_load("a"));
    CHECK_FALSE(w.call(w.cache->expire("a")).value());
    auto after = w.call(w.get_or_load("a"));
    CHECK(w.src.starts() == 2);
    CHECK(w.src.release_one());
    w.settle();
    CHECK(before.value() == 1);
    CHECK(!w.get("a"));
    w.let_loads_end();
    CHECK(after.value() == 2);
    CHECK(w.get("a") == 2);
}

TEMPLATE_TEST_CASE("C20 a key that was set is not held back for the failures before", "", over_memory,
                   over_script) {
    world<TestType> w({.ttl = 10s, .stale_while_revalidate = 100s, .refresh_backoff = 60s});
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(12s);
    w.src.fail_next(std::runtime_error("the source is down"));
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    REQUIRE(w.src.starts() == 2);
    REQUIRE(w.call(w.cache->set("a", 50)).done());
    const auto starts = w.src.starts();
    manual_clock::advance(12s);
    CHECK_FALSE(w.call(w.get_or_load("a")).failed());
    CHECK(w.src.starts() == starts + 1); // the refresh of the new value is tried at once
}

TEST_CASE("entries are removed by a predicate of their keys") {
    world<over_memory> w;
    for (const auto* key : {"user:1", "user:2", "org:1"}) {
        REQUIRE(w.call(w.get_or_load(key)).done());
    }
    const auto is_user = [](const std::string& key) { return key.starts_with("user:"); };
    CHECK(w.call(w.cache->invalidate_if(is_user)).value() == 2);
    CHECK(!w.get("user:1"));
    CHECK(!w.get("user:2"));
    CHECK(w.get("org:1") == 3);
    CHECK(w.cache->metrics().removals.invalidated == 2);
    CHECK(w.call(w.cache->invalidate_if(is_user)).value() == 0);
}

TEST_CASE("entries are removed by a predicate of their values") {
    world<over_memory> w;
    for (const auto* key : {"a", "b", "c"}) {
        REQUIRE(w.call(w.get_or_load(key)).done());
    }
    const auto is_odd = [](const std::string&, int value) { return value % 2 == 1; };
    CHECK(w.call(w.cache->invalidate_if(is_odd)).value() == 2);
    CHECK(w.get("b") == 2);
    CHECK(w.cache->metrics().size == 1);
}

TEST_CASE("C11 C12 a predicate of keys fences the loads of those that it picks, and no others") {
    world<over_memory> w;
    w.src.hold();
    auto picked = w.call(w.get_or_load("user:1"));
    auto other = w.call(w.get_or_load("org:1"));
    const auto is_user = [](const std::string& key) { return key.starts_with("user:"); };
    REQUIRE(w.call(w.cache->invalidate_if(is_user)).value() == 0);
    auto after = w.call(w.get_or_load("user:1"));
    CHECK(w.src.starts() == 3); // C14
    w.let_loads_end();
    CHECK(picked.value() == 1);
    CHECK(other.value() == 2);
    CHECK(after.value() == 3);
    CHECK(w.get("user:1") == 3);
    CHECK(w.get("org:1") == 2);
}

TEST_CASE("C11 a predicate of values fences all loads, whose values nobody knows yet") {
    world<over_memory> w;
    w.src.hold();
    auto loading = w.call(w.get_or_load("a"));
    const auto none = [](const std::string&, int) { return false; };
    REQUIRE(w.call(w.cache->invalidate_if(none)).value() == 0);
    w.let_loads_end();
    CHECK(loading.value() == 1);
    CHECK(!w.get("a"));
}

TEST_CASE("remembered failures go with the keys that a predicate picks") {
    world<over_memory> w({.negative_ttl = 100s});
    for (const auto* key : {"user:1", "org:1"}) {
        w.src.fail_next(boost::system::system_error(errc::not_found));
        REQUIRE(w.call(w.get_or_load(key)).code() == errc::not_found);
    }
    const auto is_user = [](const std::string& key) { return key.starts_with("user:"); };
    REQUIRE(w.call(w.cache->invalidate_if(is_user)).value() == 0);
    CHECK(w.call(w.get_or_load("org:1")).code() == errc::not_found);
    CHECK(w.call(w.get_or_load("user:1")).value() == 3);
}

} // namespace
