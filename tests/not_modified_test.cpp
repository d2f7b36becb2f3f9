// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <acache/load_context.hpp>
#include <acache/lookup_result.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// Loaders that ask their source whether the value that is stored is still right.

namespace {

using namespace setup;
using enum acache::lookup_source;

/// A source of one value, which has a version. Asked with that version, it says that nothing has changed.
struct versioned_source {
    struct state {
        int value = 1;
        std::string version = "v1";
        std::vector<std::string> asked_with;
        std::vector<std::optional<int>> saw;
        std::vector<std::string> tags;
    };
    std::shared_ptr<state> s = std::make_shared<state>();

    asio::awaitable<int> operator()(acache::load_context& context) const { return load(s, context); }
    static asio::awaitable<int> load(std::shared_ptr<state> s, acache::load_context& context) {
        s->asked_with.emplace_back(context.stale_validator());
        const int* old = context.stale<int>();
        s->saw.push_back(old != nullptr ? std::optional<int>(*old) : std::nullopt);
        for (const auto& t : s->tags) {
            context.tag(t);
        }
        if (context.stale_validator() == s->version) {
            context.not_modified();
            co_return -1;
        }
        context.validator(s->version);
        co_return s->value;
    }
};

constexpr acache::cache_options comparing{.ttl = 10s, .keep_stale = 100s};

TEMPLATE_TEST_CASE("a value that was not modified is kept, and fresh again", "", over_memory, over_script) {
    world<TestType> w(comparing);
    const versioned_source src;
    REQUIRE(w.call(w.cache->get_or_load("a", src)).value() == 1);
    manual_clock::advance(12s);
    CHECK(!w.get("a"));
    CHECK(w.call(w.cache->get_or_load("a", src)).value() == 1);
    CHECK(src.s->asked_with == std::vector<std::string>{"", "v1"});
    CHECK(src.s->saw == std::vector<std::optional<int>>{std::nullopt, 1});
    CHECK(w.get("a") == 1);
    manual_clock::advance(9s);
    const auto again = w.call(w.cache->lookup("a", src)).value();
    CHECK(again.source == hit);
    CHECK(again.age == 9s); // it was found right then
    manual_clock::advance(3s);
    CHECK(w.call(w.cache->get_or_load("a", src)).value() == 1); // it has kept its version
    CHECK(src.s->asked_with.back() == "v1");
    src.s->value = 2;
    src.s->version = "v2";
    manual_clock::advance(12s);
    CHECK(w.call(w.cache->get_or_load("a", src)).value() == 2);
    manual_clock::advance(12s);
    CHECK(w.call(w.cache->get_or_load("a", src)).value() == 2);
    CHECK(src.s->asked_with.back() == "v2");
}

TEMPLATE_TEST_CASE("what is kept to be compared is served to nobody", "", over_memory, over_script) {
    world<TestType> w(comparing);
    REQUIRE(w.call(w.get_or_load("a")).value() == 1);
    manual_clock::advance(12s);
    w.src.fail_next(std::runtime_error("the source is down"));
    CHECK(w.call(w.get_or_load("a")).failed());
    CHECK(!w.get("a"));
    CHECK(w.call(w.get_or_load("a")).value() == 3);
}

TEMPLATE_TEST_CASE("past keep_stale there is nothing to compare with", "", over_memory, over_script) {
    world<TestType> w(comparing);
    const versioned_source src;
    REQUIRE(w.call(w.cache->get_or_load("a", src)).value() == 1);
    manual_clock::advance(110s);
    CHECK(w.call(w.cache->get_or_load("a", src)).value() == 1);
    CHECK(src.s->asked_with == std::vector<std::string>{"", ""});
}

TEMPLATE_TEST_CASE("a refresh, asked for or in the background, may find that nothing was modified", "",
                   over_memory, over_script) {
    world<TestType> w({.ttl = 10s, .stale_while_revalidate = 20s});
    const versioned_source src;
    REQUIRE(w.call(w.cache->get_or_load("a", src)).value() == 1);
    CHECK(w.call(w.cache->refresh("a", src)).value() == 1);
    CHECK(src.s->asked_with.back() == "v1");
    manual_clock::advance(12s);
    CHECK(w.call(w.cache->lookup("a", src)).value().source == stale);
    CHECK(src.s->asked_with.size() == 3);
    CHECK(src.s->asked_with.back() == "v1");
    CHECK(w.get("a") == 1); // fresh again
    CHECK(w.cache->metrics().refreshes == 1);
}

TEMPLATE_TEST_CASE("a value that was not modified keeps its tags, where none are given", "", over_memory,
                   over_script) {
    world<TestType> w(comparing);
    const versioned_source src;
    src.s->tags = {"org:7"};
    REQUIRE(w.call(w.cache->get_or_load("a", src)).value() == 1);
    src.s->tags.clear();
    manual_clock::advance(12s);
    REQUIRE(w.call(w.cache->get_or_load("a", src)).value() == 1);
    REQUIRE(w.get("a") == 1);
    REQUIRE(w.call(w.cache->invalidate_tag("org:7")).done());
    CHECK(!w.get("a"));
    CHECK(w.call(w.cache->get_or_load("a", src)).value() == 1);
    CHECK(src.s->saw.back() == std::nullopt); // a dead entry is not shown
}

TEMPLATE_TEST_CASE("a loader of optional values may return an empty one with not_modified", "", over_memory,
                   over_script) {
    world<TestType> w(comparing);
    const auto loader = [](acache::load_context& context) -> asio::awaitable<std::optional<int>> {
        if (context.stale<int>() != nullptr) {
            context.not_modified();
            co_return std::nullopt;
        }
        co_return 1;
    };
    REQUIRE(w.call(w.cache->get_or_load("a", loader)).value() == 1);
    manual_clock::advance(12s);
    CHECK(w.call(w.cache->get_or_load("a", loader)).value() == 1);
    CHECK(w.get("a") == 1);
}

TEMPLATE_TEST_CASE("C15 not modified does not help an entry whose tag is invalidated meanwhile", "",
                   over_memory, over_script) {
    world<TestType> w(comparing);
    bool invalidates = false;
    const auto loader = [&w, &invalidates](acache::load_context& context) -> asio::awaitable<int> {
        if (context.stale<int>() != nullptr) {
            if (invalidates) {
                co_await w.cache->invalidate_tag("org:7");
            }
            context.not_modified();
            co_return 0;
        }
        context.tag("org:7");
        co_return 1;
    };
    REQUIRE(w.call(w.cache->get_or_load("a", loader)).value() == 1);
    manual_clock::advance(12s);
    invalidates = true;
    CHECK(w.call(w.cache->get_or_load("a", loader)).value() == 1);
    CHECK(!w.get("a"));
}

TEMPLATE_TEST_CASE("an invalidated value is not there to be compared with", "", over_memory, over_script) {
    world<TestType> w(comparing);
    const versioned_source src;
    REQUIRE(w.call(w.cache->get_or_load("a", src)).value() == 1);
    REQUIRE(w.call(w.cache->invalidate("a")).value());
    CHECK(w.call(w.cache->get_or_load("a", src)).value() == 1);
    CHECK(src.s->asked_with.back().empty());
    REQUIRE(w.call(w.cache->expire("a")).value()); // which keeps it for that
    CHECK(w.call(w.cache->get_or_load("a", src)).value() == 1);
    CHECK(src.s->asked_with.back() == "v1");
}

TEMPLATE_TEST_CASE("C13 a value set meanwhile wins over one that was not modified", "", over_memory,
                   over_script) {
    world<TestType> w(comparing);
    const auto loader = [&w](acache::load_context& context) -> asio::awaitable<int> {
        if (context.stale<int>() != nullptr) {
            co_await w.cache->set("a", 50);
            context.not_modified();
        }
        co_return 1;
    };
    REQUIRE(w.call(w.cache->get_or_load("a", loader)).value() == 1);
    manual_clock::advance(12s);
    CHECK(w.call(w.cache->get_or_load("a", loader)).value() == 1);
    CHECK(w.get("a") == 50);
}

TEMPLATE_TEST_CASE("not_modified without a stored value is an error of the loader, which says so", "",
                   over_memory, over_script) {
    world<TestType> w(comparing);
    const auto loader = [](acache::load_context& context) -> asio::awaitable<int> {
        context.not_modified();
        co_return 1;
    };
    CHECK(w.call(w.cache->get_or_load("a", loader)).what().find("ask stale() first") != std::string::npos);
    CHECK(!w.holds("a"));
}

TEMPLATE_TEST_CASE("stale names the cache's value type, and says so to who names another", "", over_memory,
                   over_script) {
    world<TestType> w(comparing);
    const auto loader = [](acache::load_context& context) -> asio::awaitable<int> {
        co_return context.stale<long>() == nullptr ? 1 : 2;
    };
    REQUIRE(w.call(w.cache->get_or_load("a", loader)).value() == 1); // none is none of any type
    manual_clock::advance(12s);
    CHECK(w.call(w.cache->get_or_load("a", loader)).what().find("another V") != std::string::npos);
}

TEMPLATE_TEST_CASE("wrapped functions with a context see the stored value too", "", over_memory,
                   over_script) {
    world<TestType> w(comparing);
    auto fn = w.cache->cached("k:{}", [](acache::load_context& context, int id) -> asio::awaitable<int> {
        if (const int* old = context.stale<int>()) {
            co_return *old + 100;
        }
        co_return id;
    });
    REQUIRE(w.call(fn(7)).value() == 7);
    manual_clock::advance(12s);
    CHECK(w.call(fn(7)).value() == 107);
    CHECK(w.call(fn.refresh(7)).value() == 207);
}

} // namespace
