// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

// Hashes, comparisons and copies that throw, loaders that fail early: each ends in an error for those whom it
// concerns, and the cache works on.

namespace {

using namespace setup;

/// Throws at the n-th time that it is asked.
class fuse {
public:
    static void light(int n) { left() = n; }
    static void put_out() { left() = -1; }
    static bool burnt() { return left() == 0; }
    static void tick(const char* what) {
        if (left() > 0 && --left() == 0) {
            throw std::runtime_error(what);
        }
    }

private:
    static int& left() {
        static int n = -1;
        return n;
    }
};

struct fragile_key {
    explicit fragile_key(std::string t) : text(std::move(t)) {}
    std::string text;

    friend bool operator==(const fragile_key& a, const fragile_key& b) {
        fuse::tick("equal");
        return a.text == b.text;
    }
};

struct fragile_value {
    explicit fragile_value(int n) : number(n) {}
    fragile_value(const fragile_value& other) : number(other.number) { fuse::tick("copy"); }
    fragile_value(fragile_value&&) noexcept = default;
    fragile_value& operator=(const fragile_value& other) {
        fuse::tick("copy");
        number = other.number;
        return *this;
    }
    fragile_value& operator=(fragile_value&&) noexcept = default;

    int number;
};

} // namespace

template <>
struct std::hash<fragile_key> {
    std::size_t operator()(const fragile_key& key) const {
        fuse::tick("hash");
        return std::hash<std::string>{}(key.text);
    }
};

namespace {

/// Runs `scenario(world)` with a throw at the first use of the user's code, then at the second and so on;
/// after each the cache has to work.
template <class Kind, class Scenario>
void throw_at_every_point(Scenario scenario) {
    const auto load = [](const fragile_key&) -> asio::awaitable<fragile_value> {
        co_return fragile_value(1);
    };
    int point = 1;
    for (bool thrown = true; thrown; ++point) {
        world<Kind, fragile_key, fragile_value> w;
        fuse::light(point);
        scenario(w, load);
        thrown = fuse::burnt();
        fuse::put_out();
        INFO("thrown at point " << point);
        CHECK(w.cache->metrics().in_flight == 0);
        CHECK(w.steps.run(w.cache->get_or_load(fragile_key{"a"}, load)).number == 1);
        CHECK(w.steps.run(w.cache->get_or_load(fragile_key{"b"}, load)).number == 1);
        CHECK(w.call(w.cache->close()).done());
    }
    CHECK(point > 3);
}

template <class T>
void check_outcome(const caller<T>& c) {
    REQUIRE(c.done());
    if (c.failed()) {
        const auto what = c.what();
        CHECK((what == "hash" || what == "equal" || what == "copy"));
    }
}

// Begins an operation whose start may throw already, as a caller sees it who makes the awaitable.
template <class World, class Begin>
void attempt(World& w, Begin begin) {
    const auto run = [](Begin b) -> asio::awaitable<void> { co_await b(); };
    check_outcome(w.call(run(begin)));
}

TEMPLATE_TEST_CASE("A hash, a comparison or a copy that throws fails one operation, and the cache works on",
                   "", over_memory, over_script) {
    throw_at_every_point<TestType>([](auto& w, auto load) {
        const fragile_key key{"a"};
        attempt(w, [&] { return w.cache->get_or_load(key, load); });
        attempt(w, [&] { return w.cache->get(key); });
        const fragile_value value(2);
        attempt(w, [&] { return w.cache->set(key, value); });
        attempt(w, [&] { return w.cache->refresh(key, load); });
        attempt(w, [&] { return w.cache->invalidate(key); });
        attempt(w, [&] { return w.cache->clear(); });
    });
}

TEMPLATE_TEST_CASE("What throws while many share a load fails those whom it concerns", "", over_memory,
                   over_script) {
    throw_at_every_point<TestType>([](auto& w, auto load) {
        const fragile_key key{"a"};
        const auto run = [&]() -> asio::awaitable<void> { (void)co_await w.cache->get_or_load(key, load); };
        std::vector<caller<void>> callers;
        for (int i = 0; i != 4; ++i) {
            callers.push_back(w.begin(run()));
        }
        w.settle();
        for (const auto& c : callers) {
            check_outcome(c);
        }
    });
}

TEMPLATE_TEST_CASE("What throws in a bulk look-up or a warm-up leaves nothing hanging", "", over_memory,
                   over_script) {
    throw_at_every_point<TestType>([](auto& w, auto load) {
        const std::vector<fragile_key> keys{fragile_key("a"), fragile_key("b"), fragile_key("c")};
        const auto batch =
            [](std::vector<fragile_key> missing) -> asio::awaitable<std::vector<fragile_value>> {
            std::vector<fragile_value> result;
            for (std::size_t i = 0; i != missing.size(); ++i) {
                result.emplace_back(1);
            }
            co_return result;
        };
        attempt(w, [&] { return w.cache->get_many_or_load(keys, batch); });
        attempt(w, [&] { return w.cache->get_many(keys); });
        attempt(w, [&] { return w.cache->clear(); });
        attempt(w, [&] { return w.cache->warmup(keys, load); });
    });
}

TEMPLATE_TEST_CASE("A loader that fails before its first suspension fails its callers, as thrown", "",
                   over_memory, over_script) {
    world<TestType> w;
    const auto in_coroutine = [](const std::string&) -> asio::awaitable<int> {
        throw std::out_of_range("in the coroutine");
        co_return 0;
    };
    const auto before_coroutine = [](const std::string&) -> asio::awaitable<int> {
        throw std::out_of_range("before the coroutine");
    };
    CHECK(w.call(w.cache->get_or_load("a", in_coroutine)).what() == "in the coroutine");
    CHECK(w.call(w.cache->get_or_load("a", before_coroutine)).what() == "before the coroutine");
    CHECK_THROWS_AS(w.steps.run(w.cache->get_or_load("a", before_coroutine)), std::out_of_range);
    CHECK(w.cache->metrics().load_failures == 3);
    CHECK(w.cache->metrics().in_flight == 0);
    CHECK(w.steps.run(w.get_or_load("a")) == 1);
}

TEMPLATE_TEST_CASE("C21 operation_aborted that a loader throws unasked is an ordinary failure", "",
                   over_memory, over_script) {
    world<TestType> w;
    const auto aborts = [](const std::string&) -> asio::awaitable<int> {
        throw boost::system::system_error(asio::error::operation_aborted);
        co_return 0;
    };
    const auto a = w.call(w.cache->get_or_load("a", aborts));
    CHECK(a.code() == asio::error::operation_aborted);
    CHECK(w.cache->metrics().load_failures == 1);
    CHECK(w.steps.run(w.get_or_load("a")) == 1);
}

TEMPLATE_TEST_CASE("A thousand loads that never suspend run in a row, without nesting", "", over_memory,
                   over_script) {
    world<TestType> w({.max_concurrent_loads = 1});
    const auto at_once = [](const std::string&) -> asio::awaitable<int> { co_return 1; };
    std::vector<caller<int>> callers;
    for (int i = 0; i != 1000; ++i) {
        callers.push_back(w.begin(w.cache->get_or_load(std::to_string(i), at_once)));
    }
    w.settle();
    CHECK(std::all_of(callers.begin(), callers.end(), [](const auto& c) { return c.value() == 1; }));
}

} // namespace
