// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_KEY_CODEC_HPP
#define ACACHE_REDIS_KEY_CODEC_HPP

#include <acache/redis/codec.hpp>
#include <acache/redis/detail/json_text.hpp>

#include <charconv>
#include <concepts>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace acache {

/// How keys become part of the names of keys in Redis, and come back from there: strings as they are,
/// integers and enums in decimal, the rest as JSON, as `default_codec` does. Equal keys must make equal text,
/// and different ones different text. `decode` is empty for text that `encode` does not write, as somebody
/// else may have done.
///
/// Specialise it for a type of your own, with the members that the concept `codec` names.
template <class K>
struct default_key_codec {
    static_assert(
        detail::json_convertible<K>,
        "specialise acache::default_key_codec or give a key codec, or describe the type for Boost.JSON "
        "(BOOST_DESCRIBE_STRUCT or tag_invoke)");

    void encode(const K& key, std::string& to) const { detail::append_json(key, to); }
    [[nodiscard]] std::optional<K> decode(std::string_view from) const { return detail::parse_json<K>(from); }
};

template <>
struct default_key_codec<std::string> : default_codec<std::string> {};

template <std::integral K>
struct default_key_codec<K> {
    void encode(K key, std::string& to) const {
        char digits[std::numeric_limits<decltype(+key)>::digits10 + 3]; // one more digit, a sign
        to.append(digits, std::to_chars(digits, digits + sizeof(digits), +key).ptr);
    }
    [[nodiscard]] std::optional<K> decode(std::string_view from) const {
        decltype(+K{}) number{};
        if (std::from_chars(from.data(), from.data() + from.size(), number).ec != std::errc{}) {
            return std::nullopt;
        }
        // Out of range, with leading zeros, or with something behind it: not what is written for this key.
        std::string written;
        encode(static_cast<K>(number), written);
        return written == from ? std::optional(static_cast<K>(number)) : std::nullopt;
    }
};

template <class K>
    requires std::is_enum_v<K>
struct default_key_codec<K> {
    using integer = std::underlying_type_t<K>;

    void encode(K key, std::string& to) const {
        default_key_codec<integer>{}.encode(static_cast<integer>(key), to);
    }
    [[nodiscard]] std::optional<K> decode(std::string_view from) const {
        const auto number = default_key_codec<integer>{}.decode(from);
        return number ? std::optional(static_cast<K>(*number)) : std::nullopt;
    }
};

} // namespace acache

#endif
