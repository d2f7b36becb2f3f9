// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/hash.hpp>

#include <catch2/catch_test_macros.hpp>

#include <bit>
#include <cstdint>
#include <functional>
#include <memory_resource>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <utility>
#include <vector>

namespace fruit {

struct apple {
    int weight;
};
std::size_t hash_value(const apple& a) {
    return static_cast<std::size_t>(a.weight) * 7;
}

struct pear {
    int weight;
};

} // namespace fruit

template <>
struct std::hash<fruit::pear> {
    std::size_t operator()(const fruit::pear& p) const { return static_cast<std::size_t>(p.weight) * 11; }
};

namespace {

template <class Hash>
concept transparent = requires { typename Hash::is_transparent; };

TEST_CASE("a string, a view of it and a literal have one hash") {
    const acache::hash<std::string> hash;
    const std::string text = "user:42";
    CHECK(hash(text) == hash(std::string_view{text}));
    CHECK(hash(text) == hash("user:42"));
    CHECK(hash(text) != hash("user:43"));
    CHECK(hash(std::string_view{"a\0b", 3}) != hash("a"));
    CHECK(acache::hash<std::string_view>{}(text) == hash(text));
    CHECK(acache::hash<std::pmr::string>{}("user:42") == hash(text));
    CHECK(acache::hash<std::u16string>{}(u"ab") == acache::hash<std::u16string_view>{}(u"ab"));
}

TEST_CASE("only the hashes of strings take other types than the key") {
    STATIC_CHECK(transparent<acache::hash<std::string>>);
    STATIC_CHECK(transparent<acache::hash<std::wstring>>);
    STATIC_CHECK_FALSE(transparent<acache::hash<int>>);
    STATIC_CHECK_FALSE(transparent<acache::hash<std::pair<int, std::string>>>);
}

TEST_CASE("std::hash comes first, then hash_value") {
    CHECK(acache::hash<std::int64_t>{}(42) == std::hash<std::int64_t>{}(42));
    CHECK(acache::hash<fruit::pear>{}({3}) == 33);
    CHECK(acache::hash<fruit::apple>{}({3}) == 21);
    const std::vector<int> numbers{1, 2, 3};
    CHECK(acache::hash<std::vector<int>>{}(numbers) == boost::hash<std::vector<int>>{}(numbers));
}

TEST_CASE("pairs and tuples are hashed by their elements, in order") {
    using place = std::tuple<std::string, int>;
    CHECK(acache::hash<place>{}({"a", 1}) == acache::hash<place>{}({"a", 1}));
    CHECK(acache::hash<place>{}({"a", 1}) != acache::hash<place>{}({"a", 2}));
    CHECK(acache::hash<place>{}({"a", 1}) != acache::hash<place>{}({"b", 1}));
    using point = std::pair<int, int>;
    CHECK(acache::hash<point>{}({1, 2}) != acache::hash<point>{}({2, 1}));
    CHECK(acache::hash<std::tuple<>>{}({}) == acache::hash<std::tuple<>>{}({}));

    std::unordered_set<std::size_t> seen;
    for (int x = 0; x != 100; ++x) {
        for (int y = 0; y != 100; ++y) {
            seen.insert(acache::hash<point>{}({x, y}));
        }
    }
    CHECK(seen.size() == 10'000);
}

TEST_CASE("elements of a tuple may be hashed by std::hash or by hash_value") {
    using basket = std::tuple<fruit::apple, fruit::pear, std::pair<int, std::string>>;
    CHECK(acache::hash<basket>{}({{1}, {2}, {3, "x"}}) != acache::hash<basket>{}({{1}, {3}, {3, "x"}}));
}

TEST_CASE("the mixer spreads neighbouring hashes over all bits") {
    for (int bit = 0; bit != 64; ++bit) {
        int changed = 0;
        for (std::uint64_t n = 0; n != 256; ++n) {
            changed +=
                std::popcount(acache::detail::hash_mix(n) ^ acache::detail::hash_mix(n ^ (1ULL << bit)));
        }
        CHECK(changed / 256 >= 28);
        CHECK(changed / 256 <= 36);
    }
}

} // namespace
