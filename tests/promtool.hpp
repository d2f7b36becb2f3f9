// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_PROMTOOL_HPP
#define ACACHE_TESTS_PROMTOOL_HPP

#include <catch2/catch_test_macros.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace acache_test {

/// Prometheus' own checker finds nothing to complain about in the page. Where it is not installed the test is
/// skipped.
inline void check_with_promtool(const std::string& page) {
    if (std::system("command -v promtool >/dev/null 2>&1") != 0) {
        SKIP("promtool is not installed");
    }
    std::FILE* const promtool = ::popen("promtool check metrics", "w");
    REQUIRE(promtool != nullptr);
    CHECK(std::fwrite(page.data(), 1, page.size(), promtool) == page.size());
    CHECK(::pclose(promtool) == 0);
}

} // namespace acache_test

#endif
