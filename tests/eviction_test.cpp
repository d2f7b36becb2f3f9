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
    explicit bounded_set(std::size_t capacity)
        : capacity_(capacity), hooks_(capacity + 1), keys_(capacity + 1) {
        for (std::size_t n = 0; n != capacity + 1; ++n) {
            free_.push_back(static_cast<acache::entry_id>(n));
        }
    }

    /// Reads the key, or takes it in; the key that left for it, or -1.
    int access(int key) {
        if (const auto found = ids_.find(key); found != ids_.end()) {
            policy_.hit(hooks_, found->second);
            return -1;
        }
        ++misses_;
        const int gone = ids_.size() == capacity_ ? evict() : -1;
        const auto id = take_id(key);
        policy_.insert(hooks_, id, hash_of(key));
        return gone;
    }

    int evict() {
        const auto id = policy_.evict(hooks_);
        REQUIRE(id < keys_.size());
        REQUIRE(ids_.erase(keys_[id]) == 1);
        free_.push_back(id);
        return keys_[id];
    }

    void remove(int key) {
        const auto id = ids_.at(key);
        policy_.remove(hooks_, id);
        ids_.erase(key);
        free_.push_back(id);
    }

    void replace(int key) {
        const auto old = ids_.at(key);
        policy_.replace(hooks_, old, take_id(key));
        free_.push_back(old);
    }

    std::vector<int> drain() {
        std::vector<int> result;
        while (!policy_.empty()) {
            result.push_back(evict());
        }
        return result;
    }

    bool contains(int key) const { return ids_.contains(key); }
    std::size_t size() const { return ids_.size(); }
    int misses() const { return misses_; }
    bool empty() const { return policy_.empty(); }

private:
    acache::entry_id take_id(int key) {
        const auto id = free_.back();
        free_.pop_back();
        keys_[id] = key;
        ids_[key] = id;
        return id;
    }

    std::size_t capacity_;
    std::vector<typename Policy::hook> hooks_;
    std::vector<int> keys_;
    std::map<int, acache::entry_id> ids_;
    std::vector<acache::entry_id> free_;
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
    acache::detail::ghost_set ghosts;
    const auto tag_of = [](int n) { return acache::detail::ghost_set::tag_of(hash_of(n)); };
    const int count = static_cast<int>(capacity) * 5;
    for (int n = 0; n != count; ++n) {
        ghosts.insert(tag_of(n), capacity);
    }
    CHECK(ghosts.take(tag_of(count - 1)));
    CHECK_FALSE(ghosts.take(tag_of(count - 1)));
    std::size_t found = 0;
    for (int n = 0; n != count; ++n) {
        found += ghosts.take(tag_of(n)) ? 1 : 0;
    }
    CHECK(found <= capacity + 32);
    CHECK(found + 1 >= capacity - capacity / 10);
    CHECK_FALSE(ghosts.take(tag_of(-1)));
}

TEST_CASE("ghosts that are cleared or grow start afresh") {
    acache::detail::ghost_set ghosts;
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
