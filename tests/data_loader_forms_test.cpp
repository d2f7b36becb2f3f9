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
#include <set>
#include <string_view>
#include <unordered_map>

namespace {

using namespace loader_tests;
using namespace std::chrono_literals;
using Catch::Matchers::ContainsSubstring;

/// Loads 1, 2 and 3 in one batch over a batch function of values V for keys int.
template <class V, class Fn>
std::vector<load_result<V>> load_three(Fn fn) {
    asio::io_context context;
    kit::stepper steps(context);
    acache::DataLoader<int, V> loader{context, std::move(fn)};
    const std::array three{1, 2, 3};
    return steps.run(loader.load_many(three));
}

template <class V>
void check_values(const std::vector<load_result<V>>& got, const std::vector<V>& wanted) {
    REQUIRE(got.size() == wanted.size());
    for (std::size_t i = 0; i != got.size(); ++i) {
        REQUIRE(got[i].has_value());
        CHECK(*got[i] == wanted[i]);
    }
}

TEST_CASE("A batch function may return a vector of values, in the order of the keys") {
    check_values<std::string>(
        load_three<std::string>([](std::span<const int>) -> asio::awaitable<std::vector<std::string>> {
            std::vector<std::string> out{"one", "two", "three"};
            co_return out;
        }),
        {"one", "two", "three"});
}

TEST_CASE("A batch function may return a vector of results: a value or an error for each key") {
    const auto got =
        load_three<int>([](std::span<const int> ids) -> asio::awaitable<std::vector<load_result<int>>> {
            std::vector<load_result<int>> out;
            for (const int id : ids) {
                out.push_back(id == 2 ? failed<int>("two is bad") : load_result<int>(id * 10));
            }
            co_return out;
        });
    REQUIRE(got.size() == 3);
    CHECK(*got[0] == 10);
    REQUIRE(got[1].has_error());
    CHECK(text_of(got[1].error()) == "two is bad");
    CHECK(*got[2] == 30);
}

TEST_CASE("C24 A result that is an error without an exception is errc::not_found, and no value") {
    const auto got =
        load_three<int>([](std::span<const int> ids) -> asio::awaitable<std::vector<load_result<int>>> {
            std::vector<load_result<int>> out(ids.size(), load_result<int>(7));
            out[1] = load_result<int>(boost::system::in_place_error, std::exception_ptr());
            co_return out;
        });
    REQUIRE(got.size() == 3);
    CHECK(*got[0] == 7);
    CHECK(code_of(got[1]) == errc::not_found);
    CHECK(*got[2] == 7);
}

TEST_CASE("C24 A batch function may return a vector of optionals, where an empty one is errc::not_found") {
    const auto got =
        load_three<int>([](std::span<const int>) -> asio::awaitable<std::vector<std::optional<int>>> {
            std::vector<std::optional<int>> out{10, std::nullopt, 30};
            co_return out;
        });
    REQUIRE(got.size() == 3);
    CHECK(*got[0] == 10);
    CHECK(code_of(got[1]) == errc::not_found);
    CHECK(*got[2] == 30);
}

TEMPLATE_TEST_CASE("C24 A batch function may return a map, where a key that is missing is errc::not_found",
                   "", (std::map<int, std::string>), (std::unordered_map<int, std::string>)) {
    const auto got = load_three<std::string>([](std::span<const int>) -> asio::awaitable<TestType> {
        TestType out;
        out.emplace(3, "three");
        out.emplace(1, "one");
        out.emplace(99, "nobody asked");
        co_return out;
    });
    REQUIRE(got.size() == 3);
    CHECK(*got[0] == "one");
    CHECK(code_of(got[1]) == errc::not_found);
    CHECK(*got[2] == "three");
}

TEST_CASE("A batch function may return a map of results or of optionals") {
    const auto results =
        load_three<int>([](std::span<const int>) -> asio::awaitable<std::map<int, load_result<int>>> {
            std::map<int, load_result<int>> out;
            out.emplace(1, 10);
            out.emplace(2, failed<int>("two is bad"));
            co_return out;
        });
    CHECK(*results[0] == 10);
    CHECK(text_of(results[1].error()) == "two is bad");
    CHECK(code_of(results[2]) == errc::not_found);
    const auto optionals = load_three<int>(
        [](std::span<const int>) -> asio::awaitable<std::unordered_map<int, std::optional<int>>> {
            std::unordered_map<int, std::optional<int>> out;
            out.emplace(1, 10);
            out.emplace(2, std::nullopt);
            co_return out;
        });
    CHECK(*optionals[0] == 10);
    CHECK(code_of(optionals[1]) == errc::not_found);
    CHECK(code_of(optionals[2]) == errc::not_found);
}

TEST_CASE("Where V is an optional, a vector of V holds values, the empty ones too") {
    using maybe = std::optional<int>;
    check_values<maybe>(load_three<maybe>([](std::span<const int>) -> asio::awaitable<std::vector<maybe>> {
                            std::vector<maybe> out{10, std::nullopt, 30};
                            co_return out;
                        }),
                        {10, std::nullopt, 30});
    // One more optional around it says whether there is a value.
    const auto got =
        load_three<maybe>([](std::span<const int>) -> asio::awaitable<std::vector<std::optional<maybe>>> {
            std::vector<std::optional<maybe>> out(3);
            out[0].emplace(10);
            out[1].emplace(std::nullopt);
            co_return out;
        });
    CHECK(*got[0] == maybe(10));
    REQUIRE(got[1].has_value());
    CHECK(*got[1] == std::nullopt);
    CHECK(code_of(got[2]) == errc::not_found);
}

TEST_CASE("Where V is a result, a vector of V holds values, the failed ones too") {
    using outcome = load_result<int>;
    const auto got = load_three<outcome>([](std::span<const int>) -> asio::awaitable<std::vector<outcome>> {
        std::vector<outcome> out{10, failed<int>("kept"), 30};
        co_return out;
    });
    CHECK(**got[0] == 10);
    REQUIRE(got[1].has_value());
    CHECK(text_of(got[1]->error()) == "kept");
    CHECK(**got[2] == 30);
}

TEST_CASE("V may be bool, with its own kind of vector") {
    check_values<bool>(load_three<bool>([](std::span<const int>) -> asio::awaitable<std::vector<bool>> {
                           std::vector<bool> out{true, false, true};
                           co_return out;
                       }),
                       {true, false, true});
    const auto got =
        load_three<bool>([](std::span<const int>) -> asio::awaitable<std::vector<std::optional<bool>>> {
            std::vector<std::optional<bool>> out{true, false, std::nullopt};
            co_return out;
        });
    CHECK(*got[0]);
    REQUIRE(got[1].has_value());
    CHECK_FALSE(*got[1]);
    CHECK(code_of(got[2]) == errc::not_found);
    const auto mapped = load_three<bool>([](std::span<const int>) -> asio::awaitable<std::map<int, bool>> {
        std::map<int, bool> out{{1, false}, {3, true}};
        co_return out;
    });
    CHECK_FALSE(*mapped[0]);
    CHECK(code_of(mapped[1]) == errc::not_found);
    CHECK(*mapped[2]);
}

struct plain {
    explicit plain(int n) : number(n) {}
    bool operator==(const plain&) const = default;
    int number;
};

TEST_CASE("V need not have a default value") {
    check_values<plain>(
        load_three<plain>([](std::span<const int> ids) -> asio::awaitable<std::vector<plain>> {
            std::vector<plain> out;
            for (const int id : ids) {
                out.emplace_back(id);
            }
            co_return out;
        }),
        {plain(1), plain(2), plain(3)});
}

TEST_CASE("A batch function may take its keys as a vector, which is its own") {
    check_values<int>(load_three<int>([](std::vector<int> ids) -> asio::awaitable<std::vector<int>> {
                          co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
                          for (int& id : ids) {
                              id *= 10;
                          }
                          co_return ids;
                      }),
                      {10, 20, 30});
}

TEST_CASE("A batch function may take its keys as a reference to a vector, which lives as long as it runs") {
    check_values<int>(load_three<int>([](const std::vector<int>& ids) -> asio::awaitable<std::vector<int>> {
                          co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
                          std::vector<int> out;
                          for (const int id : ids) {
                              out.push_back(id * 10);
                          }
                          co_return out;
                      }),
                      {10, 20, 30});
}

TEST_CASE("A batch function may take its keys as a span, which is good as long as it runs") {
    check_values<int>(load_three<int>([](std::span<const int> ids) -> asio::awaitable<std::vector<int>> {
                          co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
                          std::vector<int> out(ids.begin(), ids.end());
                          co_return out;
                      }),
                      {1, 2, 3});
}

asio::awaitable<std::vector<int>> negated(std::vector<int> ids) {
    for (int& id : ids) {
        id = -id;
    }
    co_return ids;
}

TEST_CASE("A batch function may be a function pointer, a std::function, or a function that is no coroutine") {
    check_values<int>(load_three<int>(&negated), {-1, -2, -3});
    check_values<int>(
        load_three<int>(std::function<asio::awaitable<std::vector<int>>(std::vector<int>)>(negated)),
        {-1, -2, -3});
    check_values<int>(load_three<int>([](std::vector<int> ids) { return negated(std::move(ids)); }),
                      {-1, -2, -3});
}

TEST_CASE(
    "C24 What a batch function throws before its first suspension reaches every caller as it was thrown") {
    const auto got = load_three<int>([](std::span<const int>) -> asio::awaitable<std::vector<int>> {
        throw std::domain_error("no coroutine was made");
    });
    REQUIRE(got.size() == 3);
    for (const auto& one : got) {
        REQUIRE(one.has_error());
        CHECK_THROWS_AS(std::rethrow_exception(one.error()), std::domain_error);
    }
}

struct touchy {
    int number = 0;
    bool operator==(const touchy& other) const { return number == other.number; }
};
struct touchy_hash {
    std::size_t operator()(const touchy& t) const {
        if (t.number < 0) {
            throw std::domain_error("no hash");
        }
        return static_cast<std::size_t>(t.number);
    }
};
} // namespace

template <>
struct std::hash<touchy> : touchy_hash {};

namespace {

TEST_CASE("A key whose hash throws fails its own load, and the loader works on") {
    asio::io_context context;
    kit::stepper steps(context);
    acache::DataLoader<touchy, int> loader{
        context, [](std::span<const touchy> ids) -> asio::awaitable<std::vector<int>> {
            std::vector<int> out;
            for (const auto& id : ids) {
                out.push_back(id.number);
            }
            co_return out;
        }};
    const touchy good{1};
    const touchy bad{-1};
    call waiting(context, loader.load(good));
    call failing(context, loader.load(bad));
    steps.run_until_idle();
    CHECK(waiting.value() == 1);
    CHECK(failing.what() == "no hash");
    const touchy next{2};
    CHECK(steps.run(loader.load(next)) == 2);
}

// Throws when it is copied for the n-th time from now.
struct fragile {
    int number = 0;
    inline static int copies_left = std::numeric_limits<int>::max();

    explicit fragile(int n) : number(n) {}
    fragile(const fragile& other) : number(other.number) {
        if (--copies_left == 0) {
            throw std::domain_error("copied once too often");
        }
    }
    fragile& operator=(const fragile& other) {
        fragile copy(other);
        number = copy.number;
        return *this;
    }
    bool operator==(const fragile& other) const { return number == other.number; }
};
} // namespace

template <>
struct std::hash<fragile> {
    std::size_t operator()(const fragile& f) const { return static_cast<std::size_t>(f.number); }
};

namespace {

TEST_CASE("A key whose copy throws, whichever copy it is, fails a load at most, and the loader works on") {
    int failures = 0;
    for (int n = 1; n != 12; ++n) {
        CAPTURE(n);
        asio::io_context context;
        kit::stepper steps(context);
        acache::DataLoader<fragile, int> loader{
            context, [](std::span<const fragile> ids) -> asio::awaitable<std::vector<int>> {
                std::vector<int> out;
                for (const auto& id : ids) {
                    out.push_back(id.number);
                }
                co_return out;
            }};
        const fragile one(1);
        const fragile two(2);
        call first(context, loader.load(one));
        fragile::copies_left = n;
        steps.run_until_idle();
        fragile::copies_left = std::numeric_limits<int>::max();
        REQUIRE(first.done());
        failures += first.failed() ? 1 : 0;
        CHECK(steps.run(loader.load(two)) == 2);
        CHECK(steps.run(loader.load(one)) == 1);
    }
    CHECK(failures > 2);
}

TEST_CASE(
    "A value whose copy throws, whichever copy it is, fails who copies it, and load_many does not throw") {
    int failures = 0;
    for (int n = 1; n != 12; ++n) {
        CAPTURE(n);
        asio::io_context context;
        kit::stepper steps(context);
        acache::DataLoader<int, fragile> loader{
            context, [](std::span<const int> ids) -> asio::awaitable<std::vector<fragile>> {
                std::vector<fragile> out;
                out.reserve(ids.size());
                for (const int id : ids) {
                    out.emplace_back(id);
                }
                co_return out;
            }};
        const keys both{1, 2};
        call many(context, loader.load_many(both));
        call single(context, loader.load(1));
        fragile::copies_left = n;
        steps.run_until_idle();
        fragile::copies_left = std::numeric_limits<int>::max();
        REQUIRE(many.done());
        REQUIRE(single.done());
        REQUIRE_FALSE(many.failed());
        REQUIRE(many.value().size() == 2);
        for (const auto& one : many.value()) {
            failures += one.has_error() ? 1 : 0;
        }
        CHECK(steps.run(loader.load(1)).number == 1);
        CHECK(steps.run(loader.load(2)).number == 2);
    }
    CHECK(failures > 2);
}

} // namespace
