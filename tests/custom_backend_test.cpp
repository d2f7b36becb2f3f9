// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Runs examples/custom_backend again and again, on one directory.

#include "child_process.hpp"

#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

namespace {

namespace fs = std::filesystem;

struct directory {
    const fs::path path = fs::temp_directory_path() / ("acache_custom_backend_" + std::to_string(::getpid()));

    directory() { fs::remove_all(path); }
    ~directory() { fs::remove_all(path); }
};

/// How many pages a run of the program made, and how many it found.
struct pages {
    int made = 0;
    int found = 0;
    bool operator==(const pages&) const = default;
};

int occurrences(const std::string& text, const std::string& part) {
    int n = 0;
    for (auto at = text.find(part); at != text.npos; at = text.find(part, at + 1)) {
        ++n;
    }
    return n;
}

pages run(const directory& in, const std::string& ttl_ms = "3600000") {
    const auto ran = acache_test::run({EXAMPLE_PROGRAM, in.path.string(), ttl_ms});
    CAPTURE(ran.output);
    CHECK(ran.status == 0);
    for (const std::string page : {"home", "../etc/passwd", "a page\nof two lines", ""}) {
        CHECK(occurrences(ran.output, "<h1>" + page + "</h1>\n") == 1);
    }
    return {occurrences(ran.output, "made: "), occurrences(ran.output, "found: ")};
}

/// Does something to the text of each file.
template <class Change>
void damage(const directory& in, Change change) {
    for (const auto& file : fs::directory_iterator(in.path)) {
        std::string text;
        {
            std::ifstream from(file.path(), std::ios::binary);
            text.assign(std::istreambuf_iterator<char>(from), {});
        }
        change(text);
        std::ofstream(file.path(), std::ios::binary) << text;
    }
}

} // namespace

TEST_CASE("a second run finds the entries of the first") {
    const directory here;
    CHECK(run(here) == pages{.made = 4});
    CHECK(run(here) == pages{.found = 4});
    CHECK(run(here) == pages{.found = 4});
}

TEST_CASE("files stay in their directory, one an entry") {
    const directory here;
    CHECK(run(here) == pages{.made = 4});
    int files = 0;
    for (const auto& file : fs::recursive_directory_iterator(here.path)) {
        CHECK(file.is_regular_file());
        CHECK(file.path().extension() == ".entry");
        ++files;
    }
    CHECK(files == 4);
}

TEST_CASE("time passes between runs too") {
    const directory here;
    CHECK(run(here, "5") == pages{.made = 4});
    // Files have the time of the wall clock, which no test can turn: runs take some of it.
    pages later{.found = 4};
    for (int runs = 0; runs != 1000 && later == pages{.found = 4}; ++runs) {
        later = run(here, "5");
    }
    CHECK(later.made != 0);
}

TEST_CASE("a damaged file is a miss, and is replaced") {
    const directory here;
    CHECK(run(here) == pages{.made = 4});
    SECTION("empty") {
        damage(here, [](std::string& text) { text.clear(); });
    }
    SECTION("cut short") {
        damage(here, [](std::string& text) { text.pop_back(); });
    }
    SECTION("changed at its end") {
        damage(here, [](std::string& text) { text.back() = '?'; });
    }
    SECTION("changed at its beginning") {
        damage(here, [](std::string& text) { text.front() = text.front() == '1' ? '2' : '1'; });
    }
    SECTION("something else") {
        damage(here, [](std::string& text) { text = "1 2 3 -4\n5"; });
    }
    SECTION("another key's entry") {
        std::string last;
        damage(here, [&](std::string& text) { std::swap(last, text); });
    }
    CHECK(run(here) == pages{.made = 4});
    CHECK(run(here) == pages{.found = 4});
}
