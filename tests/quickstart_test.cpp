// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Runs examples/quickstart, whose output is what a newcomer sees first.

#include "child_process.hpp"

#include <catch2/catch_test_macros.hpp>

#include <regex>
#include <string>

TEST_CASE("the quickstart shows what it says") {
    const auto ran = acache_test::run({EXAMPLE_PROGRAM});
    CAPTURE(ran.output);
    CHECK(ran.status == 0);
    const std::regex expected(R"(  ... making the report on customer 42 for Ada
Ada got the report on customer 42 after \d{4} ms
Ben got the report on customer 42 after \d{1,2} ms
  ... making the report on customer 43 for Ada
Ada got the report on customer 43 after \d{4} ms
  ... one batch call for users 1 2 3
(hello, user [123], after \d+ ms
){4})");
    CHECK(std::regex_match(ran.output, expected));
}
