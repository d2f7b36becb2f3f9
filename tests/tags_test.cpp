// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <acache/data_loader.hpp>
#include <acache/load_context.hpp>
#include <acache/lookup_result.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Tags: what a loader says its entry belongs to, and what goes with it.

namespace {

using namespace setup;
using enum acache::lookup_source;

/// The source, which tags what it brings before it begins to wait.
struct tagging_source {
    source src;
    std::vector<std::string> tags;

    asio::awaitable<int> operator()(acache::load_context& context, std::string key) const {
        for (const auto& t : tags) {
            context.tag(t);
        }
        co_return co_await src(std::move(key));
    }
};

/// A world in which loads of any key are tagged "org:7".
template <class Kind>
struct tagged_world : world<Kind> {
    using world<Kind>::world;

    tagging_source tagged{this->src, {"org:7"}};
    asio::awaitable<int> load(std::string key, acache::load_options options = {}) {
        return this->cache->get_or_load(std::move(key), tagged, options);
    }
    void invalidate_tag(std::string_view tag) {
        REQUIRE(this->call(this->cache->invalidate_tag(tag)).done());
    }
};

TEMPLATE_TEST_CASE("C15 invalidating a tag drops every entry that has it, and no other", "", over_memory,
                   over_script) {
    tagged_world<TestType> w;
    REQUIRE(w.call(w.load("a")).value() == 1);
    REQUIRE(w.call(w.load("b")).value() == 2);
    w.tagged.tags = {"org:8", "region:1"};
    REQUIRE(w.call(w.load("c")).value() == 3);
    REQUIRE(w.call(w.get_or_load("plain")).value() == 4);
    w.invalidate_tag("org:7");
    CHECK(!w.get("a"));
    CHECK(!w.get("b"));
    CHECK(w.get("c") == 3);
    CHECK(w.get("plain") == 4);
    w.tagged.tags = {"org:7"};
    CHECK(w.call(w.load("a")).value() == 5);
    CHECK(w.get("a") == 5);
    w.invalidate_tag("region:1");
    CHECK(!w.get("c"));
    CHECK(w.get("a") == 5);
}

TEMPLATE_TEST_CASE("C15 what a load brings that began before the invalidation of its tag is not stored", "",
                   over_memory, over_script) {
    tagged_world<TestType> w;
    w.src.hold();
    auto before = w.call(w.load("a"));
    w.invalidate_tag("org:7");
    w.let_loads_end();
    CHECK(before.value() == 1); // who came before gets what was loaded for him
    CHECK(!w.get("a"));
    CHECK(!w.holds("a"));
    CHECK(w.call(w.load("a")).value() == 2);
    CHECK(w.get("a") == 2);
}

TEMPLATE_TEST_CASE("C15 a tag that is named only after its invalidation counts from the load's beginning", "",
                   over_memory, over_script) {
    tagged_world<TestType> w;
    w.src.hold();
    const auto late = [src = w.src](acache::load_context& context, std::string key) -> asio::awaitable<int> {
        const int n = co_await src(std::move(key));
        context.tag("org:7");
        co_return n;
    };
    auto before = w.call(w.cache->get_or_load("a", late));
    w.invalidate_tag("org:7");
    w.let_loads_end();
    CHECK(before.value() == 1);
    CHECK(!w.get("a"));
    CHECK(w.call(w.cache->get_or_load("a", late)).value() == 2);
    CHECK(w.get("a") == 2);
}

TEMPLATE_TEST_CASE("C14 who asks after the invalidation of a tag gets nothing of a load that began before",
                   "", over_memory, over_script) {
    tagged_world<TestType> w;
    w.src.hold();
    auto before = w.call(w.load("a"));
    auto joined = w.call(w.load("a"));
    w.invalidate_tag("org:7");
    auto after = w.call(w.load("a"));
    auto told = w.call(w.cache->lookup("a", w.tagged));
    CHECK(w.src.starts() == 1); // nobody knows yet what tags the load will give
    w.let_loads_end();
    CHECK(before.value() == 1);
    CHECK(joined.value() == 1);
    CHECK(after.value() == 2);
    CHECK(told.value().value == 2);
    CHECK(w.src.starts() == 2);
    CHECK(w.get("a") == 2);
    const auto m = w.cache->metrics();
    CHECK(m.misses == 1);
    CHECK(m.coalesced == 3); // each look-up counts once
}

TEMPLATE_TEST_CASE("a load that begins after the invalidation of its tag stays", "", over_memory,
                   over_script) {
    tagged_world<TestType> w;
    w.invalidate_tag("org:7");
    CHECK(w.call(w.load("a")).value() == 1);
    w.invalidate_tag("org:8");
    CHECK(w.get("a") == 1);
    w.src.hold();
    auto other = w.call(w.load("b"));
    w.invalidate_tag("org:8"); // not one of its own
    auto joined = w.call(w.load("b"));
    w.let_loads_end();
    CHECK(other.value() == 2);
    CHECK(joined.value() == 2);
    CHECK(w.get("b") == 2);
}

TEMPLATE_TEST_CASE("a value that is set is tagged, from copies of the names", "", over_memory, over_script) {
    tagged_world<TestType> w;
    {
        std::vector<std::string> names{"a tag that is too long for the small strings", "org:7"};
        std::vector<std::string_view> tags(names.begin(), names.end());
        auto setting = w.begin(w.cache->set("a", 10, {.tags = tags}));
        names[1] = "other";
        tags.clear();
        w.settle();
        REQUIRE(setting.done());
    }
    CHECK(w.get("a") == 10);
    w.invalidate_tag("other");
    CHECK(w.get("a") == 10);
    w.invalidate_tag("org:7");
    CHECK(!w.get("a"));
    REQUIRE(w.call(w.cache->set("a", 11)).done()); // without it
    w.invalidate_tag("org:7");
    CHECK(w.get("a") == 11);
}

TEMPLATE_TEST_CASE("a value that is no_store is not served to who joined after the invalidation of its tag",
                   "", over_memory, over_script) {
    tagged_world<TestType> w;
    w.src.hold();
    const auto unstored = [src = w.src](acache::load_context& context,
                                        std::string key) -> asio::awaitable<int> {
        context.tag("org:7");
        context.no_store();
        co_return co_await src(std::move(key));
    };
    auto before = w.call(w.cache->get_or_load("a", unstored));
    w.invalidate_tag("org:7");
    auto after = w.call(w.cache->get_or_load("a", unstored));
    w.let_loads_end();
    CHECK(before.value() == 1);
    CHECK(after.value() == 2);
    CHECK(!w.get("a"));
}

TEMPLATE_TEST_CASE("C15 an entry whose tag was invalidated is not served stale either", "", over_memory,
                   over_script) {
    tagged_world<TestType> w({.ttl = 10s, .stale_while_revalidate = 20s, .stale_if_error = 20s});
    REQUIRE(w.call(w.load("a")).value() == 1);
    manual_clock::advance(12s);
    w.invalidate_tag("org:7");
    CHECK(w.call(w.load("a")).value() == 2);
    manual_clock::advance(12s);
    w.invalidate_tag("org:7");
    w.src.fail_next(std::runtime_error("the source is down"));
    CHECK(w.call(w.load("a")).what() == "the source is down");
}

TEMPLATE_TEST_CASE("C15 a refresh in the background whose tag is invalidated meanwhile leaves nothing", "",
                   over_memory, over_script) {
    tagged_world<TestType> w({.ttl = 10s, .stale_while_revalidate = 20s});
    REQUIRE(w.call(w.load("a")).value() == 1);
    manual_clock::advance(12s);
    w.src.hold();
    CHECK(w.call(w.load("a")).value() == 1);
    w.invalidate_tag("org:7");
    w.let_loads_end();
    CHECK(!w.get("a"));
    CHECK(!w.holds("a"));
    CHECK(w.call(w.load("a")).value() == 3);
}

TEMPLATE_TEST_CASE("tags of wrapped functions, refreshes and warm-ups hold as well", "", over_memory,
                   over_script) {
    tagged_world<TestType> w;
    auto user = w.cache->cached(
        "user:{}", [src = w.src](acache::load_context& context, std::int64_t id) -> asio::awaitable<int> {
            context.tag("org:" + std::to_string(id % 2));
            co_return co_await src(std::to_string(id));
        });
    REQUIRE(w.call(user.warmup(std::vector<std::int64_t>{1, 2, 3})).value().loaded == 3);
    w.invalidate_tag("org:1");
    CHECK(!w.get("user:1"));
    CHECK(w.get("user:2") == 2);
    CHECK(!w.get("user:3"));
    REQUIRE(w.call(user.refresh(1)).value() == 4);
    CHECK(w.get("user:1") == 4);
    w.invalidate_tag("org:1");
    CHECK(!w.get("user:1"));
    REQUIRE(w.call(w.cache->warmup(std::vector<std::string>{"x", "y"}, w.tagged)).value().loaded == 2);
    w.invalidate_tag("org:7");
    CHECK(!w.get("x"));
    CHECK(w.get("user:2") == 2);
}

TEMPLATE_TEST_CASE("C15 a remembered failure goes with the tags that its loader gave", "", over_memory,
                   over_script) {
    tagged_world<TestType> w({.negative_ttl = 100s});
    const auto fails = [&] {
        w.src.fail_next(boost::system::system_error(errc::not_found));
        return w.call(w.load("a")).code();
    };
    REQUIRE(fails() == errc::not_found);
    CHECK(w.call(w.load("a")).code() == errc::not_found);
    CHECK(w.src.starts() == 1);
    w.invalidate_tag("org:8");
    CHECK(w.call(w.load("a")).code() == errc::not_found);
    w.invalidate_tag("org:7");
    CHECK(w.call(w.load("a")).value() == 2);
}

TEMPLATE_TEST_CASE("C14 C15 a failure is not told to who joined after the invalidation of its tag", "",
                   over_memory, over_script) {
    tagged_world<TestType> w({.negative_ttl = 100s});
    w.src.hold();
    w.src.fail_next(boost::system::system_error(errc::not_found));
    auto before = w.call(w.load("a"));
    w.invalidate_tag("org:7");
    auto after = w.call(w.load("a"));
    w.let_loads_end();
    CHECK(before.code() == errc::not_found);
    CHECK(after.value() == 2);
    CHECK(w.get("a") == 2);
}

TEMPLATE_TEST_CASE("C14 C15 look-ups of many keys get nothing either of a load that began before", "",
                   over_memory, over_script) {
    tagged_world<TestType> w;
    const auto batch = [](std::vector<std::string> keys) -> asio::awaitable<std::vector<int>> {
        co_return std::vector<int>(keys.size(), 100);
    };
    acache::DataLoader<std::string, int, manual_clock> loader(*w.cache, batch);
    const std::vector<std::string> keys{"a", "b"};
    w.src.hold();
    auto before = w.call(w.load("a"));
    auto bulk_before = w.call(w.cache->get_many_or_load(keys, batch));
    w.invalidate_tag("org:7");
    auto bulk = w.call(w.cache->get_many_or_load(keys, batch));
    auto one = w.call(loader.load("a"));
    auto many = w.call(loader.load_many(keys));
    w.let_loads_end();
    CHECK(before.value() == 1);
    CHECK(*bulk_before.value().at("a") == 1);
    CHECK(*bulk.value().at("a") == 100);
    CHECK(*bulk.value().at("b") == 100);
    CHECK(one.value() == 100);
    CHECK(*many.value().at(0) == 100);
    CHECK(w.get("a") == 100);
    const auto m = w.cache->metrics();
    CHECK(m.hits + m.misses + m.coalesced == 9); // each key of each look-up once
}

TEMPLATE_TEST_CASE("an invalidation of tags is refused by a closed cache", "", over_memory, over_script) {
    tagged_world<TestType> w;
    REQUIRE(w.call(w.cache->close()).done());
    CHECK(w.call(w.cache->invalidate_tag("org:7")).code() == errc::closed);
}

} // namespace
