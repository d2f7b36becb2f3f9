// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/backend.hpp>
#include <acache/testing.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

namespace asio = boost::asio;
using namespace acache::testing;
using namespace std::chrono_literals;

static_assert(acache::cache_clock<manual_clock>);

struct no_default {
    explicit no_default(int n) : number(n) {}
    int number;
};

using numbers = scripted_backend<std::string, no_default>;
static_assert(acache::asynchronous_backend<numbers, std::string, no_default>);
static_assert(acache::multi_get_backend<numbers, std::string, no_default>);
static_assert(!acache::synchronous_backend<numbers, std::string, no_default>);

acache::entry<no_default> number(int n) {
    return acache::entry<no_default>(no_default(n), manual_clock::now());
}

asio::awaitable<void> set(numbers& backend, std::string key, int n) {
    co_await backend.set(key, number(n));
}

asio::awaitable<int> get(numbers& backend, std::string key) {
    auto found = co_await backend.get(key);
    co_return found ? found->value.number : -1;
}

TEST_CASE("A manual clock stands still until it is advanced") {
    manual_clock::reset();
    const auto start = manual_clock::now();
    CHECK(manual_clock::now() == start);
    manual_clock::advance(3s);
    CHECK(manual_clock::now() - start == 3s);
    manual_clock::reset();
    CHECK(manual_clock::now() == start);
}

TEST_CASE("A manual timer fires when the clock has been advanced, and at no other time") {
    manual_clock::reset();
    for (int round = 0; round != 200; ++round) {
        asio::io_context context;
        stepper steps(context);
        manual_timer timer(context, 1h);
        bool fired = false;
        timer.async_wait([&](auto error) { fired = !error; });
        CHECK(steps.run_until_idle() == 0);
        manual_clock::advance(1h - 1ns);
        CHECK(steps.run_until_idle() == 0);
        manual_clock::advance(1ns);
        CHECK(steps.run_until_idle() == 1);
        CHECK(fired);
    }
}

TEST_CASE("Manual timers fire in the order of their times, each once its time has come") {
    manual_clock::reset();
    asio::io_context context;
    stepper steps(context);
    std::vector<int> order;
    manual_timer late(context, 3s);
    manual_timer early(context, 1s);
    manual_timer middle(context, 2s);
    late.async_wait([&](auto) { order.push_back(3); });
    early.async_wait([&](auto) { order.push_back(1); });
    middle.async_wait([&](auto) { order.push_back(2); });
    manual_clock::advance(2s);
    CHECK(steps.run_until_idle() == 2);
    CHECK(order == std::vector{1, 2});
    manual_clock::advance(1s);
    CHECK(steps.run_until_idle() == 1);
    CHECK(order == std::vector{1, 2, 3});
}

TEST_CASE("A stepper runs one handler a step, and counts what it ran") {
    asio::io_context context;
    stepper steps(context);
    int ran = 0;
    CHECK_FALSE(steps.step());
    for (int i = 0; i != 5; ++i) {
        asio::post(context, [&] { ++ran; });
    }
    CHECK(steps.step());
    CHECK(ran == 1);
    CHECK(steps.run_for(2) == 2);
    CHECK(ran == 3);
    CHECK(steps.run_until_idle() == 2);
    CHECK(ran == 5);
    CHECK_FALSE(steps.step());
}

TEST_CASE("A stepper runs a coroutine to its value or its exception") {
    asio::io_context context;
    stepper steps(context);
    const auto value = [](int n) -> asio::awaitable<no_default> {
        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
        if (n < 0) {
            throw std::out_of_range("negative");
        }
        co_return no_default(n);
    };
    CHECK(steps.run(value(7)).number == 7);
    CHECK_THROWS_MATCHES(steps.run(value(-1)), std::out_of_range, Catch::Matchers::Message("negative"));
}

TEST_CASE("A stepper says so when a coroutine is stuck, and it may go on later") {
    manual_clock::reset();
    asio::io_context context;
    stepper steps(context);
    manual_timer timer(context, 1s);
    bool done = false;
    const auto wait = [&]() -> asio::awaitable<void> {
        co_await timer.async_wait(asio::use_awaitable);
        done = true;
    };
    CHECK_THROWS_AS(steps.run(wait()), std::runtime_error);
    CHECK_FALSE(done);
    manual_clock::advance(1s);
    steps.run_until_idle();
    CHECK(done);
}

TEST_CASE("A scripted backend keeps entries, suspends in each operation and counts them") {
    asio::io_context context;
    stepper steps(context);
    numbers backend;
    const auto script = backend.script();

    CHECK(steps.run(get(backend, "a")) == -1);
    steps.run(set(backend, "a", 1));
    steps.run(set(backend, "b", 2));
    CHECK(steps.run(get(backend, "a")) == 1);
    const std::vector<std::string> keys{"b", "c", "a"};
    const auto many = steps.run(backend.get_many(keys));
    REQUIRE(many.size() == 3);
    CHECK(many[0]->value.number == 2);
    CHECK_FALSE(many[1]);
    CHECK(many[2]->value.number == 1);
    CHECK(steps.run(backend.erase("a")));
    CHECK_FALSE(steps.run(backend.erase("a")));
    steps.run(backend.clear());
    CHECK(backend.size() == 0);

    CHECK(script.calls(op::get) == 2);
    CHECK(script.calls(op::get_many) == 1);
    CHECK(script.calls(op::set) == 2);
    CHECK(script.calls(op::erase) == 2);
    CHECK(script.calls(op::clear) == 1);

    // Not done in the handler that began it.
    asio::co_spawn(context, set(backend, "c", 3), asio::detached);
    steps.step();
    CHECK(backend.size() == 0);
    steps.run_until_idle();
    CHECK(backend.size() == 1);
}

TEST_CASE("A held operation takes effect when it is released; a held answer has done so already") {
    asio::io_context context;
    stepper steps(context);
    numbers backend;
    auto script = backend.script();
    int first = 0;
    int second = 0;
    const auto read = [&](int& into) -> asio::awaitable<void> { into = co_await get(backend, "a"); };

    script.hold(op::get);
    asio::co_spawn(context, read(first), asio::detached);
    steps.run_until_idle();
    script.let_pass(op::get);
    script.hold_answers(op::get);
    asio::co_spawn(context, read(second), asio::detached);
    steps.run_until_idle();
    CHECK(script.parked() == 2);
    CHECK(script.parked(op::get) == 2);
    CHECK(script.parked(op::set) == 0);
    script.let_pass(op::get);

    backend.plant("a", number(1));
    CHECK_FALSE(script.release_one(op::set));
    CHECK(script.release_one());
    steps.run_until_idle();
    CHECK(first == 1);
    CHECK(script.release_all() == 1);
    steps.run_until_idle();
    CHECK(second == -1);
}

TEST_CASE("An operation that was told to fail does, once, and has no effect") {
    asio::io_context context;
    stepper steps(context);
    numbers backend;
    backend.script().fail_next(op::set, std::runtime_error("disk full"));
    CHECK_THROWS_MATCHES(steps.run(set(backend, "a", 1)), std::runtime_error,
                         Catch::Matchers::Message("disk full"));
    CHECK(backend.size() == 0);
    steps.run(set(backend, "a", 1));
    CHECK(backend.size() == 1);
}

TEST_CASE("A parked operation can be cancelled, and dies with its context") {
    numbers backend;
    auto script = backend.script();
    script.hold(op::get);
    const auto alive = std::make_shared<int>(0);
    {
        asio::io_context context;
        stepper steps(context);
        asio::cancellation_signal leave;
        bool cancelled = false;
        const auto read = [&](std::shared_ptr<int>) -> asio::awaitable<void> { co_await get(backend, "a"); };
        asio::co_spawn(
            context, read(alive),
            asio::bind_cancellation_slot(leave.slot(), [&](std::exception_ptr e) { cancelled = bool(e); }));
        asio::co_spawn(context, read(alive), asio::detached);
        steps.run_until_idle();
        CHECK(script.parked() == 2);
        leave.emit(asio::cancellation_type::terminal);
        steps.run_until_idle();
        CHECK(cancelled);
        CHECK(script.parked() == 1);
        CHECK(alive.use_count() == 2);
    }
    CHECK(script.parked() == 0);
    CHECK(alive.use_count() == 1);
}

} // namespace
