// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <array>
#include <vector>

// How callers share loads: contract C01 to C07 and C09.

namespace {

using namespace setup;

TEMPLATE_TEST_CASE("C01 concurrent misses on one key start one load, and all get its result", "", over_memory,
                   over_script) {
    world<TestType> w;
    w.src.hold();
    std::vector<caller<int>> callers;
    for (int i = 0; i != 100; ++i) {
        callers.push_back(w.begin(w.get_or_load("a")));
    }
    w.settle();
    CHECK(w.src.starts() == 1);
    CHECK(w.cache->metrics().in_flight == 1);
    w.src.release_all();
    w.settle();
    for (const auto& c : callers) {
        CHECK(c.value() == 1);
    }
    const auto m = w.cache->metrics();
    CHECK(w.src.starts() == 1);
    CHECK(m.loads == 1);
    CHECK(m.misses == 1);
    CHECK(m.coalesced == 99);
    CHECK(m.hits == 0);
    CHECK(m.in_flight == 0);
}

TEMPLATE_TEST_CASE("C01 different keys never wait for each other", "", over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    const auto slow = w.call(w.get_or_load("slow"));
    w.src.let_pass();
    for (int i = 0; i != 300; ++i) {
        CHECK_NOTHROW(w.steps.run(w.get_or_load(std::to_string(i))));
    }
    CHECK_FALSE(slow.done());
    w.src.release_all();
    w.settle();
    CHECK(slow.value() == 1);
}

TEMPLATE_TEST_CASE("C02 a failed load fails every caller of that flight once, and nothing is stored", "",
                   over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    w.src.fail_next(std::out_of_range("the source is down"));
    std::vector<caller<int>> callers;
    for (int i = 0; i != 5; ++i) {
        callers.push_back(w.begin(w.get_or_load("a")));
    }
    w.settle();
    w.src.let_pass();
    w.src.release_all();
    w.settle();
    for (const auto& c : callers) {
        REQUIRE(c.done());
        CHECK(c.what() == "the source is down");
    }
    CHECK(w.src.starts() == 1);
    CHECK(w.cache->metrics().load_failures == 1);
    CHECK(w.get("a") == std::nullopt);
    CHECK(w.steps.run(w.get_or_load("a")) == 2);
}

struct refusal {
    int reason;
};

TEMPLATE_TEST_CASE("C02 a loader's exception arrives as it was thrown, whatever its type", "", over_memory,
                   over_script) {
    world<TestType> w;
    w.src.fail_next(refusal{42});
    int reason = 0;
    try {
        w.steps.run(w.get_or_load("a"));
    } catch (const refusal& r) {
        reason = r.reason;
    }
    CHECK(reason == 42);
}

TEMPLATE_TEST_CASE("C03 the first caller leaves and its frame dies, and the second still gets the value", "",
                   over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    const auto token = std::make_shared<std::string>("what the loader captured, on the heap");
    std::string seen;
    std::optional<caller<int>> first(w.begin([](auto& in, auto t, std::string& into) -> asio::awaitable<int> {
        // Key and loader live in this frame, which is gone when the load goes on.
        const std::string key(100, 'k');
        auto loader = [t, &into, src = in.src](const std::string& k) -> asio::awaitable<int> {
            const int n = co_await src(k);
            into = *t + k;
            co_return n;
        };
        co_return co_await in.cache->get_or_load(key, loader);
    }(w, token, seen)));
    w.settle();
    const auto second = w.call(w.get_or_load(std::string(100, 'k')));
    CHECK(token.use_count() == 4); // two in the frame, one in the flight

    first->leave();
    w.settle();
    CHECK(first->code() == asio::error::operation_aborted);
    first.reset();
    CHECK(token.use_count() == 2);
    CHECK_FALSE(second.done());
    CHECK(w.src.starts() == 1);
    CHECK(w.src.given_up() == 0);

    w.src.release_all();
    w.settle();
    CHECK(second.value() == 1);
    CHECK(seen == *token + std::string(100, 'k'));
    CHECK(token.use_count() == 1);
}

TEMPLATE_TEST_CASE("C03 a cancelled caller gets operation_aborted at once, and the rest get the value", "",
                   over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    std::vector<caller<int>> callers;
    for (int i = 0; i != 5; ++i) {
        callers.push_back(w.begin(w.get_or_load("a")));
    }
    w.settle();
    for (const std::size_t i : {std::size_t(0), std::size_t(2), std::size_t(4)}) {
        callers[i].leave();
        w.settle();
        CHECK(callers[i].code() == asio::error::operation_aborted);
    }
    w.src.release_all();
    w.settle();
    CHECK(callers[1].value() == 1);
    CHECK(callers[3].value() == 1);
    CHECK(w.src.starts() == 1);
}

TEMPLATE_TEST_CASE("C03 a caller whose context is destroyed disturbs nobody", "", over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    std::optional<caller<int>> second;
    {
        asio::io_context other;
        const caller<int> first(other.get_executor(), w.get_or_load("a"));
        other.poll();
        second = w.call(w.get_or_load("a"));
        CHECK(w.src.starts() == 1);
    }
    w.settle();
    w.src.release_all();
    w.settle();
    CHECK(second->value() == 1);
}

TEMPLATE_TEST_CASE("C04 a caller who comes while the last one leaves is not told operation_aborted", "",
                   over_memory, over_script) {
    // The load's cancellation is on its way when the second caller comes, one handler later each round.
    bool began_anew = false;
    for (std::size_t handlers = 0; handlers != 8; ++handlers) {
        world<TestType> w;
        w.src.hold();
        const auto first = w.call(w.get_or_load("a"));
        first.leave();
        w.steps.run_for(handlers);
        const auto second = w.call(w.get_or_load("a"));
        CHECK(first.code() == asio::error::operation_aborted);
        CHECK_FALSE(second.done());
        w.src.release_all();
        w.settle();
        CHECK(second.value() == w.src.starts());
        CHECK(w.src.given_up() == w.src.starts() - 1);
        began_anew |= w.src.starts() == 2;
    }
    CHECK(began_anew);
}

TEMPLATE_TEST_CASE("C04 callers see no operation_aborted that close means for their load", "", over_memory,
                   over_script) {
    world<TestType> w;
    w.src.hold();
    const auto a = w.call(w.get_or_load("a"));
    const auto b = w.call(w.get_or_load("a"));
    const auto closing = w.call(w.cache->close());
    CHECK(a.code() == errc::closed);
    CHECK(b.code() == errc::closed);
    CHECK(w.src.given_up() == 1);
    CHECK(closing.done());
}

TEMPLATE_TEST_CASE("C05 when the last caller leaves, the load is cancelled and nobody joins it again", "",
                   over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    const auto first = w.call(w.get_or_load("a"));
    const auto second = w.call(w.get_or_load("a"));
    first.leave();
    w.settle();
    CHECK(w.src.given_up() == 0);
    second.leave();
    w.settle();
    CHECK(w.src.given_up() == 1);
    const auto m = w.cache->metrics();
    CHECK(m.in_flight == 0);
    CHECK(m.load_failures == 0);
    const auto third = w.call(w.get_or_load("a"));
    CHECK(w.src.starts() == 2);
    w.src.release_all();
    w.settle();
    CHECK(third.value() == 2);
}

TEMPLATE_TEST_CASE("C05 a load that goes on in spite of its cancellation is not joined, and stores nothing",
                   "", over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    w.src.ignore_cancellation();
    const auto first = w.call(w.get_or_load("a"));
    first.leave();
    w.settle();
    CHECK(first.done());
    const auto second = w.call(w.get_or_load("a"));
    CHECK(w.src.starts() == 2);
    w.src.release_one();
    w.settle();
    CHECK_FALSE(second.done());
    CHECK(w.get("a") == std::nullopt);
    w.src.release_one();
    w.settle();
    CHECK(second.value() == 2);
    CHECK(w.get("a") == 2);
}

TEMPLATE_TEST_CASE("C05 with finish_abandoned_loads a load that all have left can be joined, and stores", "",
                   over_memory, over_script) {
    world<TestType> w({.finish_abandoned_loads = true});
    w.src.hold();
    const auto first = w.call(w.get_or_load("a"));
    const auto other = w.call(w.get_or_load("b"));
    first.leave();
    other.leave();
    w.settle();
    CHECK(first.code() == asio::error::operation_aborted);
    CHECK(w.src.given_up() == 0);
    const auto second = w.call(w.get_or_load("a"));
    CHECK(w.src.starts() == 2);
    w.src.release_all();
    w.settle();
    CHECK(second.value() == 1);
    CHECK(w.get("a") == 1);
    CHECK(w.get("b") == 2);
}

TEMPLATE_TEST_CASE("C05 with finish_abandoned_loads a fenced load that all have left is still cancelled", "",
                   over_memory, over_script) {
    world<TestType> w({.finish_abandoned_loads = true});
    w.src.hold();
    const auto first = w.call(w.get_or_load("a"));
    w.steps.run(w.cache->invalidate("a"));
    CHECK(w.src.given_up() == 0);
    first.leave();
    w.settle();
    CHECK(w.src.given_up() == 1);
}

TEMPLATE_TEST_CASE("C05 a refresh and a warm-up are interested parties", "", over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    const std::vector<std::string> keys{"a"};
    const bool by_warmup = GENERATE(false, true);
    const auto make = [&]() -> asio::awaitable<void> {
        if (by_warmup) {
            (void)co_await w.cache->warmup(keys, w.src);
        } else {
            (void)co_await w.cache->refresh("a", w.src);
        }
    };
    const auto first = w.call(make());
    const auto joined = w.call(w.get_or_load("a"));
    joined.leave();
    w.settle();
    CHECK(joined.done());
    CHECK(w.src.given_up() == 0);
    first.leave();
    w.settle();
    CHECK(first.code() == asio::error::operation_aborted);
    CHECK(w.src.given_up() == 1);
}

TEMPLATE_TEST_CASE("C06 load_timeout ends the flight for all, and frees the key", "", over_memory,
                   over_script) {
    world<TestType> w({.load_timeout = 5s});
    w.src.hold();
    const auto first = w.call(w.get_or_load("a"));
    const auto second = w.call(w.get_or_load("a"));
    manual_clock::advance(5s - 1ns);
    w.settle();
    CHECK_FALSE(first.done());
    manual_clock::advance(1ns);
    w.settle();
    CHECK(first.code() == errc::load_timeout);
    CHECK(second.code() == errc::load_timeout);
    CHECK(w.src.given_up() == 1);
    CHECK(w.cache->metrics().load_failures == 1);
    w.src.let_pass();
    CHECK(w.steps.run(w.get_or_load("a")) == 2);
}

TEMPLATE_TEST_CASE("C06 the late result of a load that has timed out is discarded", "", over_memory,
                   over_script) {
    world<TestType> w({.load_timeout = 5s});
    w.src.hold();
    w.src.ignore_cancellation();
    const auto first = w.call(w.get_or_load("a"));
    manual_clock::advance(5s);
    w.settle();
    CHECK(first.code() == errc::load_timeout);
    w.src.release_all();
    w.settle();
    CHECK(w.get("a") == std::nullopt);
    const auto m = w.cache->metrics();
    CHECK(m.load_failures == 1);
    CHECK(m.in_flight == 0);
}

TEMPLATE_TEST_CASE("C06 a load that has timed out counts against the cap, and for close, until it has ended",
                   "", over_memory, over_script) {
    world<TestType> w({.load_timeout = 5s, .max_concurrent_loads = 1});
    w.src.hold();
    w.src.ignore_cancellation();
    const auto first = w.call(w.get_or_load("a"));
    manual_clock::advance(5s);
    w.settle();
    REQUIRE(first.done());
    const auto second = w.call(w.get_or_load("b"));
    CHECK(w.src.starts() == 1);
    w.src.release_one();
    w.settle();
    CHECK(w.src.starts() == 2);
    manual_clock::advance(5s);
    w.settle();
    CHECK(second.code() == errc::load_timeout);
    const auto closing = w.call(w.cache->close());
    CHECK_FALSE(closing.done());
    w.src.release_one();
    w.settle();
    CHECK(closing.done());
}

TEMPLATE_TEST_CASE("C06 a load's own timeout takes the place of the cache's, and begins when the load runs",
                   "", over_memory, over_script) {
    world<TestType> w({.load_timeout = 5s, .max_concurrent_loads = 1});
    w.src.hold();
    const auto running = w.call(w.cache->get_or_load("a", w.src, {.load_timeout = 20s}));
    const auto queued = w.call(w.get_or_load("b"));
    manual_clock::advance(10s);
    w.settle();
    CHECK_FALSE(running.done());
    CHECK_FALSE(queued.done());
    w.src.release_one();
    w.settle();
    CHECK(running.value() == 1);
    manual_clock::advance(5s);
    w.settle();
    CHECK(queued.code() == errc::load_timeout);
}

TEMPLATE_TEST_CASE("C07 a caller that gets again at once hits", "", over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    std::vector<caller<acache::lookup_source>> callers;
    for (int i = 0; i != 10; ++i) {
        callers.push_back(w.call([](auto& in) -> asio::awaitable<acache::lookup_source> {
            (void)co_await in.get_or_load("a");
            const auto again = co_await in.cache->lookup("a", in.src);
            co_return again.source;
        }(w)));
    }
    w.src.release_all();
    w.settle();
    for (const auto& c : callers) {
        // Over a backend that is asked asynchronously, those who ask together share one reading flight.
        CHECK((c.value() == acache::lookup_source::hit ||
               (TestType::remote && c.value() == acache::lookup_source::joined)));
    }
    CHECK(w.src.starts() == 1);
}

TEMPLATE_TEST_CASE("C07 a caller that invalidates and gets again at once starts a new load", "", over_memory,
                   over_script) {
    world<TestType> w;
    const auto again = w.call([](auto& in) -> asio::awaitable<int> {
        const int first = co_await in.get_or_load("a");
        const bool was_there = co_await in.cache->invalidate("a");
        const int second = co_await in.get_or_load("a");
        co_return was_there ? first * 10 + second : 0;
    }(w));
    CHECK(again.value() == 12);
}

TEMPLATE_TEST_CASE("C07 callers are resumed by post, each on its own executor", "", over_memory,
                   over_script) {
    world<TestType> w;
    w.src.hold();
    asio::io_context other;
    const auto strand = asio::make_strand(other);
    const auto mine = [&](auto on) -> asio::awaitable<bool> {
        const int value = co_await w.get_or_load("a");
        co_return value == 1 && on.running_in_this_thread();
    };
    const caller<bool> here(w.context.get_executor(), mine(w.context.get_executor()));
    w.settle();
    const caller<bool> there(strand, mine(strand));
    other.poll();
    w.src.release_all();
    w.settle();
    CHECK(here.value());
    CHECK_FALSE(there.done());
    CHECK(w.get("a") == 1);
    other.restart();
    other.poll();
    CHECK(there.value());
}

TEMPLATE_TEST_CASE("C09 a load that asks for its own key gets recursive_load at once", "", over_memory,
                   over_script) {
    world<TestType> w;
    const auto again = [&](const std::string& key) -> asio::awaitable<int> { return w.get_or_load(key); };
    const auto in_child = [&](const std::string& key) -> asio::awaitable<int> {
        // A child coroutine, after a suspension.
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        co_return co_await again(key);
    };
    const bool child = GENERATE(false, true);
    const auto c =
        child ? w.call(w.cache->get_or_load("a", in_child)) : w.call(w.cache->get_or_load("a", again));
    CHECK(c.code() == errc::recursive_load);
    CHECK(w.cache->metrics().in_flight == 0);
    CHECK(w.steps.run(w.get_or_load("a")) == 1);
}

TEMPLATE_TEST_CASE("C09 a load may go on when it was told that it is recursive", "", over_memory,
                   over_script) {
    world<TestType> w;
    const auto careful = [&](const std::string& key) -> asio::awaitable<int> {
        try {
            co_return co_await w.get_or_load(key);
        } catch (const boost::system::system_error& e) {
            co_return e.code() == errc::recursive_load ? -1 : -2;
        }
    };
    CHECK(w.steps.run(w.cache->get_or_load("a", careful)) == -1);
    CHECK(w.get("a") == -1);
}

TEMPLATE_TEST_CASE("C09 a load that waits for itself through other keys and caches gets recursive_load", "",
                   over_memory, over_script) {
    world<TestType> w;
    world<TestType> v;
    typename world<TestType>::cache_type second = [&] {
        if constexpr (TestType::remote) {
            return typename world<TestType>::cache_type(w.context, *v.store);
        } else {
            return typename world<TestType>::cache_type(w.context);
        }
    }();
    std::function<asio::awaitable<int>(std::string)> follow = [&](std::string key) -> asio::awaitable<int> {
        if (key == "a") {
            co_return co_await w.cache->get_or_load("b", follow);
        }
        if (key == "b") {
            co_return co_await second.get_or_load("a'", follow);
        }
        co_return co_await w.cache->get_or_load("a", follow);
    };
    CHECK(w.call(w.cache->get_or_load("a", follow)).code() == errc::recursive_load);
    CHECK(w.cache->metrics().in_flight == 0);
    CHECK(second.metrics().in_flight == 0);
}

TEMPLATE_TEST_CASE("C09 two loads begun apart that then wait for each other are told", "", over_memory,
                   over_script) {
    world<TestType> w;
    source gate;
    gate.hold();
    const auto ask_for = [&](std::string other) {
        return [&w, gate, other](const std::string& key) -> asio::awaitable<int> {
            (void)co_await gate(key);
            co_return co_await w.get_or_load(other);
        };
    };
    const auto ask_b = ask_for("b");
    const auto ask_a = ask_for("a");
    const auto a = w.call(w.cache->get_or_load("a", ask_b));
    const auto b = w.call(w.cache->get_or_load("b", ask_a));
    CHECK(gate.parked() == 2);
    gate.release_all();
    w.settle();
    CHECK(a.code() == errc::recursive_load);
    CHECK(b.code() == errc::recursive_load);
}

TEMPLATE_TEST_CASE("C09 loads that meet at one key, or have the same key in two caches, are not recursive",
                   "", over_memory, over_script) {
    world<TestType> w;
    w.src.hold();
    const auto ask_d = [&](const std::string&) -> asio::awaitable<int> { return w.get_or_load("d"); };
    const auto ask_both = [&](const std::string&) -> asio::awaitable<int> {
        const int b = co_await w.cache->get_or_load("b", ask_d);
        const int c = co_await w.cache->get_or_load("c", ask_d);
        co_return b + c;
    };
    const auto a = w.call(w.cache->get_or_load("a", ask_both));
    const auto c = w.call(w.cache->get_or_load("c", ask_d));
    w.src.release_all();
    w.settle();
    CHECK(a.value() == 2);
    CHECK(c.value() == 1);

    world<over_memory> other;
    acache::async_cache<std::string, int, world<over_memory>::backend_type> second(w.context);
    const auto same_key = [&](const std::string& key) -> asio::awaitable<int> {
        const int n = co_await second.get_or_load(key, w.src);
        co_return n * 10;
    };
    w.src.let_pass();
    CHECK(w.steps.run(w.cache->get_or_load("e", same_key)) == 20);
}

TEMPLATE_TEST_CASE("C09 bulk look-ups, warm-ups and wrapped functions inside a load are seen through", "",
                   over_memory, over_script) {
    world<TestType> w;
    const std::vector<std::string> keys{"x", "a"};
    const auto batch = [&](std::vector<std::string> missing) -> asio::awaitable<std::vector<int>> {
        co_return std::vector<int>(missing.size(), 1);
    };
    const auto bulk = [&](const std::string&) -> asio::awaitable<int> {
        auto found = co_await w.cache->get_many_or_load(keys, batch);
        co_return found.at("a").value();
    };
    CHECK(w.call(w.cache->get_or_load("a", bulk)).code() == errc::recursive_load);

    std::function<asio::awaitable<int>(int)> self;
    auto wrapped = w.cache->cached("w:{}", [&](int n) -> asio::awaitable<int> { return self(n); });
    self = [&](int n) -> asio::awaitable<int> { return wrapped(n == 3 ? 1 : n + 1); };
    CHECK(w.call(wrapped(1)).code() == errc::recursive_load);
    CHECK(w.cache->metrics().in_flight == 0);
}

} // namespace
