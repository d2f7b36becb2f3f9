// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <catch2/generators/catch_generators.hpp>

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

// Wrapped functions: every form of cached(), and every operation of what it returns.

namespace {

using namespace setup;

asio::awaitable<void> a_suspension() {
    co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
}

asio::awaitable<std::string> greet(std::string_view name, int times) {
    co_await a_suspension();
    std::string result;
    for (int i = 0; i != times; ++i) {
        result += name;
    }
    co_return result;
}

asio::awaitable<std::string> name_of(std::int64_t id) {
    co_return "name of " + std::to_string(id);
}

using text_world = world<over_memory, std::string, std::string>;

TEST_CASE("A function is wrapped under a format, and equal arguments share one run") {
    text_world w;
    int runs = 0;
    auto get_user = w.cache->cached("user:{}", [&runs](std::int64_t id) -> asio::awaitable<std::string> {
        ++runs;
        co_await a_suspension();
        co_return "user " + std::to_string(id);
    });
    CHECK(get_user.key(42) == "user:42");
    const auto a = w.begin(get_user(42));
    const auto b = w.begin(get_user(42));
    w.settle();
    CHECK(a.value() == "user 42");
    CHECK(b.value() == "user 42");
    CHECK(runs == 1);
    CHECK(w.steps.run(get_user(43)) == "user 43");
    CHECK(runs == 2);
    CHECK(w.steps.run(w.cache->get("user:42")) == "user 42");
}

TEST_CASE("A wrapped function stores, removes, refreshes, looks up and warms up under its keys") {
    text_world w;
    int runs = 0;
    auto fn = w.cache->cached("n:{}", [&runs](int n) -> asio::awaitable<std::string> {
        co_return std::to_string(n) + "/" + std::to_string(++runs);
    });
    w.steps.run(fn.set("stored", 1));
    CHECK(w.steps.run(fn(1)) == "stored");
    CHECK(fn.try_get(1) == "stored");
    CHECK(fn.try_get(2) == std::nullopt);
    CHECK(w.steps.run(fn.refresh(1)) == "1/1");
    CHECK(w.steps.run(fn(1)) == "1/1");
    CHECK(w.steps.run(fn.invalidate(1)));
    CHECK_FALSE(w.steps.run(fn.invalidate(1)));
    const auto loaded = w.steps.run(fn.lookup(1));
    CHECK(loaded.value == "1/2");
    CHECK(loaded.source == acache::lookup_source::loaded);
    CHECK(w.steps.run(fn.lookup(1)).source == acache::lookup_source::hit);
    const std::vector<int> ids{1, 2, 3};
    const auto report = w.steps.run(fn.warmup(ids, {.concurrency = 2}));
    CHECK(report.present == 1);
    CHECK(report.loaded == 2);
    CHECK(report.failed.empty());
    CHECK(fn.try_get(3) == "3/4");
}

TEST_CASE("A function of several arguments is warmed up by tuples of them") {
    text_world w;
    auto fn = w.cache->cached("{}/{}", greet);
    const std::vector<std::tuple<std::string, int>> calls{{"ab", 2}, {"c", 3}};
    CHECK(w.steps.run(fn.warmup(calls)).loaded == 2);
    CHECK(fn.try_get("ab", 2) == "abab");
    CHECK(fn.try_get("c", 3) == "ccc");
}

TEST_CASE("What is wrapped may be a function, a pointer, a std::function or a functor") {
    struct functor {
        std::string prefix;
        asio::awaitable<std::string> operator()(int n) const { co_return prefix + std::to_string(n); }
    };
    text_world w;
    auto by_function = w.cache->cached("f:{}", name_of);
    auto by_pointer = w.cache->cached("p:{}", &name_of);
    const std::function<asio::awaitable<std::string>(std::int64_t)> standard = name_of;
    auto by_std_function = w.cache->cached("s:{}", standard);
    auto by_functor = w.cache->cached("o:{}", functor{"n"});
    CHECK(w.steps.run(by_function(1)) == "name of 1");
    CHECK(w.steps.run(by_pointer(2)) == "name of 2");
    CHECK(w.steps.run(by_std_function(3)) == "name of 3");
    CHECK(w.steps.run(by_functor(4)) == "n4");
}

TEST_CASE("A function without arguments is wrapped under a format without fields") {
    text_world w;
    int runs = 0;
    auto settings = w.cache->cached(
        "settings", [&runs]() -> asio::awaitable<std::string> { co_return std::to_string(++runs); });
    CHECK(settings.key() == "settings");
    CHECK(w.steps.run(settings()) == "1");
    CHECK(w.steps.run(settings()) == "1");
}

TEST_CASE("A format may leave arguments out on purpose, and then the first call's value serves all") {
    text_world w;
    auto fn = w.cache->cached("first:{0}", greet);
    CHECK(fn.key("a", 1) == "first:a");
    CHECK(w.steps.run(fn("a", 1)) == "a");
    CHECK(w.steps.run(fn("a", 5)) == "a");
}

TEST_CASE("The key may come from a function of the arguments, also from one for any arguments") {
    text_world w;
    auto by_lambda = w.cache->cached(
        [](std::string_view name, int times) { return std::string(name) + "*" + std::to_string(times); },
        greet);
    CHECK(by_lambda.key("x", 2) == "x*2");
    CHECK(w.steps.run(by_lambda("x", 2)) == "xx");
    CHECK(w.steps.run(w.cache->get("x*2")) == "xx");

    const auto any_key = [](const auto& name, const auto& times) {
        return std::string(name) + "^" + std::to_string(times);
    };
    auto by_generic = w.cache->cached(any_key, greet);
    CHECK(by_generic.key("x", 2) == "x^2");
    CHECK(w.steps.run(by_generic("x", 2)) == "xx");

    // A generic function is open to a key function with parameters of its own.
    const auto any_function = [](auto n) -> asio::awaitable<std::string> { co_return std::to_string(n); };
    auto generic_function = w.cache->cached([](int n) { return "g" + std::to_string(n); }, any_function);
    CHECK(w.steps.run(generic_function(5)) == "5");
    CHECK(generic_function.key(5) == "g5");
}

TEST_CASE("The key may be made of the arguments themselves") {
    world<over_memory, std::int64_t, std::string> by_id;
    auto one = by_id.cache->cached(name_of);
    CHECK(one.key(7) == 7);
    CHECK(by_id.steps.run(one(7)) == "name of 7");
    CHECK(by_id.steps.run(by_id.cache->get(7)) == "name of 7");

    world<over_memory, std::tuple<std::string, int>, std::string> by_tuple;
    auto both = by_tuple.cache->cached(greet);
    CHECK(both.key("a", 2) == std::tuple<std::string, int>("a", 2));
    CHECK(by_tuple.steps.run(both("a", 2)) == "aa");
}

TEST_CASE("A wrapped function may take a load_context first, and its key does not") {
    text_world w;
    auto fn = w.cache->cached(
        "ctx:{}", [](acache::load_context& context, std::string name) -> asio::awaitable<std::string> {
            context.ttl(5s);
            co_await a_suspension();
            co_return name + "!";
        });
    CHECK(fn.key("a") == "ctx:a");
    CHECK(w.steps.run(fn("a")) == "a!");
    manual_clock::advance(5s);
    CHECK(fn.try_get("a") == std::nullopt);
    auto alone = w.cache->cached("alone", [](acache::load_context& context) -> asio::awaitable<std::string> {
        context.no_store();
        co_return "x";
    });
    CHECK(w.steps.run(alone()) == "x");
    CHECK(alone.try_get() == std::nullopt);
}

TEST_CASE("C03 text arguments are kept as strings, whatever becomes of what the caller passed") {
    text_world w;
    auto by_view = w.cache->cached("v:{}", [](std::string_view text) -> asio::awaitable<std::string> {
        co_await a_suspension();
        co_return std::string(text);
    });
    auto by_pointer = w.cache->cached("p:{}", [](const char* text) -> asio::awaitable<std::string> {
        co_await a_suspension();
        co_return std::string(text);
    });
    auto by_reference = w.cache->cached("r:{}", [](const std::string& text) -> asio::awaitable<std::string> {
        co_await a_suspension();
        co_return text;
    });
    const std::string long_text(200, 'x');
    auto dying = std::make_unique<std::string>(long_text);
    const auto a = w.begin(by_view(*dying));
    const auto b = w.begin(by_pointer(dying->c_str()));
    const auto c = w.begin(by_reference(*dying));
    std::fill(dying->begin(), dying->end(), '?');
    dying.reset();
    w.settle();
    CHECK(a.value() == long_text);
    CHECK(b.value() == long_text);
    CHECK(c.value() == long_text);
    CHECK(by_view.try_get(long_text) == long_text);
}

TEST_CASE("C03 the wrapper, its captures and the first caller may die while the load runs") {
    text_world w;
    source gate;
    gate.hold();
    const auto token = std::make_shared<std::string>(100, 't');
    std::optional<caller<std::string>> first;
    std::optional<caller<std::string>> second;
    {
        auto fn =
            w.cache->cached([](const std::string& name, const std::vector<int>&) { return "k:" + name; },
                            [token, gate](const std::string& name,
                                          const std::vector<int>& numbers) -> asio::awaitable<std::string> {
                                (void)co_await gate("x");
                                co_return name + *token + std::to_string(numbers.at(1));
                            });
        const std::string name(50, 'n');
        const std::vector<int> numbers{1, 2};
        first = w.call(fn(name, numbers));
        second = w.call(fn(name, numbers));
    }
    first->leave();
    w.settle();
    CHECK(first->code() == asio::error::operation_aborted);
    first.reset();
    CHECK_FALSE(second->done());
    gate.release_all();
    w.settle();
    CHECK(second->value() == std::string(50, 'n') + *token + "2");
    CHECK(token.use_count() == 1);
}

TEST_CASE("C03 a call works that begins when its wrapper is gone, or never begins") {
    const int calls_before = GENERATE(1, 1000);
    text_world w;
    const auto alive = std::make_shared<int>(7);
    const auto wrap = [&] {
        return w.cache->cached("n:{}", [alive](int n) -> asio::awaitable<std::string> {
            co_await a_suspension();
            co_return std::to_string(n * *alive);
        });
    };
    auto fn = std::make_unique<decltype(wrap())>(wrap());
    for (int i = 0; i != calls_before; ++i) {
        CHECK(w.steps.run((*fn)(1)) == "7");
    }
    auto hit = (*fn)(1);
    auto load = (*fn)(2);
    auto looked_up = fn->lookup(3);
    std::optional never((*fn)(1));
    fn.reset();
    CHECK(alive.use_count() == 2);
    CHECK(w.steps.run(std::move(hit)) == "7");
    CHECK(w.steps.run(std::move(load)) == "14");
    CHECK(w.steps.run(std::move(looked_up)).value == "21");
    CHECK(alive.use_count() == 2);
    never.reset();
    CHECK(alive.use_count() == 1);
}

TEST_CASE("An argument that is moved into the call is copied for the load, not taken twice") {
    text_world w;
    auto fn = w.cache->cached([](const std::string& a) { return a; },
                              [](std::string a) -> asio::awaitable<std::string> { co_return a + "!"; });
    std::string argument(100, 'a');
    const auto first = w.call(fn(std::move(argument)));
    CHECK(first.value() == std::string(100, 'a') + "!");
    CHECK(w.steps.run(w.cache->get(std::string(100, 'a'))) == std::string(100, 'a') + "!");
}

TEST_CASE("A failure of a wrapped function reaches its callers as thrown, and is not stored") {
    text_world w;
    int runs = 0;
    auto fn = w.cache->cached("{}", [&runs](int) -> asio::awaitable<std::string> {
        if (++runs == 1) {
            throw std::domain_error("not today");
        }
        co_return "fine";
    });
    CHECK_THROWS_AS(w.steps.run(fn(1)), std::domain_error);
    CHECK(w.steps.run(fn(1)) == "fine");
}

TEST_CASE("Wrapped functions work over an asynchronous backend") {
    world<over_script, std::string, std::string> w;
    auto fn = w.cache->cached("{}/{}", greet);
    CHECK(w.steps.run(fn("ab", 2)) == "abab");
    CHECK(w.store->peek("ab/2")->value == "abab");
    CHECK(w.steps.run(fn.lookup("ab", 2)).source == acache::lookup_source::hit);
    CHECK(w.steps.run(fn.invalidate("ab", 2)));
}

} // namespace
