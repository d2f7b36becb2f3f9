// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/redis/codec.hpp>
#include <acache/redis/key_codec.hpp>

#include <boost/describe/class.hpp>
#include <boost/json/value.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

namespace {

using namespace std::string_literals;

struct address {
    std::string street;
    int number = 0;

    friend bool operator==(const address&, const address&) = default;
};
BOOST_DESCRIBE_STRUCT(address, (), (street, number))

struct user {
    std::int64_t id = 0;
    std::string name{};
    double balance = 0;
    std::vector<address> addresses{};
    std::optional<std::string> note{};
    std::map<std::string, std::uint64_t> counts{};

    friend bool operator==(const user&, const user&) = default;
};
BOOST_DESCRIBE_STRUCT(user, (), (id, name, balance, addresses, note, counts))

/// Written as its number, of which only even ones are valid.
struct even {
    int number = 0;
    friend bool operator==(const even&, const even&) = default;
};
void tag_invoke(const boost::json::value_from_tag&, boost::json::value& to, const even& e) {
    to = e.number;
}
even tag_invoke(const boost::json::value_to_tag<even>&, const boost::json::value& from) {
    const int number = boost::json::value_to<int>(from);
    if (number % 2 != 0) {
        throw number; // not even a std::exception
    }
    return {number};
}

struct celsius {
    float degrees = 0;
    friend bool operator==(const celsius&, const celsius&) = default;
};

enum class colour : std::uint16_t { red = 1, blue = 0x0203 };
enum class answer : bool { no, yes };
enum plain { first, second };

/// A list that holds such lists, to nest deep.
struct nested {
    std::vector<nested> inside;
    friend bool operator==(const nested&, const nested&) = default;
};
void tag_invoke(const boost::json::value_from_tag&, boost::json::value& to, const nested& n) {
    boost::json::value_from(n.inside, to);
}
nested tag_invoke(const boost::json::value_to_tag<nested>&, const boost::json::value& from) {
    return {boost::json::value_to<std::vector<nested>>(from)};
}

template <class V>
std::string encoded(const V& value) {
    std::string bytes;
    acache::default_codec<V>{}.encode(value, bytes);
    return bytes;
}

template <class V>
std::optional<V> decoded(std::string_view bytes) {
    return acache::default_codec<V>{}.decode(bytes);
}

template <class V>
void check_round_trip(const V& value) {
    const std::string bytes = encoded(value);
    INFO(bytes);
    CHECK(decoded<V>(bytes) == value);
}

template <class K>
std::string key_text(const K& key) {
    std::string text;
    acache::default_key_codec<K>{}.encode(key, text);
    return text;
}

template <class K>
std::optional<K> key_of(std::string_view text) {
    return acache::default_key_codec<K>{}.decode(text);
}

} // namespace

template <>
struct acache::default_codec<celsius> {
    void encode(celsius v, std::string& to) const { to += std::to_string(std::lround(v.degrees)); }
    std::optional<celsius> decode(std::string_view from) const {
        return celsius{std::stof(std::string(from))};
    }
};

TEST_CASE("strings and vectors of bytes are stored as they are") {
    const std::string text = "a\0b\xff\xac\n"s;
    CHECK(encoded(text) == text);
    CHECK(decoded<std::string>(text) == text);
    CHECK(decoded<std::string>("") == "");
    CHECK(encoded(std::vector{'a', '\0'}) == "a\0"s);
    CHECK(decoded<std::vector<char>>("a\0"s) == std::vector{'a', '\0'});
    CHECK(encoded(std::vector<unsigned char>{0xff, 0}) == "\xff\0"s);
    CHECK(decoded<std::vector<unsigned char>>("\xff\0"s) == std::vector<unsigned char>{0xff, 0});
    CHECK(encoded(std::vector{std::byte{0x80}}) == "\x80");
    CHECK(decoded<std::vector<std::byte>>("\x80") == std::vector{std::byte{0x80}});
    CHECK(decoded<std::vector<std::byte>>("") == std::vector<std::byte>());
}

TEST_CASE("a codec appends to what is there") {
    std::string bytes = "before";
    acache::default_codec<std::string>{}.encode("a", bytes);
    acache::default_codec<std::uint16_t>{}.encode(0x6362, bytes);
    acache::default_codec<std::vector<int>>{}.encode({1, 2}, bytes);
    acache::default_codec<bool>{}.encode(true, bytes);
    CHECK(bytes == "beforeabc[1,2]\1");
}

TEST_CASE("numbers are little-endian, and of their size") {
    CHECK(encoded(std::uint32_t{0x01020304}) == "\4\3\2\1");
    CHECK(encoded(std::int64_t{-2}) == "\xfe\xff\xff\xff\xff\xff\xff\xff");
    CHECK(encoded(1.0) == "\0\0\0\0\0\0\xf0\x3f"s);
    CHECK(encoded(1.0F) == "\0\0\x80\x3f"s);
    CHECK(encoded('x') == "x");
    CHECK(encoded(colour::blue) == "\3\2");
}

TEMPLATE_TEST_CASE("numbers come back as they were, and only from bytes of their size", "", char, signed char,
                   unsigned char, short, unsigned short, int, unsigned, long, unsigned long, long long,
                   unsigned long long, char8_t, char16_t, char32_t, wchar_t, float, double) {
    using limits = std::numeric_limits<TestType>;
    for (const TestType value : {TestType(0), TestType(1), limits::min(), limits::lowest(), limits::max()}) {
        check_round_trip(value);
    }
    CHECK(encoded(TestType(7)).size() == sizeof(TestType));
    CHECK(decoded<TestType>(std::string(sizeof(TestType) - 1, 'x')) == std::nullopt);
    CHECK(decoded<TestType>(std::string(sizeof(TestType) + 1, 'x')) == std::nullopt);
}

TEST_CASE("numbers that are none come back too") {
    check_round_trip(std::numeric_limits<double>::infinity());
    CHECK(std::isnan(decoded<double>(encoded(std::nan(""))).value()));
    CHECK(std::signbit(decoded<float>(encoded(-0.0F)).value()));
}

TEST_CASE("a bool is one byte, zero or one") {
    CHECK(encoded(true) == "\1");
    CHECK(encoded(false) == "\0"s);
    CHECK(decoded<bool>("\1") == true);
    CHECK(decoded<bool>("\0"s) == false);
    CHECK(decoded<bool>("\2") == std::nullopt);
    CHECK(decoded<bool>("") == std::nullopt);
    CHECK(decoded<bool>("\0\0"s) == std::nullopt);
}

TEST_CASE("enums are their underlying integer") {
    check_round_trip(colour::red);
    check_round_trip(second);
    check_round_trip(answer::yes);
    CHECK(encoded(answer::yes) == "\1");
    CHECK(decoded<answer>("\2") == std::nullopt);
    CHECK(decoded<colour>("\1") == std::nullopt);
}

TEST_CASE("what Boost.JSON converts is JSON") {
    const user someone{.id = -7,
                       .name = "Zo\xc3\xab \"\n",
                       .balance = 0.1,
                       .addresses = {{"Main Street", 1}, {"", 2}},
                       .note = std::nullopt,
                       .counts = {{"a", std::numeric_limits<std::uint64_t>::max()}}};
    check_round_trip(someone);
    CHECK(encoded(address{"Main Street", 1}) == R"({"street":"Main Street","number":1})");
    check_round_trip(std::vector<std::string>{"", "a\0b"s});
    check_round_trip(std::pair(1, "b"s));
    check_round_trip(std::tuple(1, "b"s, true));
    check_round_trip(std::variant<int, std::string>("b"));
    check_round_trip(std::map<int, std::string>{{1, "a"}});
    check_round_trip(std::array{1, 2, 3});
    check_round_trip(even{4});
    check_round_trip(boost::json::value{1, "a", nullptr});
}

TEST_CASE("an optional without a value is a value") {
    using maybe = std::optional<int>;
    check_round_trip(maybe(5));
    const std::optional<maybe> empty = decoded<maybe>(encoded(maybe()));
    REQUIRE(empty.has_value());
    CHECK_FALSE(empty->has_value());
    CHECK_FALSE(decoded<maybe>("{").has_value());
}

TEST_CASE("JSON keeps every bit of a number") {
    std::mt19937_64 random(1);
    for (int i = 0; i != 10'000; ++i) {
        double number{};
        const std::uint64_t bits = random();
        std::memcpy(&number, &bits, sizeof(number));
        if (std::isfinite(number)) {
            const std::vector value{number};
            REQUIRE(decoded<std::vector<double>>(encoded(value)) == value);
        }
    }
    check_round_trip(std::vector{std::numeric_limits<double>::infinity()});
}

TEST_CASE("JSON keeps strings that are no UTF-8") {
    check_round_trip(address{"\xff\xfe\x80 \xed\xa0\x80", 1});
}

TEST_CASE("JSON may nest deep") {
    nested deep;
    for (int i = 0; i != 150; ++i) {
        deep = nested{{deep}};
    }
    check_round_trip(deep);
    CHECK(decoded<nested>(std::string(100'000, '[')) == std::nullopt);
}

TEST_CASE("what is no JSON, or of another type, is no value, whatever conversions throw") {
    CHECK(decoded<user>("") == std::nullopt);
    CHECK(decoded<user>("{") == std::nullopt);
    CHECK(decoded<user>("{}") == std::nullopt);
    CHECK(decoded<user>("[1,2]") == std::nullopt);
    CHECK(decoded<address>(R"({"street":"Main Street","number":"one"})") == std::nullopt);
    CHECK(decoded<address>(R"({"street":"Main Street","number":1e10})") == std::nullopt);
    CHECK(decoded<address>(R"({"street":"Main Street","number":1} )") == address{"Main Street", 1});
    CHECK(decoded<address>(R"({"street":"Main Street","number":1}})") == std::nullopt);
    CHECK(decoded<even>("3") == std::nullopt);
    CHECK(decoded<std::vector<even>>("[2,3]") == std::nullopt);
    CHECK(decoded<std::vector<std::uint8_t>>("\x03").value().size() == 1);
    CHECK(decoded<std::array<int, 3>>("[1,2]") == std::nullopt);
}

TEST_CASE("truncated JSON of an object is no value") {
    const std::string whole = encoded(address{"Main Street", 12});
    for (std::size_t size = 0; size != whole.size(); ++size) {
        CHECK(decoded<address>(std::string_view(whole).substr(0, size)) == std::nullopt);
    }
}

TEST_CASE("random bytes are no value, or one") {
    std::mt19937 random(2);
    const std::string_view letters = "{}[]\",:0123456789eE+-.truefalsn\\u \x80";
    for (int i = 0; i != 20'000; ++i) {
        std::string bytes(random() % 40, ' ');
        for (char& c : bytes) {
            c = i % 2 == 0 ? static_cast<char>(random()) : letters[random() % letters.size()];
        }
        (void)decoded<user>(bytes);
        (void)decoded<std::vector<std::optional<even>>>(bytes);
        (void)decoded<nested>(bytes);
    }
}

TEST_CASE("a shared pointer is stored as what it points to") {
    const auto number = std::make_shared<const int>(5);
    CHECK(encoded(number) == encoded(5));
    CHECK(*decoded<std::shared_ptr<const int>>(encoded(5)).value() == 5);
    const auto text = std::make_shared<std::string>("text");
    CHECK(*decoded<std::shared_ptr<std::string>>(encoded(text)).value() == "text");
    CHECK(*decoded<std::shared_ptr<const user>>(encoded(user{.id = 3})).value() == user{.id = 3});
    CHECK(decoded<std::shared_ptr<const user>>("{}") == std::nullopt);
    CHECK_THROWS_AS(encoded(std::shared_ptr<const int>()), std::invalid_argument);
}

TEST_CASE("a specialisation is the type's codec, also behind a pointer") {
    STATIC_CHECK(acache::codec<acache::default_codec<celsius>, celsius>);
    CHECK(encoded(celsius{21.2F}) == "21");
    CHECK(encoded(std::make_shared<const celsius>(celsius{21})) == "21");
    CHECK(decoded<celsius>("21") == celsius{21});
}

TEST_CASE("the concept wants both directions") {
    struct only_encodes {
        void encode(int, std::string&) const {}
    };
    struct other_type {
        void encode(int, std::string&) const {}
        std::optional<long> decode(std::string_view) const { return {}; }
    };
    STATIC_CHECK(acache::codec<acache::default_codec<int>, int>);
    STATIC_CHECK(acache::codec<acache::default_codec<user>, user>);
    STATIC_CHECK(acache::codec<acache::default_codec<std::string>, std::string>);
    STATIC_CHECK(
        acache::codec<acache::default_codec<std::shared_ptr<const user>>, std::shared_ptr<const user>>);
    STATIC_CHECK(acache::codec<acache::default_key_codec<std::string>, std::string>);
    STATIC_CHECK(acache::codec<acache::default_key_codec<int>, int>);
    STATIC_CHECK_FALSE(acache::codec<only_encodes, int>);
    STATIC_CHECK_FALSE(acache::codec<other_type, int>);
}

TEST_CASE("keys that are strings stand in the name of a Redis key as they are") {
    const std::string key = "user:\0:{1}\r\n*\xff"s;
    CHECK(key_text(key) == key);
    CHECK(key_of<std::string>(key) == key);
    CHECK(key_of<std::string>("") == "");
}

TEMPLATE_TEST_CASE("keys that are integers are decimal", "", char, signed char, unsigned char, short,
                   unsigned short, int, unsigned, long long, unsigned long long, char8_t, char16_t, char32_t,
                   wchar_t) {
    using limits = std::numeric_limits<TestType>;
    for (const TestType key : {TestType(0), TestType(7), limits::min(), limits::max()}) {
        CHECK(key_text(key) == std::to_string(key));
        CHECK(key_of<TestType>(std::to_string(key)) == key);
    }
    for (const std::string text :
         {"", "-", "+7", "07", "-0", " 7", "7 ", "7x", "0x7", "7.0", "99999999999999999999"}) {
        INFO(text);
        CHECK(key_of<TestType>(text) == std::nullopt);
    }
    CHECK(key_of<TestType>(std::to_string(limits::max()) + "0") == std::nullopt);
    CHECK(key_of<TestType>("7\0"s) == std::nullopt);
}

TEST_CASE("an integer that its type cannot hold is no key") {
    CHECK(key_of<std::int8_t>("128") == std::nullopt);
    CHECK(key_of<std::uint8_t>("-1") == std::nullopt);
    CHECK(key_of<unsigned>("-1") == std::nullopt);
    CHECK(key_of<bool>("2") == std::nullopt);
}

TEST_CASE("keys that are enums or bools are decimal too") {
    CHECK(key_text(colour::blue) == "515");
    CHECK(key_of<colour>("515") == colour::blue);
    CHECK(key_of<colour>("blue") == std::nullopt);
    CHECK(key_text(true) == "1");
    CHECK(key_of<bool>("0") == false);
    CHECK(key_of<answer>("1") == answer::yes);
}

TEST_CASE("keys of other types are JSON") {
    const std::tuple key(3, "a\0b"s, true);
    CHECK(key_text(key) == R"([3,"a\u0000b",true])");
    CHECK(key_of<std::tuple<int, std::string, bool>>(key_text(key)) == key);
    CHECK(key_of<std::tuple<int, std::string, bool>>("[3]") == std::nullopt);
    CHECK(key_of<address>(key_text(address{"Main Street", 1})) == address{"Main Street", 1});
    CHECK(key_of<address>("Main Street") == std::nullopt);
}
