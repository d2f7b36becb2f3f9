// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/ghost_set.hpp>
#include <acache/detail/hash_mix.hpp>
#include <acache/eviction_policy.hpp>
#include <acache/lru.hpp>
#include <acache/s3_fifo.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace {

std::uint64_t hash_of(int key) {
    return acache::detail::hash_mix(static_cast<std::uint64_t>(key));
}

/// A set of keys of bounded size, ordered by a policy: all a test of policies needs of a store.
template <acache::eviction_policy Policy>
class bounded_set {
public:
    explicit bounded_set(std::size_t capacity) : capacity_(capacity) {}

    /// Reads the key, or takes it in; the key that left for it, or -1.
    int access(int key) {
        if (const auto found = nodes_.find(key); found != nodes_.end()) {
            policy_.hit(found->second);
            return -1;
        }
        ++misses_;
        int gone = -1;
        if (nodes_.size() == capacity_) {
            gone = static_cast<node&>(policy_.evict()).key;
            REQUIRE(nodes_.erase(gone) == 1);
        }
        auto& fresh = nodes_[key];
        fresh.key = key;
        policy_.insert(fresh, hash_of(key));
        return gone;
    }

    void remove(int key) {
        policy_.remove(nodes_.at(key));
        nodes_.erase(key);
    }

    void replace(int key) {
        node& old = nodes_.at(key);
        node fresh;
        policy_.replace(old, fresh);
        policy_.replace(fresh, old);
    }

    std::vector<int> drain() {
        std::vector<int> result;
        while (!policy_.empty()) {
            result.push_back(static_cast<node&>(policy_.evict()).key);
        }
        nodes_.clear();
        return result;
    }

    bool contains(int key) const { return nodes_.contains(key); }
    std::size_t size() const { return nodes_.size(); }
    int misses() const { return misses_; }
    bool empty() const { return policy_.empty(); }

private:
    struct node : Policy::hook {
        int key = 0;
    };

    std::size_t capacity_;
    std::map<int, node> nodes_;
    Policy policy_;
    int misses_ = 0;
};

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
                   acache::s3_fifo) {
    const auto capacity = static_cast<std::size_t>(GENERATE(range(1, 31), values({64, 100, 1000})));
    CAPTURE(capacity);
    bounded_set<TestType> set{capacity};
    std::mt19937 random{7};
    for (int step = 0; step != 20'000; ++step) {
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

TEMPLATE_TEST_CASE("at capacity 1 the newest entry stays", "", acache::lru, acache::s3_fifo) {
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

TEMPLATE_TEST_CASE("a policy that is cleared starts afresh", "", acache::lru, acache::s3_fifo) {
    struct node : TestType::hook {};
    TestType policy;
    {
        std::vector<node> old(10);
        for (std::size_t n = 0; n != old.size(); ++n) {
            policy.insert(old[n], n);
        }
        policy.clear();
    }
    CHECK(policy.empty());
    node only;
    policy.insert(only, 1);
    CHECK(&policy.evict() == &only);
    CHECK(policy.empty());
}

TEST_CASE("a replaced entry hands its place and its reads to the new one") {
    struct node : acache::s3_fifo::hook {};
    acache::s3_fifo policy;
    node a;
    node b;
    node c;
    policy.insert(a, hash_of(1));
    policy.insert(b, hash_of(2));
    policy.hit(a);
    policy.hit(a);
    policy.replace(a, c);
    CHECK(&policy.evict() == &b);
    CHECK(&policy.evict() == &c);
    CHECK(policy.empty());
}

TEST_CASE("ghosts remember about as many as they should, the latest") {
    const std::size_t capacity = GENERATE(1u, 2u, 9u, 16u, 17u, 90u, 1000u, 9000u);
    CAPTURE(capacity);
    acache::detail::ghost_set ghosts;
    const int count = static_cast<int>(capacity) * 5;
    for (int n = 0; n != count; ++n) {
        ghosts.insert(hash_of(n), capacity);
    }
    CHECK(ghosts.take(hash_of(count - 1)));
    CHECK_FALSE(ghosts.take(hash_of(count - 1)));
    std::size_t found = 0;
    for (int n = 0; n != count; ++n) {
        found += ghosts.take(hash_of(n)) ? 1 : 0;
    }
    CHECK(found <= capacity + 16);
    CHECK(found + 1 >= capacity - capacity / 10);
    CHECK_FALSE(ghosts.take(hash_of(-1)));
}

TEST_CASE("ghosts grow and keep what they remember") {
    acache::detail::ghost_set ghosts;
    std::size_t capacity = 1;
    for (int n = 0; n != 2000; ++n) {
        ghosts.insert(hash_of(n), capacity++);
    }
    int found = 0;
    for (int n = 0; n != 2000; ++n) {
        found += ghosts.take(hash_of(n)) ? 1 : 0;
    }
    CHECK(found >= 1500);
    ghosts.clear();
    CHECK_FALSE(ghosts.take(hash_of(1999)));
    ghosts.insert(hash_of(1), 10);
    CHECK(ghosts.take(hash_of(1)));
}

} // namespace
