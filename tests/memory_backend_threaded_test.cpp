// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/lru.hpp>
#include <acache/memory_backend.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <atomic>
#include <barrier>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <vector>

namespace {

using acache::entry;
using acache::memory_options;

/// A value that shows whether it was copied while it was written.
struct telltale {
    explicit telltale(int n) : first(n), middle(std::make_shared<int>(n)), last(n) {}
    bool whole(int n) const { return first == n && *middle == n && last == n; }

    int first;
    std::shared_ptr<int> middle;
    int last;
};

template <class Work>
void on_four_threads(Work work) {
    std::barrier start{4};
    std::vector<std::jthread> threads;
    for (unsigned n = 0; n != 4; ++n) {
        threads.emplace_back([&, n] {
            start.arrive_and_wait();
            work(n);
        });
    }
}

TEMPLATE_TEST_CASE("four threads that read, write, erase and clear see whole values within the capacity", "",
                   acache::s3_fifo, acache::lru) {
    const std::size_t capacity = GENERATE(1u, 3u, 50u, 2000u);
    const std::size_t shards = GENERATE(0u, 4u);
    CAPTURE(capacity, shards);
    acache::memory_backend<int, telltale, acache::hash<int>, std::equal_to<>, TestType> store{
        memory_options{.capacity = capacity, .shards = shards}};
    std::atomic<int> faults{0};
    std::atomic<std::uint64_t> sets{0};
    on_four_threads([&](unsigned id) {
        std::mt19937 random{id};
        for (int step = 0; step != 5000; ++step) {
            const int key = static_cast<int>(random() % 200);
            const auto choice = random() % 1000;
            if (choice < 600) {
                if (const auto found = store.get(key); found && !found->value.whole(key)) {
                    ++faults;
                }
            } else if (choice < 950) {
                store.set(key, entry<telltale>{telltale{key}, {}});
                ++sets;
            } else if (choice < 998) {
                store.erase(key);
            } else if (choice == 998) {
                store.visit([&](int k, const entry<telltale>& e) { faults += e.value.whole(k) ? 0 : 1; });
            } else {
                store.clear();
            }
            if (store.size() > capacity || store.metrics().size > capacity) {
                ++faults;
            }
        }
    });
    CHECK(faults == 0);
    const auto removals = store.metrics().removals;
    CHECK(removals.expired == 0);
    CHECK(sets == removals.capacity + removals.replaced + removals.invalidated + store.size());
}

TEST_CASE("threads that fill an empty store fill it to the last place before anything is evicted") {
    for (int round = 0; round != 50; ++round) {
        acache::memory_backend<int, int> store{memory_options{.capacity = 400, .shards = 8}};
        std::atomic<int> displaced{0};
        on_four_threads([&](unsigned id) {
            for (int n = 0; n != 100; ++n) {
                displaced += store.set(static_cast<int>(id) * 100 + n, entry<int>{n, {}}) ? 1 : 0;
            }
        });
        REQUIRE(displaced == 0);
        REQUIRE(store.size() == 400);
    }
}

} // namespace
