// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/single_flight.hpp>

#include "cache_setup.hpp"

#include <boost/asio/strand.hpp>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace setup;

template <class V>
using flights_of =
    acache::single_flight<std::string, V, acache::hash<std::string>, std::equal_to<>, manual_clock>;

struct scene {
    explicit scene(acache::single_flight_options options = {}) : flights(std::in_place, context, options) {
        manual_clock::reset();
        src.hold();
    }

    caller<int> ask(std::string key) {
        caller<int> result(context.get_executor(), flights->run(std::move(key), src));
        steps.run_until_idle();
        return result;
    }
    template <class T>
    caller<T> call(asio::awaitable<T> work) {
        caller<T> result(context.get_executor(), std::move(work));
        steps.run_until_idle();
        return result;
    }
    void release_all() {
        src.release_all();
        steps.run_until_idle();
    }
    void release_one() {
        CHECK(src.release_one());
        steps.run_until_idle();
    }

    asio::io_context context;
    stepper steps{context};
    source src;
    std::optional<flights_of<int>> flights;
};

TEST_CASE("C01 a single_flight runs a function once for all who ask meanwhile, and again afterwards") {
    scene s;
    const auto a = s.ask("a");
    const auto b = s.ask("a");
    const auto other = s.ask("b");
    CHECK(s.src.starts("a") == 1);
    CHECK(s.flights->in_flight() == 2);
    s.release_all();
    CHECK(a.value() == 1);
    CHECK(b.value() == 1);
    CHECK(other.value() == 2);
    CHECK(s.flights->in_flight() == 0);
    const auto again = s.ask("a");
    s.release_all();
    CHECK(again.value() == 3);
}

TEST_CASE("C02 a single_flight gives a failure to all callers of that flight, and the next one runs anew") {
    scene s;
    s.src.fail_next(std::runtime_error("down"));
    const auto a = s.ask("a");
    const auto b = s.ask("a");
    s.release_all();
    CHECK(a.what() == "down");
    CHECK(b.what() == "down");
    CHECK(s.src.starts() == 1);
    const auto next = s.ask("a");
    s.release_all();
    CHECK(next.value() == 2);
}

TEST_CASE("C03 the first caller of a single_flight leaves, and the second gets the value") {
    scene s;
    auto token = std::make_shared<int>(5);
    std::optional<caller<int>> first(s.call([](auto& in, auto t) -> asio::awaitable<int> {
        auto fn = [t, src = in.src]() -> asio::awaitable<int> {
            const int n = co_await src("a");
            co_return n + *t;
        };
        co_return co_await in.flights->run(std::string(50, 'k'), fn);
    }(s, token)));
    const auto second = s.call(s.flights->run(std::string(50, 'k'), s.src));
    first->leave();
    s.steps.run_until_idle();
    CHECK(first->code() == asio::error::operation_aborted);
    first.reset();
    s.release_all();
    CHECK(second.value() == 6);
    CHECK(token.use_count() == 1);
}

TEST_CASE("C04 C05 a caller who comes when the last one has left starts anew, and is not cancelled") {
    scene s;
    const auto first = s.ask("a");
    first.leave();
    s.steps.run_until_idle();
    CHECK(s.src.given_up() == 1);
    const auto second = s.ask("a");
    s.release_all();
    CHECK(second.value() == 2);
}

TEST_CASE("C05 a single_flight that finishes what is abandoned stays joinable") {
    scene s({.finish_abandoned_loads = true});
    const auto first = s.ask("a");
    first.leave();
    s.steps.run_until_idle();
    CHECK(first.code() == asio::error::operation_aborted);
    const auto second = s.ask("a");
    s.release_all();
    CHECK(second.value() == 1);
    CHECK(s.src.starts() == 1);
}

TEST_CASE("C06 a single_flight's run that takes too long ends for all, and frees the key") {
    scene s({.load_timeout = 5s});
    s.src.ignore_cancellation();
    const auto a = s.ask("a");
    manual_clock::advance(5s);
    s.steps.run_until_idle();
    CHECK(a.code() == errc::load_timeout);
    const auto b = s.ask("a");
    s.release_one();
    CHECK_FALSE(b.done());
    s.release_one();
    CHECK(b.value() == 2);
}

TEST_CASE("C07 callers of a single_flight are resumed on their own executors, and may run the key again") {
    scene s;
    const auto strand = asio::make_strand(s.context);
    const caller<bool> a(strand, [](auto& in, auto on) -> asio::awaitable<bool> {
        (void)co_await in.flights->run("a", in.src);
        const bool right = on.running_in_this_thread();
        const int again = co_await in.flights->run("a", in.src);
        co_return right&& on.running_in_this_thread() && again == 2;
    }(s, strand));
    s.steps.run_until_idle();
    s.release_all();
    s.release_all();
    CHECK(a.value());
}

TEST_CASE("C09 a run that asks for its own key is told") {
    scene s;
    const auto again = [&](const std::string& key) { return s.flights->run(key, s.src); };
    CHECK(s.call(s.flights->run("a", again)).code() == errc::recursive_load);
    const auto other = [&](const std::string&) { return s.flights->run("b", s.src); };
    const auto b = s.call(s.flights->run("a", other));
    s.release_all();
    CHECK(b.value() == 1);
}

TEST_CASE("C10 a single_flight closes: waiting callers are told, and it waits for what runs") {
    scene s;
    s.src.ignore_cancellation();
    const auto a = s.ask("a");
    const auto closing = s.call(s.flights->close());
    CHECK(a.code() == errc::closed);
    CHECK_FALSE(closing.done());
    CHECK(s.ask("b").code() == errc::closed);
    s.release_all();
    CHECK(closing.done());
    CHECK(s.call(s.flights->close()).done());
}

TEST_CASE("C10 a single_flight drains: what runs goes on, and nothing new is taken") {
    scene s({.max_concurrent_loads = 1});
    const auto a = s.ask("a");
    const auto b = s.ask("b");
    const auto draining = s.call(s.flights->drain());
    CHECK(s.ask("c").code() == errc::closed);
    s.release_all();
    s.release_all();
    CHECK(a.value() == 1);
    CHECK(b.value() == 2);
    CHECK(draining.done());
}

TEST_CASE("C10 a single_flight's destructor gives closed to those who wait") {
    scene s;
    const auto a = s.ask("a");
    s.flights.reset();
    s.steps.run_until_idle();
    CHECK(a.code() == errc::closed);
    CHECK(s.src.given_up() == 1);
}

TEST_CASE("C14 after forget nobody joins the run under way, whose callers get its result") {
    scene s;
    CHECK_FALSE(s.flights->forget("a"));
    const auto before = s.ask("a");
    CHECK(s.flights->forget("a"));
    CHECK_FALSE(s.flights->forget("a"));
    const auto after = s.ask("a");
    CHECK(s.src.starts() == 2);
    CHECK(s.flights->in_flight() == 2);
    s.release_one();
    CHECK(before.value() == 1);
    CHECK_FALSE(after.done());
    s.release_one();
    CHECK(after.value() == 2);
}

TEST_CASE("C26 runs over the cap wait their turn, and those asked for from inside a run do not") {
    scene s({.max_concurrent_loads = 1});
    const auto asks = [&](const std::string&) { return s.flights->run("inner", s.src); };
    const auto outer = s.call(s.flights->run("outer", asks));
    const auto queued = s.ask("queued");
    CHECK(s.src.starts("inner") == 1);
    CHECK(s.src.starts("queued") == 0);
    s.release_all();
    CHECK(outer.value() == 1);
    s.release_all();
    CHECK(queued.value() == 2);
}

TEST_CASE("A single_flight of nothing runs functions for their effect") {
    asio::io_context context;
    stepper steps(context);
    flights_of<void> flights(context);
    int ran = 0;
    const auto fn = [&]() -> asio::awaitable<void> {
        ++ran;
        co_return;
    };
    steps.run(flights.run("a", fn));
    steps.run(flights.run("a", fn));
    CHECK(ran == 2);
    const auto fails = [&]() -> asio::awaitable<void> {
        throw std::runtime_error("down");
        co_return;
    };
    CHECK_THROWS_AS(steps.run(flights.run("a", fails)), std::runtime_error);
}

TEST_CASE("A single_flight's function may fail before it makes a coroutine") {
    scene s;
    const auto fn = [](const std::string&) -> asio::awaitable<int> {
        throw std::out_of_range("no coroutine");
    };
    CHECK(s.call(s.flights->run("a", fn)).what() == "no coroutine");
    CHECK(s.flights->in_flight() == 0);
}

TEST_CASE("A single_flight looks up text without making a string of it for every caller") {
    scene s;
    const auto a = s.ask("a");
    const auto b = s.call(s.flights->run(std::string_view("a"), s.src));
    CHECK(s.src.starts() == 1);
    CHECK(s.flights->forget(std::string_view("a")));
    s.release_all();
    CHECK(b.value() == 1);
}

TEST_CASE("A single_flight refuses options that make no sense") {
    asio::io_context context;
    CHECK_THROWS_AS(flights_of<int>(context, {.load_timeout = 0s}), std::invalid_argument);
    CHECK_THROWS_AS(flights_of<int>(context, {.load_timeout = -1s}), std::invalid_argument);
    CHECK_THROWS_AS(flights_of<int>(context, {.max_concurrent_loads = 0}), std::invalid_argument);
}

} // namespace
