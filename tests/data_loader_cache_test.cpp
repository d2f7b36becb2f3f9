// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "data_loader_setups.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>

// A loader over a cache: what the two share, how the backend is asked, and what is counted.

namespace {

using namespace loader_tests;
using namespace std::chrono_literals;

const auto any_cache = [] { return GENERATE(basis::memory, basis::scripted); };

/// A loader of single keys, which can be held.
struct single_source {
    std::vector<int> seen;
    kit::script gate;

    auto fn() {
        return [this](int key) { return run(key); };
    }
    asio::awaitable<std::string> run(int key) {
        seen.push_back(key);
        co_await gate.begin(op::get);
        co_return "single " + std::to_string(key);
    }
};

void plant(setup& t, int key, std::string value) {
    t.store.plant(key, acache::entry<std::string>(std::move(value), kit::manual_clock::now()));
}

TEST_CASE("A loader over a cache reads what the cache has, and fills it") {
    setup t(any_cache());
    source from;
    auto loader = t.make(from.fn());
    t.with_cache([&](auto& cache) {
        t.steps.run(cache.set(1, "stored"));
        CHECK(t.steps.run(loader.load(1)) == "stored");
        CHECK(t.steps.run(loader.load(2)) == "v2");
        CHECK(t.steps.run(cache.get(2)) == "v2");
        CHECK(t.steps.run(cache.invalidate(2)));
        CHECK(t.steps.run(loader.load(2)) == "v2");
    });
    CHECK(from.seen == batches{{2}, {2}});
}

TEST_CASE("Over an asynchronous backend a batch is one multi-get, then one batch call for what is missing") {
    setup t(basis::scripted);
    source from;
    auto loader = t.make(from.fn());
    plant(t, 2, "stored");
    call one(t.context, loader.load(1));
    call many(t.context, loader.load_many(keys{1, 2, 3}));
    t.steps.run_until_idle();
    CHECK(t.script.calls(op::get_many) == 1);
    CHECK(t.script.calls(op::get) == 0);
    CHECK(from.seen == batches{{1, 3}});
    CHECK(one.value() == "v1");
    CHECK(*many.value()[1] == "stored");
    CHECK(*many.value()[2] == "v3");
    CHECK(t.script.calls(op::set) == 2);
    CHECK(t.stored(1) == "v1");
    CHECK(t.stored(3) == "v3");
}

TEST_CASE("Over an asynchronous backend a batch that is all stored makes no call") {
    setup t(basis::scripted);
    source from;
    auto loader = t.make(from.fn());
    plant(t, 1, "one");
    plant(t, 2, "two");
    const auto got = t.steps.run(loader.load_many(keys{1, 2}));
    CHECK(*got[0] == "one");
    CHECK(*got[1] == "two");
    CHECK(t.script.calls(op::get_many) == 1);
    CHECK(t.script.calls(op::set) == 0);
    CHECK(from.seen.empty());
}

TEST_CASE("C28 Concurrent loads of one key make one read of an asynchronous backend") {
    setup t(basis::scripted);
    source from;
    t.script.hold(op::get_many);
    auto loader = t.make(from.fn());
    std::vector<call<std::string>> calls;
    for (int i = 0; i != 10; ++i) {
        calls.emplace_back(t.context, loader.load(1));
        t.steps.run_until_idle();
    }
    CHECK(t.script.calls(op::get_many) == 1);
    CHECK(from.seen.empty());
    t.script.let_pass(op::get_many);
    t.script.release_all();
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{1}});
    for (const auto& one : calls) {
        CHECK(one.value() == "v1");
    }
}

TEST_CASE("C29 A multi-get that fails costs a batch call, is counted, and nobody sees it") {
    setup t(basis::scripted);
    source from;
    auto loader = t.make(from.fn());
    plant(t, 1, "stored");
    t.script.fail_next(op::get_many, std::runtime_error("backend down"));
    CHECK(t.steps.run(loader.load(1)) == "v1");
    CHECK(from.seen == batches{{1}});
    CHECK(t.metrics().backend_failures == 1);
    t.script.fail_next(op::set, std::runtime_error("backend down"));
    CHECK(t.steps.run(loader.load(2)) == "v2");
    CHECK_FALSE(t.stored(2));
    CHECK(t.metrics().backend_failures == 2);
}

TEST_CASE("C25 Callers who leave during the multi-get are not asked for") {
    setup t(basis::scripted);
    source from;
    t.script.hold(op::get_many);
    auto loader = t.make(from.fn());
    call leaving(t.context, loader.load(1));
    call staying(t.context, loader.load(2));
    t.steps.run_until_idle();
    leaving.cancel();
    t.steps.run_until_idle();
    t.script.let_pass(op::get_many);
    t.script.release_all();
    t.steps.run_until_idle();
    CHECK(staying.value() == "v2");
    CHECK(from.seen == batches{{2}});
}

TEST_CASE(
    "C11 A key cleared during the multi-get is not stored by that batch, nor what a set wrote overwritten") {
    setup t(basis::scripted);
    source from;
    const bool writes = GENERATE(false, true);
    t.script.hold_answers(op::get_many); // read, and not back yet
    auto loader = t.make(from.fn());
    call before(t.context, loader.load(1));
    t.steps.run_until_idle();
    if (writes) {
        t.steps.run(t.remote->set(1, "written"));
    } else {
        loader.clear(1);
        t.steps.run_until_idle();
    }
    t.script.let_pass(op::get_many);
    t.script.release_all();
    t.steps.run_until_idle();
    CHECK(before.value() == "v1");
    CHECK(t.stored(1) == (writes ? std::optional<std::string>("written") : std::nullopt));
}

TEST_CASE("Over an asynchronous backend prime returns at once and stores in the background") {
    setup t(basis::scripted);
    source from;
    t.script.hold(op::set);
    auto loader = t.make(from.fn());
    loader.prime(1, "primed");
    CHECK_FALSE(t.stored(1));
    t.steps.run_until_idle();
    CHECK(t.script.parked(op::set) == 1);
    t.script.let_pass(op::set);
    t.script.release_all();
    t.steps.run_until_idle();
    CHECK(t.stored(1) == "primed");
    CHECK(t.steps.run(loader.load(1)) == "primed");
    CHECK(from.seen.empty());
}

TEST_CASE("C13 Over an asynchronous backend what is set after prime is not overwritten by it") {
    setup t(basis::scripted);
    source from;
    t.script.hold_answers(op::get);
    auto loader = t.make(from.fn());
    loader.prime(1, "primed");
    t.steps.run_until_idle(); // it has found nothing, and is about to store
    call writing(t.context, t.remote->set(1, "written"));
    t.steps.run_until_idle();
    t.script.let_pass(op::get);
    t.script.release_all();
    t.steps.run_until_idle();
    CHECK(writing.done());
    CHECK(t.stored(1) == "written");
}

TEST_CASE("Over an asynchronous backend clear and clear_all fence at once, and erase in the background") {
    setup t(basis::scripted);
    source from;
    from.hold();
    const bool all = GENERATE(false, true);
    const op kind = all ? op::clear : op::erase;
    t.script.hold(kind);
    auto loader = t.make(from.fn());
    plant(t, 5, "stored");
    call before(t.context, loader.load(1));
    t.steps.run_until_idle();
    all ? loader.clear_all() : loader.clear(1);
    from.release();
    t.steps.run_until_idle();
    // Fenced although nothing is erased yet: the batch has stored nothing.
    CHECK(before.value() == "v1");
    CHECK_FALSE(t.stored(1));
    CHECK(t.script.parked(kind) == 1);
    if (!all) {
        loader.clear(5);
        t.steps.run_until_idle();
    }
    CHECK(t.stored(5) == "stored");
    t.script.let_pass(kind);
    t.script.release_all();
    t.steps.run_until_idle();
    CHECK_FALSE(t.stored(5));
    CHECK_FALSE(t.stored(1));
}

TEST_CASE("A background erase or store that fails is counted, and nobody else hears of it") {
    setup t(basis::scripted);
    source from;
    auto loader = t.make(from.fn());
    t.script.fail_next(op::erase, std::runtime_error("down"));
    t.script.fail_next(op::clear, std::runtime_error("down"));
    t.script.fail_next(op::set, std::runtime_error("down"));
    loader.clear(1);
    loader.clear_all();
    loader.prime(2, "primed");
    t.steps.run_until_idle();
    CHECK(t.metrics().backend_failures == 3);
    CHECK(t.steps.run(loader.load(2)) == "v2");
}

TEST_CASE("C10 The cache's close waits for what a loader does in the background") {
    setup t(basis::scripted);
    source from;
    t.script.hold(op::erase);
    auto loader = t.make(from.fn());
    loader.clear(1);
    t.steps.run_until_idle();
    call closing(t.context, t.remote->close());
    t.steps.run_until_idle();
    CHECK_FALSE(closing.done());
    t.script.release_all();
    t.steps.run_until_idle();
    CHECK(closing.done());
}

TEST_CASE("C22 A load joins a single get under way") {
    setup t(any_cache());
    source from;
    single_source single;
    single.gate.hold(op::get);
    auto loader = t.make(from.fn());
    t.with_cache([&](auto& cache) {
        auto fn = single.fn();
        call first(t.context, cache.get_or_load(1, fn));
        t.steps.run_until_idle();
        call joined(t.context, loader.load(1));
        call many(t.context, loader.load_many(keys{1, 2}));
        t.steps.run_until_idle();
        CHECK(from.seen == batches{{2}});
        single.gate.release_all();
        t.steps.run_until_idle();
        CHECK(joined.value() == "single 1");
        CHECK(*many.value()[0] == "single 1");
        CHECK(*many.value()[1] == "v2");
        CHECK(first.value() == "single 1");
    });
}

TEST_CASE("C22 A single get joins a load that is gathered, and one that runs") {
    setup t(any_cache());
    source from;
    from.hold();
    single_source single;
    auto loader = t.make(from.fn(), {.batch_window = 1s});
    t.with_cache([&](auto& cache) {
        auto fn = single.fn();
        call first(t.context, loader.load(1));
        t.steps.run_until_idle();
        call joined_gathered(t.context, cache.get_or_load(1, fn));
        t.steps.run_until_idle();
        kit::manual_clock::advance(1s);
        t.steps.run_until_idle();
        call joined_running(t.context, cache.get_or_load(1, fn));
        t.steps.run_until_idle();
        from.release();
        t.steps.run_until_idle();
        CHECK(joined_gathered.value() == "v1");
        CHECK(joined_running.value() == "v1");
        CHECK(first.value() == "v1");
    });
    CHECK(single.seen.empty());
    CHECK(from.seen == batches{{1}});
}

TEST_CASE("C22 A bulk get joins loads, and loads join a bulk get") {
    setup t(any_cache());
    source from;
    source bulk;
    from.hold();
    bulk.hold();
    auto loader = t.make(from.fn());
    t.with_cache([&](auto& cache) {
        auto fn = bulk.fn();
        call first(t.context, loader.load(1));
        t.steps.run_until_idle();
        call many(t.context, cache.get_many_or_load(keys{1, 2}, fn));
        t.steps.run_until_idle();
        call joined(t.context, loader.load_many(keys{2, 3}));
        t.steps.run_until_idle();
        CHECK(from.seen == batches{{1}, {3}});
        CHECK(bulk.seen == batches{{2}});
        from.release();
        t.steps.run_until_idle();
        CHECK_FALSE(many.done());
        CHECK_FALSE(joined.done());
        bulk.release();
        t.steps.run_until_idle();
        CHECK(*many.value().at(1) == "v1");
        CHECK(*many.value().at(2) == "v2");
        CHECK(*joined.value()[0] == "v2");
        CHECK(*joined.value()[1] == "v3");
    });
}

TEST_CASE("C22 Two loaders over one cache join each other's loads") {
    setup t(any_cache());
    source from;
    source other_from;
    from.hold();
    auto loader = t.make(from.fn());
    auto other = t.make(other_from.fn());
    call first(t.context, loader.load(1));
    t.steps.run_until_idle();
    call second(t.context, other.load_many(keys{1, 2}));
    t.steps.run_until_idle();
    CHECK(other_from.seen == batches{{2}});
    from.release();
    t.steps.run_until_idle();
    CHECK(*second.value()[0] == "v1");
    CHECK(first.value() == "v1");
    CHECK(from.seen == batches{{1}});
}

TEST_CASE(
    "C22 A wrapped function with the loader inside shares its flights: the loader is asked once a key") {
    setup t(any_cache());
    source from;
    auto loader = t.make(from.fn());
    t.with_cache([&](auto& cache) {
        // Keys apart from the loader's own: a load that asked for its own key would wait for itself.
        auto wrapped = cache.cached([](int id) { return id + 1000; },
                                    [&](int id) -> asio::awaitable<std::string> {
                                        std::string part = co_await loader.load(id);
                                        co_return "wrapped " + part;
                                    });
        call one(t.context, wrapped(1));
        call two(t.context, wrapped(2));
        call direct(t.context, loader.load(1));
        t.steps.run_until_idle();
        CHECK(one.value() == "wrapped v1");
        CHECK(two.value() == "wrapped v2");
        CHECK(direct.value() == "v1");
        std::size_t asked = 0;
        for (const auto& batch : from.seen) {
            asked += batch.size();
        }
        CHECK(asked == 2);
    });
}

TEST_CASE("C25 A single get that has joined a batch keeps it going after the load's own caller has left") {
    setup t(any_cache());
    source from;
    from.hold();
    single_source single;
    auto loader = t.make(from.fn());
    t.with_cache([&](auto& cache) {
        auto fn = single.fn();
        call first(t.context, loader.load(1));
        t.steps.run_until_idle();
        call joined(t.context, cache.get_or_load(1, fn));
        t.steps.run_until_idle();
        first.cancel();
        t.steps.run_until_idle();
        CHECK(from.running == 1);
        from.release();
        t.steps.run_until_idle();
        CHECK(joined.value() == "v1");
    });
    CHECK(single.seen.empty());
}

TEST_CASE("C16 A batch that the cache's refresh has overtaken leaves the newer entry alone") {
    setup t(any_cache());
    source from;
    from.hold();
    single_source single;
    auto loader = t.make(from.fn());
    t.with_cache([&](auto& cache) {
        auto fn = single.fn();
        call before(t.context, loader.load(1));
        t.steps.run_until_idle();
        CHECK(t.steps.run(cache.refresh(1, fn)) == "single 1");
        from.release();
        t.steps.run_until_idle();
        CHECK(before.value() == "v1");
        CHECK(t.steps.run(cache.get(1)) == "single 1");
    });
}

TEST_CASE(
    "C10 A loader that is closed leaves its cache open, its entries in place and other loaders at work") {
    setup t(any_cache());
    source from;
    source other_from;
    single_source single;
    auto loader = t.make(from.fn());
    auto other = t.make(other_from.fn());
    CHECK(t.steps.run(loader.load(1)) == "v1");
    if (GENERATE(false, true)) {
        t.steps.run(loader.drain());
    } else {
        t.steps.run(loader.close());
    }
    CHECK(t.stored(1) == "v1");
    t.with_cache([&](auto& cache) {
        auto fn = single.fn();
        CHECK(t.steps.run(cache.get_or_load(2, fn)) == "single 2");
    });
    CHECK(t.steps.run(other.load(3)) == "v3");
}

TEST_CASE("C10 A loader that closes ends its own callers, of loads too that the cache has begun") {
    setup t(any_cache());
    source from;
    single_source single;
    single.gate.hold(op::get);
    auto loader = t.make(from.fn());
    t.with_cache([&](auto& cache) {
        auto fn = single.fn();
        call first(t.context, cache.get_or_load(1, fn));
        t.steps.run_until_idle();
        call joined(t.context, loader.load(1));
        call many(t.context, loader.load_many(keys{1}));
        t.steps.run_until_idle();
        t.steps.run(loader.close());
        t.steps.run_until_idle();
        CHECK(joined.error() == errc::closed);
        CHECK(many.error() == errc::closed);
        CHECK_FALSE(first.done());
        single.gate.release_all();
        t.steps.run_until_idle();
        CHECK(first.value() == "single 1");
    });
}

TEST_CASE("C10 A caller of the cache that has joined a batch goes on with its own loader when the batch's "
          "loader closes") {
    setup t(any_cache());
    source from;
    from.hold();
    single_source single;
    auto loader = t.make(from.fn());
    const bool sent = GENERATE(false, true);
    t.with_cache([&](auto& cache) {
        auto fn = single.fn();
        call first(t.context, loader.load(1));
        t.steps.run_for(sent ? 20 : 1);
        call joined(t.context, cache.get_or_load(1, fn));
        t.steps.run_for(1);
        call closed(t.context, loader.close());
        t.steps.run_until_idle();
        CHECK(first.error() == errc::closed);
        CHECK(joined.value() == "single 1");
        CHECK(closed.done());
        CHECK(cache.metrics().hits + cache.metrics().misses + cache.metrics().coalesced == 2);
    });
}

TEST_CASE("C27 A load after clear or clear_all does not find what an asynchronous backend has yet to erase") {
    setup t(basis::scripted);
    source from;
    const bool all = GENERATE(false, true);
    auto loader = t.make(from.fn());
    plant(t, 1, "stored");
    t.script.hold(all ? op::clear : op::erase);
    all ? loader.clear_all() : loader.clear(1);
    call load(t.context, loader.load(1));
    t.with_cache([&](auto& cache) {
        call got(t.context, cache.get(1));
        t.steps.run_until_idle();
        t.script.let_pass(all ? op::clear : op::erase);
        t.script.release_all();
        t.steps.run_until_idle();
        CHECK(load.value() == "v1");
        CHECK(got.value() != "stored");
    });
}

TEST_CASE("C10 The cache's close ends a loader's callers, gathered, queued and running, with errc::closed") {
    setup t(any_cache());
    source from;
    from.hold();
    auto loader = t.make(from.fn(), {.batch_window = 1h, .max_concurrent_batches = 1});
    call running(t.context, loader.load(1));
    t.steps.run_until_idle();
    loader.flush();
    call queued(t.context, loader.load(2));
    t.steps.run_until_idle();
    loader.flush();
    call gathered(t.context, loader.load(3));
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{1}});
    t.with_cache([&](auto& cache) {
        call closing(t.context, cache.close());
        t.steps.run_until_idle();
        CHECK(closing.done());
        CHECK_FALSE(closing.failed());
    });
    CHECK(running.error() == errc::closed);
    CHECK(queued.error() == errc::closed);
    CHECK(gathered.error() == errc::closed);
    CHECK(from.running == 0);
    call refused(t.context, loader.load(4));
    call refused_many(t.context, loader.load_many(keys{4}));
    t.steps.run_until_idle();
    CHECK(refused.error() == errc::closed);
    CHECK(refused_many.error() == errc::closed);
    CHECK_THROWS_AS(loader.prime(1, "v"), boost::system::system_error);
    CHECK_THROWS_AS(loader.clear(1), boost::system::system_error);
    CHECK_THROWS_AS(loader.clear_all(), boost::system::system_error);
    t.steps.run(loader.close());
}

TEST_CASE("C10 The cache's drain lets a loader's batches finish, that which is gathered too") {
    setup t(any_cache());
    source from;
    from.hold();
    auto loader = t.make(from.fn());
    call running(t.context, loader.load(1));
    t.steps.run_until_idle();
    call gathered(t.context, loader.load(2));
    t.steps.run_for(1);
    t.with_cache([&](auto& cache) {
        call draining(t.context, cache.drain());
        t.steps.run_until_idle();
        CHECK_FALSE(draining.done());
        from.release();
        t.steps.run_until_idle();
        CHECK(draining.done());
    });
    CHECK(running.value() == "v1");
    CHECK(gathered.value() == "v2");
    call refused(t.context, loader.load(3));
    t.steps.run_until_idle();
    CHECK(refused.error() == errc::closed);
}

TEST_CASE("C10 The cache's close from inside a loader's batch is errc::recursive_load") {
    setup t(any_cache());
    source from;
    boost::system::error_code got;
    t.with_cache([&](auto& cache) {
        from.meanwhile = [&](keys) -> asio::awaitable<void> {
            try {
                co_await cache.close();
            } catch (...) {
                got = code_of(std::current_exception());
            }
        };
        auto loader = t.make(from.fn());
        CHECK(t.steps.run(loader.load(1)) == "v1");
    });
    CHECK(got == errc::recursive_load);
}

TEST_CASE("C10 A cache that is destroyed before its loader ends the loader's callers with errc::closed") {
    setup t(any_cache());
    source from;
    from.hold();
    auto loader = t.make(from.fn(), {.batch_window = 1h});
    call running(t.context, loader.load(1));
    t.steps.run_until_idle();
    loader.flush();
    call gathered(t.context, loader.load(2));
    t.steps.run_until_idle();
    t.in_memory.reset();
    t.remote.reset();
    t.steps.run_until_idle();
    CHECK(running.error() == errc::closed);
    CHECK(gathered.error() == errc::closed);
    call refused(t.context, loader.load(3));
    t.steps.run_until_idle();
    CHECK(refused.error() == errc::closed);
}

/// What the look-ups of a cache have been counted as.
struct tally {
    std::uint64_t hits, misses, coalesced;
    bool operator==(const tally&) const = default;
};

std::ostream& operator<<(std::ostream& out, const tally& t) {
    return out << t.hits << " hits, " << t.misses << " misses, " << t.coalesced << " coalesced";
}

tally counted(setup& t) {
    const auto m = t.metrics();
    return {m.hits, m.misses, m.coalesced};
}

TEST_CASE("Each load counts once, as hit, miss or coalesced, and each key of load_many") {
    setup t(any_cache());
    source from;
    auto loader = t.make(from.fn());
    t.with_cache([&](auto& cache) { t.steps.run(cache.set(1, "stored")); });
    CHECK(counted(t) == tally{0, 0, 0});
    CHECK(t.steps.run(loader.load(1)) == "stored");
    CHECK(counted(t) == tally{1, 0, 0});
    CHECK(t.steps.run(loader.load(2)) == "v2");
    CHECK(counted(t) == tally{1, 1, 0});
    static_cast<void>(t.steps.run(loader.load_many(keys{1, 2, 3, 3, 4})));
    CHECK(counted(t) == tally{3, 3, 1});
    call a(t.context, loader.load(5));
    call b(t.context, loader.load(5));
    call c(t.context, loader.load(6));
    t.steps.run_until_idle();
    CHECK(counted(t) == tally{3, 5, 2});
    const auto m = t.metrics();
    CHECK(m.loads == 5);
    CHECK(m.load_failures == 0);
    CHECK(m.load_time.count() == 3); // batches
    CHECK(m.in_flight == 0);
}

TEST_CASE("A load that failed counts as a miss, and as a failure for each key without a value") {
    setup t(any_cache());
    source from;
    from.answer = [](int key) {
        return key == 1 ? failed<std::string>("bad") : load_result<std::string>("good");
    };
    auto loader = t.make(from.fn());
    static_cast<void>(t.steps.run(loader.load_many(keys{1, 2})));
    CHECK(t.metrics().load_failures == 1);
    from.failure = [] { return std::make_exception_ptr(std::runtime_error("all")); };
    static_cast<void>(t.steps.run(loader.load_many(keys{3, 4, 5})));
    CHECK(t.metrics().load_failures == 4);
    CHECK(t.metrics().loads == 5);
    CHECK(counted(t) == tally{0, 5, 0});
}

TEST_CASE("Each load counts once, whatever becomes of its batch") {
    setup t(any_cache());
    source from;
    from.hold();
    auto loader = t.make(from.fn(), {.batch_window = 1h, .max_concurrent_batches = 1});
    SECTION("all callers left before it was sent") {
        call one(t.context, loader.load(1));
        call again(t.context, loader.load(1));
        t.steps.run_until_idle();
        one.cancel();
        again.cancel();
        t.steps.run_until_idle();
        loader.flush();
        t.steps.run_until_idle();
        CHECK(counted(t) == tally{0, 1, 1});
    }
    SECTION("all callers left while it ran") {
        call one(t.context, loader.load(1));
        t.steps.run_until_idle();
        loader.flush();
        t.steps.run_until_idle();
        one.cancel();
        t.steps.run_until_idle();
        CHECK(counted(t) == tally{0, 1, 0});
    }
    SECTION("all callers left while it was queued") {
        call running(t.context, loader.load(1));
        t.steps.run_until_idle();
        loader.flush();
        call queued(t.context, loader.load(2));
        t.steps.run_until_idle();
        loader.flush();
        t.steps.run_until_idle();
        queued.cancel();
        t.steps.run_until_idle();
        CHECK(counted(t) == tally{0, 2, 0});
    }
    SECTION("all callers left during the multi-get") {
        t.script.hold(op::get_many);
        call one(t.context, loader.load(1));
        t.steps.run_until_idle();
        loader.flush();
        t.steps.run_until_idle();
        one.cancel();
        t.steps.run_until_idle();
        CHECK(counted(t) == tally{0, 1, 0});
    }
    SECTION("the loader was closed before it was sent") {
        call one(t.context, loader.load(1));
        t.steps.run_until_idle();
        t.steps.run(loader.close());
        t.steps.run_until_idle();
        CHECK(counted(t) == tally{0, 1, 0});
    }
    SECTION("its only caller was cancelled with others of load_many found") {
        t.with_cache([&](auto& cache) { t.steps.run(cache.set(9, "stored")); });
        call many(t.context, loader.load_many(keys{9, 1}));
        t.steps.run_until_idle();
        loader.flush();
        t.steps.run_until_idle();
        many.cancel();
        t.steps.run_until_idle();
        CHECK(counted(t) == tally{1, 1, 0});
    }
}

} // namespace
