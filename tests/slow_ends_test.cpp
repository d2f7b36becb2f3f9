// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <acache/data_loader.hpp>

#include <array>
#include <span>
#include <vector>

// Loads, and stores, that go on after everybody has stopped waiting for them.

namespace {

using namespace setup;

const std::array<std::string, 2> two_keys{"a", "b"};

TEMPLATE_TEST_CASE("C06 a warm-up hears that a load has timed out, though its loader goes on", "",
                   over_memory, over_script) {
    world<TestType> w({.load_timeout = 1s});
    w.src.hold();
    w.src.ignore_cancellation();
    const auto warm = w.call(w.cache->warmup(two_keys, w.src, {.concurrency = 1}));
    CHECK(w.src.parked() == 1);
    manual_clock::advance(1s);
    w.settle();
    // The next key has its turn, though the first loader still runs.
    CHECK(w.src.parked() == 2);
    manual_clock::advance(1s);
    w.settle();
    REQUIRE(warm.done());
    CHECK(warm.value().failed.size() == 2);
    CHECK(code_of(warm.value().failed.front().second) == errc::load_timeout);
    w.src.release_all();
    w.settle();
}

TEMPLATE_TEST_CASE("C10 close ends a warm-up at once, and then waits for its loads", "", over_memory,
                   over_script) {
    world<TestType> w;
    w.src.hold();
    w.src.ignore_cancellation();
    const auto warm = w.call(w.cache->warmup(two_keys, w.src));
    const auto closing = w.call(w.cache->close());
    CHECK(warm.code() == errc::closed);
    CHECK_FALSE(closing.done());
    w.src.release_all();
    w.settle();
    CHECK(closing.done());
}

TEST_CASE("C06 a value whose store takes longer than load_timeout reaches its callers, and is no failure") {
    world<over_script> w({.load_timeout = 1s});
    auto script = w.store->script();
    script.hold(op::set);
    const auto single = w.call(w.get_or_load("a"));
    const auto batch = [](std::span<const std::string> keys) -> asio::awaitable<std::vector<int>> {
        co_return std::vector<int>(keys.size(), 7);
    };
    acache::DataLoader loader{*w.cache, batch};
    const auto loaded = w.call(loader.load("b"));
    CHECK_FALSE(single.done());
    CHECK_FALSE(loaded.done());
    manual_clock::advance(1s);
    w.settle();
    CHECK(single.value() == 1);
    CHECK(loaded.value() == 7);
    CHECK(w.cache->metrics().load_failures == 0);
    script.let_pass(op::set);
    script.release_all();
    w.settle();
    CHECK(w.cache->metrics().in_flight == 0);
}

} // namespace
