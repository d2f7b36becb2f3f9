// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Runs examples/dns_cache, on names that need no network.

#include "child_process.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>

namespace {

using acache_test::run;

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != text.npos;
}

} // namespace

TEST_CASE("a hundred look-ups of a name resolve it once, later ones not at all") {
    const auto ran = run({EXAMPLE_PROGRAM, "localhost", "localhost"});
    CAPTURE(ran.output);
    CHECK(ran.status == 0);
    CHECK((contains(ran.output, "    127.0.0.1:443\n") || contains(ran.output, "    [::1]:443\n")));
    CHECK(contains(ran.output, "1 resolved it, 99 shared that, 0 found it in the cache"));
    CHECK(contains(ran.output, "0 resolved it, 0 shared that, 100 found it in the cache"));
    CHECK(contains(ran.output, "2 names, 1 resolutions"));
}

TEST_CASE("an error is told to all who asked, and is not the end") {
    const auto ran = run({EXAMPLE_PROGRAM}, "localhost:no-such-service\nlocalhost:80\n");
    CAPTURE(ran.output);
    CHECK(ran.status == 0);
    CHECK(contains(ran.output, "100 look-ups failed: Service not found"));
    CHECK(contains(ran.output, "1 resolved it, 99 shared that"));
    CHECK(contains(ran.output, "2 names, 2 resolutions"));
}
