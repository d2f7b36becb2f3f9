// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/atomic_histogram.hpp>
#include <acache/detail/counters.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <set>
#include <thread>

namespace {

using namespace std::chrono_literals;
using acache::detail::atomic_histogram;
using acache::detail::counter;
using acache::detail::counters;
using acache::detail::thread_slot;

TEST_CASE("every counter counts for itself, and starts at zero") {
    counters counted;
    acache::cache_metrics metrics;
    counted.read_into(metrics);
    CHECK(metrics.hits + metrics.stale_hits + metrics.misses + metrics.coalesced == 0);

    counted.add(counter::hits);
    counted.add(counter::hits);
    counted.add(counter::stale_hits, 3);
    counted.add(counter::misses, 4);
    counted.add(counter::coalesced, 5);
    counted.add(counter::loads, 6);
    counted.add(counter::load_failures, 7);
    counted.add(counter::backend_failures, 8);
    counted.add(counter::overloaded, 9);
    counted.read_into(metrics);
    CHECK(metrics.hits == 2);
    CHECK(metrics.stale_hits == 3);
    CHECK(metrics.misses == 4);
    CHECK(metrics.coalesced == 5);
    CHECK(metrics.loads == 6);
    CHECK(metrics.load_failures == 7);
    CHECK(metrics.backend_failures == 8);
    CHECK(metrics.overloaded == 9);
    CHECK(counted.sum(counter::misses) == 4);
}

TEST_CASE("two sets of counters do not mix") {
    counters first;
    counters second;
    first.add(counter::hits);
    CHECK(first.sum(counter::hits) == 1);
    CHECK(second.sum(counter::hits) == 0);
}

TEST_CASE("a thread keeps its slot, and leaves it to the next when it ends") {
    const auto mine = thread_slot::current();
    CHECK(thread_slot::current() == mine);
    std::set<std::size_t> others;
    for (int n = 0; n != 100; ++n) {
        std::thread([&] { others.insert(thread_slot::current()); }).join();
    }
    CHECK(others.size() == 1);
    CHECK_FALSE(others.contains(mine));
}

TEST_CASE("what a thread counted stays when it ends") {
    counters counted;
    for (int n = 0; n != 100; ++n) {
        std::thread([&] { counted.add(counter::hits); }).join();
    }
    CHECK(counted.sum(counter::hits) == 100);
}

TEST_CASE("a duration falls into the first bucket whose bound it does not exceed") {
    atomic_histogram histogram;
    CHECK(histogram.snapshot().count() == 0);
    histogram.record(0ns);
    histogram.record(100us);
    histogram.record(100us + 1ns);
    histogram.record(200us);
    histogram.record(acache::duration_histogram::bounds.back());
    histogram.record(1h);
    histogram.record(-5ns);
    const auto taken = histogram.snapshot();
    CHECK(taken.count() == 7);
    CHECK(taken.buckets[0] == 3);
    CHECK(taken.buckets[1] == 2);
    CHECK(taken.buckets[15] == 1);
    CHECK(taken.buckets[16] == 1);
    CHECK(taken.sum == 1h + acache::duration_histogram::bounds.back() + 400us + 1ns);
}

} // namespace
