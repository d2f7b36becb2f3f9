// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"
#include "shared_fake.hpp"

#include <acache/acache.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// A cache over two levels: its features are what they are over one.

namespace {

using namespace setup;
using acache::entry;

using near_type = acache::testing::manual_backend<std::string, int>;
using far_type = shared::fake<std::string, int>;
using tier_type = acache::tiered_backend<near_type, far_type>;
using cache_type = acache::async_cache<std::string, int, tier_type>;

struct two_levels {
    explicit two_levels(acache::cache_options options = {}, acache::tiered_options tiered = {}) {
        manual_clock::reset();
        cache.emplace(context, tier_type(near_type(100), far, tiered), options);
    }
    template <class T>
    caller<T> call(asio::awaitable<T> work) {
        caller<T> result(context.get_executor(), std::move(work));
        steps.run_until_idle();
        return result;
    }
    int load(const std::string& key) { return steps.run(cache->get_or_load(key, src)); }
    [[nodiscard]] std::size_t far_reads() const {
        return far.script().calls(op::get) + far.script().calls(op::get_many);
    }
    /// As if it was evicted.
    void forget(const std::string& key) { cache->backend().level1().erase(key); }
    void change(const std::string& key, int value) const {
        far.write_elsewhere(key, entry<int>(value, manual_clock::now()));
        far.deliver();
    }

    asio::io_context context;
    stepper steps{context};
    far_type far;
    source src;
    std::optional<cache_type> cache;
};

TEST_CASE("what is loaded is in both levels, and a hit asks neither loader nor level 2") {
    two_levels c;
    CHECK(c.load("a") == 1);
    CHECK(c.far.peek("a")->value == 1);
    const auto reads = c.far_reads();
    CHECK(c.load("a") == 1);
    CHECK(c.cache->try_get("a") == 1);
    CHECK(c.far_reads() == reads);
    c.forget("a");
    CHECK(c.load("a") == 1);
    CHECK(c.far_reads() == reads + 1);
    CHECK(c.cache->try_get("a") == 1);
    CHECK(c.src.starts() == 1);
    CHECK(c.cache->metrics().size == 1);
}

TEST_CASE("what others write is seen at once") {
    two_levels c;
    CHECK(c.load("a") == 1);
    c.change("a", 10);
    CHECK(c.load("a") == 10);
    CHECK(c.src.starts() == 1);
}

TEST_CASE("C28 a herd makes one read of level 2 and one load") {
    two_levels c;
    c.src.hold();
    std::vector<caller<int>> herd;
    for (int i = 0; i != 20; ++i) {
        herd.push_back(c.call(c.cache->get_or_load("a", c.src)));
    }
    CHECK(c.far_reads() == 1);
    c.src.release_all();
    c.steps.run_until_idle();
    for (const auto& h : herd) {
        CHECK(h.value() == 1);
    }
    c.forget("a");
    c.far.script().hold(op::get);
    auto first = c.call(c.cache->get("a"));
    auto second = c.call(c.cache->get("a"));
    CHECK(c.far_reads() == 2);
    c.far.script().release_all();
    c.steps.run_until_idle();
    CHECK(first.value() == 1);
    CHECK(second.value() == 1);
}

TEST_CASE("C30 invalidate and clear remove from both levels, and nothing comes back") {
    two_levels c;
    CHECK(c.load("a") == 1);
    c.forget("a");
    c.far.script().hold_answers(op::get);
    auto getting = c.call(c.cache->get("a"));
    const bool one = GENERATE(true, false);
    if (one) {
        CHECK(c.steps.run(c.cache->invalidate("a")));
    } else {
        c.steps.run(c.cache->clear());
    }
    c.far.script().let_pass(op::get);
    c.far.script().release_all();
    c.steps.run_until_idle();
    CHECK(getting.done());
    CHECK_FALSE(c.cache->try_get("a").has_value());
    CHECK_FALSE(c.far.peek("a").has_value());
    CHECK(c.load("a") == 2);
}

TEST_CASE("many keys are asked of level 2 in one request") {
    two_levels c;
    CHECK(c.load("a") == 1);
    c.change("b", 7);
    const auto reads = c.far_reads();
    const auto found = c.steps.run(c.cache->get_many(std::vector<std::string>{"a", "b", "c"}));
    CHECK(found.size() == 2);
    CHECK(found.at("b") == 7);
    CHECK(c.far_reads() == reads + 1);
    CHECK(c.cache->try_get("b") == 7);
}

TEST_CASE("a wrapped function, set and expire work as over memory") {
    two_levels c({.ttl = 10s, .stale_while_revalidate = 20s});
    const auto f = c.cache->cached("{}", [src = c.src](int id) { return src(std::to_string(id)); });
    CHECK(c.steps.run(f(1)) == 1);
    CHECK(c.steps.run(f(1)) == 1);
    c.steps.run(c.cache->set("1", 5));
    CHECK(c.steps.run(f(1)) == 5);
    CHECK(c.steps.run(c.cache->expire("1")));
    CHECK(c.steps.run(f(1)) == 5); // stale, and renewed
    c.steps.run_until_idle();
    CHECK(c.steps.run(f(1)) == 2);
    CHECK(c.far.peek("1")->value == 2);
}

TEST_CASE("a stale value is served by level 1 while it is renewed in both") {
    two_levels c({.ttl = 10s, .stale_while_revalidate = 20s});
    CHECK(c.load("a") == 1);
    manual_clock::advance(15s);
    const auto found = c.steps.run(c.cache->lookup("a", c.src));
    CHECK(found.value == 1);
    CHECK(found.source == acache::lookup_source::stale);
    c.steps.run_until_idle();
    CHECK(c.load("a") == 2);
    CHECK(c.far.peek("a")->value == 2);
    manual_clock::advance(31s);
    CHECK(c.load("a") == 3);
}

TEST_CASE("an invalidated tag removes what has it, and nothing else") {
    two_levels c;
    const auto tagged = [src = c.src](acache::load_context& context, std::string key) {
        context.tag("t");
        return src(std::move(key));
    };
    CHECK(c.steps.run(c.cache->get_or_load("a", tagged)) == 1);
    CHECK(c.load("b") == 2);
    c.steps.run(c.cache->invalidate_tag("t"));
    CHECK_FALSE(c.cache->try_get("a").has_value());
    CHECK(c.cache->try_get("b") == 2);
}

TEST_CASE("a DataLoader over two levels loads what neither has, in one batch") {
    two_levels c;
    std::vector<std::vector<std::string>> batches;
    acache::DataLoader<std::string, int, cache_type> loader(
        *c.cache, [&](std::vector<std::string> keys) -> asio::awaitable<std::vector<int>> {
            batches.push_back(keys);
            co_return std::vector<int>(keys.size(), 3);
        });
    c.change("a", 1);
    auto first = c.call(loader.load("a"));
    auto second = c.call(loader.load("b"));
    CHECK(first.value() == 1);
    CHECK(second.value() == 3);
    CHECK(batches == std::vector<std::vector<std::string>>{{"b"}});
    CHECK(c.far.peek("b")->value == 3);
    CHECK(c.cache->try_get("b") == 3);
}

TEST_CASE("C29 C31 without level 2 there is memory, and after it all is made whole") {
    two_levels c({}, {.max_stale_on_partition = 5s});
    CHECK(c.load("a") == 1);
    c.far.down();
    c.far.lose();
    CHECK(c.load("a") == 1);
    manual_clock::advance(5s);
    CHECK(c.load("a") == 2); // the cache loads, and keeps it in level 1
    CHECK(c.load("a") == 2);
    CHECK(c.cache->metrics().backend_failures > 0);
    c.far.down(false);
    c.far.restore();
    CHECK_FALSE(c.cache->try_get("a").has_value());
    CHECK(c.load("a") == 1); // what level 2 has had all the while
}

TEST_CASE("with writes in the background a load does not wait for level 2, and outlives the cache") {
    two_levels c({}, {.await_writes = false});
    c.far.script().hold(op::set);
    auto loading = c.call(c.cache->get_or_load("a", c.src));
    CHECK(loading.value() == 1);
    CHECK(c.cache->try_get("a") == 1);
    CHECK_FALSE(c.far.peek("a").has_value());
    c.cache.reset();
    c.far.script().release_all();
    c.steps.run_until_idle();
    CHECK(c.far.peek("a")->value == 1);
}

} // namespace
