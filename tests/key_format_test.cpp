// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/key_format.hpp>

#include <catch2/catch_test_macros.hpp>

#ifndef __cpp_lib_format
#include <fmt/format.h>
#endif

#include <clocale>
#include <cstdint>
#include <limits>
#include <locale>
#include <string>
#include <string_view>
#include <type_traits>

namespace geo {

struct point {
    int x;
    int y;
};

} // namespace geo

template <>
struct acache::detail::format_library::formatter<geo::point> {
    constexpr auto parse(auto& context) { return context.begin(); }
    auto format(const geo::point& p, auto& context) const {
        return acache::detail::format_library::format_to(context.out(), "<{} {}>", p.x, p.y);
    }
};

namespace {

namespace library = acache::detail::format_library;

template <class... Args>
std::string key(acache::key_format<Args...> format, const Args&... args) {
    acache::key_buffer buffer;
    return std::string{format.write(buffer, args...)};
}

/// The key, compared with what the format library makes of the same.
template <class... Args>
std::string checked_key(acache::key_format<Args...> format, const Args&... args) {
    const auto expected = library::vformat(format.text(), library::make_format_args(args...));
    const auto result = key<Args...>(format, args...);
    CHECK(result == expected);
    return result;
}

TEST_CASE("plain fields write what the format library writes") {
    using std::numeric_limits;
    CHECK(checked_key("user:{}", 42) == "user:42");
    checked_key("{}", 0);
    checked_key("{}", -1);
    checked_key("{}", numeric_limits<std::int8_t>::min());
    checked_key("{}", numeric_limits<std::uint8_t>::max());
    checked_key("{}", numeric_limits<std::int16_t>::min());
    checked_key("{}", numeric_limits<std::uint32_t>::max());
    checked_key("{}", numeric_limits<std::int64_t>::min());
    checked_key("{}", numeric_limits<std::int64_t>::max());
    checked_key("{}", numeric_limits<std::uint64_t>::max());
    checked_key("{}", 'c');
    checked_key("{}|{}", true, false);
    checked_key("{}", 1.5);
    checked_key("{}", -0.1f);
    checked_key("{}", std::string{"text"});
    checked_key("{}", std::string_view{"a\0b", 3});
    checked_key<const char*>("{}", "literal");
    CHECK(checked_key("at {}", geo::point{1, 2}) == "at <1 2>");
}

TEST_CASE("fields with a spec write what the format library writes") {
    checked_key("{:08}", 42);
    checked_key("{:#x}:{:+}", 255, 7L);
    checked_key("{:*^9}", std::string{"mid"});
    checked_key("{:L<5}", 12); // a fill, not the locale
    checked_key("{:>6}|", 'x');
    checked_key("{:.3f}", 2.0 / 3.0);
    checked_key("{:e}", 123456.0);
    checked_key("{:d}", true);
    checked_key("{:.2}", std::string_view{"abc"});
    checked_key("{}:{:04}:{}", std::string{"mixed"}, 7, 8);
}

TEST_CASE("numbered fields take their arguments in any order, and may leave some out") {
    CHECK(checked_key("user:{0}", 42, std::string{"ignored"}) == "user:42");
    CHECK(checked_key("{1}:{0}", 1, 2) == "2:1");
    CHECK(checked_key("{0}:{0}", 5) == "5:5");
    CHECK(checked_key("{1:03}:{0}", 1, 2) == "002:1");
    CHECK(checked_key("{2}", 1, 2, 3) == "3");
    CHECK(checked_key("{0}.{0}.{0}.{0}.{0}.{0}.{0}.{0}.{0}.{0}", 1) == "1.1.1.1.1.1.1.1.1.1");
}

TEST_CASE("escaped braces are braces in the key") {
    CHECK(checked_key("{{{}}}", 1) == "{1}");
    CHECK(checked_key("a{{b}}c:{}", 1) == "a{b}c:1");
    CHECK(checked_key("{}{{{}", 1, 2) == "1{2");
    CHECK(checked_key("{{}}") == "{}");
    CHECK(checked_key("{{{{{{{{{{{{{{{{{{{{{}", 1) == "{{{{{{{{{{1");
}

TEST_CASE("literals of any length between fields are written whole") {
    CHECK(checked_key("fifteen-letters:{}", 1) == "fifteen-letters:1");
    CHECK(checked_key("sixteen--letters{}sixteen--letters", 1) == "sixteen--letters1sixteen--letters");
    CHECK(checked_key("{}:seventeen--letters:{}", 1, 2) == "1:seventeen--letters:2");
    checked_key("a literal of a good many letters, so many that it takes pieces upon pieces to hold it, "
                "and then some more of them, to be sure:{}:{}",
                1, std::string{"end"});
}

TEST_CASE("a function without arguments has a plain literal as its key") {
    CHECK(checked_key("everything") == "everything");
    CHECK(checked_key("") == "");
}

TEST_CASE("a key longer than the buffer goes to the heap, and the buffer is used again") {
    acache::key_buffer buffer;
    const acache::key_format<std::string, int> format = "{}:{}";
    for (const std::size_t length : {0u, 1u, 197u, 198u, 199u, 200u, 201u, 400u, 10'000u, 3u}) {
        const std::string text(length, 'x');
        CHECK(format.write(buffer, text, 7) == text + ":7");
        CHECK(buffer.view() == text + ":7");
    }
    const acache::key_format<std::string, int> slow = "{:>10}:{:d}";
    for (const std::size_t length : {10u, 189u, 199u, 200u, 5000u}) {
        const std::string text(length, 'y');
        CHECK(slow.write(buffer, text, 7) == text + ":7");
    }
}

TEST_CASE("a short key is written into the buffer itself") {
    acache::key_buffer buffer;
    const acache::key_format<int> format = "user:{}";
    const auto* const begin = reinterpret_cast<const char*>(&buffer);
    const auto written = format.write(buffer, 42);
    CHECK(written.data() >= begin);
    CHECK(written.data() < begin + sizeof(buffer));
}

TEST_CASE("a key does not depend on the locale") {
    struct grouping : std::numpunct<char> {
        char do_thousands_sep() const override { return '.'; }
        char do_decimal_point() const override { return ','; }
        std::string do_grouping() const override { return "\3"; }
    };
    const auto before = std::locale::global(std::locale(std::locale::classic(), new grouping));
    CHECK(key("{}:{}:{:.1f}", 1'000'000, 0.5, 1234.5) == "1000000:0.5:1234.5");
    std::locale::global(before);
}

TEST_CASE("a format is a value that can be kept") {
    const acache::basic_key_format<std::int64_t, std::string_view> kept{"{}:{}"};
    const auto copy = kept;
    acache::key_buffer buffer;
    CHECK(copy.write(buffer, 1, "a") == "1:a");
    CHECK(copy.text() == "{}:{}");
    STATIC_CHECK(std::is_trivially_destructible_v<acache::basic_key_format<int>>);
    STATIC_CHECK(std::is_trivially_copyable_v<acache::basic_key_format<int>>);
}

TEST_CASE("an exception of a formatter reaches the caller, and the buffer can be used again") {
    acache::key_buffer buffer;
    const acache::key_format<const char*> format = "{}";
#ifndef __cpp_lib_format
    CHECK_THROWS(format.write(buffer, nullptr)); // std::format calls a null pointer undefined
#endif
    CHECK(format.write(buffer, "after") == "after");
}

} // namespace
