// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/lru.hpp>
#include <acache/memory_backend.hpp>
#include <acache/s3_fifo.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using acache::entry;
using acache::memory_options;
using acache::removal_cause;
using acache::unbounded;

struct test_clock {
    static acache::time_point now() noexcept { return current; }
    static inline acache::time_point current{1h};
};

template <class Policy = acache::lru>
using backend =
    acache::memory_backend<int, std::string, acache::hash<int>, std::equal_to<>, Policy, test_clock>;

entry<std::string> sized(std::size_t size) {
    return entry<std::string>{std::string(size, 'x'), {}};
}

template <class Policy = acache::lru>
backend<Policy> weighed(std::size_t max_weight, std::size_t shards = 1, std::size_t capacity = unbounded) {
    backend<Policy> store{memory_options{.capacity = capacity, .shards = shards, .max_weight = max_weight}};
    store.weigh_by([](int, const std::string& value) { return value.size(); });
    return store;
}

TEST_CASE("entries are evicted until the new one's weight fits, and no further") {
    auto store = weighed(100);
    for (int n = 0; n != 10; ++n) {
        store.set(n, sized(10));
    }
    CHECK(store.metrics().weight == 100);
    CHECK(store.set(10, sized(25)));
    auto m = store.metrics();
    CHECK(m.size == 8);
    CHECK(m.weight == 95);
    CHECK(m.removals.capacity == 3);
    CHECK_FALSE(store.get(2));
    CHECK(store.get(3));
    CHECK_FALSE(store.set(11, sized(5)));
    CHECK(store.metrics().weight == 100);
}

TEMPLATE_TEST_CASE("weight is one budget for all shards", "", acache::s3_fifo, acache::lru) {
    auto store = weighed<TestType>(1000, 16);
    for (int n = 0; n != 100; ++n) {
        CHECK_FALSE(store.set(n, sized(10)));
    }
    CHECK(store.size() == 100);
    CHECK(store.set(1000, sized(1000)));
    CHECK(store.size() == 1);
    CHECK(store.get(1000));
    for (int n = 0; n != 300; ++n) {
        store.set(n, sized(static_cast<std::size_t>(n % 70 + 1)));
        REQUIRE(store.metrics().weight <= 1000);
        REQUIRE(store.get(n));
    }
}

TEST_CASE("an entry heavier than the whole is not stored, the older one goes, and it is counted") {
    auto store = weighed(100);
    store.set(1, sized(10));
    store.set(2, sized(10));
    CHECK(store.set(1, sized(101)));
    CHECK_FALSE(store.get(1));
    CHECK(store.get(2));
    const auto m = store.metrics();
    CHECK(m.rejected == 1);
    CHECK(m.removals.replaced == 1);
    CHECK(m.removals.capacity == 0);
    CHECK(m.weight == 10);
    CHECK_FALSE(store.set(3, sized(90)));
    CHECK(store.set(3, sized(100)));
    CHECK(store.size() == 1);
}

TEST_CASE("a replaced entry's weight counts no more") {
    auto store = weighed(100);
    store.set(1, sized(60));
    store.set(2, sized(40));
    CHECK(store.set(1, sized(10)));
    CHECK(store.metrics().weight == 50);
    CHECK(store.set(2, sized(90)));
    auto m = store.metrics();
    CHECK(m.weight == 100);
    CHECK(m.removals.capacity == 0);
    CHECK(store.get(1));            // now the older one is 2
    CHECK(store.set(2, sized(91))); // evicts the other, not the one it replaces
    m = store.metrics();
    CHECK(m.weight == 91);
    CHECK(m.removals.capacity == 1);
    CHECK(m.removals.replaced == 3);
    CHECK(store.get(2));
}

TEMPLATE_TEST_CASE("what weighs nothing is pinned", "", acache::s3_fifo, acache::lru) {
    backend<TestType> store{memory_options{.capacity = unbounded, .shards = 4, .max_weight = 100}};
    store.weigh_by([](int key, const std::string& value) { return key < 50 ? 0 : value.size(); });
    for (int n = 0; n != 1000; ++n) {
        store.set(n, sized(20));
    }
    for (int n = 0; n != 50; ++n) {
        CHECK(store.get(n));
    }
    CHECK(store.metrics().weight == 100);
    CHECK(store.size() == 55);
    store.set(7, sized(1));
    CHECK(store.get(7)->value.size() == 1);
    CHECK(store.erase(7));
    CHECK_FALSE(store.get(7));
    store.set(8, entry<std::string>{"", test_clock::current, test_clock::current + 1s});
    test_clock::current += 2s;
    CHECK(store.metrics().size == 53); // expired
    store.resize_weight(1);
    CHECK(store.size() == 48);
    store.clear();
    CHECK(store.metrics().size == 0);
    CHECK(store.metrics().weight == 0);
}

TEST_CASE("an entry may be pinned and let go by what replaces it") {
    backend<> store{memory_options{.capacity = unbounded, .shards = 1, .max_weight = 10}};
    store.weigh_by([](int, const std::string& value) { return value.size(); });
    store.set(1, sized(0));
    store.set(2, sized(10));
    store.set(3, sized(10));
    CHECK(store.get(1));
    store.set(1, sized(1)); // evicts 3
    store.set(4, sized(10));
    CHECK_FALSE(store.get(1));
    store.set(4, sized(0));
    store.set(5, sized(10));
    store.set(6, sized(10));
    CHECK(store.get(4));
    CHECK(store.metrics().weight == 10);
}

TEST_CASE("where pinned entries fill the capacity, another is rejected") {
    auto store = weighed(100, 4, 10);
    for (int n = 0; n != 10; ++n) {
        store.set(n, sized(0));
    }
    CHECK(store.set(20, sized(5)));
    CHECK(store.set(21, sized(0)));
    CHECK_FALSE(store.get(20));
    CHECK_FALSE(store.get(21));
    CHECK(store.metrics().rejected == 2);
    CHECK(store.set(3, sized(5))); // in the place of a pinned one
    CHECK(store.set(20, sized(5)));
    CHECK(store.get(20));
    CHECK_FALSE(store.get(3));
    CHECK(store.metrics().size == 10);
}

TEST_CASE("without a weigher every entry weighs one") {
    backend<> store{memory_options{.capacity = 100, .shards = 2, .max_weight = 10}};
    for (int n = 0; n != 20; ++n) {
        store.set(n, sized(1000));
    }
    const auto m = store.metrics();
    CHECK(m.size == 10);
    CHECK(m.weight == 10);
    CHECK(m.removals.capacity == 10);
}

TEMPLATE_TEST_CASE("a store is resized while it is in use", "", acache::s3_fifo, acache::lru) {
    const std::size_t shards = GENERATE(1u, 8u);
    backend<TestType> store{memory_options{.capacity = 100, .shards = shards}};
    for (int n = 0; n != 100; ++n) {
        store.set(n, sized(1));
    }
    store.resize(30);
    CHECK(store.size() == 30);
    CHECK(store.metrics().removals.capacity == 70);
    for (int n = 100; n != 200; ++n) {
        store.set(n, sized(1));
        REQUIRE(store.size() == 30);
    }
    store.resize(5000);
    for (int n = 0; n != 5000; ++n) {
        store.set(n + 1000, sized(1));
    }
    CHECK(store.size() == 5000);
    store.resize(0);
    CHECK(store.size() == 0);
    store.set(1, sized(1));
    CHECK_FALSE(store.get(1));
    store.resize(1);
    store.set(1, sized(1));
    CHECK(store.get(1));
}

TEST_CASE("the weight allowed is changed while a store is in use") {
    auto store = weighed(100, 4);
    for (int n = 0; n != 10; ++n) {
        store.set(n, sized(10));
    }
    store.resize_weight(35);
    CHECK(store.metrics().weight == 30);
    store.resize_weight(200);
    for (int n = 0; n != 20; ++n) {
        store.set(n, sized(10));
    }
    CHECK(store.metrics().weight == 200);
    CHECK_THROWS_AS(store.resize_weight(0), std::invalid_argument);
}

using event = std::tuple<int, std::size_t, removal_cause>;

TEST_CASE("a listener is told of each removal once, with its cause, after the write") {
    std::vector<event> told;
    auto store = weighed(20, 1);
    store.on_removal([&](int key, const std::string& value, removal_cause cause) {
        told.emplace_back(key, value.size(), cause);
    });
    const auto take = [&] { return std::exchange(told, {}); };
    using enum removal_cause;
    store.set(1, sized(10));
    CHECK(take().empty());
    {
        const auto held = store.set(1, sized(9));
        CHECK(told.empty());
    }
    CHECK(take() == std::vector<event>{{1, 10, replaced}});
    store.set(2, sized(11));
    store.set(3, sized(20));
    CHECK(take() == std::vector<event>{{1, 9, capacity}, {2, 11, capacity}});
    store.set(3, sized(21));
    CHECK(take() == std::vector<event>{{3, 20, replaced}});
    store.set(4, sized(1));
    store.erase(4);
    store.erase(4);
    CHECK(take() == std::vector<event>{{4, 1, invalidated}});
    store.set(5, sized(5));
    store.set(6, sized(6));
    store.clear();
    store.clear();
    CHECK(take().size() == 2);
    store.set(7, entry<std::string>{"", {}, acache::time_point{1ns}});
    store.set(7, sized(5));
    CHECK(take() == std::vector<event>{{7, 0, expired}});
    store.set(8, sized(15));
    CHECK(take().empty());
    store.resize_weight(15);
    CHECK(take() == std::vector<event>{{7, 5, capacity}});
}

TEST_CASE("a listener may call the store") {
    backend<> store{memory_options{.capacity = 2, .shards = 1}};
    int told = 0;
    store.on_removal([&](int key, const std::string&, removal_cause cause) {
        ++told;
        if (cause == removal_cause::invalidated) {
            store.set(key + 100, sized(1));
            CHECK(store.get(key + 100));
            CHECK(store.metrics().size <= 2);
        }
    });
    store.set(1, sized(1));
    store.set(2, sized(1));
    store.erase(1);
    CHECK(told == 1);
    store.clear();
    CHECK(told >= 3);
}

TEST_CASE("a weigher and a listener come before the first entry") {
    backend<> store{10};
    store.set(1, sized(1));
    CHECK_THROWS_AS(store.weigh_by([](int, const std::string&) { return 1; }), std::logic_error);
    CHECK_THROWS_AS(store.on_removal([](int, const std::string&, removal_cause) {}), std::logic_error);
    store.erase(1);
    CHECK_THROWS_AS(store.weigh_by([](int, const std::string&) { return 1; }), std::logic_error);
}

/// Does something when it is asked for the time, once.
struct hooked_clock {
    static acache::time_point now() noexcept {
        if (const auto f = std::exchange(hook, nullptr)) {
            f();
        }
        return acache::time_point{1h};
    }
    static inline std::function<void()> hook;
};

TEST_CASE("an entry that gets too heavy while it is stored is not stored, and no other goes for it") {
    acache::memory_backend<int, int, acache::hash<int>, std::equal_to<>, acache::lru, hooked_clock> store{
        memory_options{.shards = 2, .max_weight = 100}};
    store.weigh_by([](int, int value) { return static_cast<std::size_t>(value); });
    const auto fill = [&] {
        store.resize_weight(100);
        store.set(1, entry<int>{5, {}, acache::time_point{2h}});
        store.set(2, entry<int>{95, {}});
    };
    for (const int key : {2, 3}) {
        fill();
        const auto rejected = store.metrics().rejected;
        hooked_clock::hook = [&] { store.resize_weight(10); };
        CHECK(store.set(key, entry<int>{96, {}}));
        CHECK_FALSE(hooked_clock::hook);
        CHECK(store.metrics().rejected == rejected + 1);
        CHECK(store.size() <= 1);
        CHECK(store.metrics().weight <= 10);
        CHECK_FALSE(store.get(key));
    }
}

struct throwing_move {
    explicit throwing_move(std::size_t w) : weight(w) {}
    throwing_move(const throwing_move&) = default;
    throwing_move(throwing_move&& other) : weight(other.weight) {
        if (moves_left >= 0 && moves_left-- == 0) {
            throw std::runtime_error("moved");
        }
    }
    ~throwing_move() {} // not trivial

    std::size_t weight;
    static inline int moves_left = -1;
};

TEST_CASE("a set that throws as it refuses its entry leaves the older one") {
    acache::memory_backend<int, throwing_move> store{memory_options{.max_weight = 10}};
    store.weigh_by([](int, const throwing_move& v) { return v.weight; });
    store.set(1, entry<throwing_move>{throwing_move(5), {}});
    int thrown = 0;
    for (int left = 0;; ++left) {
        entry<throwing_move> heavy{throwing_move(11), {}};
        throwing_move::moves_left = left;
        try {
            store.set(1, std::move(heavy));
            break;
        } catch (const std::runtime_error&) {
            ++thrown;
            throwing_move::moves_left = -1;
            CHECK(store.get(1));
            CHECK(store.metrics().rejected == 0);
        }
    }
    throwing_move::moves_left = -1;
    CHECK(thrown >= 2);
    CHECK_FALSE(store.get(1));
    CHECK(store.metrics().rejected == 1);
}

struct unequal_key {
    int n;
    friend bool operator==(const unequal_key& a, const unequal_key& b) {
        return a.n == 13 || b.n == 13 ? throw std::runtime_error("thirteen") : a.n == b.n;
    }
};
struct same_hash {
    std::size_t operator()(const unequal_key&) const { return 1; }
};

TEST_CASE("a value whose set throws is destroyed under no lock") {
    acache::memory_backend<unequal_key, std::shared_ptr<void>, same_hash> store{memory_options{.shards = 1}};
    store.set({1}, entry<std::shared_ptr<void>>{nullptr, {}});
    bool destroyed = false;
    std::shared_ptr<void> value(nullptr, [&](std::nullptr_t) { destroyed = store.metrics().size == 1; });
    CHECK_THROWS_AS(store.set({13}, entry<std::shared_ptr<void>>{std::move(value), {}}), std::runtime_error);
    CHECK(destroyed);
    CHECK(store.size() == 1);
}

TEST_CASE("a weigher that throws leaves the store as it was") {
    backend<> store{memory_options{.max_weight = 10}};
    store.weigh_by([](int key, const std::string&) -> std::size_t {
        return key == 2 ? throw std::runtime_error("heavy") : 1;
    });
    store.set(1, sized(1));
    CHECK_THROWS_AS(store.set(2, sized(1)), std::runtime_error);
    CHECK(store.size() == 1);
    CHECK(store.metrics().weight == 1);
}

TEST_CASE("a weight of nothing in all is refused") {
    CHECK_THROWS_AS(backend<>(memory_options{.max_weight = 0}), std::invalid_argument);
}

} // namespace
