// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/backend.hpp>
#include <acache/lru.hpp>
#include <acache/memory_backend.hpp>
#include <acache/s3_fifo.hpp>
#include <acache/turnstile.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using acache::entry;
using acache::memory_backend;
using acache::memory_options;

/// Stands still until a test moves it.
struct test_clock {
    static acache::time_point now() noexcept { return current; }
    static inline acache::time_point current{};
};

template <class K, class V, class Policy = acache::turnstile>
using backend = memory_backend<K, V, acache::hash<K>, std::equal_to<>, Policy, test_clock>;

template <class V>
entry<V> made(V value) {
    return entry<V>{std::move(value), test_clock::now()};
}

template <class Backend, class K>
auto value_of(Backend& store, const K& key) {
    const auto found = store.get(key);
    return found ? std::optional{found->value} : std::nullopt;
}

static_assert(acache::synchronous_backend<memory_backend<std::string, int>, std::string, int>);
static_assert(acache::measured_backend<memory_backend<std::string, int>>);
static_assert(acache::enumerable_backend<memory_backend<std::string, int>, std::string, int>);
static_assert(acache::eviction_policy<acache::s3_fifo>);
static_assert(acache::eviction_policy<acache::turnstile>);
static_assert(acache::eviction_policy<acache::lru>);
static_assert(std::is_same_v<acache::backend_clock_t<backend<int, int>>, test_clock>);
static_assert(std::is_trivially_destructible_v<memory_options>);

TEST_CASE("what is set is got back, stamps and all") {
    backend<std::string, std::string> store{10};
    const entry<std::string> given{"v", test_clock::now() + 1s, test_clock::now() + 5s};
    store.set("k", given);
    const auto found = store.get("k");
    REQUIRE(found);
    CHECK(found->value == "v");
    CHECK(found->created == given.created);
    CHECK(found->expires == given.expires);
    CHECK_FALSE(store.get("other"));
}

TEST_CASE("string keys are found by views and literals") {
    backend<std::string, int> store{10};
    store.set("k", made(1));
    CHECK(store.get(std::string_view{"k"}));
    CHECK(store.get(std::string{"k"}));
    CHECK(store.erase(std::string_view{"k"}));
    CHECK_FALSE(store.get("k"));
}

TEST_CASE("a hash computed once serves every operation on its key") {
    backend<std::string, int> store{10};
    const auto hash = store.hash_of(std::string_view{"k"});
    CHECK(hash == store.hash_of(std::string{"k"}));
    store.set("k", made(1), hash);
    CHECK(store.get(std::string_view{"k"}, hash));
    CHECK(store.get("k"));
    CHECK(store.erase(std::string_view{"k"}, hash));
    CHECK(store.size() == 0);
}

TEST_CASE("keys and values need no default constructor") {
    struct id {
        explicit id(int n) : number(n) {}
        bool operator==(const id&) const = default;
        int number;
    };
    struct id_hash {
        std::size_t operator()(const id& i) const { return static_cast<std::size_t>(i.number); }
    };
    memory_backend<id, id, id_hash> store{10};
    store.set(id{1}, entry<id>{id{2}, {}});
    CHECK(store.get(id{1})->value.number == 2);
}

TEST_CASE("an expired entry is given back: the cache judges freshness") {
    backend<int, int> store{10};
    store.set(1, entry<int>{1, test_clock::now(), test_clock::now() - 1s});
    const auto found = store.get(1);
    REQUIRE(found);
    CHECK(found->expired(test_clock::now()));
    CHECK(store.size() == 1);
}

TEMPLATE_TEST_CASE("a store never holds more than its capacity, and evicts nothing below it", "",
                   acache::turnstile, acache::s3_fifo, acache::lru) {
    const std::size_t capacity = GENERATE(1u, 2u, 3u, 7u, 10u, 64u, 100u, 1000u);
    const std::size_t shards = GENERATE(0u, 1u, 2u, 16u, 64u);
    CAPTURE(capacity, shards);
    backend<int, int, TestType> store{memory_options{.capacity = capacity, .shards = shards}};
    for (int n = 0; n != static_cast<int>(capacity); ++n) {
        store.set(n, made(n));
    }
    CHECK(store.size() == capacity);
    for (int n = 0; n != static_cast<int>(capacity); ++n) {
        CHECK(value_of(store, n) == n);
    }
    for (int n = 0; n != 3000; ++n) {
        store.set(n, made(n));
        REQUIRE(store.size() == capacity);
        REQUIRE(value_of(store, n) == n); // readable at once
    }
    std::size_t visited = 0;
    store.visit([&](int key, const entry<int>& e) {
        CHECK(key == e.value);
        ++visited;
    });
    CHECK(visited == capacity);
    CHECK(store.metrics().removals.capacity + store.metrics().removals.replaced == 3000);
}

TEST_CASE("room that an erase leaves in one shard is used by another") {
    backend<int, int> store{memory_options{.capacity = 64, .shards = 16}};
    for (int n = 0; n != 64; ++n) {
        store.set(n, made(n));
    }
    for (int n = 0; n != 32; ++n) {
        CHECK(store.erase(n));
    }
    for (int n = 1000; n != 1032; ++n) {
        CHECK_FALSE(store.set(n, made(n)));
    }
    CHECK(store.size() == 64);
    CHECK(store.metrics().removals.capacity == 0);
    CHECK(store.set(2000, made(1)));
}

TEST_CASE("capacity 0 stores nothing and hands the entry back") {
    backend<int, std::shared_ptr<int>> store{0};
    auto value = std::make_shared<int>(1);
    {
        const auto refused = store.set(1, made(value));
        CHECK(refused);
        CHECK(value.use_count() == 2);
    }
    CHECK(value.use_count() == 1);
    CHECK_FALSE(store.get(1));
    CHECK(store.size() == 0);
    CHECK(store.metrics().removals.capacity == 0);
}

TEST_CASE("an unbounded store never evicts") {
    backend<int, int> store{acache::unbounded};
    for (int n = 0; n != 20'000; ++n) {
        store.set(n, made(n));
    }
    CHECK(store.size() == 20'000);
    CHECK(store.metrics().removals.capacity == 0);
}

TEST_CASE("what a write displaces lives as long as what the write returns") {
    backend<int, std::shared_ptr<int>> store{memory_options{.capacity = 1, .shards = 4}};
    const auto value = std::make_shared<int>(1);
    store.set(1, made(value));
    CHECK(value.use_count() == 2);

    SECTION("replaced") {
        auto gone = store.set(1, made(std::make_shared<int>(2)));
        CHECK(gone);
        CHECK(value.use_count() == 2);
        const auto moved = std::move(gone);
        CHECK(value.use_count() == 2);
    }
    SECTION("evicted") {
        const auto gone = store.set(2, made(std::make_shared<int>(2)));
        CHECK(gone);
        CHECK(value.use_count() == 2);
    }
    SECTION("erased") {
        const auto gone = store.erase(1);
        CHECK(gone);
        CHECK(value.use_count() == 2);
    }
    SECTION("cleared") {
        const auto gone = store.clear();
        CHECK(store.size() == 0);
        CHECK_FALSE(store.get(1));
        CHECK(value.use_count() == 2);
    }
    CHECK(value.use_count() == 1);
}

TEST_CASE("a store works on after a clear") {
    backend<int, int> store{memory_options{.capacity = 100, .shards = 4}};
    for (int round = 0; round != 3; ++round) {
        for (int n = 0; n != 300; ++n) {
            store.set(n, made(n + round));
        }
        CHECK(store.size() == 100);
        CHECK(value_of(store, 299) == 299 + round);
        store.clear();
        CHECK(store.size() == 0);
        store.visit([](int, const entry<int>&) { FAIL("visited an entry of an empty store"); });
    }
    CHECK(store.metrics().removals.capacity == 600);
    CHECK(store.metrics().removals.invalidated == 300);
}

TEST_CASE("removals are counted by cause, and expired entries as expired") {
    const auto past = test_clock::now() - 1ns;
    backend<int, int, acache::lru> store{2};
    const auto removals = [&] { return store.metrics().removals; };
    store.set(1, made(1));
    store.set(1, made(2));
    CHECK(removals().replaced == 1);
    store.set(1, entry<int>{3, past, past});
    CHECK(removals().replaced == 2);
    store.set(1, entry<int>{4, past, past});
    CHECK(removals().expired == 1);
    store.erase(1);
    CHECK(removals().expired == 2);
    store.set(2, entry<int>{3, past, past});
    store.set(3, made(3));
    store.set(4, made(4));
    CHECK(removals().expired == 3);
    store.set(5, made(5));
    CHECK(removals().capacity == 1);
    store.erase(5);
    CHECK(removals().invalidated == 1);
    store.set(6, entry<int>{3, past, past});
    store.clear();
    CHECK(removals().invalidated == 2);
    CHECK(removals().expired == 4);
    CHECK(store.metrics().size == 0);
}

TEST_CASE("a store is moved with all it holds") {
    backend<int, int> first{10};
    first.set(1, made(1));
    auto second = std::move(first);
    CHECK(value_of(second, 1) == 1);
    backend<int, int> third{10};
    third.set(2, made(2));
    third = std::move(second);
    CHECK(value_of(third, 1) == 1);
    CHECK_FALSE(third.get(2));
}

/// Throws on the copy, the hash or the comparison that a test chooses.
struct fragile {
    explicit fragile(int n) : number(n) {}
    fragile(const fragile& other) : number(other.number) { step(copies_left); }
    fragile(fragile&&) noexcept = default;
    fragile& operator=(const fragile&) = default;
    fragile& operator=(fragile&&) noexcept = default;

    friend bool operator==(const fragile& a, const fragile& b) {
        step(comparisons_left);
        return a.number == b.number;
    }
    friend std::size_t hash_value(const fragile& f) {
        step(hashes_left);
        return static_cast<std::size_t>(f.number);
    }

    static void step(int& left) {
        if (left >= 0 && left-- == 0) {
            throw std::runtime_error("fragile");
        }
    }

    int number;
    static inline int copies_left = -1;
    static inline int hashes_left = -1;
    static inline int comparisons_left = -1;
};

template <class Backend>
std::map<int, int> contents(const Backend& store) {
    std::map<int, int> result;
    store.visit([&](const fragile& key, const entry<fragile>& e) { result[key.number] = e.value.number; });
    return result;
}

TEST_CASE("an operation that throws leaves the store as it was, and unlocked") {
    backend<fragile, fragile> store{memory_options{.capacity = 4, .shards = 2}};
    for (int n = 0; n != 4; ++n) {
        store.set(fragile{n}, made(fragile{n * 10}));
    }
    const auto before = contents(store);
    auto& fuse = *GENERATE(&fragile::copies_left, &fragile::hashes_left, &fragile::comparisons_left);
    const fragile present{2};
    const fragile absent{9};
    const auto fresh = made(fragile{1});
    for (int left = 0; left != 4; ++left) {
        const auto attempt = [&](auto operation) {
            fuse = left;
            try {
                operation();
                fuse = -1;
                return false;
            } catch (const std::runtime_error&) {
                fuse = -1;
                CHECK(contents(store) == before);
                return true;
            }
        };
        attempt([&] { (void)store.get(present); });
        attempt([&] { (void)store.get(absent); });
        if (attempt([&] { store.erase(present); }) && attempt([&] { store.set(present, fresh); })) {
            attempt([&] { store.set(absent, fresh); });
        } else {
            break;
        }
    }
    store.set(fragile{7}, made(fragile{70}));
    CHECK(value_of(store, fragile{7})->number == 70);
    CHECK(store.size() <= 4);
}

TEST_CASE("hashes that all collide cost time, not entries") {
    struct one_hash {
        std::size_t operator()(int) const { return 1; }
    };
    memory_backend<int, int, one_hash> store{memory_options{.capacity = 50, .shards = 8}};
    for (int n = 0; n != 200; ++n) {
        store.set(n, made(n));
        REQUIRE(value_of(store, n) == n);
    }
    CHECK(store.size() == 50);
}

TEMPLATE_TEST_CASE("millions of random operations agree with a map", "", acache::turnstile, acache::lru) {
    const std::size_t capacity = GENERATE(1u, 5u, 100u);
    const std::size_t shards = GENERATE(1u, 8u);
    CAPTURE(capacity, shards);
    backend<int, int, TestType> store{memory_options{.capacity = capacity, .shards = shards}};
    std::map<int, int> model; // what may be there, with the value that it must have
    std::mt19937 random{42};
    std::uint64_t displaced = 0;
    std::uint64_t erased = 0;
    std::uint64_t sets = 0;
    for (int step = 0; step != 200'000; ++step) {
        const int key = static_cast<int>(random() % 300);
        const auto choice = random() % 100;
        if (choice < 60) {
            if (const auto found = store.get(key)) {
                REQUIRE(model.contains(key));
                REQUIRE(found->value == model[key]);
            }
        } else if (choice < 95) {
            ++sets;
            displaced += store.set(key, made(step)) ? 1 : 0;
            model[key] = step;
        } else {
            erased += store.erase(key) ? 1 : 0;
            REQUIRE_FALSE(store.get(key));
            model.erase(key);
        }
        REQUIRE(store.size() <= capacity);
    }
    CHECK(sets == displaced + erased + store.size());
    const auto removals = store.metrics().removals;
    CHECK(removals.capacity + removals.replaced == displaced);
    CHECK(removals.invalidated == erased);
}

} // namespace
