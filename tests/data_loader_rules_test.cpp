// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "data_loader_setups.hpp"

#include <catch2/catch_test_macros.hpp>

#include <chrono>

// The contract's rules that concern batches, on each of the three things that a loader can stand on.

namespace {

using namespace loader_tests;
using namespace std::chrono_literals;

const auto any_basis = [] { return GENERATE(basis::alone, basis::memory, basis::scripted); };
const auto any_cache = [] { return GENERATE(basis::memory, basis::scripted); };

TEST_CASE("C01 A thousand concurrent loads of one key make one batch of one key") {
    setup t(any_basis());
    source from;
    auto loader = t.make(from.fn());
    std::vector<call<std::string>> calls;
    for (int i = 0; i != 1000; ++i) {
        calls.emplace_back(t.context, loader.load(7));
    }
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{7}});
    for (const auto& one : calls) {
        CHECK(one.value() == "v7");
    }
}

TEST_CASE("C01 A thousand concurrent misses on one key, by single gets and loads mixed, make one load") {
    setup t(any_cache());
    source from;
    auto loader = t.make(from.fn());
    int singles = 0;
    const auto load = [&](int) -> asio::awaitable<std::string> {
        ++singles;
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        co_return "single";
    };
    std::vector<call<std::string>> calls;
    t.with_cache([&](auto& cache) {
        for (int i = 0; i != 500; ++i) {
            calls.emplace_back(t.context, cache.get_or_load(7, load));
            calls.emplace_back(t.context, loader.load(7));
        }
    });
    t.steps.run_until_idle();
    CHECK(singles == 1);
    CHECK(from.seen.empty());
    for (const auto& one : calls) {
        CHECK(one.value() == "single");
    }
    const auto m = t.metrics();
    CHECK(m.loads == 1);
    CHECK(m.misses == 1);
    CHECK(m.coalesced == 999);
}

TEST_CASE("C22 A key that is gathered, queued, or being loaded by a batch is joined, not loaded again") {
    setup t(any_basis());
    source from;
    from.hold();
    auto loader = t.make(from.fn(), {.max_concurrent_batches = 1});
    call gathered_first(t.context, loader.load(1));
    call gathered_again(t.context, loader.load(1));
    t.steps.run_until_idle();
    call running(t.context, loader.load(1));
    call queued_first(t.context, loader.load(2));
    t.steps.run_until_idle();
    call queued_again(t.context, loader.load_many(keys{2, 1, 3}));
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{1}});
    from.release();
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{1}, {2}, {3}});
    CHECK(gathered_first.value() == "v1");
    CHECK(gathered_again.value() == "v1");
    CHECK(running.value() == "v1");
    CHECK(queued_first.value() == "v2");
    CHECK(*queued_again.value()[0] == "v2");
    CHECK(*queued_again.value()[1] == "v1");
    CHECK(*queued_again.value()[2] == "v3");
}

TEST_CASE("C02 A batch that failed gives its error once to each caller, and nobody retries by himself") {
    setup t(any_basis());
    source from;
    from.failure = [] { return std::make_exception_ptr(std::runtime_error("down")); };
    auto loader = t.make(from.fn());
    std::vector<call<std::string>> calls;
    for (int i = 0; i != 20; ++i) {
        calls.emplace_back(t.context, loader.load(i % 2));
    }
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{0, 1}});
    for (const auto& one : calls) {
        CHECK(one.what() == "down");
    }
}

TEST_CASE("C25 A caller that is cancelled leaves at once and alone; the others get their values") {
    setup t(any_basis());
    source from;
    from.hold();
    auto loader = t.make(from.fn());
    SECTION("while the batch is gathered") {
        call leaving(t.context, loader.load(1));
        call staying(t.context, loader.load(1));
        call other(t.context, loader.load(2));
        t.steps.run_for(3);
        leaving.cancel();
        t.steps.run_until_idle();
        CHECK(leaving.error() == asio::error::operation_aborted);
        from.release();
        t.steps.run_until_idle();
        CHECK(staying.value() == "v1");
        CHECK(other.value() == "v2");
        CHECK(from.seen == batches{{1, 2}});
    }
    SECTION("while the batch runs") {
        call leaving(t.context, loader.load(1));
        call staying(t.context, loader.load(1));
        call other(t.context, loader.load(2));
        t.steps.run_until_idle();
        leaving.cancel();
        t.steps.run_until_idle();
        CHECK(leaving.error() == asio::error::operation_aborted);
        CHECK(from.running == 1);
        CHECK_FALSE(staying.done());
        from.release();
        t.steps.run_until_idle();
        CHECK(staying.value() == "v1");
        CHECK(other.value() == "v2");
    }
    SECTION("in a load_many, whose other keys others wait for") {
        call leaving(t.context, loader.load_many(keys{1, 2, 3}));
        call staying(t.context, loader.load(2));
        t.steps.run_until_idle();
        leaving.cancel();
        t.steps.run_until_idle();
        CHECK(leaving.error() == asio::error::operation_aborted);
        from.release();
        t.steps.run_until_idle();
        CHECK(staying.value() == "v2");
        CHECK(from.seen == batches{{1, 2, 3}});
    }
    // And nothing of it is left behind.
    call next(t.context, loader.load(9));
    from.release();
    t.steps.run_until_idle();
    CHECK(next.value() == "v9");
}

TEST_CASE("C25 A key that all its callers have left is not asked for, where the batch is not sent yet") {
    setup t(any_basis());
    source from;
    auto loader = t.make(from.fn(), {.batch_window = 1h});
    call leaving(t.context, loader.load(1));
    call staying(t.context, loader.load(2));
    t.steps.run_until_idle();
    leaving.cancel();
    t.steps.run_until_idle();
    CHECK(leaving.error() == asio::error::operation_aborted);
    loader.flush();
    t.steps.run_until_idle();
    CHECK(staying.value() == "v2");
    CHECK(from.seen == batches{{2}});
}

TEST_CASE("C25 A batch that all its callers have left is not sent, and the next one is") {
    setup t(any_basis());
    source from;
    auto loader = t.make(from.fn(), {.batch_window = 1s});
    call one(t.context, loader.load(1));
    call many(t.context, loader.load_many(keys{1, 2}));
    t.steps.run_until_idle();
    one.cancel();
    many.cancel();
    t.steps.run_until_idle();
    kit::manual_clock::advance(1s);
    t.steps.run_until_idle();
    CHECK(from.seen.empty());
    if (t.asynchronous()) {
        CHECK(t.script.calls(op::get_many) == 0);
    }
    call next(t.context, loader.load(1));
    t.steps.run_until_idle();
    kit::manual_clock::advance(1s);
    t.steps.run_until_idle();
    CHECK(next.value() == "v1");
    CHECK(from.seen == batches{{1}});
}

TEST_CASE("C25 A batch that all have left and one has joined again while it was gathered is sent") {
    setup t(any_basis());
    source from;
    auto loader = t.make(from.fn(), {.batch_window = 1s});
    call leaving(t.context, loader.load(1));
    t.steps.run_until_idle();
    leaving.cancel();
    t.steps.run_until_idle();
    call staying(t.context, loader.load(1));
    call other(t.context, loader.load(2));
    t.steps.run_until_idle();
    kit::manual_clock::advance(1s);
    t.steps.run_until_idle();
    CHECK(leaving.error() == asio::error::operation_aborted);
    CHECK(staying.value() == "v1");
    CHECK(other.value() == "v2");
    CHECK(from.seen == batches{{1, 2}});
}

TEST_CASE("C25 A queued batch that all its callers have left gives up its place") {
    setup t(any_basis());
    source from;
    from.hold();
    auto loader = t.make(from.fn(), {.max_concurrent_batches = 1});
    call first(t.context, loader.load(1));
    t.steps.run_until_idle();
    call second(t.context, loader.load(2));
    t.steps.run_until_idle();
    call third(t.context, loader.load(3));
    t.steps.run_until_idle();
    second.cancel();
    t.steps.run_until_idle();
    CHECK(second.error() == asio::error::operation_aborted);
    from.release();
    t.steps.run_until_idle();
    CHECK(first.value() == "v1");
    CHECK(third.value() == "v3");
    CHECK(from.seen == batches{{1}, {3}});
}

TEST_CASE("C05 With its last caller a running batch is cancelled, and with no other") {
    setup t(any_basis());
    source from;
    from.hold();
    auto loader = t.make(from.fn());
    call one(t.context, loader.load(1));
    call two(t.context, loader.load(2));
    call two_again(t.context, loader.load(2));
    t.steps.run_until_idle();
    one.cancel();
    two.cancel();
    t.steps.run_until_idle();
    CHECK(from.running == 1);
    two_again.cancel();
    t.steps.run_until_idle();
    CHECK(from.running == 0);
    CHECK(from.ended == 0);
    CHECK(two_again.error() == asio::error::operation_aborted);
}

TEST_CASE("C05 Nobody joins a key of a running batch after its last caller has left it") {
    setup t(any_basis());
    source from;
    from.hold();
    auto loader = t.make(from.fn());
    call leaving(t.context, loader.load(1));
    call staying(t.context, loader.load(2));
    t.steps.run_until_idle();
    leaving.cancel();
    t.steps.run_until_idle();
    call late(t.context, loader.load(1));
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{1, 2}, {1}});
    from.release();
    t.steps.run_until_idle();
    CHECK(staying.value() == "v2");
    CHECK(late.value() == "v1");
}

TEST_CASE("C05 With finish_abandoned_loads a batch that all have left stays joinable, finishes and stores") {
    setup t(any_cache(), {.finish_abandoned_loads = true});
    source from;
    from.hold();
    auto loader = t.make(from.fn());
    call leaving(t.context, loader.load(1));
    t.steps.run_until_idle();
    leaving.cancel();
    t.steps.run_until_idle();
    CHECK(leaving.error() == asio::error::operation_aborted);
    CHECK(from.running == 1);
    call joining(t.context, loader.load(1));
    t.steps.run_until_idle();
    joining.cancel();
    t.steps.run_until_idle();
    from.release();
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{1}});
    CHECK(from.ended == 1);
    CHECK(t.stored(1) == "v1");
}

TEST_CASE("C06 A batch that takes longer than load_timeout fails all its keys, and its late results are "
          "discarded") {
    setup t(any_cache(), {.load_timeout = 1s});
    source from;
    // Does not hear of cancellation.
    kit::script gate;
    gate.hold(op::get);
    from.meanwhile = [&](keys) -> asio::awaitable<void> {
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        if (from.seen.size() == 1) {
            co_await gate.begin(op::get);
        }
    };
    auto loader = t.make(from.fn(), {.max_concurrent_batches = 1});
    call one(t.context, loader.load(1));
    call many(t.context, loader.load_many(keys{1, 2}));
    t.steps.run_until_idle();
    kit::manual_clock::advance(999ms);
    t.steps.run_until_idle();
    CHECK_FALSE(one.done());
    kit::manual_clock::advance(1ms);
    t.steps.run_until_idle();
    CHECK(one.error() == errc::load_timeout);
    CHECK(code_of(many.value()[0]) == errc::load_timeout);
    CHECK(code_of(many.value()[1]) == errc::load_timeout);
    CHECK(t.metrics().load_failures == 2);
    // The keys are free, but the batch counts against the cap until it has ended.
    call again(t.context, loader.load(1));
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{1, 2}});
    // And close waits for it.
    from.answer = [](int) { return load_result<std::string>("answer"); };
    SECTION("the next batch runs when it has ended") {
        gate.release_all();
        t.steps.run_until_idle();
        CHECK(from.seen == batches{{1, 2}, {1}});
        CHECK(again.value() == "answer");
        CHECK(t.stored(1) == "answer");
        CHECK_FALSE(t.stored(2));
    }
    SECTION("close waits for it") {
        call closing(t.context, loader.close());
        t.steps.run_until_idle();
        CHECK_FALSE(closing.done());
        CHECK(again.error() == errc::closed);
        gate.release_all();
        t.steps.run_until_idle();
        CHECK(closing.done());
        CHECK_FALSE(t.stored(1));
    }
    SECTION("the cache's close waits for it") {
        t.with_cache([&](auto& cache) {
            call closing(t.context, cache.close());
            t.steps.run_until_idle();
            CHECK_FALSE(closing.done());
            gate.release_all();
            t.steps.run_until_idle();
            CHECK(closing.done());
        });
    }
}

TEST_CASE("C06 A caller's own deadline ends his wait alone") {
    setup t(any_basis());
    source from;
    from.hold();
    auto loader = t.make(from.fn());
    call hasty(t.context, loader.load(1));
    call patient(t.context, loader.load(1));
    t.steps.run_until_idle();
    kit::manual_timer deadline(t.context, 10ms);
    deadline.async_wait([&](auto) { hasty.cancel(); });
    kit::manual_clock::advance(10ms);
    t.steps.run_until_idle();
    CHECK(hasty.error() == asio::error::operation_aborted);
    from.release();
    t.steps.run_until_idle();
    CHECK(patient.value() == "v1");
}

TEST_CASE("C26 A batch function may load other keys of its own loader, with a cap of one") {
    setup t(any_basis());
    source from;
    std::optional<loader_type> loader;
    std::string inner;
    from.meanwhile = [&](keys ids) -> asio::awaitable<void> {
        if (ids.front() < 3) {
            inner += co_await loader->load(ids.front() + 1);
        }
    };
    loader.emplace(t.make(from.fn(), {.max_concurrent_batches = 1}));
    CHECK(t.steps.run(loader->load(1)) == "v1");
    CHECK(inner == "v3v2");
    CHECK(from.seen == batches{{1}, {2}, {3}});
    CHECK(from.at_once == 3);
}

TEST_CASE("C26 A queued batch that a batch comes to wait for is sent past the cap") {
    setup t(any_basis());
    source from;
    std::optional<loader_type> loader;
    kit::script gate;
    gate.hold(op::get);
    const bool bulk = GENERATE(false, true);
    from.meanwhile = [&](keys ids) -> asio::awaitable<void> {
        if (ids == keys{1}) {
            co_await gate.begin(op::get);
            if (bulk) {
                const auto got = co_await loader->load_many(keys(1, 2));
                CHECK(*got[0] == "v2");
            } else {
                const std::string got = co_await loader->load(2);
                CHECK(got == "v2");
            }
        }
    };
    loader.emplace(t.make(from.fn(), {.max_concurrent_batches = 1}));
    call first(t.context, loader->load(1));
    t.steps.run_until_idle();
    call second(t.context, loader->load(2));
    t.steps.run_until_idle();
    call third(t.context, loader->load(3));
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{1}});
    gate.release_all();
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{1}, {2}, {3}});
    CHECK(first.value() == "v1");
    CHECK(second.value() == "v2");
    CHECK(third.value() == "v3");
}

TEST_CASE("C26 A batch still being gathered that a batch comes to wait for is sent past the cap") {
    setup t(any_basis());
    source from;
    std::optional<loader_type> loader;
    kit::script gate;
    gate.hold(op::get);
    from.meanwhile = [&](keys ids) -> asio::awaitable<void> {
        if (ids == keys{1}) {
            co_await gate.begin(op::get);
            const std::string got = co_await loader->load(2);
            CHECK(got == "v2");
        }
    };
    loader.emplace(t.make(from.fn(), {.batch_window = 1s, .max_concurrent_batches = 1}));
    call first(t.context, loader->load(1));
    t.steps.run_until_idle();
    kit::manual_clock::advance(1s);
    t.steps.run_until_idle();
    call second(t.context, loader->load(2));
    t.steps.run_until_idle();
    gate.release_all();
    t.steps.run_until_idle();
    CHECK_FALSE(first.done());
    kit::manual_clock::advance(1s);
    t.steps.run_until_idle();
    CHECK(first.value() == "v1");
    CHECK(second.value() == "v2");
}

TEST_CASE("C26 Batches that nobody waits for from inside one keep to the cap, first come first served") {
    setup t(any_basis());
    const int cap = GENERATE(1, 2, 3);
    source from;
    from.hold();
    auto loader =
        t.make(from.fn(), {.max_batch_size = 1, .max_concurrent_batches = static_cast<std::size_t>(cap)});
    std::vector<call<std::string>> calls;
    for (int i = 0; i != 8; ++i) {
        calls.emplace_back(t.context, loader.load(i));
    }
    t.steps.run_until_idle();
    CHECK(from.running == cap);
    while (from.release_one()) {
        t.steps.run_until_idle();
    }
    CHECK(from.at_once == cap);
    CHECK(from.seen == batches{{0}, {1}, {2}, {3}, {4}, {5}, {6}, {7}});
    for (const auto& one : calls) {
        CHECK(one.done());
    }
}

TEST_CASE("C26 A batch that failed, or was cancelled, gives its place to the next") {
    setup t(any_basis());
    source from;
    from.hold();
    from.failure = [&] {
        return from.ended == 1 ? std::make_exception_ptr(std::runtime_error("bad")) : std::exception_ptr();
    };
    auto loader = t.make(from.fn(), {.max_batch_size = 1, .max_concurrent_batches = 1});
    call one(t.context, loader.load(1));
    call two(t.context, loader.load(2));
    call three(t.context, loader.load(3));
    t.steps.run_until_idle();
    from.release_one();
    t.steps.run_until_idle();
    CHECK(one.what() == "bad");
    two.cancel();
    t.steps.run_until_idle();
    from.release();
    t.steps.run_until_idle();
    CHECK(three.value() == "v3");
    CHECK(from.seen == batches{{1}, {2}, {3}});
}

TEST_CASE("C26 With both caps at one, a load may wait for a batch, and that for a load of another key") {
    setup t(any_cache(), {.max_concurrent_loads = 1});
    source from;
    std::optional<loader_type> loader;
    t.with_cache([&](auto& cache) {
        const auto plain_load = [](int) -> asio::awaitable<std::string> { co_return "plain"; };
        from.meanwhile = [&](keys) -> asio::awaitable<void> {
            const std::string part = co_await cache.get_or_load(3, plain_load);
            CHECK(part == "plain");
        };
        loader.emplace(t.make(from.fn(), {.max_concurrent_batches = 1}));
        const auto outer = [&](int) -> asio::awaitable<std::string> {
            std::string part = co_await loader->load(2);
            co_return "outer " + part;
        };
        CHECK(t.steps.run(cache.get_or_load(1, outer)) == "outer v2");
    });
}

boost::system::error_code code_of_current() {
    return code_of(std::current_exception());
}

TEST_CASE("C09 A batch that loads a key of its own gets errc::recursive_load at once") {
    setup t(any_basis());
    source from;
    std::optional<loader_type> loader;
    boost::system::error_code got;
    from.meanwhile = [&](keys) -> asio::awaitable<void> {
        try {
            static_cast<void>(co_await loader->load(2));
        } catch (...) {
            got = code_of_current();
        }
    };
    loader.emplace(t.make(from.fn(), {.batch_window = 1ms}));
    call one(t.context, loader->load(1));
    call two(t.context, loader->load(2));
    t.steps.run_until_idle();
    kit::manual_clock::advance(1ms);
    t.steps.run_until_idle();
    CHECK(got == errc::recursive_load);
    CHECK(one.value() == "v1");
    CHECK(two.value() == "v2");
    CHECK(from.seen == batches{{1, 2}});
}

TEST_CASE("C09 A cycle through two batches, of one loader or of two, is errc::recursive_load") {
    setup t(any_basis());
    source from;
    source from_other;
    std::optional<loader_type> loader;
    std::optional<loader_type> other;
    const bool two_loaders = GENERATE(false, true);
    std::string inner;
    boost::system::error_code got;
    const auto next = [&]() -> loader_type& { return two_loaders ? *other : *loader; };
    const auto step = [&](keys ids) -> asio::awaitable<void> {
        if (ids == keys{1}) {
            inner = co_await next().load(2);
        } else {
            try {
                static_cast<void>(co_await loader->load(1));
            } catch (...) {
                got = code_of_current();
            }
        }
    };
    from.meanwhile = step;
    from_other.meanwhile = step;
    loader.emplace(t.make(from.fn()));
    if (two_loaders) {
        other.emplace(t.make(from_other.fn()));
    }
    CHECK(t.steps.run(loader->load(1)) == "v1");
    CHECK(inner == "v2");
    CHECK(got == errc::recursive_load);
}

TEST_CASE("C09 Two batches that wait for each other do not: the one that closes the circle gets the error") {
    setup t(any_basis());
    source from;
    std::optional<loader_type> loader;
    kit::script gate;
    gate.hold(op::get);
    std::vector<boost::system::error_code> errors;
    from.meanwhile = [&](keys ids) -> asio::awaitable<void> {
        co_await gate.begin(op::get);
        try {
            static_cast<void>(co_await loader->load(3 - ids.front()));
        } catch (...) {
            errors.push_back(code_of_current());
        }
    };
    loader.emplace(t.make(from.fn(), {.max_batch_size = 1}));
    call one(t.context, loader->load(1));
    call two(t.context, loader->load(2));
    t.steps.run_until_idle();
    gate.release_all();
    t.steps.run_until_idle();
    REQUIRE(errors.size() == 1);
    CHECK(errors[0] == errc::recursive_load);
    CHECK(one.value() == "v1");
    CHECK(two.value() == "v2");
}

TEST_CASE("C09 A cycle through a batch and single and bulk loads of the cache is errc::recursive_load") {
    setup t(any_cache());
    source from;
    std::optional<loader_type> loader;
    const bool bulk = GENERATE(false, true);
    t.with_cache([&](auto& cache) {
        const auto single = [&](int) -> asio::awaitable<std::string> {
            std::string part = co_await loader->load(1);
            co_return part;
        };
        const auto many = [&](keys) -> asio::awaitable<std::vector<std::string>> {
            std::string part = co_await loader->load(1);
            co_return std::vector<std::string>(1, part);
        };
        from.meanwhile = [&](keys) -> asio::awaitable<void> {
            if (bulk) {
                const auto got = co_await cache.get_many_or_load(keys(1, 2), many);
                CHECK(code_of(got.at(2)) == errc::recursive_load);
            } else {
                boost::system::error_code got;
                try {
                    static_cast<void>(co_await cache.get_or_load(2, single));
                } catch (...) {
                    got = code_of_current();
                }
                CHECK(got == errc::recursive_load);
            }
        };
        loader.emplace(t.make(from.fn()));
        CHECK(t.steps.run(loader->load(1)) == "v1");
    });
    CHECK(from.seen == batches{{1}});
}

TEST_CASE("C14 C27 A load after clear never joins a batch begun before, sent or not") {
    setup t(any_basis());
    source from;
    from.hold();
    auto loader = t.make(from.fn());
    const bool all = GENERATE(false, true);
    const auto clear = [&] { all ? loader.clear_all() : loader.clear(1); };
    int version = 0;
    from.answer = [&](int) { return load_result<std::string>("version " + std::to_string(++version)); };
    call before(t.context, loader.load(1));
    t.steps.run_until_idle();
    clear();
    t.steps.run_until_idle();
    call after(t.context, loader.load(1));
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{1}, {1}});
    from.release();
    t.steps.run_until_idle();
    CHECK(before.value() == "version 1");
    CHECK(after.value() == "version 2");
    CHECK(t.steps.run(loader.load(1)) == "version 2");
}

TEST_CASE("C11 C27 The late result of a batch that was cleared is not stored, and its callers get it") {
    setup t(any_basis());
    source from;
    from.hold();
    auto loader = t.make(from.fn());
    const bool all = GENERATE(false, true);
    call one(t.context, loader.load(1));
    call two(t.context, loader.load(2));
    t.steps.run_until_idle();
    all ? loader.clear_all() : loader.clear(1);
    t.steps.run_until_idle();
    from.release();
    t.steps.run_until_idle();
    CHECK(one.value() == "v1");
    CHECK(two.value() == "v2");
    call again(t.context, loader.load_many(keys{1, 2}));
    t.steps.run_until_idle();
    // C12: clearing one key leaves the others of the batch alone.
    CHECK(from.seen == (all ? batches{{1, 2}, {1, 2}} : batches{{1, 2}, {1}}));
}

TEST_CASE("C11 A batch cleared while it is gathered asks once, for those before and those after; the latter "
          "is stored") {
    setup t(any_basis());
    source from;
    auto loader = t.make(from.fn(), {.batch_window = 1s});
    call before(t.context, loader.load(1));
    t.steps.run_until_idle();
    loader.clear(1);
    t.steps.run_until_idle();
    call after(t.context, loader.load(1));
    t.steps.run_until_idle();
    kit::manual_clock::advance(1s);
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{1}});
    CHECK(before.value() == "v1");
    CHECK(after.value() == "v1");
    call again(t.context, loader.load(1));
    t.steps.run_until_idle();
    loader.flush();
    t.steps.run_until_idle();
    CHECK(again.value() == "v1");
    CHECK(from.seen == batches{{1}});
}

TEST_CASE(
    "C27 C16 After clear and a reload, the old batch's late result or failure leaves the new entry alone") {
    setup t(any_basis());
    source from;
    kit::script gate;
    gate.hold(op::get);
    const bool fails = GENERATE(false, true);
    from.meanwhile = [&](keys) -> asio::awaitable<void> {
        if (from.seen.size() == 1) {
            co_await gate.begin(op::get);
            if (fails) {
                throw std::runtime_error("late failure");
            }
        }
    };
    bool first = false;
    from.answer = [&](int) { return load_result<std::string>(first ? "old" : "new"); };
    auto loader = t.make(from.fn());
    call before(t.context, loader.load(1));
    t.steps.run_until_idle();
    loader.clear(1);
    t.steps.run_until_idle();
    CHECK(t.steps.run(loader.load(1)) == "new");
    first = true;
    gate.release_all();
    t.steps.run_until_idle();
    if (fails) {
        CHECK(before.what() == "late failure");
    } else {
        CHECK(before.value() == "old");
    }
    CHECK(t.steps.run(loader.load(1)) == "new");
    CHECK(from.seen == batches{{1}, {1}});
}

TEST_CASE("C13 What is primed after clear, or set in the cache, during a batch is not overwritten by it") {
    setup t(any_basis());
    source from;
    from.hold();
    auto loader = t.make(from.fn());
    call before(t.context, loader.load(1));
    t.steps.run_until_idle();
    if (t.over_a_cache() && GENERATE(false, true)) {
        t.with_cache([&](auto& cache) { t.steps.run(cache.set(1, "written")); });
    } else {
        loader.clear(1);
        loader.prime(1, "written");
        t.steps.run_until_idle();
    }
    from.release();
    t.steps.run_until_idle();
    CHECK(before.value() == "v1");
    CHECK(t.steps.run(loader.load(1)) == "written");
    CHECK(from.seen == batches{{1}});
}

TEST_CASE("C17 An entry of a cache that has expired is loaded anew, by a batch") {
    setup t(any_cache(), {.ttl = 10s});
    source from;
    auto loader = t.make(from.fn());
    CHECK(t.steps.run(loader.load(1)) == "v1");
    kit::manual_clock::advance(9s);
    CHECK(t.steps.run(loader.load(1)) == "v1");
    CHECK(from.seen == batches{{1}});
    kit::manual_clock::advance(1s);
    CHECK(t.steps.run(loader.load_many(keys{1, 2})).size() == 2);
    CHECK(from.seen == batches{{1}, {1, 2}});
}

TEST_CASE("C07 A caller that loads again at once gets what his batch has stored") {
    setup t(any_basis());
    source from;
    auto loader = t.make(from.fn());
    const auto twice = [&]() -> asio::awaitable<std::string> {
        std::string one = co_await loader.load(1);
        std::string two = co_await loader.load(1);
        co_return one + two;
    };
    std::vector<call<std::string>> calls;
    for (int i = 0; i != 5; ++i) {
        calls.emplace_back(t.context, twice());
    }
    t.steps.run_until_idle();
    CHECK(from.seen == batches{{1}});
    for (const auto& one : calls) {
        CHECK(one.value() == "v1v1");
    }
}

TEST_CASE("C21 A batch cancelled for want of callers is no result: nothing stored, and no failure counted") {
    setup t(any_cache());
    source from;
    from.hold();
    auto loader = t.make(from.fn());
    call one(t.context, loader.load(1));
    t.steps.run_until_idle();
    one.cancel();
    t.steps.run_until_idle();
    CHECK(from.running == 0);
    CHECK_FALSE(t.stored(1));
    const auto m = t.metrics();
    CHECK(m.loads == 1);
    CHECK(m.load_failures == 0);
    CHECK(m.in_flight == 0);
}

TEST_CASE("C21 operation_aborted that a batch throws unasked is an ordinary failure") {
    setup t(any_basis());
    source from;
    from.failure = [] {
        return std::make_exception_ptr(boost::system::system_error(asio::error::operation_aborted));
    };
    auto loader = t.make(from.fn());
    call one(t.context, loader.load(1));
    t.steps.run_until_idle();
    CHECK(one.error() == asio::error::operation_aborted);
    if (t.over_a_cache()) {
        CHECK(t.metrics().load_failures == 1);
    }
}

} // namespace
