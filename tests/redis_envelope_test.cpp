// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/redis/detail/envelope.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace acache::detail;
using namespace std::chrono_literals;
using namespace std::string_literals;

// Where the format has what.
constexpr std::size_t version_at = 1, kind_at = 2, zero_at = 3, payload_size_at = 60, key_size_at = 68,
                      validator_size_at = 72, tag_count_at = 76, tag_sizes_at = 80;

constexpr slot_id some_id{'0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'};

envelope sample() {
    return {.id = some_id,
            .created = 1'700'000'000'000'001us,
            .fresh_until = 1'700'000'060'000'002us,
            .expires = std::chrono::microseconds::max(),
            .load_time = 1'500'000ns,
            .began = 0xfedcba9876543210,
            .key = "user:7",
            .validator = "\"etag\"",
            .tags = {"users", "", "team:3"},
            .payload = "the value"};
}

std::string bytes_of(const envelope& e) {
    std::string bytes;
    append_envelope(bytes, e, [&](std::string& to) { to += e.payload; });
    return bytes;
}

slot_kind kind_of(std::string_view bytes, std::string_view key = "user:7") {
    envelope read;
    return read_slot(bytes, key, read);
}

void check_round_trip(const envelope& e) {
    const std::string bytes = bytes_of(e);
    envelope read;
    read.tags = {"of", "an", "older", "one"};
    REQUIRE(read_slot(bytes, e.key, read) == slot_kind::value);
    CHECK(read.id == e.id);
    CHECK(read.created == e.created);
    CHECK(read.fresh_until == e.fresh_until);
    CHECK(read.expires == e.expires);
    CHECK(read.load_time == e.load_time);
    CHECK(read.began == e.began);
    CHECK(read.key == e.key);
    CHECK(read.validator == e.validator);
    CHECK(read.tags == e.tags);
    CHECK((read.payload == e.payload)); // without its text, which may be long
}

/// All bytes but one, and that one with each other value.
template <class Check>
void for_each_change(const std::string& bytes, std::size_t at, Check check) {
    std::string changed = bytes;
    for (int value = 0; value != 256; ++value) {
        changed[at] = static_cast<char>(value);
        if (changed[at] != bytes[at]) {
            INFO("byte " << at << " is " << value);
            check(changed);
        }
    }
}

} // namespace

TEST_CASE("an envelope is read as it was written") {
    check_round_trip(sample());
    check_round_trip(envelope{});
}

TEST_CASE("the bytes of an envelope are those of its description") {
    const envelope e{.id = some_id,
                     .created = 1us,
                     .fresh_until = 0x0203us,
                     .load_time = -1ns,
                     .began = 4,
                     .key = "key",
                     .validator = "va",
                     .tags = {"t", "ag"},
                     .payload = "value"};
    CHECK(bytes_of(e) == "\xAC\1V\0"s
                         "0123456789abcdef"
                         "\1\0\0\0\0\0\0\0"
                         "\3\2\0\0\0\0\0\0"
                         "\xff\xff\xff\xff\xff\xff\xff\x7f"
                         "\xff\xff\xff\xff\xff\xff\xff\xff"
                         "\4\0\0\0\0\0\0\0"
                         "\5\0\0\0\0\0\0\0"
                         "\3\0\0\0"
                         "\2\0\0\0"
                         "\2\0\0\0"
                         "\1\0\0\0"
                         "\2\0\0\0"
                         "key"
                         "va"
                         "t"
                         "ag"
                         "value"s);
    CHECK(lease_marker(some_id) == "\xAC\1L\0"s + "0123456789abcdef");
}

TEST_CASE("an envelope may be behind other bytes") {
    std::string bytes = "before";
    append_envelope(bytes, sample(), [](std::string& to) { to += "the value"; });
    CHECK(bytes == "before" + bytes_of(sample()));
}

TEST_CASE("a payload, a key, a validator, a tag may be empty") {
    envelope e = sample();
    e.payload = {};
    check_round_trip(e);
    e.key = {};
    check_round_trip(e);
    e.validator = {};
    check_round_trip(e);
    e.tags = {"", "", ""};
    check_round_trip(e);
    e.tags = {};
    check_round_trip(e);
    CHECK(bytes_of(e).size() == tag_sizes_at);
}

TEST_CASE("keys and tags hold any bytes") {
    envelope e = sample();
    const std::string key = "\0\xAC\1V\0"s;
    e.key = key;
    e.tags = {key, key};
    e.validator = key;
    check_round_trip(e);
    CHECK(kind_of(bytes_of(e), std::string_view(key).substr(0, 1)) == slot_kind::unreadable);
}

TEST_CASE("a payload of ten megabytes and ten thousand tags pass") {
    std::string payload(10 << 20, '\0');
    std::mt19937 random(1);
    std::ranges::generate(payload, [&] { return static_cast<char>(random()); });
    std::vector<std::string> tags;
    for (int i = 0; i != 10'000; ++i) {
        tags.push_back("tag " + std::to_string(i));
    }
    envelope e = sample();
    e.payload = payload;
    e.tags.assign(tags.begin(), tags.end());
    check_round_trip(e);
    CHECK(kind_of(bytes_of(e).substr(0, 9 << 20)) == slot_kind::unreadable);
}

// Contract C33.
TEST_CASE("C33 every truncation of an envelope is unreadable") {
    const std::string bytes = bytes_of(sample());
    for (std::size_t size = 0; size != bytes.size(); ++size) {
        // A block of its own, so that a sanitizer sees each byte read beyond it.
        const std::vector<char> truncated(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));
        INFO(size << " of " << bytes.size() << " bytes");
        CHECK(kind_of({truncated.data(), truncated.size()}) == slot_kind::unreadable);
    }
    CHECK(kind_of(bytes) == slot_kind::value);
}

TEST_CASE("C33 an envelope with more behind it is unreadable") {
    CHECK(kind_of(bytes_of(sample()) + '\0') == slot_kind::unreadable);
    CHECK(kind_of(bytes_of(sample()) + bytes_of(sample())) == slot_kind::unreadable);
    CHECK(kind_of(lease_marker(some_id) + '\0') == slot_kind::unreadable);
}

TEST_CASE("C33 an envelope of another key is unreadable") {
    const std::string bytes = bytes_of(sample());
    for (const std::string key : {"", "user:", "user:8", "user:70", "User:7", "user:7\""}) {
        INFO(key);
        CHECK(kind_of(bytes, key) == slot_kind::unreadable);
    }
    CHECK(kind_of(bytes, "user:7\0"s) == slot_kind::unreadable);
}

TEST_CASE("C33 an envelope of a later version is unreadable, whatever else it has") {
    std::string later = bytes_of(sample());
    later[version_at] = 2;
    CHECK(kind_of(later) == slot_kind::unreadable);
    later += "more that this version does not know of";
    CHECK(kind_of(later) == slot_kind::unreadable);
    later = lease_marker(some_id);
    later[version_at] = 2;
    CHECK(kind_of(later) == slot_kind::unreadable);
}

TEST_CASE("C33 every change of a byte that is not the value's own makes an envelope unreadable") {
    const std::string bytes = bytes_of(sample());
    const auto unreadable = [](const std::string& changed) {
        CHECK(kind_of(changed) == slot_kind::unreadable);
    };
    for (const std::size_t at : {std::size_t(0), version_at, kind_at, zero_at}) {
        for_each_change(bytes, at, unreadable);
    }
    const std::size_t key_at = tag_sizes_at + 3 * 4;
    for (std::size_t at = payload_size_at; at != tag_count_at; ++at) {
        for_each_change(bytes, at, unreadable);
    }
    for (std::size_t at = tag_count_at; at != key_at + sample().key.size(); ++at) {
        for_each_change(bytes, at, unreadable);
    }
}

TEST_CASE("C33 sizes that are wrong together are unreadable") {
    const std::string bytes = bytes_of(sample());
    const auto with = [&](std::size_t at, std::string_view in_place) {
        std::string changed = bytes;
        changed.replace(at, in_place.size(), in_place);
        return kind_of(changed);
    };
    const std::string most(8, '\xff');
    CHECK(with(payload_size_at, most) == slot_kind::unreadable);
    CHECK(with(payload_size_at, most + most) == slot_kind::unreadable);
    CHECK(with(payload_size_at, most + most + most + most) == slot_kind::unreadable);
    CHECK(with(tag_count_at, "\0\0\0\x40"s) == slot_kind::unreadable); // 2^30 tags, 2^32 bytes
    CHECK(with(tag_sizes_at, most + "\xff\xff\xff\xff") == slot_kind::unreadable);
    // One byte from the validator to the payload: the sum is right, and nothing says otherwise.
    std::string moved = bytes;
    --moved[validator_size_at];
    ++moved[payload_size_at];
    CHECK(kind_of(moved) == slot_kind::value);
    --moved[key_size_at];
    ++moved[payload_size_at];
    CHECK(kind_of(moved) == slot_kind::unreadable); // of another key
}

TEST_CASE("C33 random bytes are unreadable") {
    std::mt19937_64 random(2);
    const std::string valid = bytes_of(sample());
    int readable = 0;
    for (int i = 0; i != 100'000; ++i) {
        std::string bytes(random() % 200, '\0');
        std::ranges::generate(bytes, [&] { return static_cast<char>(random()); });
        // Half of them begin as an envelope does.
        bytes.replace(0, std::min<std::size_t>(bytes.size(), i % 2 == 0 ? 0 : random() % key_size_at), valid,
                      0, std::min<std::size_t>(bytes.size(), i % 2 == 0 ? 0 : random() % tag_count_at));
        readable += kind_of(bytes) != slot_kind::unreadable;
    }
    CHECK(readable == 0);
}

TEST_CASE("C33 a damaged envelope is unreadable, or its views are within its bytes") {
    std::mt19937_64 random(3);
    const std::string valid = bytes_of(sample());
    for (int i = 0; i != 100'000; ++i) {
        std::vector<char> bytes(valid.begin(), valid.end());
        for (auto changes = 1 + random() % 4; changes != 0; --changes) {
            bytes[random() % bytes.size()] = static_cast<char>(random() % 4 == 0 ? random() : random() % 4);
        }
        envelope read;
        if (read_slot({bytes.data(), bytes.size()}, "user:7", read) != slot_kind::value) {
            continue;
        }
        REQUIRE(read.key == "user:7");
        std::size_t sum = tag_sizes_at + read.key.size() + read.validator.size() + read.payload.size();
        for (const auto tag : read.tags) {
            sum += 4 + tag.size();
        }
        REQUIRE(sum == bytes.size());
        REQUIRE(read.payload.data() + read.payload.size() == bytes.data() + bytes.size());
    }
}

TEST_CASE("a lease is told from a value, and both have their id") {
    slot_id other = some_id;
    other[15] = '\0';
    envelope read;
    CHECK(read_slot(lease_marker(other), "user:7", read) == slot_kind::lease);
    CHECK(read.id == other);
    CHECK(lease_marker(other).size() == slot_header_size);
    CHECK(read_slot(bytes_of(sample()), "user:7", read) == slot_kind::value);
    CHECK(read.id == some_id);
    CHECK(bytes_of(sample()).substr(4, 16) == lease_marker(some_id).substr(4));

    for (std::size_t size = 0; size != slot_header_size; ++size) {
        CHECK(kind_of(lease_marker(some_id).substr(0, size)) == slot_kind::unreadable);
    }
    std::string as_value = lease_marker(some_id);
    as_value[kind_at] = 'V';
    CHECK(kind_of(as_value) == slot_kind::unreadable);
    std::string as_lease = bytes_of(sample());
    as_lease[kind_at] = 'L';
    CHECK(kind_of(as_lease) == slot_kind::unreadable);
}

TEST_CASE("the error of a codec comes out") {
    std::string bytes;
    CHECK_THROWS_AS(append_envelope(bytes, sample(), [](std::string&) { throw std::range_error("no"); }),
                    std::range_error);
}
