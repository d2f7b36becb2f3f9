// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "shared_setup.hpp"

#include <acache/load_context.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

// Tags that two caches share, and soft purges between them.

namespace {

using namespace setup;

/// Loads from a source, with a tag.
struct tagged {
    const source src;

    explicit tagged(source s) : src(std::move(s)) {}
    asio::awaitable<int> operator()(acache::load_context& context, std::string key) const {
        context.tag("org:7");
        co_return co_await src(std::move(key));
    }
};

TEST_CASE("C15 an invalidated tag takes the entries of both processes with it") {
    cluster c;
    const tagged by_first(c.first.src);
    const tagged by_second(c.second.src);
    REQUIRE(c.call(c.first.cache->get_or_load("a", by_first)).value() == 101);
    REQUIRE(c.call(c.second.cache->get_or_load("b", by_second)).value() == 201);
    REQUIRE(c.call(c.first.load("c")).value() == 102);
    REQUIRE(c.call(c.second.cache->invalidate_tag("org:7")).done());
    CHECK(c.call(c.first.cache->get("a")).value() == std::nullopt);
    CHECK(c.call(c.second.cache->get("a")).value() == std::nullopt);
    CHECK(c.call(c.first.cache->get("b")).value() == std::nullopt);
    CHECK(c.call(c.first.cache->get("c")).value() == 102);
    CHECK(c.call(c.first.cache->get_or_load("a", by_first)).value() == 103);
    CHECK(c.call(c.second.cache->get("a")).value() == 103);
}

TEST_CASE("C15 a tag that the other process invalidates during a load") {
    cluster c;
    const tagged by_first(c.first.src);
    c.first.src.hold();
    auto before = c.call(c.first.cache->get_or_load("a", by_first));
    SECTION("is told") {
        REQUIRE(c.call(c.second.cache->invalidate_tag("org:7")).done());
        c.first.src.release_all();
        c.settle();
        CHECK(c.stored("a") == std::nullopt);
    }
    SECTION("is not heard of") {
        c.first.store.go_deaf();
        REQUIRE(c.call(c.second.cache->invalidate_tag("org:7")).done());
        c.first.src.release_all();
        c.settle();
    }
    CHECK(before.value() == 101);
    CHECK(c.call(c.second.cache->get("a")).value() == std::nullopt);
    c.first.src.let_pass();
    CHECK(c.call(c.first.cache->get_or_load("b", by_first)).value() == 102);
    CHECK(c.call(c.second.cache->get("b")).value() == 102);
}

TEST_CASE("C15 who joins after the other process has invalidated a tag does not get what was loaded before") {
    cluster c;
    const tagged by_first(c.first.src);
    c.first.src.hold();
    auto before = c.call(c.first.cache->get_or_load("a", by_first));
    REQUIRE(c.call(c.second.cache->invalidate_tag("org:7")).done());
    auto after = c.call(c.first.cache->get_or_load("a", by_first));
    c.first.src.let_pass();
    c.first.src.release_all();
    c.settle();
    CHECK(before.value() == 101);
    CHECK(after.value() == 102);
    CHECK(c.stored("a") == 102);
}

TEST_CASE("a tag is invalid at once in the process that invalidates it, and close waits for the store") {
    cluster c;
    const std::string_view tags[] = {"org:7"};
    const acache::entry_options with_tag{.tags = tags};
    REQUIRE(c.call(c.first.cache->set("a", 1, with_tag)).done());
    REQUIRE(c.call(c.first.load("a")).value() == 1);
    c.first.script.hold(op::erase);
    c.first.script.hold_answers(op::get);
    auto getting = c.call(c.first.cache->get("a"));
    auto invalidating = c.call(c.first.cache->invalidate_tag("org:7"));
    CHECK_FALSE(invalidating.done());
    c.first.script.let_pass(op::get);
    while (c.first.script.release_one(op::get)) {
    }
    c.settle();
    CHECK(getting.value() == std::nullopt);
    auto closing = c.call(c.first.cache->close());
    CHECK_FALSE(closing.done());
    c.first.script.release_all();
    c.settle();
    CHECK(invalidating.done());
    CHECK(closing.done());
}

TEST_CASE("what the store throws when a tag is invalidated is thrown") {
    cluster c;
    c.first.script.fail_next(op::erase, std::runtime_error("no store"));
    CHECK(c.call(c.first.cache->invalidate_tag("org:7")).what() == "no store");
}

constexpr acache::cache_options forgiving{.ttl = 10s, .stale_while_revalidate = 1h};

TEST_CASE("expire makes a value stale for the other process too") {
    cluster<true> c(forgiving);
    REQUIRE(c.call(c.first.load("a")).value() == 101);
    REQUIRE(c.call(c.second.load("a")).value() == 101);
    CHECK(c.call(c.first.cache->expire("a")).value());
    const auto there = c.call(c.second.cache->lookup("a", c.second.src)).value();
    CHECK(there.value == 101);
    CHECK(there.source == acache::lookup_source::stale);
    CHECK(c.stored("a") == 201);
}

TEST_CASE("C13 expire does not bring an old value back over what the other process writes meanwhile") {
    cluster c(forgiving);
    REQUIRE(c.call(c.first.load("a")).value() == 101);
    c.first.script.hold(op::set);
    auto expiring = c.call(c.first.cache->expire("a"));
    REQUIRE(c.first.script.parked(op::set) == 1);
    REQUIRE(c.call(c.second.cache->set("a", 7)).done());
    c.first.script.let_pass(op::set);
    c.first.script.release_all();
    c.settle();
    CHECK(expiring.value());
    CHECK(c.stored("a") == 7); // which may be of a load from before, and so is stale too
    CHECK(c.call(c.first.cache->get("a")).value() == std::nullopt);
}

TEST_CASE("C11 expire comes to an end however often others write") {
    cluster c(forgiving);
    REQUIRE(c.call(c.first.load("a")).value() == 101);
    c.first.script.hold(op::set);
    auto expiring = c.call(c.first.cache->expire("a"));
    for (int i = 0; !expiring.done(); ++i) {
        REQUIRE(i < 10);
        REQUIRE(c.call(c.second.cache->set("a", i)).done());
        c.first.script.release_all();
        c.settle();
    }
    CHECK(expiring.value());
    CHECK(c.stored("a") == std::nullopt);
}

TEST_CASE("C11 expire fences the loads of the other process") {
    cluster c(forgiving);
    c.first.src.hold();
    auto loading = c.call(c.first.load("a"));
    c.first.store.go_deaf();
    if (GENERATE(false, true)) {
        c.second.store.never_take_over();
    }
    CHECK_FALSE(c.call(c.second.cache->expire("a")).value());
    CHECK_FALSE(c.server->leased("a"));
    c.first.src.release_all();
    c.settle();
    CHECK(loading.value() == 101);
    CHECK(c.stored("a") == std::nullopt);
}

} // namespace
