// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <acache/data_loader.hpp>
#include <acache/detail/flight_group.hpp>
#include <acache/detail/load_executor.hpp>
#include <acache/single_flight.hpp>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// Loads run one after the other in the same coroutines: what one load did is nothing to the next.

namespace {

using namespace setup;

asio::awaitable<void> hop() {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

TEST_CASE("An execution context runs out of work when loads are over, and may be run again") {
    asio::io_context context;
    acache::async_cache<int, int> cache(context, {.capacity = 0});
    acache::single_flight<int, int> flights(context);
    acache::DataLoader<int, int> loader(context,
                                        [](std::span<const int> keys) -> asio::awaitable<std::vector<int>> {
                                            co_await hop();
                                            co_return std::vector<int>(keys.begin(), keys.end());
                                        },
                                        {.cache = false});
    const auto at_once = [](int key) -> asio::awaitable<int> { co_return key; };
    const auto later = [](int key) -> asio::awaitable<int> {
        co_await hop();
        co_return key;
    };
    for (int round = 0; round != 3; ++round) {
        int sum = 0;
        const auto all = [&]() -> asio::awaitable<void> {
            sum += co_await cache.get_or_load(1, at_once);
            sum += co_await cache.get_or_load(2, later);
            sum += co_await flights.run(3, later);
            sum += co_await loader.load(4);
        };
        asio::co_spawn(context, all, asio::detached);
        context.restart();
        context.poll();
        CHECK(sum == 10);
        CHECK(context.stopped()); // as `run` would have returned
    }
}

TEST_CASE("A load that something of which was left behind still keeps its context at work") {
    asio::io_context context;
    acache::async_cache<int, int> cache(context, {.capacity = 0});
    std::optional<asio::any_io_executor> work;
    const auto keeps = [&](int key) -> asio::awaitable<int> {
        work = asio::prefer(co_await asio::this_coro::executor, asio::execution::outstanding_work.tracked);
        co_return key;
    };
    asio::co_spawn(context, cache.get_or_load(1, keeps), asio::detached);
    context.poll();
    CHECK_FALSE(context.stopped());
    work.reset();
    context.poll();
    CHECK(context.stopped());
}

TEST_CASE("Loads that follow each other have the same coroutine, and as many at once have several") {
    asio::io_context context;
    acache::async_cache<int, int> cache(context, {.capacity = 0});
    std::vector<const void*> names;
    const auto load = [&](int key) -> asio::awaitable<int> {
        {
            const auto executor = co_await asio::this_coro::executor;
            names.push_back(executor.target<acache::detail::load_executor>()->lane());
        }
        co_await hop();
        co_return key;
    };
    const auto one = [&](int key) -> asio::awaitable<void> { (void)co_await cache.get_or_load(key, load); };
    for (int i = 0; i != 3; ++i) {
        asio::co_spawn(context, one(i), asio::detached);
        context.restart();
        context.run();
    }
    REQUIRE(names.size() == 3);
    CHECK(names[0] == names[1]);
    CHECK(names[1] == names[2]);
    asio::co_spawn(context, one(4), asio::detached);
    asio::co_spawn(context, one(5), asio::detached);
    context.restart();
    context.run();
    CHECK(names[3] != names[4]);
}

TEST_CASE("C09 a coroutine that an earlier load left behind is not taken for part of a later one") {
    world<over_memory> w({.capacity = 0});
    std::optional<caller<int>> left;
    asio::steady_timer bell(w.context, 1h);
    const auto ask_when_rung = [&]() -> asio::awaitable<int> {
        error_code ignored;
        co_await bell.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        co_return co_await w.get_or_load("b");
    };
    const auto leave_behind = [&](const std::string&) -> asio::awaitable<int> {
        left.emplace(co_await asio::this_coro::executor, ask_when_rung());
        co_return 0;
    };
    CHECK(w.steps.run(w.cache->get_or_load("a", leave_behind)) == 0);
    w.src.hold();
    const auto b = w.call(w.get_or_load("b"));
    REQUIRE(w.src.parked() == 1);
    bell.cancel();
    w.settle();
    CHECK_FALSE(left->done()); // it waits for the load of b, and is not told that it is in it
    w.src.release_all();
    w.settle();
    CHECK(left->value() == 1);
    CHECK(b.value() == 1);
}

TEST_CASE("C09 recursion is told in every load that a coroutine runs, and of no other") {
    world<over_memory> w({.capacity = 0});
    const auto again = [&](const std::string& key) -> asio::awaitable<int> {
        co_return co_await w.get_or_load(key);
    };
    const auto other = [&](const std::string&) -> asio::awaitable<int> {
        co_return co_await w.get_or_load("first");
    };
    for (int i = 0; i != 3; ++i) {
        CHECK(w.steps.run(w.get_or_load("first")) == 2 * i + 1);
        CHECK(w.call(w.cache->get_or_load("second", again)).code() == errc::recursive_load);
        CHECK(w.steps.run(w.cache->get_or_load("second", other)) == 2 * i + 2);
    }
}

TEST_CASE("A chain of loads that ask for each other's keys may be of any length") {
    for (const bool in_strand : {false, true}) {
        asio::io_context context;
        const asio::any_io_executor executor =
            in_strand ? asio::any_io_executor(asio::make_strand(context)) : context.get_executor();
        acache::async_cache<int, int> cache(executor, {.capacity = 0});
        std::function<asio::awaitable<int>(int)> load = [&](int key) -> asio::awaitable<int> {
            if (key == 0) {
                co_return 0;
            }
            co_return 1 + co_await cache.get_or_load(key - 1, load);
        };
        int result = 0;
        const auto ask = [&]() -> asio::awaitable<void> {
            result = co_await cache.get_or_load(20'000, load);
        };
        asio::co_spawn(executor, ask, asio::detached);
        context.run();
        CHECK(result == 20'000);
    }
}

TEST_CASE("C05 a load's cancellation does not reach the loads after it") {
    world<over_memory> w({.capacity = 0});
    w.src.hold();
    for (int i = 0; i != 3; ++i) {
        const auto leaver = w.call(w.get_or_load("a"));
        leaver.leave();
        w.settle();
        CHECK(leaver.code() == asio::error::operation_aborted);
        CHECK(w.src.given_up() == i + 1);
        const auto stayer = w.call(w.get_or_load("b"));
        CHECK_FALSE(stayer.done());
        w.src.release_all();
        w.settle();
        CHECK(stayer.value() == 2 * i + 2);
    }
}

TEST_CASE("C05 a cancellation that comes just when its load ends does not reach the next one") {
    const auto load = [](const std::string&) -> asio::awaitable<int> {
        for (int i = 0; i != 5; ++i) {
            co_await hop();
        }
        co_return 1;
    };
    // The next load begins at every point around the end of the one that is cancelled.
    for (std::size_t before = 0; before != 12; ++before) {
        for (std::size_t after = 0; after != 6; ++after) {
            world<over_memory> w({.capacity = 0});
            const auto leaver = w.begin(w.cache->get_or_load("a", load));
            w.steps.run_for(before);
            leaver.leave();
            w.steps.run_for(after);
            const auto next = w.begin(w.cache->get_or_load("b", load));
            w.settle();
            INFO("left after " << before << " handlers, the next load began " << after << " later");
            CHECK(next.value() == 1);
        }
    }
}

TEST_CASE("C05 what a load changes of its cancellation does not change it for the loads after it") {
    world<over_memory> w({.capacity = 0});
    const auto deaf = [](const std::string&) -> asio::awaitable<int> {
        co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        co_await asio::this_coro::throw_if_cancelled(false);
        co_return 0;
    };
    CHECK(w.steps.run(w.cache->get_or_load("a", deaf)) == 0);
    bool throws = false;
    const auto listens = [&](const std::string&) -> asio::awaitable<int> {
        throws = co_await asio::this_coro::throw_if_cancelled();
        asio::steady_timer never(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
        co_await never.async_wait(asio::use_awaitable);
        co_return 0;
    };
    const auto leaver = w.call(w.cache->get_or_load("b", listens));
    CHECK(throws);
    leaver.leave();
    w.settle();
    CHECK(w.cache->metrics().in_flight == 0);
    const auto closing = w.call(w.cache->close());
    CHECK(closing.done()); // the load has heard it
}

TEST_CASE("C06 the deadline of a load that has ended in time does not end the loads after it") {
    world<over_memory> w({.capacity = 0, .load_timeout = 10s});
    w.src.hold();
    const auto first = w.call(w.get_or_load("a"));
    manual_clock::advance(9s);
    w.src.release_all();
    w.settle();
    CHECK(first.value() == 1);
    w.src.hold();
    const auto second = w.call(w.get_or_load("b"));
    manual_clock::advance(9s);
    w.settle();
    CHECK_FALSE(second.done());
    manual_clock::advance(1s);
    w.settle();
    CHECK(second.code() == errc::load_timeout);
    w.src.let_pass();
    CHECK(w.steps.run(w.get_or_load("c")) == 3);
}

TEST_CASE("A load that has failed leaves its coroutine fit for the next") {
    world<over_memory> w({.capacity = 0});
    const auto throws = [](const std::string&) -> asio::awaitable<int> {
        co_await hop();
        throw std::runtime_error("no");
    };
    const auto throws_at_once = [](const std::string&) -> asio::awaitable<int> {
        throw std::runtime_error("no coroutine");
    };
    for (int i = 0; i != 3; ++i) {
        CHECK(w.call(w.cache->get_or_load("a", throws)).what() == "no");
        CHECK(w.call(w.cache->get_or_load("a", throws_at_once)).what() == "no coroutine");
        CHECK(w.steps.run(w.get_or_load("a")) == i + 1);
    }
}

/// An executor that may be told to fail.
class failing_executor {
public:
    struct orders {
        bool posts_fail = false;
        bool work_fails = false;
    };

    failing_executor(asio::io_context& context, const orders& given) : context_(&context), orders_(&given) {}

    [[nodiscard]] asio::execution_context& query(asio::execution::context_t) const noexcept {
        return *context_;
    }
    [[nodiscard]] failing_executor require(asio::execution::blocking_t::never_t) const { return *this; }
    [[nodiscard]] failing_executor require(asio::execution::outstanding_work_t::tracked_t) const {
        if (orders_->work_fails) {
            throw std::bad_alloc();
        }
        return *this;
    }
    template <class F>
    void execute(F&& f) const {
        if (orders_->posts_fail) {
            throw std::bad_alloc();
        }
        asio::post(*context_, std::forward<F>(f));
    }
    [[nodiscard]] bool operator==(const failing_executor&) const noexcept = default;

private:
    asio::io_context* context_;
    const orders* orders_;
};

TEST_CASE("A load that cannot be started fails, and what led to its start goes on") {
    asio::io_context context;
    failing_executor::orders orders;
    const failing_executor executor(context, orders);
    acache::async_cache<int, int> cache(executor, {.capacity = 0, .max_concurrent_loads = 1});
    const auto load = [&](int key) -> asio::awaitable<int> {
        co_await hop();
        co_return key;
    };
    const auto load_then_fail = [&](int key) -> asio::awaitable<int> {
        co_await hop();
        orders.posts_fail = true;
        co_return key;
    };
    caller<int> first(context.get_executor(), cache.get_or_load(1, load_then_fail));
    caller<int> queued(context.get_executor(), cache.get_or_load(2, load));
    CHECK_NOTHROW(context.run());
    CHECK(first.value() == 1);
    CHECK(queued.done());
    CHECK(queued.code() == errc::closed);
    orders.posts_fail = false;
    caller<int> next(context.get_executor(), cache.get_or_load(3, load));
    context.restart();
    context.run();
    CHECK(next.value() == 3);
}

TEST_CASE("A coroutine that cannot go on fails its load, and not the next") {
    asio::io_context context;
    failing_executor::orders orders;
    const failing_executor executor(context, orders);
    acache::async_cache<int, int> cache(executor, {.capacity = 0});
    const auto load = [](int key) -> asio::awaitable<int> {
        co_await hop();
        co_return key;
    };
    const auto ask = [&](int key) {
        caller<int> result(context.get_executor(), cache.get_or_load(key, load));
        context.restart();
        CHECK_NOTHROW(context.run());
        REQUIRE(result.done());
        return result;
    };
    CHECK(ask(1).value() == 1);
    orders.work_fails = true;
    CHECK(ask(2).code() == boost::system::errc::not_enough_memory);
    orders.work_fails = false;
    CHECK(ask(3).value() == 3);
}

TEST_CASE("C10 what rests goes with its cache, and with its context, whichever goes first") {
    for (const bool context_first : {false, true}) {
        std::optional<asio::io_context> context(std::in_place);
        std::optional<acache::async_cache<int, int>> cache(std::in_place, *context);
        const auto load = [](int key) -> asio::awaitable<int> {
            co_await hop();
            co_return key;
        };
        for (int i = 0; i != 10; ++i) {
            asio::co_spawn(*context, cache->get_or_load(i, load), asio::detached);
        }
        context->run();
        if (context_first) {
            context.reset();
        }
        cache.reset();
        // AddressSanitizer would see what is left.
    }
}

using group = acache::detail::flight_group<int, int, std::equal_to<>, manual_clock>;

/// A run of a group's, as `single_flight` makes them.
struct run_request : acache::detail::flight_request {
    struct body {
        static constexpr bool loads_only = true;
        [[nodiscard]] static asio::awaitable<int> call(group::job&) {
            co_await hop();
            co_return 0;
        }
        static void done(group::job& job, group::outcome_type outcome) {
            job.group().finish(*job.flights.front(), std::move(outcome), [] {});
        }
        asio::awaitable<void> operator()(group::job&) const { co_return; }
    };

    run_request(group& flights, int k) : in(flights), key(k) {}

    group& in;
    int key;
    group::job_ptr job = nullptr;

    [[nodiscard]] std::size_t hash() const { return static_cast<std::size_t>(key); }
    [[nodiscard]] int query() const { return key; }
    [[nodiscard]] static bool found(const group::flight_type*) { return false; }
    template <class Make>
    [[nodiscard]] auto add(Make make) {
        job = in.make_job<body>(std::nullopt, nullptr);
        return make(job);
    }
};

TEST_CASE("As many runners rest as loads ran at once, and those go that are not needed for long") {
    asio::io_context context;
    acache::detail::flight_settings settings;
    settings.max_jobs = acache::unbounded;
    const auto flights = std::make_shared<group>(context.get_executor(), settings);
    const auto load = [&](int loads) {
        for (int i = 0; i != loads; ++i) {
            run_request request{*flights, i};
            bool started = false;
            const auto flight = flights->join_or_add(request, started);
            request.job->board().submit(*request.job);
        }
        context.restart();
        context.run();
    };
    load(100);
    CHECK(flights->board.resting() == 100);
    load(60);
    CHECK(flights->board.resting() == 100);
    load(3000);
    CHECK(flights->board.resting() == 1024);
    for (int i = 0; i != 20'000; ++i) {
        load(1);
    }
    CHECK(flights->board.resting() < 5);
    CHECK(flights->board.resting() > 0);
    flights->shut();
    CHECK(flights->board.resting() == 0);
}

} // namespace
