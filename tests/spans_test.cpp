// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Runs examples/spans and looks at the spans that it prints.

#include "child_process.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <iterator>
#include <map>
#include <regex>
#include <sstream>
#include <string>

namespace {

struct span {
    std::string refresh;
    std::string status;
    std::uint64_t milliseconds;
};

std::multimap<std::string, span> spans_of(const std::string& output) {
    static const std::regex form(
        R"re(\{"name":"load","kind":"INTERNAL","spanId":"\d+","startTimeUnixNano":"(\d+)","endTimeUnixNano":"(\d+)",)re"
        R"re("attributes":\{"cache\.key":"([^"]+)","cache\.refresh":(true|false)\},"status":\{"code":(.+)\}\})re");
    std::multimap<std::string, span> spans;
    std::istringstream in(output);
    for (std::string line; std::getline(in, line);) {
        std::smatch found;
        CAPTURE(line);
        REQUIRE(std::regex_match(line, found, form));
        const auto took = std::stoull(found[2]) - std::stoull(found[1]);
        spans.emplace(found[3], span{found[4], found[5], took / 1'000'000});
    }
    return spans;
}

} // namespace

TEST_CASE("the example prints a span for each load, with its key, its length and how it ended") {
    const auto ran = acache_test::run({EXAMPLE_PROGRAM});
    CAPTURE(ran.output);
    CHECK(ran.status == 0);
    const auto spans = spans_of(ran.output);
    REQUIRE(spans.size() == 5);
    REQUIRE(spans.count("user:1") == 2); // one for the two callers, and a refresh
    const auto first = spans.find("user:1");
    CHECK(first->second.refresh == "false");
    CHECK(first->second.status == R"("OK")");
    CHECK(first->second.milliseconds >= 19);
    CHECK(std::next(first)->second.refresh == "true");
    CHECK(spans.find("user:2")->second.status == R"("OK")");
    CHECK(spans.find("user:3")->second.status == R"("ERROR","message":"no user \"3\"")");
    const auto& late = spans.find("user:9")->second;
    CHECK(late.status.starts_with(R"("ERROR")"));
    CHECK(late.status.find("load_timeout") != std::string::npos);
    CHECK(late.milliseconds >= 99);
}
