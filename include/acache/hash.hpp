// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_HASH_HPP
#define ACACHE_HASH_HPP

#include <acache/detail/hash_mix.hpp>

#include <boost/container_hash/hash.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

namespace acache {
namespace detail {

template <class K>
struct string_key {};

template <class Char, class Alloc>
struct string_key<std::basic_string<Char, std::char_traits<Char>, Alloc>> {
    using view = std::basic_string_view<Char>;
};

template <class Char>
struct string_key<std::basic_string_view<Char>> {
    using view = std::basic_string_view<Char>;
};

template <class K>
concept string_like_key = requires { typename string_key<K>::view; };

template <class K>
inline constexpr bool is_tuple_key = false;
template <class... Ts>
inline constexpr bool is_tuple_key<std::tuple<Ts...>> = true;
template <class A, class B>
inline constexpr bool is_tuple_key<std::pair<A, B>> = true;

template <class K>
concept std_hashable = std::default_initializable<std::hash<K>> && requires(const K& key) {
    { std::hash<K>{}(key) } -> std::convertible_to<std::size_t>;
};

namespace boost_hash {
using boost::hash_value;

template <class K>
concept hashable = requires(const K& key) {
    { hash_value(key) } -> std::convertible_to<std::size_t>;
};
} // namespace boost_hash

} // namespace detail

/// Hashes keys. Strings: transparent, so that a `std::string` key is found by a `std::string_view` or a
/// literal without building a string. Pairs and tuples: element by element. Any other type: by `std::hash`
/// where that is enabled, else by `hash_value(key)`, Boost.ContainerHash's or one found next to the type.
template <class K>
struct hash {
    static_assert(detail::is_tuple_key<K> || detail::std_hashable<K> || detail::boost_hash::hashable<K>,
                  "acache::hash: this key type cannot be hashed; specialise std::hash for it, write "
                  "`std::size_t hash_value(const K&)` in its namespace, or name a hash of your own as "
                  "template argument");

    [[nodiscard]] std::size_t operator()(const K& key) const {
        if constexpr (detail::is_tuple_key<K>) {
            return std::apply(
                [](const auto&... part) {
                    std::size_t seed = 0;
                    ((seed = detail::hash_combine(seed, hash<std::remove_cvref_t<decltype(part)>>{}(part))),
                     ...);
                    return seed;
                },
                key);
        } else if constexpr (detail::std_hashable<K>) {
            return std::hash<K>{}(key);
        } else {
            return boost::hash<K>{}(key);
        }
    }
};

template <detail::string_like_key K>
struct hash<K> {
    using is_transparent = void;

    [[nodiscard]] std::size_t operator()(typename detail::string_key<K>::view key) const noexcept {
        return std::hash<typename detail::string_key<K>::view>{}(key);
    }
};

} // namespace acache

#endif
