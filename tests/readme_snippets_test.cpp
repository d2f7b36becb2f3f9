// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// Whether README.md tells the truth about this project's files: each block of code equals the region of the
// file that is named above it, each link leads somewhere, and each rule of the contract is tested where the
// README says so.

#include <catch2/catch_message.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

const std::filesystem::path root = ACACHE_SOURCE_DIR;

using lines = std::vector<std::string>;

lines read_lines(const std::filesystem::path& file) {
    std::ifstream in(file);
    INFO(file << " can be read");
    REQUIRE(in);
    lines result;
    for (std::string line; std::getline(in, line);) {
        result.push_back(line);
    }
    return result;
}

std::string text_of(const std::filesystem::path& file) {
    std::string text;
    for (const auto& line : read_lines(file)) {
        text += line + '\n';
    }
    return text;
}

std::string_view trimmed(std::string_view line) {
    const auto begin = line.find_first_not_of(" \t");
    return begin == std::string_view::npos ? std::string_view() : line.substr(begin);
}

/// The lines between `// [name]` and `// [/name]` (or `# [name]` ...), without the indentation that all have
/// and without the marks of other regions.
lines region_of(const std::filesystem::path& file, const std::string& name) {
    const auto is_mark = [](std::string_view line, const std::string& mark) {
        return trimmed(line) == "// [" + mark + "]" || trimmed(line) == "# [" + mark + "]";
    };
    static const std::regex any_mark(R"(\s*(//|#) \[/?[a-z_ ]+\])");
    lines result;
    bool inside = false, ended = false;
    for (const auto& line : read_lines(file)) {
        if (is_mark(line, '/' + name)) {
            ended = inside;
            inside = false;
        } else if (is_mark(line, name)) {
            INFO("the region " << name << " of " << file << " is there once");
            REQUIRE((!inside && !ended));
            inside = true;
        } else if (inside && !std::regex_match(line, any_mark)) {
            result.push_back(line);
        }
    }
    INFO("the region " << name << " of " << file << " begins and ends");
    REQUIRE((ended && !inside));
    std::size_t indentation = std::string::npos;
    for (const auto& line : result) {
        if (!trimmed(line).empty()) {
            indentation = std::min(indentation, line.find_first_not_of(' '));
        }
    }
    for (auto& line : result) {
        line.erase(0, std::min(indentation, line.size()));
    }
    return result;
}

/// A fenced block of the README.
struct block {
    std::string language;
    std::string snippet; // path#name of the comment above it; empty where there is none
    lines text;
};

std::vector<block> blocks() {
    static const std::regex snippet_comment(R"(<!-- snippet: (\S.*\S) -->)");
    std::vector<block> result;
    std::string snippet;
    bool inside = false;
    for (const auto& line : read_lines(root / "README.md")) {
        std::smatch match;
        if (line.starts_with("```")) {
            if (!inside) {
                result.push_back({line.substr(3), snippet, {}});
                snippet.clear();
            }
            inside = !inside;
        } else if (inside) {
            result.back().text.push_back(line);
        } else if (std::regex_match(line, match, snippet_comment)) {
            snippet = match[1];
        } else if (!line.empty()) {
            INFO("the comment for " << snippet << " stands right above its block");
            CHECK(snippet.empty());
        }
    }
    CHECK_FALSE(inside);
    return result;
}

lines lines_outside_of_blocks() {
    lines result;
    bool inside = false;
    for (const auto& line : read_lines(root / "README.md")) {
        if (line.starts_with("```")) {
            inside = !inside;
        } else if (!inside) {
            result.push_back(line);
        }
    }
    return result;
}

/// The targets of the links in a line.
lines links_of(const std::string& line) {
    static const std::regex link(R"(\]\(([^)\s]+)\))");
    lines result;
    for (std::sregex_iterator it(line.begin(), line.end(), link), end; it != end; ++it) {
        result.push_back((*it)[1]);
    }
    return result;
}

/// A heading as the part of a link after the #.
std::string anchor_of(std::string_view heading) {
    std::string result;
    for (const char c : heading) {
        if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_') {
            result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        } else if (c == ' ') {
            result += '-';
        }
    }
    return result;
}

TEST_CASE("each block of code in the README equals a region that is compiled") {
    std::size_t count = 0;
    for (const auto& b : blocks()) {
        if (b.language == "cpp" || b.language == "cmake") {
            ++count;
            CAPTURE(b.text);
            INFO("a comment above the block says which region it is");
            REQUIRE(b.snippet.find('#') != std::string::npos);
            const auto hash = b.snippet.find('#');
            INFO(b.snippet);
            CHECK(b.text == region_of(root / b.snippet.substr(0, hash), b.snippet.substr(hash + 1)));
        } else {
            CHECK((b.language == "sh" || b.language == "text"));
        }
    }
    CHECK(count > 20);
}

TEST_CASE("each region of the README's own test file stands in the README") {
    static const std::regex mark(R"(\s*// \[([a-z_ ]+)\])");
    std::set<std::string> shown;
    for (const auto& b : blocks()) {
        shown.insert(b.snippet);
    }
    for (const auto& line : read_lines(root / "tests/readme_test.cpp")) {
        std::smatch match;
        if (std::regex_match(line, match, mark)) {
            CAPTURE(line);
            CHECK(shown.contains("tests/readme_test.cpp#" + match[1].str()));
        }
    }
}

TEST_CASE("each link in the README leads somewhere") {
    const auto text = lines_outside_of_blocks();
    std::set<std::string> anchors;
    for (const auto& line : text) {
        if (line.starts_with('#')) {
            anchors.insert(anchor_of(line.substr(line.find_first_not_of("# "))));
        }
    }
    std::size_t count = 0;
    for (const auto& line : text) {
        for (const auto& link : links_of(line)) {
            ++count;
            CAPTURE(link);
            if (link.starts_with('#')) {
                CHECK(anchors.contains(link.substr(1)));
            } else if (!link.starts_with("https://")) {
                CHECK(std::filesystem::exists(root / link));
            }
        }
    }
    CHECK(count > 20);
}

TEST_CASE("each rule in the README's table is tested where the table says") {
    static const std::regex row(R"(\| (C\d\d) \|.*)");
    std::set<std::string> rules;
    for (const auto& line : lines_outside_of_blocks()) {
        std::smatch match;
        if (std::regex_match(line, match, row)) {
            const std::string rule = match[1];
            CAPTURE(rule);
            CHECK(rules.insert(rule).second);
            const auto files = links_of(line);
            CHECK_FALSE(files.empty());
            for (const auto& file : files) {
                CAPTURE(file);
                const std::regex name_of_a_test("\"(C\\d\\d )*" + rule + ' ');
                CHECK(std::regex_search(text_of(root / file), name_of_a_test));
            }
        }
    }
    CHECK(rules.size() > 20);
}

} // namespace
