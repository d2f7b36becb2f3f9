// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "sanitized.hpp"

#include <acache/memory_backend.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <new>
#include <optional>
#include <random>
#include <string>
#include <thread>

#if defined(__GLIBC__) && !defined(SANITIZED)
#if __GLIBC__ > 2 || __GLIBC_MINOR__ >= 33
#define COUNTS_BYTES
#include <malloc.h>
#endif
#endif

namespace {

/// The allocation that fails: that many from now, none where it is negative.
int allocations_left = -1;

void* allocate(std::size_t size, std::size_t alignment) {
    if (allocations_left >= 0 && allocations_left-- == 0) {
        throw std::bad_alloc();
    }
    alignment = alignment < sizeof(void*) ? sizeof(void*) : alignment;
    void* result = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    return result != nullptr ? result : throw std::bad_alloc();
}

} // namespace

// g++ takes the free of an inlined delete for the wrong one.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

void* operator new(std::size_t size) {
    return allocate(size, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return allocate(size, static_cast<std::size_t>(alignment));
}
void operator delete(void* p) noexcept {
    std::free(p);
}
void operator delete(void* p, std::size_t) noexcept {
    std::free(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
    std::free(p);
}
void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
    std::free(p);
}

namespace {

using namespace std::chrono_literals;
using acache::entry;
using acache::memory_options;

template <class Store>
auto contents(Store& store) {
    std::map<typename Store::key_type, typename Store::mapped_type> result;
    store.visit([&](const auto& key, const auto& e) { result.emplace(key, e.value); });
    return result;
}

TEST_CASE("whichever allocation of a write fails, the store is as it was and works on") {
    const bool weighs = GENERATE(false, true);
    const auto expires = GENERATE(acache::time_point::max(), acache::coarse_clock::now() + 1h,
                                  acache::time_point::max() - 1ns);
    CAPTURE(weighs, expires.time_since_epoch().count());
    acache::memory_backend<std::string, std::string> store{
        memory_options{.capacity = 300, .shards = 2, .max_weight = 100'000}};
    if (weighs) {
        store.weigh_by([](const std::string&, const std::string& v) { return v.size(); });
    }
    int failures = 0;
    for (int n = 0; n != 600; ++n) {
        const std::string key = "a key that is a bit too long to be small " + std::to_string(n % 400);
        for (int left = 0;; ++left) {
            const auto before = contents(store);
            entry<std::string> fresh{std::string(50, 'x'), {}, expires};
            std::string k = key;
            allocations_left = left;
            try {
                store.set(std::move(k), std::move(fresh));
                allocations_left = -1;
                break;
            } catch (const std::bad_alloc&) {
                allocations_left = -1;
                ++failures;
                REQUIRE(contents(store) == before);
                REQUIRE(store.size() == before.size());
            }
        }
        REQUIRE(store.get(key)->value.size() == 50);
    }
    CHECK(failures > 5);
    CHECK(store.size() == 300);
    const auto before = contents(store);
    allocations_left = 0;
    CHECK_THROWS_AS(store.clear(), std::bad_alloc);
    allocations_left = -1;
    CHECK(contents(store) == before);
    store.clear();
    CHECK(store.metrics().size == 0);
    CHECK(store.metrics().weight == 0);
}

TEST_CASE("a full store allocates no more") {
    acache::memory_backend<std::uint64_t, std::uint64_t> store{1000};
    const auto set = [&](std::uint64_t n) { store.set(n, entry<std::uint64_t>{n, {}}); };
    const auto use = [&] {
        for (std::uint64_t n = 0; n != 5000; ++n) {
            set(n);
            (void)store.get(n);
            (void)store.get(n / 2);
            store.erase(n / 2 + 1);
        }
    };
    use(); // the policy makes what it keeps of the past when it first needs it
    use();
    allocations_left = 0;
    use();
    CHECK(allocations_left == 0);
    allocations_left = -1;
}

#ifdef COUNTS_BYTES

std::size_t bytes_in_use() {
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

TEST_CASE("clearing an empty store again and again takes no memory, where another thread reads too") {
    acache::memory_backend<std::string, std::string> store{10};
    std::atomic<int> stage{0};
    std::jthread reader([&] {
        (void)store.get("");
        stage = 1;
        stage.notify_one();
        stage.wait(1);
    });
    stage.wait(0);
    const auto before = bytes_in_use();
    for (int n = 0; n != 1000; ++n) {
        store.clear();
    }
    CHECK(bytes_in_use() - before < 10'000);
    stage = 2;
    stage.notify_one();
}

TEST_CASE("an entry of two words takes less than forty bytes more, with all that finds, ranks and times it") {
    constexpr std::uint64_t entries = 1'000'000;
    const auto ttl =
        GENERATE(std::optional<std::chrono::nanoseconds>{}, std::optional<std::chrono::nanoseconds>{1h});
    const auto before = bytes_in_use();
    acache::memory_backend<std::uint64_t, std::uint64_t> store{entries};
    std::mt19937_64 random{1};
    const auto now = acache::coarse_clock::now();
    for (std::uint64_t n = 0; n != 3 * entries; ++n) {
        const auto key = random() % (2 * entries);
        store.set(key, entry<std::uint64_t>{n, now, ttl ? now + *ttl : acache::time_point::max()});
    }
    REQUIRE(store.size() == entries);
    const auto bytes = static_cast<double>(bytes_in_use() - before) / static_cast<double>(entries) - 16;
    UNSCOPED_INFO("bytes an entry over key and value: " << bytes);
    CAPTURE(bytes);
    CHECK(bytes < 40);
    CHECK(bytes > 30); // or else it was not measured
}

#endif

} // namespace
