// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CACHE_NODE_HPP
#define ACACHE_DETAIL_CACHE_NODE_HPP

#include <acache/detail/entry_stamps.hpp>
#include <acache/detail/timer_wheel.hpp>
#include <acache/entry.hpp>
#include <acache/hash.hpp>

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace acache::detail {

/// Whether to hash a key again costs less than to keep four bytes of its hash, and cannot throw.
template <class K, class Hash>
inline constexpr bool hashed_again =
    (std::is_arithmetic_v<K> || std::is_enum_v<K>) &&
    (std::same_as<Hash, hash<K>> || std::is_nothrow_invocable_v<Hash, const K&>);

/// The bits of a hash that place an entry within its shard.
struct kept_hash {
    explicit kept_hash(std::uint64_t hash) noexcept : bits(static_cast<std::uint32_t>(hash >> 32)) {}
    const std::uint32_t bits;
};
struct no_kept_hash {
    explicit no_kept_hash(std::uint64_t) noexcept {}
};

/// An entry. Key, value and stamps never change from when it is published until it is freed; the links are
/// the writers' alone; the hook is as its policy says.
template <class K, class V, class Hook, bool KeepsHash>
struct cache_node {
    cache_node(K&& k, entry<V>&& e, std::uint64_t h)
        : stamps(e.created, e.expires), hash(h), key(std::move(k)), value(std::move(e.value)) {}

    // What a hit reads is last, close together.
    timer_links links;
    Hook hook;
    entry_stamps stamps;
    [[no_unique_address]] std::conditional_t<KeepsHash, kept_hash, no_kept_hash> hash;
    const K key;
    const V value;
};

} // namespace acache::detail

#endif
