// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/job_flights.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace {

using flights = acache::detail::job_flights<std::shared_ptr<int>>;

std::vector<int> numbers(const flights& all) {
    std::vector<int> result;
    for (const auto& f : all) {
        result.push_back(*f);
    }
    CHECK(result.size() == all.size());
    return result;
}

TEST_CASE("The flights of a job are in the order in which they were added") {
    const std::size_t reserved = GENERATE(std::size_t{0}, std::size_t{1}, std::size_t{5});
    flights all;
    all.reserve(reserved);
    CHECK(numbers(all).empty());
    std::vector<int> expected;
    for (int i = 1; i != 6; ++i) {
        all.push_back(std::make_shared<int>(i));
        expected.push_back(i);
        CHECK(numbers(all) == expected);
        CHECK(*all.front() == 1);
    }
    for (; !expected.empty(); expected.pop_back(), all.pop_back()) {
        CHECK(numbers(all) == expected);
    }
    CHECK(numbers(all).empty());
    all.push_back(std::make_shared<int>(7));
    CHECK(numbers(all) == std::vector<int>{7});
}

TEST_CASE("A cleared job has let go of its flights, and may get others") {
    const int count = GENERATE(1, 2, 5);
    const auto flight = std::make_shared<int>(3);
    flights all;
    for (int i = 0; i != count; ++i) {
        all.push_back(flight);
    }
    CHECK(flight.use_count() == 1 + count);
    all.clear();
    CHECK(flight.use_count() == 1);
    all.push_back(flight);
    CHECK(numbers(all) == std::vector<int>{3});
}

} // namespace
