// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <acache/data_loader.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <string>
#include <vector>

// Writes and invalidations against loads: contract C08, C11 to C14, C16, C17, C28.

namespace {

using namespace setup;

enum class removal { invalidate, clear };

template <class World>
void remove(World& w, removal how, const char* key) {
    if (how == removal::invalidate) {
        w.steps.run(w.cache->invalidate(key));
    } else {
        w.steps.run(w.cache->clear());
    }
}

TEMPLATE_TEST_CASE("C11 a load that is invalidated goes on for its callers and stores nothing", "",
                   over_memory, over_script) {
    const auto how = GENERATE(removal::invalidate, removal::clear);
    world<TestType> w;
    w.src.hold();
    const auto earlier = w.call(w.get_or_load("a"));
    const auto joined = w.call(w.get_or_load("a"));
    remove(w, how, "a");
    CHECK_FALSE(earlier.done());
    CHECK(w.src.given_up() == 0);
    w.src.release_all();
    w.settle();
    CHECK(earlier.value() == 1);
    CHECK(joined.value() == 1);
    CHECK(w.get("a") == std::nullopt);
    w.src.let_pass();
    CHECK(w.steps.run(w.get_or_load("a")) == 2);
    CHECK(w.get("a") == 2);
}

TEMPLATE_TEST_CASE("C14 a get after an invalidation does not join the load begun before it", "", over_memory,
                   over_script) {
    const auto how = GENERATE(removal::invalidate, removal::clear);
    world<TestType> w;
    w.src.hold();
    const auto before = w.call(w.get_or_load("a"));
    remove(w, how, "a");
    const auto after = w.call(w.get_or_load("a"));
    CHECK(w.src.starts() == 2);
    w.src.release_one();
    w.settle();
    CHECK(before.value() == 1);
    CHECK_FALSE(after.done());
    w.src.release_one();
    w.settle();
    CHECK(after.value() == 2);
    CHECK(w.get("a") == 2);
}

TEMPLATE_TEST_CASE("C11 a fenced load that ends after its successor does not overwrite it", "", over_memory,
                   over_script) {
    world<TestType> w;
    w.src.hold();
    const auto before = w.call(w.get_or_load("a"));
    w.steps.run(w.cache->invalidate("a"));
    w.src.let_pass();
    CHECK(w.steps.run(w.get_or_load("a")) == 2);
    w.src.release_all();
    w.settle();
    CHECK(before.value() == 1);
    CHECK(w.get("a") == 2);
}

TEMPLATE_TEST_CASE("C11 the fence is in force from before the first suspension of the load", "", over_memory,
                   over_script) {
    // The invalidation comes one handler later each round.
    for (std::size_t handlers = 0; handlers != 12; ++handlers) {
        world<TestType> w;
        const auto before = w.begin(w.get_or_load("a"));
        w.steps.run_for(handlers);
        const auto invalidated = w.call(w.cache->invalidate("a"));
        CHECK(invalidated.done());
        CHECK(before.value() == 1);
        INFO("after " << handlers << " handlers");
        CHECK(w.get("a") == std::nullopt);
        CHECK(w.cache->metrics().in_flight == 0);
    }
}

TEST_CASE("C11 an invalidation during the read of the second level fences the load") {
    world<over_script> w;
    auto script = w.store->script();
    w.store->plant("a", acache::entry<int>(77, manual_clock::now()));
    const auto how = GENERATE(removal::invalidate, removal::clear);

    // The old value has been read, and is on its way to the flight.
    script.hold_answers(op::get);
    const auto before = w.call(w.get_or_load("a"));
    CHECK(script.parked(op::get) == 1);
    script.let_pass(op::get);
    remove(w, how, "a");
    const auto after = w.call(w.get_or_load("a"));
    CHECK(after.value() == 1);
    script.release_all();
    w.settle();
    CHECK(before.value() == 77);
    CHECK(w.get("a") == 1);
}

TEST_CASE("C11 an invalidation while the loaded value is being written removes that value") {
    world<over_script> w;
    auto script = w.store->script();
    const auto how = GENERATE(removal::invalidate, removal::clear);
    const bool landed = GENERATE(false, true);
    if (landed) {
        script.hold_answers(op::set);
    } else {
        script.hold(op::set);
    }
    const auto before = w.call(w.get_or_load("a"));
    CHECK(script.parked(op::set) == 1);
    script.let_pass(op::set);
    const auto removal_call = how == removal::invalidate ? w.call([](auto& cache) -> asio::awaitable<void> {
        (void)co_await cache.invalidate("a");
    }(*w.cache))
                                                         : w.call(w.cache->clear());
    // It waits for the write, or it could come to nothing.
    CHECK_FALSE(removal_call.done());
    const auto meanwhile = w.call(w.get_or_load("b"));
    CHECK(meanwhile.value() == 2);
    script.release_all();
    w.settle();
    CHECK(removal_call.done());
    CHECK(before.value() == 1);
    CHECK(w.store->peek("a") == std::nullopt);
}

TEST_CASE("C11 a load begun while an invalidation is under way stores nothing that the invalidation misses") {
    world<over_script> w;
    auto script = w.store->script();
    w.store->plant("a", acache::entry<int>(77, manual_clock::now()));
    script.hold(op::erase);
    const auto invalidated = w.call(w.cache->invalidate("a"));
    CHECK(script.parked(op::erase) == 1);
    const auto during = w.call(w.get_or_load("a"));
    CHECK(during.value() == 77);
    script.release_all();
    w.settle();
    CHECK(invalidated.value());
    CHECK(w.get("a") == std::nullopt);
}

enum class write { invalidate, clear, set };

constexpr op operation_of(write how) {
    return how == write::invalidate ? op::erase : how == write::clear ? op::clear : op::set;
}

template <class Cache>
asio::awaitable<void> perform(Cache& cache, write how) {
    if (how == write::invalidate) {
        (void)co_await cache.invalidate("a");
    } else if (how == write::clear) {
        co_await cache.clear();
    } else {
        co_await cache.set("a", 1000);
    }
}

TEST_CASE("C14 a get issued while a write is on its way to the second level joins no load begun before it") {
    const auto how = GENERATE(write::invalidate, write::clear, write::set);
    world<over_script> w;
    auto script = w.store->script();
    w.src.hold();
    const auto before = w.call(w.get_or_load("a"));
    script.hold(operation_of(how));
    const auto writing = w.call(perform(*w.cache, how));
    CHECK_FALSE(writing.done());
    const auto during = w.call(w.get_or_load("a"));
    CHECK(w.src.starts() == 2);
    script.let_pass(operation_of(how));
    w.src.release_all();
    script.release_all();
    w.settle();
    CHECK(writing.done());
    CHECK(before.value() == 1);
    CHECK(during.value() == 2);
    // The set wins; what was loaded after a removal had been asked for may be kept or not.
    CHECK(w.get("a").value_or(2) == (how == write::set ? 1000 : 2));
}

TEST_CASE("C14 a get issued after a write joins no load that read the second level before it took effect") {
    const auto how = GENERATE(write::invalidate, write::clear, write::set);
    world<over_script> w;
    auto script = w.store->script();
    w.store->plant("a", acache::entry<int>(77, manual_clock::now()));
    script.hold(operation_of(how));
    const auto writing = w.call(perform(*w.cache, how));
    script.hold_answers(op::get);
    const auto during = w.call(w.get_or_load("a"));
    CHECK(script.parked(op::get) == 1);
    CHECK(script.release_one(operation_of(how)));
    w.settle();
    CHECK(writing.done());
    script.let_pass(op::get);
    script.let_pass(operation_of(how));
    const auto after = w.call(w.get_or_load("a"));
    CHECK(after.value() == (how == write::set ? 1000 : 1));
    script.release_all();
    w.settle();
    CHECK(during.value() == 77);
    CHECK(w.get("a") == after.value());
}

TEMPLATE_TEST_CASE("C12 fencing one key leaves the loads of all others alone", "", over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    std::vector<caller<int>> others;
    for (int i = 0; i != 100; ++i) {
        others.push_back(w.call(w.get_or_load(std::to_string(i))));
    }
    const auto fenced = w.call(w.get_or_load("a"));
    w.steps.run(w.cache->invalidate("a"));
    w.steps.run(w.cache->set("b", 5));
    w.src.release_all();
    w.settle();
    CHECK(fenced.done());
    CHECK(w.get("a") == std::nullopt);
    for (int i = 0; i != 100; ++i) {
        CHECK(others[static_cast<std::size_t>(i)].value() == i + 1);
        CHECK(w.get(std::to_string(i)) == i + 1);
    }
}

TEMPLATE_TEST_CASE("C13 a set during a load wins", "", over_memory, over_script) {
    for (std::size_t handlers = 0; handlers != 12; ++handlers) {
        world<TestType> w;
        const auto loading = w.begin(w.get_or_load("a"));
        w.steps.run_for(handlers);
        const auto setting = w.call(w.cache->set("a", 1000));
        CHECK(setting.done());
        INFO("after " << handlers << " handlers");
        CHECK(w.get("a") == 1000);
        CHECK((loading.value() == 1 || loading.value() == 1000));
    }
}

TEMPLATE_TEST_CASE("C13 a set during a load wins, also against the load's late end", "", over_memory,
                   over_script) {
    world<TestType> w;
    w.src.hold();
    const auto loading = w.call(w.get_or_load("a"));
    w.steps.run(w.cache->set("a", 1000));
    CHECK(w.get("a") == 1000);
    CHECK(w.steps.run(w.get_or_load("a")) == 1000);
    w.src.release_all();
    w.settle();
    CHECK(loading.value() == 1);
    CHECK(w.get("a") == 1000);
}

TEMPLATE_TEST_CASE("C13 a set that stores nothing fences the load too", "", over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    const auto loading = w.call(w.get_or_load("a"));
    w.steps.run(w.cache->set("a", 1000, {.ttl = 0s}));
    w.src.release_all();
    w.settle();
    CHECK(loading.value() == 1);
    CHECK(w.get("a") == std::nullopt);
}

TEST_CASE("C13 writes of one key reach an asynchronous backend in the order in which they came") {
    world<over_script> w;
    auto script = w.store->script();
    script.hold(op::set);
    const auto first = w.call(w.cache->set("a", 1));
    const auto second = w.call(w.cache->set("a", 2));
    const auto erased = w.call(w.cache->invalidate("a"));
    const auto third = w.call(w.cache->set("a", 3));
    CHECK(script.parked() == 1);
    script.let_pass(op::set);
    script.release_all();
    w.settle();
    CHECK(first.done());
    CHECK(second.done());
    CHECK(erased.value());
    CHECK(third.done());
    CHECK(w.get("a") == 3);
}

TEST_CASE("C13 a write that waits its turn may be cancelled, and the next one has its turn") {
    world<over_script> w;
    auto script = w.store->script();
    script.hold(op::set);
    const auto first = w.call(w.cache->set("a", 1));
    const auto second = w.call(w.cache->set("a", 2));
    const auto third = w.call(w.cache->set("a", 3));
    second.leave();
    w.settle();
    CHECK(second.code() == asio::error::operation_aborted);
    first.leave();
    w.settle();
    CHECK(first.code() == asio::error::operation_aborted);
    script.release_all();
    w.settle();
    CHECK(third.done());
    CHECK(w.get("a") == 3);
}

TEMPLATE_TEST_CASE("C16 the end of a fenced load frees no slot but its own", "", over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    if (GENERATE(false, true)) {
        w.src.fail_next(std::runtime_error("late failure"));
    }
    const auto before = w.call(w.get_or_load("a"));
    w.steps.run(w.cache->invalidate("a"));
    const auto after = w.call(w.get_or_load("a"));
    w.src.release_one();
    w.settle();
    CHECK(before.done());
    // The successor is still there to be joined.
    const auto joined = w.call(w.get_or_load("a"));
    CHECK(w.src.starts() == 2);
    w.src.release_one();
    w.settle();
    CHECK(after.value() == 2);
    CHECK(joined.value() == 2);
    CHECK(w.get("a") == 2);
}

TEMPLATE_TEST_CASE("C16 a failed load, and one that ends dead, leave a newer entry alone", "", over_memory,
                   over_script) {
    world<TestType> w;
    w.src.hold();
    const bool fails = GENERATE(false, true);
    const auto dead = [&](acache::load_context& context, const std::string& key) -> asio::awaitable<int> {
        context.ttl(0s);
        const int n = co_await w.src(key);
        if (fails) {
            throw std::runtime_error("late failure");
        }
        co_return n;
    };
    const auto before = w.call(w.cache->get_or_load("a", dead));
    w.steps.run(w.cache->set("a", 1000));
    w.src.release_all();
    w.settle();
    CHECK(before.done());
    CHECK(w.get("a") == 1000);
}

TEMPLATE_TEST_CASE("C16 an expired entry's successor stays when the clock goes on", "", over_memory,
                   over_script) {
    world<TestType> w({.ttl = 10s});
    CHECK(w.steps.run(w.get_or_load("a")) == 1);
    manual_clock::advance(10s);
    CHECK(w.get("a") == std::nullopt);
    CHECK(w.steps.run(w.get_or_load("a")) == 2);
    manual_clock::advance(9s);
    CHECK(w.get("a") == 2);
    manual_clock::advance(1s);
    CHECK(w.get("a") == std::nullopt);
}

TEMPLATE_TEST_CASE("C17 a flight cannot expire", "", over_memory, over_script) {
    world<TestType> w({.ttl = 10s});
    w.src.hold();
    const auto first = w.call(w.get_or_load("a"));
    manual_clock::advance(24h);
    const auto second = w.call(w.get_or_load("a"));
    CHECK(w.src.starts() == 1);
    w.src.release_all();
    w.settle();
    CHECK(first.value() == 1);
    CHECK(second.value() == 1);
    // The ttl counts from the end of the load.
    manual_clock::advance(10s - 1ns);
    CHECK(w.get("a") == 1);
    manual_clock::advance(1ns);
    CHECK(w.get("a") == std::nullopt);
}

TEMPLATE_TEST_CASE("C17 an entry that is dead when its load ends goes to the callers and is not stored", "",
                   over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    const auto ends_at = [&](acache::load_context& context, const std::string& key) -> asio::awaitable<int> {
        context.expires_at(manual_clock::now() + 5s);
        co_return co_await w.src(key);
    };
    const auto first = w.call(w.cache->get_or_load("a", ends_at));
    const auto second = w.call(w.cache->get_or_load("a", ends_at));
    manual_clock::advance(5s);
    w.src.release_all();
    w.settle();
    CHECK(first.value() == 1);
    CHECK(second.value() == 1);
    CHECK(w.get("a") == std::nullopt);
    CHECK_FALSE(w.holds("a"));
}

TEST_CASE("C28 concurrent misses make one read of the second level, and one write") {
    world<over_script> w;
    auto script = w.store->script();
    script.hold(op::get);
    std::vector<caller<int>> callers;
    for (int i = 0; i != 100; ++i) {
        callers.push_back(w.begin(w.get_or_load("a")));
    }
    w.settle();
    CHECK(script.calls(op::get) == 1);
    script.let_pass(op::get);
    script.release_all();
    w.settle();
    for (const auto& c : callers) {
        CHECK(c.value() == 1);
    }
    CHECK(script.calls(op::get) == 1);
    CHECK(script.calls(op::set) == 1);
    CHECK(w.src.starts() == 1);
}

TEST_CASE("C28 concurrent look-ups of what the second level has make one read of it, and no load") {
    world<over_script> w;
    w.store->plant("a", acache::entry<int>(77, manual_clock::now()));
    std::vector<caller<acache::lookup_result<int>>> callers;
    for (int i = 0; i != 10; ++i) {
        callers.push_back(w.begin(w.cache->lookup("a", w.src)));
    }
    w.settle();
    CHECK(callers[0].value().source == acache::lookup_source::hit);
    for (const auto& c : callers) {
        CHECK(c.value().value == 77);
    }
    CHECK(w.store->script().calls(op::get) == 1);
    CHECK(w.src.starts() == 0);
    const auto m = w.cache->metrics();
    CHECK(m.hits == 1);
    CHECK(m.coalesced == 9);
    CHECK(m.misses == 0);
    CHECK(m.loads == 0);
}

TEST_CASE("C28 bulk look-ups read the second level once for all keys") {
    world<over_script> w;
    w.store->plant("b", acache::entry<int>(77, manual_clock::now()));
    const std::vector<std::string> keys{"a", "b", "c"};
    std::vector<std::string> asked;
    const auto batch = [&](std::vector<std::string> missing) -> asio::awaitable<std::vector<int>> {
        asked = missing;
        co_return std::vector<int>{1, 3};
    };
    const auto all = w.steps.run(w.cache->get_many_or_load(keys, batch));
    CHECK(w.store->script().calls(op::get_many) == 1);
    CHECK(w.store->script().calls(op::get) == 0);
    CHECK(asked == std::vector<std::string>{"a", "c"});
    CHECK(all.at("a").value() == 1);
    CHECK(all.at("b").value() == 77);
    CHECK(all.at("c").value() == 3);
}

/// A store in which another one's write lands just after the first look.
class gap_backend {
public:
    using clock_type = manual_clock;

    std::optional<acache::entry<int>> get(const std::string& key) {
        const auto found = inner_.get(key);
        if (!found) {
            inner_.set(key, acache::entry<int>(77, manual_clock::now()));
        }
        return found;
    }
    auto set(const std::string& key, acache::entry<int> e) { return inner_.set(key, std::move(e)); }
    auto erase(const std::string& key) { return inner_.erase(key); }
    auto clear() { return inner_.clear(); }

private:
    acache::memory_backend<std::string, int> inner_;
};

TEST_CASE("C08 after winning the slot the cache looks once more before it loads") {
    asio::io_context context;
    stepper steps(context);
    source src;
    acache::async_cache<std::string, int, gap_backend> cache(context, gap_backend());
    const auto found = steps.run(cache.lookup("a", src));
    CHECK(found.value == 77);
    CHECK(found.source == acache::lookup_source::hit);
    CHECK(src.starts() == 0);
    const auto m = cache.metrics();
    CHECK(m.hits == 1);
    CHECK(m.misses == 0);
}

TEST_CASE("C27 a read after a loader's second clear comes after that one too") {
    world<over_script> w;
    const auto load_none = [](std::vector<std::string> keys) -> asio::awaitable<std::vector<int>> {
        co_return std::vector<int>(keys.size());
    };
    acache::DataLoader loader{*w.cache, load_none};
    auto script = w.store->script();
    script.hold(op::erase);
    script.hold(op::get);
    loader.clear("a");
    w.settle();
    const auto written = w.call(w.cache->set("a", 1));
    loader.clear("a");
    const auto read = w.call(w.cache->get("a"));
    script.release_one(op::erase); // the first removal; the write comes after it, and then the second
    w.settle();
    REQUIRE(written.done());
    script.release_one(op::get);
    w.settle();
    script.let_pass(op::get);
    script.release_all();
    w.settle();
    CHECK(read.value() == std::nullopt);
}

} // namespace
