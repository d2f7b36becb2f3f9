// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// What a clear leaves behind, where nobody listens: out of reach at once, and freed in passing.
#include <acache/lru.hpp>
#include <acache/memory_backend.hpp>
#include <acache/turnstile.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <utility>

namespace {

using namespace std::chrono_literals;
using acache::entry;
using acache::memory_options;
using acache::removal_cause;
using acache::time_point;
using value = std::shared_ptr<int>;

struct test_clock {
    static time_point now() noexcept { return current; }
    static inline time_point current{1h};
};

template <class V = value, class Policy = acache::turnstile>
using backend = acache::memory_backend<int, V, acache::hash<int>, std::equal_to<>, Policy, test_clock>;

/// Values that are alive all count in this one.
struct counted {
    value token = std::make_shared<int>(0);

    entry<value> made() const { return entry<value>{token, test_clock::now()}; }
    entry<value> living(std::chrono::nanoseconds ttl) const {
        return entry<value>{token, test_clock::now(), test_clock::now() + ttl};
    }
    [[nodiscard]] std::size_t alive() const { return static_cast<std::size_t>(token.use_count()) - 1; }
};

TEMPLATE_TEST_CASE("what was cleared is gone at once, and destroyed later", "", acache::turnstile,
                   acache::lru) {
    constexpr std::size_t size = 5000;
    const std::size_t shards = GENERATE(1u, 8u);
    const counted values;
    {
        backend<value, TestType> store{
            memory_options{.capacity = size, .shards = shards, .max_weight = 3 * size}};
        store.weigh_by([](int, const value&) { return 3; });
        for (int n = 0; n != size; ++n) {
            store.set(n, values.made());
        }
        store.clear();
        CHECK(values.alive() + shards * 4 >= size); // it does not go through them
        CHECK(store.size() == 0);
        for (int n = 0; n != size; ++n) {
            REQUIRE_FALSE(store.get(n));
            REQUIRE_FALSE(store.erase(n));
        }
        store.visit([](int, const entry<value>&) { FAIL("visited an entry of an empty store"); });
        SECTION("by metrics") {
            const auto m = store.metrics();
            CHECK(values.alive() == 0);
            CHECK(m.size == 0);
            CHECK(m.weight == 0);
            CHECK(m.removals.invalidated == size);
        }
        SECTION("with the store") {}
    }
    CHECK(values.alive() == 0);
}

TEST_CASE("writes destroy what was cleared faster than they fill the store") {
    constexpr std::size_t size = 10'000;
    const std::size_t shards = GENERATE(1u, 8u);
    const counted old;
    const counted fresh;
    backend<> store{memory_options{.capacity = size, .shards = shards}};
    for (int n = 0; n != size; ++n) {
        store.set(n, old.made());
    }
    store.clear();
    for (int n = 0; n != size; ++n) {
        store.set(-1 - n, fresh.made());
        REQUIRE(old.alive() + fresh.alive() <= size);
        if (shards == 1 && old.alive() != 0) {
            REQUIRE(old.alive() + 2 * fresh.alive() <= size);
        }
    }
    CHECK(old.alive() == 0);
    CHECK(store.size() == size); // none was evicted on account of what was cleared
    CHECK(store.metrics().removals.capacity == 0);
}

TEST_CASE("clears one after another leave no more behind than the store may hold") {
    constexpr std::size_t size = 1000;
    const counted values;
    backend<> store{memory_options{.capacity = size, .shards = 2}};
    std::mt19937 random{3};
    int key = 0;
    for (int round = 0; round != 300; ++round) {
        const auto sets = random() % (2 * size);
        for (unsigned n = 0; n != sets; ++n) {
            store.set(key++, values.made());
            REQUIRE(values.alive() <= size + 8);
        }
        store.clear();
    }
    (void)store.metrics();
    CHECK(values.alive() == 0);
}

TEST_CASE("no timer of a cleared entry ever fires") {
    const counted values;
    backend<> store{memory_options{.capacity = 1000, .shards = 2}};
    for (int n = 0; n != 500; ++n) {
        store.set(n, values.living(1s));
    }
    store.clear();
    for (int n = 0; n != 300; ++n) {
        store.set(n, values.made());
        store.set(1000 + n, values.living(1min));
    }
    test_clock::current += 2s;
    for (int n = 0; n != 10; ++n) {
        store.set(2000, values.made());
        store.erase(2000);
    }
    CHECK(store.size() == 600);
    const auto m = store.metrics();
    CHECK(m.size == 600);
    CHECK(m.removals.expired == 0);
    CHECK(m.removals.invalidated == 510);
    test_clock::current += 1min;
    CHECK(store.metrics().removals.expired == 300);
}

TEST_CASE("what had expired when it was cleared counts as expired, what came to it later does not") {
    const counted values;
    backend<> store{memory_options{.capacity = 1000, .shards = 1}};
    for (int n = 0; n != 100; ++n) {
        store.set(n, values.living(1s));
        store.set(100 + n, values.living(3s));
        store.set(200 + n, values.made());
    }
    test_clock::current += 1s;
    store.clear();
    test_clock::current += 1h;
    const auto removals = store.metrics().removals;
    CHECK(removals.expired == 100);
    CHECK(removals.invalidated == 200);
}

TEST_CASE("a listener is told of all that was cleared before the clear has ended") {
    const counted values;
    std::size_t told = 0;
    backend<> store{memory_options{.capacity = 1000, .shards = 4}};
    store.on_removal([&](int, const value&, removal_cause cause) {
        CHECK(cause == removal_cause::invalidated);
        ++told;
    });
    for (int n = 0; n != 1000; ++n) {
        store.set(n, values.made());
    }
    store.clear();
    CHECK(told == 1000);
    CHECK(values.alive() == 0);
}

TEST_CASE("entries with details are freed with them, cleared or not") {
    const acache::entry_details_ptr details(new acache::entry_details);
    const bool clears = GENERATE(false, true);
    {
        backend<int> store{memory_options{.capacity = 100, .shards = 1}};
        for (int n = 0; n != 300; ++n) {
            store.set(n, entry<int>{n, acache::entry_stamps{.created = test_clock::now()}, details});
        }
        CHECK(details->use_count() == 101);
        CHECK(store.get(299)->details == details);
        if (clears) {
            store.clear();
            (void)store.metrics();
            CHECK(details->use_count() == 1);
        }
    }
    CHECK(details->use_count() == 1);
}

TEMPLATE_TEST_CASE("a store that nobody listens to agrees with a map", "", acache::turnstile, acache::lru) {
    const std::size_t shards = GENERATE(1u, 4u);
    const bool weighs = GENERATE(false, true);
    backend<std::string, TestType> store{memory_options{.capacity = acache::unbounded, .shards = shards}};
    if (weighs) {
        store.weigh_by([](int, const std::string& v) { return v.size(); });
    }
    std::unordered_map<int, std::pair<std::string, time_point>> model;
    std::uint64_t removed = 0;
    std::uint64_t stored = 0;
    std::mt19937_64 random{shards};
    for (int step = 0; step != 200'000; ++step) {
        const int key = static_cast<int>(random() % 700);
        const auto choice = random() % 1000;
        const auto known = model.find(key);
        const bool lives = known != model.end() && known->second.second > test_clock::current;
        if (choice < 500) {
            const auto found = store.get(key);
            REQUIRE((found && !found->expired(test_clock::current)) == lives);
            if (lives) {
                REQUIRE(found->value == known->second.first);
            }
        } else if (choice < 900) {
            const auto expires = choice < 600
                                     ? test_clock::current + std::chrono::milliseconds(random() % 4000)
                                     : time_point::max();
            model[key] = {std::string(random() % 40, 'x') + std::to_string(step), expires};
            store.set(key, entry<std::string>{model[key].first, test_clock::current, expires});
            ++stored;
        } else if (choice < 950) {
            REQUIRE(static_cast<bool>(store.erase(key)) == lives);
            model.erase(key);
        } else if (choice < 990) {
            test_clock::current += std::chrono::milliseconds(random() % 100);
        } else if (choice < 995) {
            store.clear();
            model.clear();
            REQUIRE(store.size() == 0);
        } else {
            test_clock::current += 20ms; // what is due has been noticed then
            const auto m = store.metrics();
            std::erase_if(model, [](const auto& kept) { return kept.second.second <= test_clock::current; });
            REQUIRE(m.size >= model.size());
            removed = m.removals.expired + m.removals.invalidated + m.removals.replaced;
            REQUIRE(stored == removed + m.size);
            std::size_t weight = 0;
            std::size_t live = 0;
            store.visit([&](int, const entry<std::string>& e) {
                live += e.expired(test_clock::current) ? 0u : 1u;
                weight += weighs ? e.value.size() : 1;
            });
            REQUIRE(live == model.size());
            REQUIRE(m.weight == weight);
        }
    }
}

} // namespace
