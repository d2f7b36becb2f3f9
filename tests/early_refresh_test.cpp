// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/early_refresh.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cmath>

namespace {

using namespace std::chrono_literals;
using acache::time_point;
using acache::detail::random_source;
using acache::detail::refresh_early;

constexpr time_point end{24h};

/// The share of look-ups so long before the end that renew the entry.
double share_of(std::chrono::nanoseconds before, std::chrono::nanoseconds load_time, double eagerness) {
    random_source random;
    random.seed(1);
    constexpr int draws = 100'000;
    int renewed = 0;
    for (int i = 0; i != draws; ++i) {
        renewed += refresh_early(end - before, end, load_time, eagerness, random) ? 1 : 0;
    }
    return static_cast<double>(renewed) / draws;
}

TEST_CASE("a look-up renews an entry with a chance that grows exponentially towards its end") {
    for (const auto loads : {0.0, 0.5, 1.0, 2.0, 5.0}) {
        const auto before = std::chrono::nanoseconds(static_cast<long long>(loads * 100'000'000));
        CHECK(std::abs(share_of(before, 100ms, 1) - std::exp(-loads)) < 0.01);
        CHECK(std::abs(share_of(before, 50ms, 2) - std::exp(-loads)) < 0.01);
    }
}

TEST_CASE("an entry that takes no time to load, or is far from its end, is never renewed early") {
    CHECK(share_of(1ns, 0ns, 1) == 0);
    CHECK(share_of(1s, 1s, 0) == 0);
    CHECK(share_of(1h, 1s, 1) == 0);
}

TEST_CASE("an entry at its end is renewed by whoever looks it up") {
    CHECK(share_of(0ns, 1ms, 1) == 1);
}

} // namespace
