// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/refresh_backoff.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>

namespace {

using namespace std::chrono_literals;
using acache::time_point;
using acache::detail::refresh_backoff;

constexpr time_point start{24h};

/// How long the key is held back from now on, to the millisecond.
std::chrono::milliseconds held_for(refresh_backoff& backoff, std::size_t key, time_point now) {
    auto length = 0ms;
    while (backoff.held_back(key, now + length)) {
        ++length;
    }
    return length;
}

TEST_CASE("C20 delays double up to a cap, each shortened by a quarter at most") {
    refresh_backoff backoff(1s, 10s);
    auto now = start;
    for (const auto expected : {1000ms, 2000ms, 4000ms, 8000ms, 10000ms, 10000ms}) {
        backoff.failed(1, now);
        const auto held = held_for(backoff, 1, now);
        CHECK(held <= expected);
        CHECK(held >= expected * 3 / 4);
        now += held;
    }
}

TEST_CASE("C20 keys that fail together do not come back together") {
    refresh_backoff backoff(1s, 10s);
    auto least = 1h + 0ms;
    auto most = 0ms;
    for (std::size_t key = 0; key != 100; ++key) {
        backoff.failed(key, start);
        const auto held = held_for(backoff, key, start);
        least = std::min(least, held);
        most = std::max(most, held);
    }
    CHECK(most - least > 100ms);
}

TEST_CASE("C20 each key has a delay of its own, until it is forgotten") {
    refresh_backoff backoff(1s, 10s);
    backoff.failed(1, start);
    CHECK(backoff.held_back(1, start));
    CHECK_FALSE(backoff.held_back(2, start));
    backoff.forget(1);
    CHECK_FALSE(backoff.held_back(1, start));
    backoff.failed(1, start);
    CHECK(held_for(backoff, 1, start) <= 1s); // begins anew
    backoff.forget(1);
    CHECK_FALSE(backoff.held_back(1, start));
    CHECK(backoff.size() == 0);
}

TEST_CASE("C20 a failure long after the last begins with the first delay again") {
    refresh_backoff backoff(1s, 10s);
    backoff.failed(1, start);
    backoff.failed(1, start + 1s);
    CHECK(held_for(backoff, 1, start + 1s) > 1s);
    backoff.failed(1, start + 10s);
    CHECK(held_for(backoff, 1, start + 10s) <= 1s);
}

TEST_CASE("keys that have come to rest are not kept") {
    refresh_backoff backoff(1s, 10s);
    auto now = start;
    for (std::size_t key = 0; key != 10'000; ++key) {
        backoff.failed(key, now);
        now += 100ms;
    }
    CHECK(backoff.size() <= 64);
}

} // namespace
