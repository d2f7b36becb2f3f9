// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_BOUNDED_SET_HPP
#define ACACHE_TESTS_BOUNDED_SET_HPP

#include <acache/detail/hash_mix.hpp>
#include <acache/eviction_policy.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace acache_test {

inline std::uint64_t hash_of(int key) {
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
        if (id >= keys_.size() || ids_.erase(keys_[id]) != 1) {
            FAIL("no entry is held by the id " << id); // a REQUIRE each time would take most of the time
        }
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
    std::unordered_map<int, acache::entry_id> ids_;
    std::vector<acache::entry_id> free_;
    Policy policy_;
    int misses_ = 0;
};

} // namespace acache_test

#endif
