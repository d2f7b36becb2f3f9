// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "data_loader_setups.hpp"

#include <acache/detail/random.hpp>

#include <boost/asio/error.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

// Values past their freshness in bulk operations: who gets them, and how they are renewed in batches.

namespace {

using namespace loader_tests;
using namespace std::chrono_literals;
using kit::manual_clock;

constexpr acache::cache_options revalidating{.ttl = 10s, .stale_while_revalidate = 20s};
constexpr acache::cache_options forgiving{.ttl = 10s, .stale_if_error = 20s};
constexpr acache::cache_options hasty{.ttl = 10s, .early_refresh = 1e6};

/// How a key is asked for.
enum class way { load, load_many, bulk };

const auto any_cache = [] { return GENERATE(basis::memory, basis::scripted); };
const auto any_way = [] { return GENERATE(way::load, way::load_many, way::bulk); };

/// A cache and a loader over it. The n-th batch to end brings "k.n" for the key k.
class world {
    using map = std::unordered_map<int, load_result<std::string>>;

public:
    explicit world(basis kind, acache::cache_options options, acache::data_loader_options batching = {})
        : t(kind, options), loader(t.make(from.fn(), batching)) {
        from.answer = [this](int key) {
            return load_result<std::string>(std::to_string(key) + "." + std::to_string(from.ended));
        };
    }

    asio::awaitable<map> many(keys asked, acache::load_options options = {}) {
        return t.with_cache([&](auto& cache) { return cache.get_many_or_load(asked, from.fn(), options); });
    }
    asio::awaitable<std::string> one(way how, int key) { return ask(this, how, key); }

    /// Begins, and runs until nothing can run.
    template <class T>
    call<T> begin(asio::awaitable<T> work) {
        call<T> begun(t.context, std::move(work));
        settle();
        return begun;
    }
    call<std::string> begin(way how, int key) { return begin(one(how, key)); }
    std::string get(way how, int key) { return begin(how, key).value(); }
    void settle() { t.steps.run_until_idle(); }

    /// The keys are stored by one batch, and so old.
    void store(const keys& all, std::chrono::nanoseconds age) {
        (void)begin(loader.load_many(all));
        REQUIRE(stored(all.back()).has_value());
        manual_clock::advance(age);
    }
    void fail_with(std::exception_ptr failure) {
        from.failure = [failure] { return failure; };
    }
    template <class E>
    void fail_with(E failure) {
        fail_with(std::make_exception_ptr(failure));
    }
    void recover() {
        from.failure = [] { return std::exception_ptr(); };
    }
    /// What is stored, stale or not; uncounted.
    [[nodiscard]] std::optional<std::string> stored(int key) {
        const auto found = t.in_memory ? t.in_memory->backend().get(key) : t.store.peek(key);
        return found ? std::optional(found->value) : std::nullopt;
    }
    [[nodiscard]] std::size_t sent() const { return from.seen.size(); }
    void release() {
        from.release();
        settle();
    }

    setup t;
    source from;
    loader_type loader;

private:
    static asio::awaitable<std::string> ask(world* w, way how, int key) {
        if (how == way::load) {
            co_return co_await w->loader.load(key);
        }
        const keys only(1, key);
        if (how == way::load_many) {
            auto got = co_await w->loader.load_many(only);
            co_return std::move(got.front()).value();
        }
        auto got = co_await w->many(only);
        co_return std::move(got.at(key)).value();
    }
};

bool failed_with(const call<std::string>& ended, const std::string& text) {
    return ended.done() && ended.failed() && ended.what() == text;
}

// ---- stale_while_revalidate ------------------------------------------------------------------------------

TEST_CASE("C18 a stale key in a batch is served at once while it is refreshed") {
    world w(any_cache(), revalidating);
    const auto how = any_way();
    w.store({1}, 10s);
    w.from.hold();
    for (int n = 0; n != 5; ++n) {
        CHECK(w.get(how, 1) == "1.1");
    }
    CHECK(w.from.seen == batches{{1}, {1}});
    CHECK(w.t.metrics().in_flight == 1);
    w.release();
    CHECK(w.get(how, 1) == "1.2");
    const auto m = w.t.metrics();
    CHECK(m.stale_hits == 5);
    CHECK(m.hits == 1);
    CHECK(m.misses == 1);
    CHECK(m.coalesced == 0);
    CHECK(m.loads == 2);
    CHECK(m.refreshes == 1);
    CHECK(m.early_refreshes == 0);
    CHECK(m.in_flight == 0);
}

TEST_CASE("past its window a stale key of a batch is loaded anew") {
    world w(any_cache(), revalidating);
    w.store({1}, 30s);
    CHECK(w.get(any_way(), 1) == "1.2");
    CHECK(w.t.metrics().refreshes == 0);
    CHECK(w.t.metrics().misses == 2);
}

TEST_CASE("refreshes due in the same tick go out as one batch, with the misses") {
    const auto kind = any_cache();
    world w(kind, revalidating);
    w.store({1, 2}, 10s);
    w.from.hold();
    call first(w.t.context, w.loader.load(1));
    call missing(w.t.context, w.loader.load(3));
    call second(w.t.context, w.loader.load(2));
    call both(w.t.context, w.loader.load_many(keys{2, 4}));
    w.settle();
    CHECK(first.value() == "1.1");
    CHECK(second.value() == "2.1");
    CHECK_FALSE(missing.done());
    CHECK_FALSE(both.done());
    // What the backend does not answer at once it has answered before the batch is called.
    CHECK(w.from.seen.back() == (kind == basis::memory ? keys{1, 3, 2, 4} : keys{3, 4, 1, 2}));
    CHECK(w.sent() == 2);
    w.release();
    CHECK(missing.value() == "3.2");
    CHECK(*both.value()[0] == "2.1");
    CHECK(*both.value()[1] == "4.2");
    CHECK(w.stored(1) == "1.2");
    CHECK(w.stored(2) == "2.2");
    const auto m = w.t.metrics();
    CHECK(m.refreshes == 2);
    CHECK(m.loads == 6);
    CHECK(m.hits + m.stale_hits + m.misses + m.coalesced == 7);
}

TEST_CASE("refreshes due within a batch_window go out as one batch, with the misses") {
    const auto kind = any_cache();
    world w(kind, revalidating, {.batch_window = 10ms});
    call stored(w.t.context, w.loader.load_many(keys{1, 2}));
    w.settle();
    manual_clock::advance(10ms);
    w.settle();
    REQUIRE(stored.done());
    manual_clock::advance(10s);
    auto first = w.begin(way::load, 1);
    manual_clock::advance(5ms);
    auto missing = w.begin(way::load, 3);
    auto second = w.begin(way::load_many, 2);
    CHECK(first.done() == (kind == basis::memory)); // else nobody knows yet
    CHECK(w.sent() == 1);
    manual_clock::advance(5ms);
    w.settle();
    CHECK(w.sent() == 2);
    CHECK(w.from.seen.back().size() == 3);
    CHECK(first.value() == "1.1");
    CHECK(second.value() == "2.1");
    CHECK(missing.value() == "3.2");
    CHECK(w.stored(1) == "1.2");
}

TEST_CASE("a refresh fills a batch like any other key") {
    world w(basis::memory, revalidating, {.max_batch_size = 2});
    w.store({1, 2}, 10s);
    call all(w.t.context, w.loader.load_many(keys{1, 2, 3}));
    w.settle();
    CHECK(w.from.seen == batches{{1, 2}, {1, 2}, {3}});
}

TEST_CASE("get_many_or_load renews what is stale and loads what is missing in one batch, and waits for the "
          "latter alone") {
    const auto kind = any_cache();
    world w(kind, revalidating);
    w.store({1, 2}, 10s);
    w.from.hold();
    call some(w.t.context, w.many({1, 3, 2}));
    w.settle();
    CHECK_FALSE(some.done());
    CHECK(w.from.seen.back() == (kind == basis::memory ? keys{1, 3, 2} : keys{3, 1, 2}));
    CHECK(w.sent() == 2);
    w.release();
    CHECK(*some.value().at(1) == "1.1");
    CHECK(*some.value().at(2) == "2.1");
    CHECK(*some.value().at(3) == "3.2");
    CHECK(w.stored(1) == "1.2");
}

TEST_CASE("get_many_or_load does not wait for its batch where all its keys are answered") {
    world w(any_cache(), revalidating);
    w.store({1, 2}, 10s);
    w.from.hold();
    call all(w.t.context, w.many({1, 2}));
    w.settle();
    CHECK(all.done());
    CHECK(w.from.seen == batches{{1, 2}, {1, 2}});
    w.release();
    CHECK(w.stored(2) == "2.2");
    CHECK(w.t.metrics().stale_hits == 2);
}

TEST_CASE("who waits for a refresh that a batch makes is answered by it") {
    world w(any_cache(), {.ttl = 10s, .stale_while_revalidate = 20s, .stale_if_error = 40s});
    w.store({1}, 10s);
    w.from.hold();
    CHECK(w.get(way::load, 1) == "1.1");
    manual_clock::advance(20s); // past the window: no answer without a load any more
    auto late = w.begin(any_way(), 1);
    CHECK_FALSE(late.done());
    CHECK(w.sent() == 2);
    w.release();
    CHECK(late.value() == "1.2");
}

TEST_CASE("the windows of one get_many_or_load take the place of the cache's, and so does its ttl") {
    world w(any_cache(), revalidating);
    w.store({1}, 10s);
    call never(w.t.context, w.many({1}, {.ttl = 100s, .stale_while_revalidate = 0s}));
    w.settle();
    CHECK(*never.value().at(1) == "1.2");
    manual_clock::advance(99s);
    CHECK(w.get(way::bulk, 1) == "1.2");
    CHECK(w.t.metrics().hits == 1);
    CHECK(w.t.metrics().refreshes == 0);
}

// ---- early_refresh
// -----------------------------------------------------------------------------------------

TEST_CASE(
    "early refreshes go out in batches, one at a time a key, and are hits for those who come meanwhile") {
    world w(any_cache(), hasty);
    const auto how = any_way();
    w.from.meanwhile = [](keys) -> asio::awaitable<void> {
        manual_clock::advance(1s); // as long as it takes
        co_return;
    };
    w.store({1, 2}, 0s);
    w.from.hold();
    for (int n = 0; n != 5; ++n) {
        CHECK(w.get(how, 1) == "1.1");
    }
    CHECK(w.from.seen == batches{{1, 2}, {1}});
    auto m = w.t.metrics();
    CHECK(m.hits == 5);
    CHECK(m.misses == 2);
    CHECK(m.refreshes == 1);
    CHECK(m.early_refreshes == 1);
    w.release();
    CHECK(w.stored(1) == "1.2");
}

TEST_CASE("one draw a look-up decides whether a key is renewed early") {
    world w(any_cache(), {.ttl = 10s, .early_refresh = 1});
    const auto how = any_way();
    w.from.meanwhile = [](keys) -> asio::awaitable<void> {
        manual_clock::advance(1s);
        co_return;
    };
    keys all;
    for (int key = 0; key != 400; ++key) {
        all.push_back(key);
    }
    w.store(all, 9307ms); // one in two, that is, exp(-0.693)
    w.from.meanwhile = nullptr;
    acache::detail::random_source::here().seed(1);
    for (const int key : all) {
        (void)w.get(how, key);
    }
    CHECK(w.t.metrics().early_refreshes > 160);
    CHECK(w.t.metrics().early_refreshes < 240);
}

TEST_CASE("C20 an early refresh of a batch that failed is not tried again at once") {
    world w(any_cache(), hasty);
    const auto how = any_way();
    w.from.meanwhile = [](keys) -> asio::awaitable<void> {
        manual_clock::advance(100ms);
        co_return;
    };
    w.store({1}, 0s);
    w.fail_with(std::runtime_error("down"));
    for (int n = 0; n != 5; ++n) {
        CHECK(w.get(how, 1) == "1.1");
    }
    CHECK(w.sent() == 2);
    manual_clock::advance(1s);
    CHECK(w.get(how, 1) == "1.1");
    CHECK(w.sent() == 3);
}

TEST_CASE("without early_refresh nothing is renewed before its time") {
    world w(any_cache(), revalidating);
    w.from.meanwhile = [](keys) -> asio::awaitable<void> {
        manual_clock::advance(5s);
        co_return;
    };
    w.store({1}, 9999ms);
    CHECK(w.get(any_way(), 1) == "1.1");
    CHECK(w.sent() == 1);
}

// ---- Failures
// ------------------------------------------------------------------------------------------------

/// Makes the batches to come fail, as a whole or for their keys.
void break_down(world& w, bool as_a_whole, const std::exception_ptr& failure) {
    if (as_a_whole) {
        w.fail_with(failure);
    } else {
        w.from.answer = [failure](int) {
            return load_result<std::string>(boost::system::in_place_error, failure);
        };
    }
}

TEST_CASE("C20 a failed refresh in a batch keeps the old value and is not tried again at once") {
    world w(any_cache(), revalidating);
    const auto how = any_way();
    w.store({1}, 10s);
    break_down(w, GENERATE(true, false), std::make_exception_ptr(std::runtime_error("down")));
    for (int n = 0; n != 5; ++n) {
        CHECK(w.get(how, 1) == "1.1");
    }
    CHECK(w.sent() == 2);
    CHECK(w.t.metrics().refresh_failures == 1);
    CHECK(w.t.metrics().load_failures == 1);
    CHECK(w.t.metrics().stale_hits == 5);
    manual_clock::advance(1s);
    CHECK(w.get(how, 1) == "1.1");
    CHECK(w.sent() == 3);
    manual_clock::advance(1s); // held back for twice as long now, a quarter less at most
    CHECK(w.get(how, 1) == "1.1");
    CHECK(w.sent() == 3);
}

TEST_CASE("C20 a refresh in a batch that succeeds is the end of holding back") {
    world w(any_cache(), revalidating);
    w.store({1}, 10s);
    w.fail_with(std::runtime_error("down"));
    CHECK(w.get(way::load, 1) == "1.1");
    w.recover();
    manual_clock::advance(1s);
    call briefly(w.t.context, w.many({1}, {.ttl = 100ms}));
    w.settle();
    CHECK(w.stored(1) == "1.3");
    manual_clock::advance(100ms);
    w.fail_with(std::runtime_error("down"));
    CHECK(w.get(way::load, 1) == "1.3");
    CHECK(w.sent() == 4);
    manual_clock::advance(1s); // as after a first failure
    CHECK(w.get(way::load, 1) == "1.3");
    CHECK(w.sent() == 5);
}

TEST_CASE("C20 one key of a batch is held back, and the others are not") {
    world w(any_cache(), revalidating);
    w.store({1, 2}, 10s);
    auto works = w.from.answer;
    w.from.answer = [works](int key) { return key == 1 ? failed<std::string>("down") : works(key); };
    call both(w.t.context, w.loader.load_many(keys{1, 2}));
    w.settle();
    CHECK(w.stored(2) == "2.2");
    CHECK(w.t.metrics().refresh_failures == 1);
    manual_clock::advance(700ms);
    CHECK(w.get(way::bulk, 1) == "1.1");
    CHECK(w.sent() == 2);
}

TEST_CASE("stale_if_error: all who wait for a batch that fails get the stale value") {
    world w(any_cache(), forgiving);
    w.store({1}, 10s);
    break_down(w, GENERATE(true, false), std::make_exception_ptr(std::runtime_error("down")));
    w.from.hold();
    auto first = w.begin(any_way(), 1);
    auto second = w.begin(any_way(), 1);
    CHECK_FALSE(first.done());
    CHECK_FALSE(second.done());
    w.release();
    CHECK(first.value() == "1.1");
    CHECK(second.value() == "1.1");
    CHECK(w.sent() == 2);
    const auto m = w.t.metrics();
    CHECK(m.stale_on_error == 2);
    CHECK(m.misses == 2);
    CHECK(m.coalesced == 1);
    CHECK(m.load_failures == 1);
    CHECK(m.refresh_failures == 0);
}

TEST_CASE("stale_if_error: after its window the error of the batch is what callers get") {
    world w(any_cache(), forgiving);
    w.store({1}, 30s);
    w.fail_with(std::runtime_error("down"));
    CHECK(failed_with(w.begin(any_way(), 1), "down"));
    CHECK(w.t.metrics().stale_on_error == 0);
}

TEST_CASE("stale_if_error: while a key is held back its stale value is given without a batch") {
    world w(any_cache(), forgiving);
    const auto how = any_way();
    w.store({1}, 10s);
    w.fail_with(std::runtime_error("down"));
    CHECK(w.get(how, 1) == "1.1");
    CHECK(w.get(how, 1) == "1.1");
    CHECK(w.sent() == 2);
    CHECK(w.t.metrics().stale_hits == 1);
    w.recover();
    manual_clock::advance(1s);
    CHECK(w.get(how, 1) == "1.3");
}

TEST_CASE("stale_if_error: not found is an answer, which no stale value takes the place of") {
    world w(any_cache(), forgiving);
    w.store({1}, 10s);
    break_down(w, GENERATE(true, false),
               std::make_exception_ptr(boost::system::system_error(errc::not_found)));
    CHECK(w.begin(any_way(), 1).error() == errc::not_found);
}

TEST_CASE("stale_if_error: only keys with a stale value have it in place of the error") {
    world w(any_cache(), forgiving);
    w.store({1}, 10s);
    w.fail_with(std::runtime_error("down"));
    call both(w.t.context, w.loader.load_many(keys{1, 2}));
    w.settle();
    CHECK(*both.value()[0] == "1.1");
    CHECK(both.value()[1].has_error());
}

TEST_CASE("C06 a batch that times out gives the stale value, and is a failure") {
    auto options = forgiving;
    options.load_timeout = 1s;
    world w(any_cache(), options);
    const auto how = any_way();
    w.store({1}, 10s);
    w.from.hold();
    auto late = w.begin(how, 1);
    manual_clock::advance(1s);
    w.settle();
    CHECK(late.value() == "1.1");
    CHECK(w.t.metrics().stale_on_error == 1);
    CHECK(w.get(how, 1) == "1.1"); // held back
    CHECK(w.sent() == 2);
}

TEST_CASE("get_many_or_load that is refused for want of room gives the stale values") {
    auto options = forgiving;
    options.max_concurrent_loads = 1;
    options.max_queued_loads = 0;
    world w(basis::memory, options);
    w.store({1}, 10s);
    w.from.hold();
    call busy(w.t.context, w.many({2}));
    w.settle();
    CHECK(w.get(way::bulk, 1) == "1.1");
    w.release();
    CHECK(busy.done());
}

// ---- C19, C21: whose result, whose cancellation
// -------------------------------------------------------------

TEST_CASE("C19 a refresh in a batch is not stored when the entry it set out to replace has been replaced or "
          "is gone") {
    world w(any_cache(), revalidating);
    const bool replaced = GENERATE(true, false);
    w.store({1, 2}, 10s);
    w.from.hold();
    call both(w.t.context, w.loader.load_many(keys{1, 2}));
    w.settle();
    REQUIRE(both.done());
    const acache::entry<std::string> other("other", manual_clock::now());
    if (w.t.asynchronous()) {
        replaced ? w.t.store.plant(1, other) : (void)w.t.steps.run(w.t.store.erase(1));
    } else if (replaced) {
        w.t.in_memory->backend().set(1, other);
    } else {
        (void)w.t.in_memory->backend().erase(1);
    }
    w.release();
    CHECK(w.stored(1) == (replaced ? std::optional<std::string>("other") : std::nullopt));
    CHECK(w.stored(2) == "2.2");
}

TEST_CASE("C11 C13 an invalidation or a set while a refresh waits in the open batch, or runs, wins over it") {
    const auto kind = any_cache();
    world w(kind, revalidating, {.batch_window = kind == basis::memory ? 10ms : 0ms});
    const bool sets = GENERATE(true, false);
    call stored(w.t.context, w.loader.load(1));
    w.settle();
    manual_clock::advance(10s);
    w.settle();
    REQUIRE(stored.done());
    manual_clock::advance(10s);
    w.from.hold();
    CHECK(w.get(way::load, 1) == "1.1");
    w.t.with_cache([&](auto& cache) {
        if (sets) {
            w.t.steps.run(cache.set(1, "other"));
        } else {
            (void)w.t.steps.run(cache.invalidate(1));
        }
    });
    manual_clock::advance(10ms);
    w.settle();
    w.release();
    CHECK(w.stored(1) == (sets ? std::optional<std::string>("other") : std::nullopt));
    CHECK(w.t.metrics().in_flight == 0);
}

TEST_CASE("C21 who is cancelled gets no stale value in place of that, and nothing is held back") {
    world w(any_cache(), forgiving);
    const auto how = any_way();
    w.store({1}, 10s);
    w.from.hold();
    auto only = w.begin(how, 1);
    only.cancel();
    w.settle();
    CHECK(only.error() == asio::error::operation_aborted);
    CHECK(w.t.metrics().load_failures == 0);
    CHECK(w.t.metrics().stale_on_error == 0);
    w.from.let_pass();
    CHECK(w.get(how, 1) == "1.2");
}

TEST_CASE("C21 operation_aborted that a batch function throws unasked is a failure like any other") {
    world w(any_cache(), forgiving);
    w.store({1}, 10s);
    w.fail_with(boost::system::system_error(asio::error::operation_aborted));
    CHECK(w.get(any_way(), 1) == "1.1");
    CHECK(w.t.metrics().load_failures == 1);
    CHECK(w.t.metrics().stale_on_error == 1);
}

TEST_CASE("C21 a refresh that ends with its loader has not failed, and holds nothing back") {
    world w(any_cache(), revalidating);
    w.store({1}, 10s);
    w.from.hold();
    CHECK(w.get(way::load, 1) == "1.1");
    CHECK(w.sent() == 2);
    w.t.steps.run(w.loader.close());
    w.settle();
    CHECK(w.t.metrics().refresh_failures == 0);
    CHECK(w.t.metrics().in_flight == 0);
    w.from.let_pass();
    auto other = w.t.make(w.from.fn());
    CHECK(w.begin(other.load(1)).value() == "1.1");
    CHECK(w.sent() == 3);
    CHECK(w.stored(1) == "1.2");
}

TEST_CASE("C25 callers who leave take nothing from the refreshes of their batch") {
    world w(any_cache(), revalidating);
    w.store({1}, 10s);
    w.from.hold();
    call missing(w.t.context, w.loader.load(2));
    call stale(w.t.context, w.loader.load(1));
    if (GENERATE(true, false)) {
        w.settle(); // the batch runs
    } else {
        w.t.steps.run_for(2); // it is open
    }
    missing.cancel();
    w.settle();
    CHECK(missing.error() == asio::error::operation_aborted);
    CHECK(stale.value() == "1.1");
    CHECK(w.sent() == 2);
    w.release();
    CHECK(w.stored(1) == "1.2");
    CHECK_FALSE(w.stored(2));
}

// ---- Ends
// --------------------------------------------------------------------------------------------------

TEST_CASE("C10 a loader that closes with a refresh in its open batch does not send it, and one that drains "
          "does") {
    world w(basis::memory, revalidating, {.batch_window = 10ms});
    const bool drains = GENERATE(true, false);
    call stored(w.t.context, w.loader.load(1));
    w.settle();
    manual_clock::advance(10ms);
    w.settle();
    manual_clock::advance(10s);
    CHECK(w.get(way::load, 1) == "1.1");
    REQUIRE(w.sent() == 1);
    CHECK(w.t.metrics().in_flight == 1);
    call closing(w.t.context, drains ? w.loader.drain() : w.loader.close());
    w.settle();
    CHECK(closing.done());
    CHECK(w.t.metrics().in_flight == 0);
    CHECK(w.sent() == (drains ? 2U : 1U));
    CHECK(w.t.metrics().refresh_failures == 0);
    auto other = w.t.make(w.from.fn()); // the key is not taken by what never came
    CHECK(w.begin(other.load(1)).value() == (drains ? "1.2" : "1.1"));
    CHECK(w.stored(1) == "1.2");
}

TEST_CASE("C10 a cache that closes waits for no refresh in an open batch") {
    world w(basis::memory, revalidating, {.batch_window = 1h});
    w.t.with_cache([&](auto& cache) { w.t.steps.run(cache.set(1, "old")); });
    manual_clock::advance(10s);
    CHECK(w.get(way::load, 1) == "old");
    call closing(w.t.context, w.t.in_memory->close());
    w.settle();
    CHECK(closing.done());
    CHECK(w.sent() == 0);
}

TEST_CASE("C10 a loader destroyed with a refresh in its open batch leaves the key free") {
    world w(basis::memory, revalidating);
    w.t.with_cache([&](auto& cache) { w.t.steps.run(cache.set(1, "old")); });
    manual_clock::advance(10s);
    {
        auto gone = w.t.make(w.from.fn(), {.batch_window = 1h});
        CHECK(w.begin(gone.load(1)).value() == "old");
        CHECK(w.t.metrics().in_flight == 1);
    }
    w.settle();
    CHECK(w.t.metrics().in_flight == 0);
    CHECK(w.get(way::load, 1) == "old");
    CHECK(w.from.seen == batches{{1}});
    CHECK(w.stored(1) == "1.1");
}

// ---- max_age
// -------------------------------------------------------------------------------------------------

TEST_CASE("max_age has get_many_or_load load an older value anew, and serve a younger one") {
    world w(any_cache(), {.ttl = 100s});
    w.store({1, 2}, 5s);
    call within_5s(w.t.context, w.many({1, 2}, {.max_age = 5s}));
    w.settle();
    CHECK(*within_5s.value().at(1) == "1.1");
    call within_4s(w.t.context, w.many({1}, {.max_age = 4s}));
    w.settle();
    CHECK(*within_4s.value().at(1) == "1.2");
    CHECK(w.get(way::bulk, 1) == "1.2");
    CHECK(w.get(way::bulk, 2) == "2.1");
}

TEST_CASE("max_age keeps get_many_or_load from a stale value that is older, after an error too") {
    world w(any_cache(), {.ttl = 10s, .stale_while_revalidate = 20s, .stale_if_error = 20s});
    w.store({1}, 15s);
    call fails(w.t.context, w.many({1}, {.max_age = 12s}));
    w.fail_with(std::runtime_error("down"));
    w.settle();
    CHECK(fails.value().at(1).has_error());
    w.recover();
    call loads(w.t.context, w.many({1}, {.max_age = 12s}));
    w.settle();
    CHECK(*loads.value().at(1) == "1.3");
}

TEST_CASE("max_age has get_many_or_load join a load only if that began late enough") {
    world w(any_cache(), {.ttl = 100s});
    w.from.hold();
    auto first = w.begin(way::load, 1);
    manual_clock::advance(2s);
    call joins(w.t.context, w.many({1}, {.max_age = 2s}));
    w.settle();
    CHECK(w.sent() == 1);
    call loads(w.t.context, w.many({1, 1}, {.max_age = 1s})); // its own, and once
    w.settle();
    CHECK(w.from.seen == batches{{1}, {1}});
    w.release();
    CHECK(first.value() == "1.1");
    CHECK(*joins.value().at(1) == "1.1");
    CHECK(*loads.value().at(1) == "1.2");
    CHECK(w.stored(1) == "1.2");
}

TEST_CASE("max_age: what a joined batch found in the backend, and is too old, is loaded after all") {
    world w(basis::scripted, {.ttl = 100s});
    w.store({1}, 5s);
    w.t.script.hold(op::get_many);
    auto first = w.begin(way::load, 1);
    call particular(w.t.context, w.many({2, 1, 3}, {.max_age = 1s}));
    w.settle();
    w.t.script.let_pass(op::get_many);
    w.t.script.release_all();
    w.settle();
    CHECK(first.value() == "1.1");
    CHECK(*particular.value().at(1) == "1.3");
    CHECK(*particular.value().at(2) == "2.2");
    CHECK(w.from.seen == batches{{1}, {2, 3}, {1}});
    const auto m = w.t.metrics();
    CHECK(m.misses == 3);
    CHECK(m.hits == 1);
    CHECK(m.coalesced == 1);
}

// ---- soft_timeout
// ----------------------------------------------------------------------------------------------

TEST_CASE(
    "a load of a DataLoader that could have a stale value gets it after the soft timeout, and the batch "
    "goes on") {
    auto options = forgiving;
    options.soft_timeout = 1s;
    world w(any_cache(), options);
    w.store({1}, 10s);
    w.from.hold();
    auto first = w.begin(way::load, 1);
    auto without = w.begin(way::load, 2);
    manual_clock::advance(500ms);
    auto second = w.begin(way::load, 1);
    CHECK_FALSE(first.done());
    manual_clock::advance(500ms);
    w.settle();
    CHECK(first.value() == "1.1");
    CHECK_FALSE(second.done());
    second.cancel();
    without.cancel();
    w.settle();
    CHECK(second.error() == asio::error::operation_aborted);
    w.release(); // who had the stale value still wants the new one stored
    CHECK(w.stored(1) == "1.2");
    CHECK(w.t.metrics().soft_timeouts == 1);
    CHECK(w.t.metrics().in_flight == 0);
}

TEST_CASE("a load of a DataLoader with a soft timeout that comes in time, or fails, ends as without") {
    auto options = forgiving;
    options.soft_timeout = 1s;
    world w(any_cache(), options);
    w.store({1}, 10s);
    CHECK(w.get(way::load, 1) == "1.2");
    CHECK(w.get(way::load, 1) == "1.2");
    manual_clock::advance(10s);
    w.fail_with(std::runtime_error("down"));
    CHECK(w.get(way::load, 1) == "1.2");
    CHECK(failed_with(w.begin(way::load, 2), "down"));
    const auto m = w.t.metrics();
    CHECK(m.soft_timeouts == 0);
    CHECK(m.stale_on_error == 1);
    CHECK(m.hits == 1);
}

// ---- Backends of other kinds
// -----------------------------------------------------------------------------------

/// A remote store that reads one key at a time, and may have a part of it at hand.
template <bool has_some_here>
class other_backend {
    using inner = kit::scripted_backend<int, std::string>;
    using found = std::optional<acache::entry<std::string>>;

public:
    using clock_type = inner::clock_type;
    using hasher = inner::hasher;
    using key_equal = inner::key_equal;

    asio::awaitable<found> get(const int& key) { return all.get(key); }
    asio::awaitable<void> set(const int& key, acache::entry<std::string> e) {
        if (has_some_here && key % 2 == 0) {
            here.plant(key, e);
        }
        return all.set(key, std::move(e));
    }
    asio::awaitable<bool> erase(const int& key) { return all.erase(key); }
    asio::awaitable<void> clear() { return all.clear(); }
    acache::local_answer<std::string> try_get(const int& key)
        requires(has_some_here)
    {
        auto known = here.peek(key);
        return known ? acache::local_answer<std::string>::here(std::move(*known))
                     : acache::local_answer<std::string>::unknown();
    }

    inner all;
    inner here;
};

/// Stale keys 1 and 2 and missing ones, of a loader and of a bulk get, over such a backend.
template <class Backend>
void check_over(Backend store) {
    manual_clock::reset();
    asio::io_context context;
    kit::stepper steps(context);
    source from;
    from.answer = [&](int key) {
        return load_result<std::string>(std::to_string(key) + "." + std::to_string(from.ended));
    };
    acache::async_cache<int, std::string, Backend> cache(context, store, revalidating);
    acache::DataLoader loader(cache, from.fn());
    (void)steps.run(loader.load_many(keys{1, 2}));
    manual_clock::advance(10s);
    from.hold();
    call some(context, loader.load_many(keys{1, 2}));
    call missing(context, loader.load(3));
    steps.run_until_idle();
    CHECK(*some.value()[0] == "1.1");
    CHECK(*some.value()[1] == "2.1");
    CHECK_FALSE(missing.done());
    CHECK(from.seen.size() == 2);
    CHECK(from.seen.back().size() == 3);
    from.release();
    steps.run_until_idle();
    CHECK(missing.value() == "3.2");
    CHECK(store.all.peek(1)->value == "1.2");
    CHECK(store.all.peek(2)->value == "2.2");
    manual_clock::advance(10s);
    CHECK(*steps.run(cache.get_many_or_load(keys{1, 2}, from.fn())).at(2) == "2.2");
    steps.run_until_idle();
    CHECK(store.all.peek(1)->value == "1.3");
    CHECK(store.all.peek(2)->value == "2.3");
    const auto m = cache.metrics();
    CHECK(m.stale_hits == 4);
    CHECK(m.misses == 3);
    CHECK(m.hits + m.coalesced == 0);
    CHECK(m.refreshes == 4);
    CHECK(m.in_flight == 0);
}

TEST_CASE("stale keys of a batch are renewed over a backend that reads one key at a time") {
    check_over(other_backend<false>());
}
TEST_CASE("stale keys of a batch are renewed over a backend that has some of them at hand") {
    check_over(other_backend<true>());
}

// ---- Lifetimes
// -----------------------------------------------------------------------------------------------

/// All that a scenario is about, so that its parts can go in any order.
struct parts {
    using scripted = kit::scripted_backend<int, std::string>;

    parts(bool remotely, acache::data_loader_options batching) {
        manual_clock::reset();
        acache::cache_options options = revalidating;
        options.stale_if_error = 40s;
        options.soft_timeout = 1s;
        if (remotely) {
            remote.emplace(*context, scripted(), options);
            loader.emplace(*remote, fn(), batching);
        } else {
            in_memory.emplace(*context, options);
            loader.emplace(*in_memory, fn(), batching);
        }
    }

    std::optional<asio::io_context> context{std::in_place};
    kit::stepper steps{*context};
    std::optional<acache::async_cache<int, std::string, kit::manual_backend<int, std::string>>> in_memory;
    std::optional<acache::async_cache<int, std::string, scripted>> remote;
    std::optional<loader_type> loader;
    std::shared_ptr<int> frames = std::make_shared<int>(0); // as many owners as there are frames, and one

    struct frame {
        std::shared_ptr<int> alive;
    };

    void spawn(asio::awaitable<void> work) {
        asio::co_spawn(*context, std::move(work), [](const std::exception_ptr&) {});
    }
    asio::awaitable<void> load(int key) {
        const frame here{frames};
        (void)co_await loader->load(key);
    }
    asio::awaitable<void> load_many(keys ids) {
        const frame here{frames};
        (void)co_await loader->load_many(ids);
    }
    asio::awaitable<void> bulk(keys ids) {
        return remote ? await(frames, remote->get_many_or_load(ids, fn()))
                      : await(frames, in_memory->get_many_or_load(ids, fn()));
    }
    template <class T>
    static asio::awaitable<void> await(std::shared_ptr<int> count, asio::awaitable<T> work) {
        const frame here{std::move(count)};
        (void)co_await std::move(work);
    }
    /// Every batch suspends twice.
    [[nodiscard]] std::function<asio::awaitable<std::vector<std::string>>(keys)> fn() {
        return [this](keys ids) { return batch(frames, std::move(ids)); };
    }
    static asio::awaitable<std::vector<std::string>> batch(std::shared_ptr<int> count, keys ids) {
        const auto executor = co_await asio::this_coro::executor;
        const frame here{std::move(count)};
        co_await asio::post(executor, asio::use_awaitable);
        co_await asio::post(executor, asio::use_awaitable);
        co_return std::vector<std::string>(ids.size(), "value");
    }
};

enum class ending { context_first, loader_first, cache_first, drained };

TEST_CASE("refreshes in batches: context, cache or loader may go at any handler") {
    const bool remotely = GENERATE(false, true);
    const auto how =
        GENERATE(ending::context_first, ending::loader_first, ending::cache_first, ending::drained);
    const auto window = GENERATE(0ms, 1ms);
    CAPTURE(remotely, static_cast<int>(how), window.count());
    std::size_t n = 0;
    for (bool complete = false; !complete; ++n) {
        CAPTURE(n);
        REQUIRE(n < 2000);
        std::weak_ptr<int> frames;
        {
            parts p(remotely, {.batch_window = window});
            frames = p.frames;
            p.spawn(p.load_many({1, 2, 3}));
            p.steps.run_until_idle();
            manual_clock::advance(1ms);
            p.steps.run_until_idle();
            manual_clock::advance(10s);
            p.spawn(p.load(1));
            p.spawn(p.load_many({2, 4}));
            p.spawn(p.bulk({3, 5}));
            for (std::size_t i = 0; i != n && !complete; ++i) {
                if (i == 4 || i == 8) {
                    manual_clock::advance(1ms);
                }
                complete = !p.steps.step();
            }
            switch (how) {
            case ending::context_first:
                p.context.reset();
                CHECK(p.frames.use_count() == 1);
                break;
            case ending::loader_first:
                p.loader.reset();
                p.context.reset();
                break;
            case ending::cache_first:
                p.in_memory.reset();
                p.remote.reset();
                p.context.reset();
                break;
            case ending::drained: // the frames end by themselves
                p.in_memory.reset();
                p.remote.reset();
                p.steps.run_until_idle();
                break;
            }
        }
        CHECK(frames.expired());
    }
    CHECK(n > 10);
}

TEST_CASE("the values of one batch do not expire together where ttl_jitter says so") {
    auto options = revalidating;
    options.ttl_jitter = 0.5;
    world w(any_cache(), options);
    keys all;
    for (int key = 0; key != 40; ++key) {
        all.push_back(key);
    }
    w.store(all, 7500ms);
    std::size_t fresh = 0;
    for (const int key : all) {
        const auto get = [&](auto& cache) { return cache.get(key); };
        fresh += w.begin(w.t.with_cache(get)).value() ? 1 : 0;
    }
    CHECK(fresh > 0);
    CHECK(fresh < all.size());
}

TEST_CASE("C20 a batch that fails as a whole with not_found says nothing of its keys, and holds them back") {
    auto options = revalidating;
    options.refresh_backoff = 8s;
    world w(any_cache(), options);
    w.store({1}, 10s);
    w.fail_with(std::make_exception_ptr(boost::system::system_error(acache::errc::not_found)));
    CHECK(w.get(way::load, 1) == "1.1");
    const auto batches = w.sent();
    CHECK(w.get(way::load, 1) == "1.1");
    CHECK(w.sent() == batches);
}

TEST_CASE("a key that a batch does not find goes from the store, though it was fresh for others") {
    world w(any_cache(), {.ttl = 10s});
    w.store({1}, 2s);
    w.from.answer = [](int) {
        return load_result<std::string>(
            boost::system::in_place_error,
            std::make_exception_ptr(boost::system::system_error(acache::errc::not_found)));
    };
    auto found = w.begin(w.many({1}, {.max_age = 1s}));
    CHECK(found.value().at(1).has_error());
    CHECK(!w.stored(1));
}

} // namespace
