// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "data_loader_setups.hpp"

#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <forward_list>
#include <limits>
#include <map>
#include <ranges>
#include <set>
#include <string_view>
#include <unordered_map>

namespace {

using namespace loader_tests;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("A loader over a cache deduces K, V and the clock from it") {
    asio::io_context context;
    kit::stepper steps(context);
    acache::async_cache<std::string, int> cache{context};
    acache::DataLoader loader{cache,
                              [](std::span<const std::string> names) -> asio::awaitable<std::vector<int>> {
                                  std::vector<int> out;
                                  for (const auto& name : names) {
                                      out.push_back(static_cast<int>(name.size()));
                                  }
                                  co_return out;
                              }};
    static_assert(std::is_same_v<decltype(loader), acache::DataLoader<std::string, int>>);
    static_assert(std::is_same_v<decltype(loader)::key_type, std::string>);
    static_assert(std::is_same_v<decltype(loader)::mapped_type, int>);
    CHECK(steps.run(loader.load("three")) == 5);

    setup by_hand(basis::scripted);
    source from;
    acache::DataLoader other{*by_hand.remote, from.fn(), {.max_batch_size = 2}};
    static_assert(std::is_same_v<decltype(other), acache::DataLoader<int, std::string, kit::manual_clock>>);
}

TEST_CASE("A loader is made on a context, on an executor, or on a strand, and says which") {
    asio::io_context context;
    source from;
    using loader = acache::DataLoader<int, std::string>;
    static_assert(std::is_same_v<loader::executor_type, asio::any_io_executor>);
    CHECK(loader(context, from.fn()).get_executor() == context.get_executor());
    CHECK(loader(context.get_executor(), from.fn()).get_executor() == context.get_executor());
    const asio::any_io_executor strand = asio::make_strand(context);
    CHECK(loader(strand, from.fn()).get_executor() == strand);
    acache::async_cache<int, std::string> cache{strand};
    CHECK(loader(cache, from.fn()).get_executor() == strand);
}

TEST_CASE("A loader is moved, not copied; the batches of one that is assigned to are closed") {
    setup a(basis::alone);
    source from;
    static_assert(!std::is_copy_constructible_v<loader_type>);
    auto first = a.make(from.fn());
    call waiting(a.context, first.load(1));
    a.steps.run_for(1);
    auto second = std::move(first);
    a.steps.run_until_idle();
    CHECK(waiting.value() == "v1");

    auto third = a.make(from.fn());
    call abandoned(a.context, third.load(2));
    a.steps.run_for(1);
    third = std::move(second);
    a.steps.run_until_idle();
    CHECK(abandoned.error() == errc::closed);
    CHECK(a.steps.run(third.load(1)) == "v1");
    CHECK(from.seen == batches{{1}});
}

TEST_CASE("Options that make no sense are refused when the loader is made") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    CHECK_THROWS_AS(t.make(from.fn(), {.max_batch_size = 0}), std::invalid_argument);
    CHECK_THROWS_WITH(t.make(from.fn(), {.max_batch_size = 0}), ContainsSubstring("max_batch_size"));
    CHECK_THROWS_AS(t.make(from.fn(), {.batch_window = -1ns}), std::invalid_argument);
    CHECK_THROWS_WITH(t.make(from.fn(), {.batch_window = -1ns}), ContainsSubstring("batch_window"));
    CHECK_THROWS_AS(t.make(from.fn(), {.max_concurrent_batches = 0}), std::invalid_argument);
    CHECK_THROWS_WITH(t.make(from.fn(), {.max_concurrent_batches = 0}),
                      ContainsSubstring("max_concurrent_batches"));
    CHECK_NOTHROW(t.make(from.fn(), {.max_batch_size = 1, .max_concurrent_batches = 1}));
}

TEST_CASE("A batch function lives as long as a batch of it runs, with the loader or without") {
    asio::io_context context;
    kit::stepper steps(context);
    kit::script gate;
    gate.hold(op::get_many);
    auto token = std::make_shared<int>(7);
    const std::weak_ptr<int> alive = token;
    int found = 0;
    {
        acache::DataLoader<int, int> loader{
            context, [token, gate, &found](std::vector<int> ids) -> asio::awaitable<std::vector<int>> {
                try {
                    co_await gate.begin(op::get_many);
                } catch (const boost::system::system_error&) {
                    found = *token;
                }
                co_return ids;
            }};
        token.reset();
        call waiting(context, loader.load(1));
        steps.run_until_idle();
        CHECK(gate.parked() == 1);
    }
    CHECK_FALSE(alive.expired());
    steps.run_until_idle();
    CHECK(found == 7);
    CHECK(alive.expired());
}

TEST_CASE("A load takes whatever converts to a key, and keeps it") {
    asio::io_context context;
    kit::stepper steps(context);
    acache::DataLoader<std::string, std::string> loader{
        context,
        [](std::vector<std::string> names) -> asio::awaitable<std::vector<std::string>> { co_return names; }};
    std::string text = "a name that is too long to be kept in the string itself";
    std::optional<call<std::string>> by_pointer;
    by_pointer.emplace(context, loader.load(text.c_str()));
    text = "overwritten, long enough to need the place it had before, and more";
    steps.run_until_idle();
    CHECK(by_pointer->value() == "a name that is too long to be kept in the string itself");
    const std::string named = "named";
    CHECK(steps.run(loader.load(named)) == "named");
}

TEST_CASE("load_many takes any range of keys, by copies of them") {
    setup a(basis::alone);
    source from;
    auto loader = a.make(from.fn());
    const auto values = [&](auto&& range) {
        std::vector<std::string> out;
        for (const auto& one : a.steps.run(loader.load_many(range))) {
            out.push_back(*one);
        }
        return out;
    };
    CHECK(values(std::vector{1, 2}) == std::vector<std::string>{"v1", "v2"});
    CHECK(values(std::set{4, 3}) == std::vector<std::string>{"v3", "v4"});
    CHECK(values(std::forward_list{5}) == std::vector<std::string>{"v5"});
    CHECK(values(std::views::iota(6, 8)) == std::vector<std::string>{"v6", "v7"});
    std::optional<std::vector<int>> gone{{8, 9}};
    call late(a.context, loader.load_many(*gone));
    gone.reset();
    a.steps.run_until_idle();
    CHECK(*late.value()[1] == "v9");
    CHECK(from.seen == batches{{1, 2}, {3, 4}, {5}, {6, 7}, {8, 9}});
}

TEST_CASE("load_many of nothing gives nothing, and sends no batch") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    auto loader = t.make(from.fn());
    CHECK(t.steps.run(loader.load_many(keys{})).empty());
    t.steps.run_until_idle();
    CHECK(from.seen.empty());
}

TEST_CASE("C22 load_many of a key several times gives its result each time, and asks once") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    auto loader = t.make(from.fn());
    const auto got = t.steps.run(loader.load_many(keys{2, 1, 2, 2, 1}));
    REQUIRE(got.size() == 5);
    CHECK(*got[0] == "v2");
    CHECK(*got[1] == "v1");
    CHECK(*got[2] == "v2");
    CHECK(*got[3] == "v2");
    CHECK(*got[4] == "v1");
    CHECK(from.seen == batches{{2, 1}});
}

TEST_CASE("C24 load_many gives a value or an error a key, and never throws for one") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    from.answer = [](int key) {
        return key % 2 == 0 ? load_result<std::string>("even")
                            : failed<std::string>("odd " + std::to_string(key));
    };
    auto loader = t.make(from.fn());
    const auto got = t.steps.run(loader.load_many(keys{1, 2, 3}));
    REQUIRE(got.size() == 3);
    CHECK(text_of(got[0].error()) == "odd 1");
    CHECK(*got[1] == "even");
    CHECK(text_of(got[2].error()) == "odd 3");

    from.failure = [] { return std::make_exception_ptr(std::runtime_error("all of it")); };
    const auto none = t.steps.run(loader.load_many(keys{2, 5}));
    REQUIRE(none.size() == 2);
    CHECK(*none[0] == "even");
    CHECK(text_of(none[1].error()) == "all of it");
}

TEST_CASE("C24 A key whose load waits for itself is an error of that key alone in load_many") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    std::optional<loader_type> loader;
    std::vector<load_result<std::string>> inner;
    from.meanwhile = [&](keys ids) -> asio::awaitable<void> {
        if (ids == keys{1}) {
            keys both{1, 2};
            inner = co_await loader->load_many(both);
        }
    };
    loader.emplace(t.make(from.fn()));
    CHECK(t.steps.run(loader->load(1)) == "v1");
    REQUIRE(inner.size() == 2);
    CHECK(code_of(inner[0]) == errc::recursive_load);
    CHECK(*inner[1] == "v2");
}

TEST_CASE("C23 A batch is sent by one tick of the executor: all siblings that can run are in it") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    auto loader = t.make(from.fn());
    std::vector<call<std::string>> calls;
    for (int i = 0; i != 100; ++i) {
        calls.emplace_back(t.context, loader.load(i));
    }
    t.steps.run_until_idle();
    REQUIRE(from.seen.size() == 1);
    CHECK(from.seen[0].size() == 100);
    for (int i = 0; i != 100; ++i) {
        CHECK(calls[static_cast<std::size_t>(i)].value() == "v" + std::to_string(i));
    }
}

TEST_CASE("C23 A load that nobody else accompanies is sent all the same") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    auto loader = t.make(from.fn());
    CHECK(t.steps.run(loader.load(1)) == "v1");
    CHECK(from.seen == batches{{1}});
}

TEST_CASE("C23 A load from a continuation goes in the next batch, together with its siblings") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    auto loader = t.make(from.fn());
    const auto two_steps = [&](int first) -> asio::awaitable<std::string> {
        const std::string one = co_await loader.load(first);
        const std::string two = co_await loader.load(first + 10);
        co_return one + two;
    };
    call a(t.context, two_steps(1));
    call b(t.context, two_steps(2));
    t.steps.run_until_idle();
    CHECK(a.value() == "v1v11");
    CHECK(b.value() == "v2v12");
    CHECK(from.seen == batches{{1, 2}, {11, 12}});
}

TEST_CASE(
    "C23 A tick is one hop: what becomes runnable after the sending was posted goes in the next batch") {
    setup a(basis::alone);
    source from;
    auto loader = a.make(from.fn());
    const auto later = [&]() -> asio::awaitable<std::string> {
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        co_return co_await loader.load(2);
    };
    call first(a.context, loader.load(1));
    call second(a.context, later());
    a.steps.run_until_idle();
    CHECK(first.value() == "v1");
    CHECK(second.value() == "v2");
    CHECK(from.seen == batches{{1}, {2}});
}

TEST_CASE("A load takes its place when it is awaited, not when it is called") {
    setup a(basis::alone);
    source from;
    auto loader = a.make(from.fn());
    auto lazy = loader.load(1);
    a.steps.run_until_idle();
    CHECK(from.seen.empty());
    call other(a.context, loader.load(2));
    call late(a.context, std::move(lazy));
    a.steps.run_until_idle();
    CHECK(from.seen == batches{{2, 1}});
}

TEST_CASE("C23 A batch that is full is sent at once, and the rest by the tick") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    auto loader = t.make(from.fn(), {.max_batch_size = 2});
    std::vector<call<std::string>> calls;
    for (int i = 1; i != 6; ++i) {
        calls.emplace_back(t.context, loader.load(i));
    }
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{1, 2}, {3, 4}, {5}});
    for (int i = 1; i != 6; ++i) {
        CHECK(calls[static_cast<std::size_t>(i - 1)].value() == "v" + std::to_string(i));
    }
    const auto many = t.steps.run(loader.load_many(keys{11, 12, 13, 14, 15}));
    CHECK(*many[4] == "v15");
    CHECK(from.seen == batches{{1, 2}, {3, 4}, {5}, {11, 12}, {13, 14}, {15}});
}

TEST_CASE("C23 A full batch does not wait for the window") {
    setup a(basis::alone);
    source from;
    auto loader = a.make(from.fn(), {.max_batch_size = 2, .batch_window = 1h});
    call one(a.context, loader.load(1));
    call two(a.context, loader.load(2));
    call three(a.context, loader.load(3));
    a.steps.run_until_idle();
    CHECK(one.value() == "v1");
    CHECK(two.value() == "v2");
    CHECK_FALSE(three.done());
    CHECK(from.seen == batches{{1, 2}});
    kit::manual_clock::advance(1h);
    a.steps.run_until_idle();
    CHECK(three.value() == "v3");
    CHECK(from.seen == batches{{1, 2}, {3}});
}

TEST_CASE("C23 max_batch_size 1 makes each key a batch of its own") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    auto loader = t.make(from.fn(), {.max_batch_size = 1});
    const auto got = t.steps.run(loader.load_many(keys{1, 2, 1, 3}));
    CHECK(*got[2] == "v1");
    CHECK(from.seen == batches{{1}, {2}, {3}});
}

TEST_CASE("C23 A window gathers from the first load of a batch on, and then sends") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    auto loader = t.make(from.fn(), {.batch_window = 5ms});
    call one(t.context, loader.load(1));
    t.steps.run_until_idle();
    kit::manual_clock::advance(4ms);
    call two(t.context, loader.load(2));
    t.steps.run_until_idle();
    CHECK(from.seen.empty());
    kit::manual_clock::advance(1ms); // 5 ms after the first, 1 ms after the second
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{1, 2}});
    CHECK(one.value() == "v1");
    CHECK(two.value() == "v2");
    // The next window begins with the next load, and not before.
    kit::manual_clock::advance(1h);
    call three(t.context, loader.load(3));
    t.steps.run_until_idle();
    CHECK_FALSE(three.done());
    kit::manual_clock::advance(5ms);
    t.steps.run_until_idle();
    CHECK(three.value() == "v3");
}

TEST_CASE("flush sends what is being gathered now, once") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    auto loader = t.make(from.fn(), {.batch_window = 1h});
    loader.flush();
    call one(t.context, loader.load(1));
    t.steps.run_until_idle();
    CHECK(from.seen.empty());
    loader.flush();
    loader.flush();
    t.steps.run_until_idle();
    CHECK(one.value() == "v1");
    CHECK(from.seen == batches{{1}});
    // The window of the batch that was flushed does not send the next one.
    kit::manual_clock::advance(30min);
    call two(t.context, loader.load(2));
    t.steps.run_until_idle();
    kit::manual_clock::advance(31min);
    t.steps.run_until_idle();
    CHECK_FALSE(two.done());
    kit::manual_clock::advance(29min);
    t.steps.run_until_idle();
    CHECK(two.value() == "v2");
    CHECK(from.seen == batches{{1}, {2}});
}

TEST_CASE("A window as long as time itself is sent by flush alone") {
    setup a(basis::alone);
    source from;
    auto loader = a.make(from.fn(), {.batch_window = std::chrono::nanoseconds::max()});
    call one(a.context, loader.load(1));
    a.steps.run_until_idle();
    kit::manual_clock::advance(100'000h);
    a.steps.run_until_idle();
    CHECK_FALSE(one.done());
    loader.flush();
    a.steps.run_until_idle();
    CHECK(one.value() == "v1");
}

TEST_CASE("What was loaded is remembered, and returned at once") {
    setup t(GENERATE(basis::alone, basis::memory));
    source from;
    auto loader = t.make(from.fn(), {.batch_window = 1h});
    call first(t.context, loader.load(1));
    t.steps.run_until_idle();
    loader.flush();
    t.steps.run_until_idle();
    CHECK(first.value() == "v1");
    call second(t.context, loader.load(1));
    t.steps.run_until_idle(); // and the window has not passed
    CHECK(second.value() == "v1");
    CHECK(from.seen == batches{{1}});
}

TEST_CASE("A loader that is not to remember loads anew, and yet coalesces") {
    setup a(basis::alone);
    source from;
    auto loader = a.make(from.fn(), {.cache = false});
    loader.prime(1, "primed");
    for (int round = 0; round != 2; ++round) {
        call one(a.context, loader.load(1));
        call again(a.context, loader.load(1));
        call two(a.context, loader.load(2));
        a.steps.run_until_idle();
        CHECK(one.value() == "v1");
        CHECK(again.value() == "v1");
        CHECK(two.value() == "v2");
    }
    CHECK(from.seen == batches{{1, 2}, {1, 2}});
}

TEST_CASE("Errors are not remembered") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    from.answer = [&](int) {
        return from.seen.size() == 1 ? failed<std::string>("the first time")
                                     : load_result<std::string>("good");
    };
    auto loader = t.make(from.fn());
    call bad(t.context, loader.load(1));
    t.steps.run_until_idle();
    CHECK(bad.what() == "the first time");
    CHECK(t.steps.run(loader.load(1)) == "good");
    CHECK(from.seen == batches{{1}, {1}});
}

TEST_CASE("prime remembers a value for a key that has none") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    auto loader = t.make(from.fn());
    loader.prime(1, "primed");
    t.steps.run_until_idle();
    CHECK(t.steps.run(loader.load(1)) == "primed");
    CHECK(from.seen.empty());
}

TEST_CASE("prime on a key that has a value does nothing") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    auto loader = t.make(from.fn());
    CHECK(t.steps.run(loader.load(1)) == "v1");
    loader.prime(1, "primed");
    loader.prime(2, "first");
    loader.prime(2, "second");
    t.steps.run_until_idle();
    CHECK(t.steps.run(loader.load(1)) == "v1");
    CHECK(t.steps.run(loader.load(2)) == "first");
}

TEST_CASE("prime on a key that is being loaded does nothing") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    from.hold();
    auto loader = t.make(from.fn());
    call gathered(t.context, loader.load(1));
    t.steps.run_for(1);
    loader.prime(1, "too late"); // gathered and not sent
    t.steps.run_until_idle();
    CHECK(from.parked() == 1);
    loader.prime(1, "too late"); // sent
    t.steps.run_until_idle();
    from.release();
    t.steps.run_until_idle();
    CHECK(gathered.value() == "v1");
    CHECK(t.steps.run(loader.load(1)) == "v1");
    CHECK(from.seen == batches{{1}});
}

TEST_CASE("clear forgets one key, clear_all every key") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    auto loader = t.make(from.fn());
    const keys both{1, 2};
    const auto load_both = [&] { return t.steps.run(loader.load_many(both)).size(); };
    CHECK(load_both() == 2);
    loader.clear(1);
    t.steps.run_until_idle();
    CHECK(load_both() == 2);
    CHECK(from.seen == batches{{1, 2}, {1}});
    loader.clear_all();
    t.steps.run_until_idle();
    CHECK(load_both() == 2);
    CHECK(from.seen == batches{{1, 2}, {1}, {1, 2}});
    loader.clear(99); // never heard of
    t.steps.run_until_idle();
}

TEST_CASE("A value can be replaced by clear and prime, one after the other") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    auto loader = t.make(from.fn());
    CHECK(t.steps.run(loader.load(1)) == "v1");
    loader.clear(1);
    loader.prime(1, "new");
    t.steps.run_until_idle();
    CHECK(t.steps.run(loader.load(1)) == "new");
    CHECK(from.seen == batches{{1}});
}

TEST_CASE("The later of prime and clear wins, the one issued right after the other") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    auto loader = t.make(from.fn());
    loader.prime(1, "primed");
    loader.clear(1);
    t.steps.run_until_idle();
    CHECK(t.steps.run(loader.load(1)) == "v1");
    loader.prime(2, "primed");
    loader.clear_all();
    t.steps.run_until_idle();
    CHECK(t.steps.run(loader.load(2)) == "v2");
}

TEST_CASE(
    "C24 A result of the wrong length fails the whole batch with a clear error, and nothing is stored") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    from.spoil = [&](auto& results) {
        if (from.seen.size() == 1) {
            results.pop_back();
        }
    };
    auto loader = t.make(from.fn());
    call one(t.context, loader.load(1));
    call two(t.context, loader.load(2));
    call three(t.context, loader.load(3));
    t.steps.run_until_idle();
    for (const auto* each : {&one, &two, &three}) {
        CHECK(each->error() == errc::batch_size_mismatch);
        CHECK_THAT(each->what(), ContainsSubstring("2 results for 3 keys"));
        CHECK_THAT(each->what(), ContainsSubstring("one result for each key"));
    }
    CHECK(t.steps.run(loader.load(1)) == "v1");
    CHECK(from.seen == batches{{1, 2, 3}, {1}}); // nothing of the short batch was kept
}

TEST_CASE("C24 Too many results, or none at all, are the wrong length too") {
    const std::size_t length = GENERATE(0u, 2u, 100u);
    setup a(basis::alone);
    source from;
    from.spoil = [&](auto& results) { results.resize(length, load_result<std::string>("value")); };
    auto loader = a.make(from.fn());
    call one(a.context, loader.load(1));
    a.steps.run_until_idle();
    CHECK(one.error() == errc::batch_size_mismatch);
    CHECK_THAT(one.what(), ContainsSubstring(std::to_string(length) + " results for 1 keys"));
}

TEST_CASE("C24 An error of one key fails that key alone, and the others are stored") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    from.answer = [](int key) {
        return key == 2 ? failed<std::string>("two is bad") : load_result<std::string>("v");
    };
    auto loader = t.make(from.fn());
    call one(t.context, loader.load(1));
    call two(t.context, loader.load(2));
    call three(t.context, loader.load(3));
    t.steps.run_until_idle();
    CHECK(one.value() == "v");
    CHECK(two.what() == "two is bad");
    CHECK(three.value() == "v");
    const keys all{1, 2, 3};
    static_cast<void>(t.steps.run(loader.load_many(all)));
    CHECK(from.seen == batches{{1, 2, 3}, {2}});
}

TEST_CASE("C24 What the batch function throws reaches every caller as thrown, and the next batch works") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    from.failure = [] { return std::make_exception_ptr(std::domain_error("as thrown")); };
    auto loader = t.make(from.fn());
    call one(t.context, loader.load(1));
    call two(t.context, loader.load(2));
    t.steps.run_until_idle();
    CHECK_THROWS_AS(one.value(), std::domain_error);
    CHECK(two.what() == "as thrown");
    from.failure = [] { return std::exception_ptr(); };
    CHECK(t.steps.run(loader.load(1)) == "v1");
    CHECK(from.seen == batches{{1, 2}, {1}});
}

TEST_CASE("C10 close refuses new loads, and ends those of a batch not yet sent with errc::closed") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    auto loader = t.make(from.fn(), {.batch_window = 1h});
    call gathered(t.context, loader.load(1));
    call many(t.context, loader.load_many(keys{1, 2}));
    t.steps.run_until_idle();
    t.steps.run(loader.close());
    t.steps.run_until_idle();
    CHECK(gathered.error() == errc::closed);
    CHECK(code_of(many.value()[0]) == errc::closed);
    CHECK(code_of(many.value()[1]) == errc::closed);
    CHECK(from.seen.empty());

    call refused(t.context, loader.load(3));
    call refused_many(t.context, loader.load_many(keys{3}));
    t.steps.run_until_idle();
    CHECK(refused.error() == errc::closed);
    CHECK(refused_many.error() == errc::closed);
    CHECK_THROWS_AS(loader.prime(1, "v"), boost::system::system_error);
    CHECK_THROWS_AS(loader.clear(1), boost::system::system_error);
    CHECK_THROWS_AS(loader.clear_all(), boost::system::system_error);
    CHECK_NOTHROW(loader.flush());
    t.steps.run(loader.close());
    t.steps.run(loader.drain());
}

TEST_CASE("C10 close ends waiting callers at once, cancels batches, and returns when they have ended") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    kit::script gate;
    gate.hold(op::get);
    gate.hold(op::set);
    bool cancelled = false;
    // Takes its time to end after it has been cancelled.
    from.meanwhile = [&](keys) -> asio::awaitable<void> {
        try {
            co_await gate.begin(op::get);
        } catch (const boost::system::system_error& e) {
            cancelled = e.code() == asio::error::operation_aborted;
        }
        co_await asio::this_coro::reset_cancellation_state();
        co_await gate.begin(op::set);
    };
    auto loader = t.make(from.fn());
    call waiting(t.context, loader.load(1));
    t.steps.run_until_idle();
    REQUIRE(gate.parked() == 1);
    call closing(t.context, loader.close());
    call closing_too(t.context, loader.close());
    t.steps.run_until_idle();
    CHECK(waiting.error() == errc::closed);
    CHECK(cancelled);
    CHECK_FALSE(closing.done());
    CHECK_FALSE(closing_too.done());
    gate.release_all();
    t.steps.run_until_idle();
    CHECK(closing.done());
    CHECK(closing_too.done());
    CHECK_FALSE(closing.failed());
    CHECK(from.running == 0);
    if (t.over_a_cache()) {
        CHECK_FALSE(t.stored(1));
    }
}

TEST_CASE("C10 drain sends what is gathered, lets batches and callers finish, and refuses new loads") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    from.hold();
    std::optional<loader_type> loader;
    std::string nested;
    from.meanwhile = [&](keys ids) -> asio::awaitable<void> {
        if (ids == keys{1}) {
            nested = co_await loader->load(10);
        }
    };
    loader.emplace(t.make(from.fn(), {.batch_window = 1h}));
    call one(t.context, loader->load(1));
    t.steps.run_until_idle();
    call draining(t.context, loader->drain());
    t.steps.run_until_idle();
    call refused(t.context, loader->load(2));
    t.steps.run_until_idle();
    CHECK(refused.error() == errc::closed);
    CHECK(from.seen == batches{{1}});
    loader->flush(); // the batch that is asked for from inside has a window too
    from.release();
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{1}, {10}});
    CHECK(one.value() == "v1");
    CHECK(nested == "v10");
    CHECK(draining.done());
    CHECK_FALSE(draining.failed());
    t.steps.run(loader->drain());
}

TEST_CASE("C10 close and drain from inside a batch of the loader give errc::recursive_load") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    std::optional<loader_type> loader;
    std::vector<boost::system::error_code> codes;
    from.meanwhile = [&](keys) -> asio::awaitable<void> {
        for (const bool drains : {false, true}) {
            try {
                if (drains) {
                    co_await loader->drain();
                } else {
                    co_await loader->close();
                }
                codes.emplace_back();
            } catch (const boost::system::system_error& e) {
                codes.push_back(e.code());
            }
        }
    };
    loader.emplace(t.make(from.fn()));
    CHECK(t.steps.run(loader->load(1)) == "v1");
    REQUIRE(codes.size() == 2);
    CHECK(codes[0] == errc::recursive_load);
    CHECK(codes[1] == errc::recursive_load);
    CHECK(t.steps.run(loader->load(2)) == "v2");
}

TEST_CASE("C10 A loader that is destroyed ends its callers with errc::closed, and cancels its batches") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    from.hold();
    std::optional<loader_type> loader(t.make(from.fn()));
    call sent(t.context, loader->load(1));
    t.steps.run_until_idle();
    CHECK(from.running == 1);
    call gathered(t.context, loader->load(2));
    t.steps.run_for(1);
    loader.reset();
    t.steps.run_until_idle();
    CHECK(sent.error() == errc::closed);
    CHECK(gathered.error() == errc::closed);
    CHECK(from.running == 0);
    CHECK(from.seen == batches{{1}});
}

TEST_CASE("C10 An awaitable of a loader that is gone gives errc::closed") {
    setup t(GENERATE(basis::alone, basis::memory, basis::scripted));
    source from;
    std::optional<loader_type> loader(t.make(from.fn()));
    auto one = loader->load(1);
    auto many = loader->load_many(keys{1});
    auto closing = loader->close();
    loader.reset();
    call late(t.context, std::move(one));
    call late_many(t.context, std::move(many));
    call late_close(t.context, std::move(closing));
    t.steps.run_until_idle();
    CHECK(late.error() == errc::closed);
    CHECK(late_many.error() == errc::closed);
    CHECK(late_close.done());
    CHECK_FALSE(late_close.failed());
    CHECK(from.seen.empty());
}

} // namespace
