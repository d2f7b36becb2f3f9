// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CACHE_NODE_HPP
#define ACACHE_DETAIL_CACHE_NODE_HPP

#include <acache/detail/entry_life.hpp>
#include <acache/detail/timer_wheel.hpp>
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

/// An entry, as far as a hit reads it: a half or all of a cache line for small keys and values. Key, value
/// and life never change from when it is published until it is freed; the hook is as its policy says.
template <class K, class V, class Hook, bool KeepsHash>
struct cache_node {
    cache_node(K&& k, V&& v, std::uint64_t h) : hash(h), key(std::move(k)), value(std::move(v)) {}

    Hook hook;
    entry_life life;
    [[no_unique_address]] std::conditional_t<KeepsHash, kept_hash, no_kept_hash> hash;
    const K key;
    const V value;
};

/// The other part of an entry. The rest of its life is as constant as the life, the links are the writers'
/// alone.
struct cold_part {
    entry_life::rest life_rest = 0;
    timer_links links;
};

} // namespace acache::detail

#endif
