// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/kept_text.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <string>
#include <utility>

namespace {

using acache::detail::kept_text;

TEST_CASE("A kept text is a copy of its own, at every length, and stays the same when it is moved") {
    for (std::size_t length = 0; length != 300; ++length) {
        std::string text;
        for (std::size_t i = 0; i != length; ++i) {
            text += static_cast<char>('a' + i % 26);
        }
        const std::string expected = text;
        kept_text<char> kept(text);
        text.assign(length, '?');
        CHECK(kept.view() == expected);
        const kept_text<char> moved(std::move(kept));
        CHECK(moved.view() == expected);
    }
}

TEST_CASE("A kept text is of any character type") {
    const std::u32string text(100, U'\u00e4');
    kept_text<char32_t> kept(text);
    const kept_text<char32_t> moved(std::move(kept));
    CHECK(moved.view() == text);
}

} // namespace
