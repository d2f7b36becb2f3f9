// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/atomic_histogram.hpp>
#include <acache/detail/counters.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using acache::detail::counter;
using acache::detail::thread_slot;

TEST_CASE("no count is lost, however many threads count") {
    const int thread_count = GENERATE(2, 4, 100);
    acache::detail::counters counted;
    acache::detail::atomic_histogram histogram;
    {
        std::barrier start{thread_count};
        std::vector<std::jthread> threads;
        for (int n = 0; n != thread_count; ++n) {
            threads.emplace_back([&] {
                start.arrive_and_wait();
                for (int step = 0; step != 1000; ++step) {
                    counted.add(counter::hits);
                    counted.add(counter::misses, 2);
                    histogram.record(1us);
                }
            });
        }
        for (std::uint64_t seen = 0; seen < 1000;) { // a reader sees sums that only grow
            const auto sum = counted.sum(counter::hits);
            if (sum < seen) {
                FAIL("a sum went back");
            }
            seen = sum;
        }
    }
    const auto expected = static_cast<std::uint64_t>(thread_count) * 1000;
    CHECK(counted.sum(counter::hits) == expected);
    CHECK(counted.sum(counter::misses) == 2 * expected);
    CHECK(counted.sum(counter::loads) == 0);
    CHECK(histogram.snapshot().count() == expected);
    CHECK(histogram.snapshot().sum == expected * 1us);
}

TEST_CASE("threads that live at the same time have different exclusive slots") {
    std::mutex mutex;
    std::multiset<std::size_t> slots;
    {
        std::barrier all_there{100};
        std::vector<std::jthread> threads;
        for (int n = 0; n != 100; ++n) {
            threads.emplace_back([&] {
                {
                    const std::scoped_lock lock(mutex);
                    slots.insert(thread_slot::current());
                }
                all_there.arrive_and_wait();
            });
        }
    }
    for (std::size_t slot = 0; slot != acache::detail::exclusive_slots; ++slot) {
        CHECK(slots.count(slot) <= 1);
    }
    CHECK(slots.size() == 100);
}

} // namespace
