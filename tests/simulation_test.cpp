// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "sanitized.hpp"
#include "simulation.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

// Some thousands of short runs, each of which is drawn from its seed alone: what callers do and when, how
// long loads and the backend take, when the clock goes on. What callers may see is in simulation_model.hpp.
//
// A run that fails prints its seed and what happened. To have one run alone, with its trace:
//
//     ACACHE_SIMULATION_SEED=1234 ./simulation_test "the name of the test"

namespace {

using namespace simulation;

template <class Kind>
std::string play(std::uint64_t seed, const setup& s, bool prints) {
    run<Kind> one(seed, s);
    one.play();
    if (!one.violation().empty() || prints) {
        std::cerr << "seed " << seed << ":\n" << one.trace() << one.violation() << '\n';
    }
    return one.violation();
}

#ifdef SANITIZED
constexpr std::uint64_t one_in = 5; // of the runs, since they take that much longer
#else
constexpr std::uint64_t one_in = 1;
#endif

/// The seeds differ from test to test.
template <class Kind>
void play_all(std::uint64_t first, std::uint64_t count, const setup& s = {}) {
    if (const char* only = std::getenv("ACACHE_SIMULATION_SEED")) {
        CHECK(play<Kind>(std::stoull(only), s, true) == "");
        return;
    }
    for (std::uint64_t seed = first; seed != first + count / one_in; ++seed) {
        INFO("run again with ACACHE_SIMULATION_SEED=" << seed << ", the " << seed - first + 1 << "th run");
        REQUIRE(play<Kind>(seed, s, false) == "");
    }
}

TEST_CASE("Simulation: over a memory backend every caller sees only what the model allows") {
    play_all<over_memory>(1'000'000, 2'000);
}

TEST_CASE("Simulation: over a slow backend every caller sees only what the model allows") {
    play_all<over_slow_backend>(2'000'000, 2'000);
}

TEST_CASE("Simulation: over a memory backend callers who stay to the end see only what the model allows") {
    play_all<over_memory>(3'000'000, 1'000, {.callers_leave = false});
}

TEST_CASE("Simulation: over a slow backend callers who stay to the end see only what the model allows") {
    play_all<over_slow_backend>(4'000'000, 1'000, {.callers_leave = false});
}

TEST_CASE("Simulation: over a backend that fails every caller sees only what the model allows") {
    play_all<over_slow_backend>(5'000'000, 1'000, {.backend_fails = true});
}

TEST_CASE("Simulation: over a memory backend a caller sees only such stale values as the model allows") {
    play_all<over_memory>(6'000'000, 3'000, {.serves_stale = true});
}

TEST_CASE("Simulation: over a slow backend a caller sees only such stale values as the model allows") {
    play_all<over_slow_backend>(7'000'000, 3'000, {.serves_stale = true});
}

TEST_CASE(
    "Simulation: over a memory backend callers who stay see only such stale values as the model allows") {
    play_all<over_memory>(8'000'000, 2'000, {.callers_leave = false, .serves_stale = true});
}

TEST_CASE("Simulation: over a slow backend callers who stay see only such stale values as the model allows") {
    play_all<over_slow_backend>(9'000'000, 2'000, {.callers_leave = false, .serves_stale = true});
}

TEST_CASE("Simulation: over a backend that fails a caller sees only such stale values as the model allows") {
    play_all<over_slow_backend>(10'000'000, 1'000, {.backend_fails = true, .serves_stale = true});
}

} // namespace
