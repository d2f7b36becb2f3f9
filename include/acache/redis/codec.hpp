// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_CODEC_HPP
#define ACACHE_REDIS_CODEC_HPP

#include <acache/redis/detail/json_text.hpp>
#include <acache/redis/detail/little_endian.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace acache {

/// How values become bytes and come back. `encode` appends to what is in `to`; `decode` gives what `encode`
/// was given, and is empty, or throws, where the bytes are no value. Called from any thread, also at the same
/// time.
template <class C, class V>
concept codec = requires(const C& c, const V& v, std::string& to, std::string_view from) {
    c.encode(v, to);
    { c.decode(from) } -> std::same_as<std::optional<V>>;
};

namespace detail {

template <class V>
inline constexpr bool is_byte_vector =
    std::same_as<V, std::vector<char>> || std::same_as<V, std::vector<unsigned char>> ||
    std::same_as<V, std::vector<std::byte>>;

} // namespace detail

/// The codec of values that have none of their own. Strings, and vectors of char, unsigned char or std::byte,
/// are stored as they are. Numbers are little-endian and of their size here, so a `long` that is shared with
/// other platforms should be a `std::int64_t`; enums are their underlying integer; a bool is one byte. The
/// rest is JSON, by Boost.JSON's own conversions: containers, tuples, optionals, variants, what is described
/// by Boost.Describe, what has a `tag_invoke`. JSON has no NaN: a value with one in it is written and never
/// read again.
///
/// Bytes do not tell of what type they are: where the type of the values changes, change the prefix of their
/// keys too. Specialise it for a type of your own, with the members that the concept `codec` names.
template <class V>
struct default_codec {
    static_assert(detail::json_convertible<V>,
                  "specialise acache::default_codec or give a codec, or describe the type for Boost.JSON "
                  "(BOOST_DESCRIBE_STRUCT or tag_invoke)");

    void encode(const V& v, std::string& to) const { detail::append_json(v, to); }
    /// Empty for what is no JSON or not of this type; never throws for what the bytes are.
    [[nodiscard]] std::optional<V> decode(std::string_view from) const { return detail::parse_json<V>(from); }
};

template <class V>
    requires std::same_as<V, std::string> || detail::is_byte_vector<V>
struct default_codec<V> {
    void encode(const V& v, std::string& to) const {
        to.append(reinterpret_cast<const char*>(v.data()), v.size());
    }
    [[nodiscard]] std::optional<V> decode(std::string_view from) const {
        const auto* begin = reinterpret_cast<const typename V::value_type*>(from.data());
        return std::optional<V>(std::in_place, begin, begin + from.size());
    }
};

template <detail::wire_number V>
struct default_codec<V> {
    void encode(V v, std::string& to) const { detail::append_little_endian(to, v); }
    [[nodiscard]] std::optional<V> decode(std::string_view from) const noexcept {
        return from.size() == sizeof(V) ? std::optional(detail::load_little_endian<V>(from)) : std::nullopt;
    }
};

template <>
struct default_codec<bool> {
    void encode(bool v, std::string& to) const { to += v ? '\1' : '\0'; }
    [[nodiscard]] std::optional<bool> decode(std::string_view from) const noexcept {
        const bool valid = from.size() == 1 && (from[0] == '\0' || from[0] == '\1');
        return valid ? std::optional(from[0] == '\1') : std::nullopt;
    }
};

template <class V>
    requires std::is_enum_v<V>
struct default_codec<V> {
    using integer = std::underlying_type_t<V>;

    void encode(V v, std::string& to) const { default_codec<integer>{}.encode(static_cast<integer>(v), to); }
    [[nodiscard]] std::optional<V> decode(std::string_view from) const noexcept {
        const auto number = default_codec<integer>{}.decode(from);
        return number ? std::optional(static_cast<V>(*number)) : std::nullopt;
    }
};

/// As what it points to. A null pointer cannot be told apart from a value: `std::invalid_argument`.
template <class T>
struct default_codec<std::shared_ptr<T>> {
    using pointee = std::remove_const_t<T>;

    void encode(const std::shared_ptr<T>& v, std::string& to) const {
        if (!v) {
            throw std::invalid_argument(
                "acache: a null pointer cannot be encoded; make the value an optional, "
                "or report errc::not_found where there is none");
        }
        default_codec<pointee>{}.encode(*v, to);
    }
    [[nodiscard]] std::optional<std::shared_ptr<T>> decode(std::string_view from) const {
        auto value = default_codec<pointee>{}.decode(from);
        return value ? std::optional(std::make_shared<T>(*std::move(value))) : std::nullopt;
    }
};

} // namespace acache

#endif
