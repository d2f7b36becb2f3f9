// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_KEYS_HPP
#define ACACHE_DETAIL_KEYS_HPP

#include <acache/detail/kept_text.hpp>
#include <acache/hash.hpp>

#include <concepts>
#include <string_view>
#include <type_traits>
#include <utility>

namespace acache::detail {

template <class K, class Hash, class Q>
concept transparent_query = requires(const Hash& hash, const std::remove_cvref_t<Q>& query) {
    typename Hash::is_transparent;
    hash(query);
} && std::constructible_from<K, const std::remove_cvref_t<Q>&>;

template <class K, class Hash, class Q>
concept text_query = string_like_key<K> && transparent_query<K, Hash, Q> &&
                     std::convertible_to<Q, typename string_key<K>::view>;

/// What an operation on keys `K` takes: a `K`, what converts to one, or what a transparent hash takes.
template <class Q, class K, class Hash>
concept key_for = std::convertible_to<Q, K> || transparent_query<K, Hash, Q> || text_query<K, Hash, Q>;

/// A key as an operation owns it from its call to its end. Looked up as it is, where the hash is
/// transparent; a `K` is built only when a flight or an entry needs one.
template <class K, class Hash, class Q>
[[nodiscard]] auto keep_key(Q&& key) {
    if constexpr (std::same_as<Q, K>) {
        return K(std::move(key));
    } else if constexpr (text_query<K, Hash, Q>) {
        const typename string_key<K>::view text = key;
        return kept_text<typename string_key<K>::view::value_type>(text);
    } else if constexpr (transparent_query<K, Hash, Q> && !std::same_as<std::remove_cvref_t<Q>, K>) {
        return std::decay_t<Q>(std::forward<Q>(key));
    } else {
        return K(std::forward<Q>(key));
    }
}

/// The form in which a kept key is looked up.
template <class Key>
[[nodiscard]] const Key& query_of(const Key& key) noexcept {
    return key;
}
template <class Char>
[[nodiscard]] std::basic_string_view<Char> query_of(const kept_text<Char>& key) noexcept {
    return key.view();
}

} // namespace acache::detail

#endif
