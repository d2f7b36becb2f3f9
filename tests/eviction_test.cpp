// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "bounded_set.hpp"

#include <acache/detail/ghost_set.hpp>
#include <acache/eviction_policy.hpp>
#include <acache/lru.hpp>
#include <acache/s3_fifo.hpp>
#include <acache/turnstile.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <cstddef>
#include <cstdint>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace {

using acache_test::bounded_set;
using acache_test::hash_of;

static_assert(acache::eviction_policy<acache::lru> && !acache::lru::concurrent_hits);
static_assert(acache::eviction_policy<acache::s3_fifo> && acache::s3_fifo::concurrent_hits);
static_assert(acache::eviction_policy<acache::turnstile> && acache::turnstile::concurrent_hits);
static_assert(sizeof(acache::lru::hook) == 8);
static_assert(sizeof(acache::s3_fifo::hook) == 12 && sizeof(acache::turnstile::hook) == 12);

TEST_CASE("lru evicts in the order of last use") {
    bounded_set<acache::lru> set{3};
    for (const int key : {1, 2, 3, 1}) {
        CHECK(set.access(key) == -1);
    }
    CHECK(set.access(4) == 2);
    CHECK(set.access(3) == -1);
    CHECK(set.access(5) == 1);
    CHECK(set.drain() == std::vector{4, 3, 5});
}

TEST_CASE("s3-fifo evicts what is read once before what is read often") {
    bounded_set<acache::s3_fifo> set{10};
    for (int round = 0; round != 3; ++round) {
        for (int key = 0; key != 5; ++key) {
            set.access(key);
        }
    }
    for (int key = 100; key != 1100; ++key) { // a scan
        set.access(key);
    }
    for (int key = 0; key != 5; ++key) {
        CHECK(set.contains(key));
    }
}

TEST_CASE("s3-fifo takes an entry that comes back soon into the main queue") {
    bounded_set<acache::s3_fifo> set{10};
    for (int key = 0; key != 10; ++key) {
        set.access(key);
    }
    CHECK(set.access(10) == 0);
    CHECK(set.access(0) == 1); // a ghost: enters the main queue
    for (int key = 100; key != 110; ++key) {
        set.access(key);
    }
    CHECK(set.contains(0));
    CHECK_FALSE(set.contains(10));
}

TEST_CASE("s3-fifo lets go of what is no longer read") {
    bounded_set<acache::s3_fifo> set{10};
    for (int round = 0; round != 10; ++round) {
        for (int key = 0; key != 10; ++key) {
            set.access(key);
        }
    }
    for (int round = 0; round != 20; ++round) {
        for (int key = 100; key != 109; ++key) {
            set.access(key);
        }
    }
    for (int key = 100; key != 109; ++key) {
        CHECK(set.contains(key));
    }
}

TEST_CASE("s3-fifo keeps half of a loop half too long; lru keeps none") {
    bounded_set<acache::s3_fifo> s3{100};
    bounded_set<acache::lru> lru{100};
    for (int round = 0; round != 100; ++round) {
        for (int key = 0; key != 150; ++key) {
            s3.access(key);
            lru.access(key);
        }
    }
    CHECK(lru.misses() == 15'000);
    CHECK(s3.misses() < 10'000);
}

TEMPLATE_TEST_CASE("a policy names each entry once, at any capacity and after any history", "", acache::lru,
                   acache::s3_fifo, acache::turnstile) {
    const auto capacity = static_cast<std::size_t>(GENERATE(range(1, 101), values({1000})));
    CAPTURE(capacity);
    bounded_set<TestType> set{capacity};
    std::mt19937 random{7};
    for (int step = 0; step != 5'000; ++step) {
        const int key = static_cast<int>(random() % (2 * capacity));
        const auto choice = random() % 20;
        if (choice == 0 && set.contains(key)) {
            set.remove(key);
        } else if (choice == 1 && set.contains(key)) {
            set.replace(key);
        } else {
            REQUIRE(set.access(key) != key);
            REQUIRE(set.contains(key));
        }
        REQUIRE(set.empty() == (set.size() == 0));
    }
    const auto size = set.size();
    const auto drained = set.drain();
    CHECK(drained.size() == size);
    CHECK(std::set<int>(drained.begin(), drained.end()).size() == size);
}

/// What a policy must know of its entries, and nothing else.
class held_ids {
public:
    explicit held_ids(std::size_t count) : places_(count, nowhere) {
        for (std::size_t n = 0; n != count; ++n) {
            free_.push_back(static_cast<acache::entry_id>(n));
        }
    }

    bool holds(acache::entry_id id) const { return id < places_.size() && places_[id] != nowhere; }
    std::size_t size() const { return held_.size(); }
    bool full() const { return free_.empty(); }
    acache::entry_id any(std::size_t random) const { return held_[random % held_.size()]; }

    acache::entry_id take(std::size_t random) {
        std::swap(free_[random % free_.size()], free_.back());
        const auto id = free_.back();
        free_.pop_back();
        places_[id] = held_.size();
        held_.push_back(id);
        return id;
    }

    void give(acache::entry_id id) {
        places_[held_.back()] = places_[id];
        held_[places_[id]] = held_.back();
        held_.pop_back();
        places_[id] = nowhere;
        free_.push_back(id);
    }

private:
    static constexpr std::size_t nowhere = SIZE_MAX;
    std::vector<std::size_t> places_;
    std::vector<acache::entry_id> held_;
    std::vector<acache::entry_id> free_;
};

TEMPLATE_TEST_CASE("a policy agrees with a set of ids over a million random operations", "", acache::lru,
                   acache::s3_fifo, acache::turnstile) {
    const auto count = static_cast<std::size_t>(GENERATE(1, 2, 3, 10, 33, 1000, 20'000));
    CAPTURE(count);
    TestType policy;
    std::vector<typename TestType::hook> hooks(count);
    held_ids held{count};
    std::mt19937_64 random{count};
    std::uint64_t wrong = 0;
    for (int step = 0; step != 1'000'000; ++step) {
        const auto choice = random() % 100;
        const auto draw = static_cast<std::size_t>(random() >> 8);
        if (held.size() == 0 || (choice < 40 && !held.full())) {
            // From few keys, so that ghosts return; and it may hold a key twice, as tags may be alike.
            policy.insert(hooks, held.take(draw), hash_of(static_cast<int>(draw % (3 * count))));
        } else if (choice < 75) {
            policy.hit(hooks, held.any(draw));
        } else if (choice < 80) {
            const auto id = held.any(draw);
            policy.remove(hooks, id);
            held.give(id);
        } else if (choice < 85 && !held.full()) {
            const auto old = held.any(draw);
            policy.replace(hooks, old, held.take(draw));
            held.give(old);
        } else if (choice == 99 && draw % 5'000 == 0) {
            policy.clear();
            held = held_ids{count};
        } else {
            const auto victim = policy.evict(hooks);
            wrong += held.holds(victim) ? 0 : 1;
            REQUIRE(wrong == 0);
            held.give(victim);
        }
        wrong += policy.empty() == (held.size() == 0) ? 0 : 1;
    }
    CHECK(wrong == 0);
    for (; held.size() != 0; held.give(policy.evict(hooks))) {
        REQUIRE_FALSE(policy.empty());
    }
    CHECK(policy.empty());
}

TEMPLATE_TEST_CASE("a policy follows a store that grows and shrinks", "", acache::lru, acache::s3_fifo,
                   acache::turnstile) {
    TestType policy;
    std::vector<typename TestType::hook> hooks(10'000);
    held_ids held{10'000};
    std::mt19937_64 random{3};
    for (const std::size_t size : {10u, 10'000u, 1u, 5'000u, 100u, 10'000u, 0u, 50u}) {
        while (held.size() > size) {
            const auto victim = policy.evict(hooks);
            REQUIRE(held.holds(victim));
            held.give(victim);
        }
        for (std::size_t n = 0; n != 3 * size; ++n) {
            if (held.size() == size) {
                const auto victim = policy.evict(hooks);
                REQUIRE(held.holds(victim));
                held.give(victim);
            }
            policy.insert(hooks, held.take(0), random());
            policy.hit(hooks, held.any(n * n));
        }
        REQUIRE(held.size() == size);
        REQUIRE(policy.empty() == (size == 0));
    }
}

TEMPLATE_TEST_CASE("a replaced entry keeps its place and its history", "", acache::lru, acache::s3_fifo,
                   acache::turnstile) {
    bounded_set<TestType> plain{100};
    bounded_set<TestType> replacing{100};
    std::mt19937 random{11};
    for (int step = 0; step != 100'000; ++step) {
        const int key = static_cast<int>((random() % 200) * (random() % 200) / 100);
        REQUIRE(plain.access(key) == replacing.access(key));
        if (step % 3 == 0) {
            replacing.replace(key);
        }
    }
    CHECK(plain.drain() == replacing.drain());
}

TEMPLATE_TEST_CASE("what a hook held of an earlier entry is gone", "", acache::lru, acache::s3_fifo,
                   acache::turnstile) {
    std::vector<typename TestType::hook> used(50);
    std::vector<typename TestType::hook> fresh(50);
    TestType earlier;
    for (acache::entry_id id = 0; id != 50; ++id) {
        earlier.insert(used, id, hash_of(1000));
        earlier.hit(used, id);
        earlier.hit(used, 0);
    }
    TestType policy;
    TestType other;
    for (acache::entry_id id = 0; id != 50; ++id) {
        policy.insert(used, id, hash_of(static_cast<int>(id)));
        other.insert(fresh, id, hash_of(static_cast<int>(id)));
    }
    for (int n = 0; n != 50; ++n) {
        CHECK(policy.evict(used) == other.evict(fresh));
    }
}

TEMPLATE_TEST_CASE("at capacity 1 the newest entry stays", "", acache::lru, acache::s3_fifo,
                   acache::turnstile) {
    bounded_set<TestType> set{1};
    set.access(0);
    for (int n = 0; n != 5; ++n) {
        CHECK(set.access(0) == -1);
    }
    for (int key = 1; key != 10; ++key) {
        CHECK(set.access(key) == key - 1);
    }
    CHECK(set.access(8) == 9); // a ghost
    CHECK(set.access(1) == 8);
}

TEMPLATE_TEST_CASE("a policy that is cleared starts afresh", "", acache::lru, acache::s3_fifo,
                   acache::turnstile) {
    TestType policy;
    {
        std::vector<typename TestType::hook> old(10);
        for (acache::entry_id id = 0; id != 10; ++id) {
            policy.insert(old, id, id);
        }
        policy.clear();
    }
    CHECK(policy.empty());
    std::vector<typename TestType::hook> hooks(8);
    policy.insert(hooks, 7, 1);
    CHECK(policy.evict(hooks) == 7);
    CHECK(policy.empty());
}

TEST_CASE("a replaced entry hands its place and its reads to the new one") {
    acache::s3_fifo policy;
    std::vector<acache::s3_fifo::hook> hooks(3);
    policy.insert(hooks, 0, hash_of(1));
    policy.insert(hooks, 1, hash_of(2));
    policy.hit(hooks, 0);
    policy.hit(hooks, 0);
    policy.replace(hooks, 0, 2);
    CHECK(policy.evict(hooks) == 1);
    CHECK(policy.evict(hooks) == 2);
    CHECK(policy.empty());
}

TEST_CASE("ghosts remember about as many as they should, the latest") {
    const std::size_t capacity = GENERATE(1u, 2u, 9u, 16u, 17u, 90u, 1000u, 9000u);
    CAPTURE(capacity);
    acache::detail::ghost_set<> ghosts;
    const auto tag_of = [](int n) { return acache::detail::ghost_tag(hash_of(n)); };
    const int count = static_cast<int>(capacity) * 5;
    for (int n = 0; n != count; ++n) {
        ghosts.insert(tag_of(n), capacity);
    }
    CHECK(ghosts.take(tag_of(count - 1)));
    CHECK_FALSE(ghosts.take(tag_of(count - 1)));
    std::size_t found = 0;
    for (int n = 0; n != count; ++n) {
        found += ghosts.take(tag_of(n)).has_value() ? 1 : 0;
    }
    CHECK(found <= capacity + 32);
    CHECK(found + 1 >= capacity - capacity / 10);
    CHECK_FALSE(ghosts.take(tag_of(-1)));
}

TEST_CASE("the age of a ghost tells how many others came after it") {
    constexpr std::size_t capacity = 3200;
    acache::detail::ghost_set<> ghosts;
    const auto tag_of = [](int n) { return acache::detail::ghost_tag(hash_of(n)); };
    for (int n = 0; n != 3200; ++n) {
        ghosts.insert(tag_of(n), capacity);
    }
    REQUIRE(ghosts.period() == 100);
    for (const int from : {2900, 2400, 1400}) {
        double sum = 0;
        for (int n = from; n != from + 100; ++n) {
            sum += static_cast<double>(ghosts.take(tag_of(n)).value_or(32));
        }
        // What was taken keeps its place, so the rest do not look younger.
        const double expected = (3200 - (from + 50)) / 100.;
        CHECK(sum / 100 > expected - 2);
        CHECK(sum / 100 < expected + 2);
    }
}

TEST_CASE("ghosts that are cleared or grow start afresh") {
    acache::detail::ghost_set<> ghosts;
    CHECK_FALSE(ghosts.take(1));
    ghosts.insert(1, 10);
    ghosts.clear();
    CHECK_FALSE(ghosts.take(1));
    ghosts.insert(1, 10);
    ghosts.insert(2, 100);
    CHECK_FALSE(ghosts.take(1));
    CHECK(ghosts.take(2));
}

} // namespace
