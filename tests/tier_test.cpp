// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <acache/lookup_result.hpp>

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

// Where lookup says that a value was found.

namespace {

using namespace setup;
using enum acache::lookup_source;

template <class Kind>
constexpr std::string_view tier_of = Kind::remote ? "backend" : "memory";

constexpr acache::cache_options revalidating{.ttl = 10s, .stale_while_revalidate = 20s};

TEMPLATE_TEST_CASE("a value that is loaded, joined, found fresh or found stale tells its tier", "",
                   over_memory, over_script) {
    world<TestType> w(revalidating);
    w.src.hold();
    auto first = w.call(w.cache->lookup("a", w.src));
    auto second = w.call(w.cache->lookup("a", w.src));
    w.let_loads_end();
    CHECK(first.value().source == loaded);
    CHECK(first.value().tier == "source");
    CHECK(second.value().source == joined);
    CHECK(second.value().tier == "source");
    const auto found = w.call(w.cache->lookup("a", w.src)).value();
    CHECK(found.source == hit);
    CHECK(found.tier == tier_of<TestType>);
    manual_clock::advance(15s);
    const auto older = w.call(w.cache->lookup("a", w.src)).value();
    CHECK(older.source == stale);
    CHECK(older.tier == tier_of<TestType>);
}

TEMPLATE_TEST_CASE("so does lookup of a wrapped function", "", over_memory, over_script) {
    world<TestType> w(revalidating);
    const auto f = w.cache->cached("{}", [src = w.src](int id) { return src(std::to_string(id)); });
    w.src.hold();
    auto first = w.call(f.lookup(1));
    auto second = w.call(f.lookup(1));
    w.let_loads_end();
    CHECK(first.value().tier == "source");
    CHECK(second.value().tier == "source");
    CHECK(w.call(f.lookup(1)).value().tier == tier_of<TestType>);
    manual_clock::advance(15s);
    CHECK(w.call(f.lookup(1)).value().source == stale);
    manual_clock::advance(15s);
    w.src.hold();
    auto third = w.call(f.lookup(1));
    CHECK(third.value().tier == tier_of<TestType>);
}

TEMPLATE_TEST_CASE("a stale value in place of an error or a late load is of the tier that had it", "",
                   over_memory, over_script) {
    world<TestType> w({.ttl = 10s, .stale_if_error = 60s, .soft_timeout = 1s});
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(15s);
    w.src.fail_next(std::runtime_error("no source"));
    const auto rescued = w.call(w.cache->lookup("a", w.src)).value();
    CHECK(rescued.source == stale);
    CHECK(rescued.tier == tier_of<TestType>);
    manual_clock::advance(5s); // past the time that the key is left alone
    w.src.hold();
    auto late = w.call(w.cache->lookup("a", w.src));
    REQUIRE_FALSE(late.done());
    manual_clock::advance(1s);
    w.settle();
    CHECK(late.value().source == stale);
    CHECK(late.value().tier == tier_of<TestType>);
    w.let_loads_end();
}

TEST_CASE("who joined a load that found the value in the backend gets the backend's tier") {
    world<over_script> w;
    w.store->plant("a", acache::entry<int>(7, manual_clock::now()));
    auto script = w.store->script();
    script.hold(op::get);
    auto first = w.call(w.cache->lookup("a", w.src));
    auto second = w.call(w.cache->lookup("a", w.src));
    script.release_all();
    w.settle();
    CHECK(first.value().source == hit);
    CHECK(first.value().tier == "backend");
    CHECK(second.value().source == joined);
    CHECK(second.value().tier == "backend");
}

/// A backend that says what it is called.
struct named_map {
    static constexpr const char* tier_name = "attic";
    std::map<int, acache::entry<int>> entries;

    std::optional<acache::entry<int>> get(const int& key) {
        const auto at = entries.find(key);
        return at == entries.end() ? std::nullopt : std::optional(at->second);
    }
    void set(const int& key, acache::entry<int> e) { entries.insert_or_assign(key, std::move(e)); }
    bool erase(const int& key) { return entries.erase(key) != 0; }
    void clear() { entries.clear(); }
};

TEST_CASE("a backend may name its tier") {
    asio::io_context context;
    acache::testing::stepper steps(context);
    acache::async_cache<int, int, named_map> cache(context, named_map());
    const auto load = [](int) -> asio::awaitable<int> { co_return 1; };
    CHECK(steps.run(cache.lookup(1, load)).tier == "source");
    CHECK(steps.run(cache.lookup(1, load)).tier == "attic");
}

} // namespace
