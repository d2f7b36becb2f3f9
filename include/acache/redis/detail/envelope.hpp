// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_ENVELOPE_HPP
#define ACACHE_REDIS_DETAIL_ENVELOPE_HPP

#include <acache/redis/detail/little_endian.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

// What is in the slot of a key, byte by byte. Numbers are little-endian; i is signed, in two's complement,
// and u is not. Instants are the server's Unix time, of which the greatest i64 is never.
//
//     offset  size  what
//          0     1  0xAC
//          1     1  version of this format: 1
//          2     1  'V': an entry; 'L': the marker of a lease
//          3     1  0
//          4    16  id, another one for each write
//
// A lease ends here, at 20 bytes. An entry goes on:
//
//         20     8  i64  created, in us
//         28     8  i64  fresh until, in us
//         36     8  i64  expires, in us
//         44     8  i64  how long the load took, in ns
//         52     8  u64  began: the server's count of invalidated tags when the load began
//         60     8  u64  p, size of the payload
//         68     4  u32  k, size of the key
//         72     4  u32  v, size of the validator
//         76     4  u32  n, how many tags
//         80   4 n  u32  size of each tag
//                k  key
//                v  validator
//                   the tags, one after the other
//                p  payload: the value, as its codec writes it
//
// and ends with the payload. A reader that meets another version takes the slot for empty, so that versions
// can share a server while one takes the place of the other.

namespace acache::detail {

inline constexpr std::size_t slot_header_size = 20;
inline constexpr char slot_magic = '\xAC';
inline constexpr char slot_version = 1;

/// Unique for each write, so that two equal ids mean that nobody has written in between.
using slot_id = std::array<char, 16>;

struct envelope {
    slot_id id{};
    std::chrono::microseconds created{0};
    std::chrono::microseconds fresh_until = std::chrono::microseconds::max();
    std::chrono::microseconds expires = std::chrono::microseconds::max();
    std::chrono::nanoseconds load_time{0};
    std::uint64_t began = 0;
    std::string_view key{};
    std::string_view validator{};
    std::vector<std::string_view> tags{};
    std::string_view payload{};
};

inline void append_slot_header(std::string& to, char kind, const slot_id& id) {
    to += {slot_magic, slot_version, kind, '\0'};
    to.append(id.data(), id.size());
}

[[nodiscard]] inline std::string lease_marker(const slot_id& id) {
    std::string marker;
    append_slot_header(marker, 'L', id);
    return marker;
}

inline void append_size(std::string& to, std::size_t size) {
    if (size > std::numeric_limits<std::uint32_t>::max()) {
        throw std::length_error("acache: a key, validator or tag is longer than Redis can store; shorten it");
    }
    append_little_endian(to, static_cast<std::uint32_t>(size));
}

/// Appends an envelope around the payload which `append_payload(to)` appends; `e.payload` is not looked at.
/// Throws what that throws, and `std::length_error`; `to` is then of no use.
template <std::invocable<std::string&> AppendPayload>
void append_envelope(std::string& to, const envelope& e, AppendPayload append_payload) {
    append_slot_header(to, 'V', e.id);
    for (const auto instant : {e.created, e.fresh_until, e.expires}) {
        append_little_endian(to, static_cast<std::int64_t>(instant.count()));
    }
    append_little_endian(to, static_cast<std::int64_t>(e.load_time.count()));
    append_little_endian(to, e.began);
    const std::size_t payload_size_at = to.size();
    append_little_endian(to, std::uint64_t{0});
    append_size(to, e.key.size());
    append_size(to, e.validator.size());
    append_size(to, e.tags.size());
    for (const auto tag : e.tags) {
        append_size(to, tag.size());
    }
    to.append(e.key).append(e.validator);
    for (const auto tag : e.tags) {
        to.append(tag);
    }

    const std::size_t payload_at = to.size();
    std::move(append_payload)(to);
    store_little_endian(to.data() + payload_size_at, std::uint64_t{to.size() - payload_at});
}

enum class slot_kind : std::uint8_t { value, lease, unreadable };

/// The envelope's part of a slot, from behind its header. False: bytes are missing or too many.
[[nodiscard]] inline bool read_envelope(byte_reader from, envelope& to) {
    for (auto* instant : {&to.created, &to.fresh_until, &to.expires}) {
        *instant = std::chrono::microseconds(from.number<std::int64_t>());
    }
    to.load_time = std::chrono::nanoseconds(from.number<std::int64_t>());
    to.began = from.number<std::uint64_t>();
    const auto payload_size = from.number<std::uint64_t>();
    const auto key_size = from.number<std::uint32_t>();
    const auto validator_size = from.number<std::uint32_t>();
    const std::size_t tag_count = from.number<std::uint32_t>();
    byte_reader tag_sizes(from.take(tag_count * sizeof(std::uint32_t)));
    if (from.failed()) {
        return false; // before so many tags are taken for true
    }
    to.key = from.take(key_size);
    to.validator = from.take(validator_size);
    to.tags.clear();
    to.tags.reserve(tag_count);
    for (std::size_t i = 0; i != tag_count; ++i) {
        to.tags.push_back(from.take(tag_sizes.number<std::uint32_t>()));
    }
    if (from.failed() || from.left() != payload_size) {
        return false;
    }
    to.payload = from.take(from.left());
    return true;
}

/// What a slot holds. `to` is read if that is a value, of a lease its id alone; its views point into `bytes`.
/// Unreadable is what somebody else has written: of another format or version, truncated or with more behind
/// it, or of another key than the expected. Never throws but for want of memory.
[[nodiscard]] inline slot_kind read_slot(std::string_view bytes, std::string_view expected_key,
                                         envelope& to) {
    byte_reader from(bytes);
    const std::string_view format = from.take(slot_header_size - std::tuple_size_v<slot_id>);
    const std::string_view id = from.take(std::tuple_size_v<slot_id>);
    if (from.failed() || format[0] != slot_magic || format[1] != slot_version || format[3] != '\0') {
        return slot_kind::unreadable;
    }
    std::ranges::copy(id, to.id.begin());
    if (format[2] == 'L' && from.left() == 0) {
        return slot_kind::lease;
    }
    return format[2] == 'V' && read_envelope(from, to) && to.key == expected_key ? slot_kind::value
                                                                                 : slot_kind::unreadable;
}

} // namespace acache::detail

#endif
