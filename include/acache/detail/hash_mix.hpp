// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_HASH_MIX_HPP
#define ACACHE_DETAIL_HASH_MIX_HPP

#include <cstddef>
#include <cstdint>

namespace acache::detail {

/// Spreads a hash over all 64 bits, so that any of them may choose a shard, a slot or a fingerprint:
/// `std::hash` of an integer is the integer. Two rounds of xor-shift and multiply ("xmx", Jon Maiga's mx3
/// constants); a bijection, so it adds no collisions.
[[nodiscard]] constexpr std::uint64_t hash_mix(std::uint64_t h) noexcept {
    constexpr std::uint64_t multiplier = 0xbea225f9eb34556d;
    h ^= h >> 32;
    h *= multiplier;
    h ^= h >> 29;
    h *= multiplier;
    h ^= h >> 32;
    return h;
}

/// The hash of a sequence from the hash of what came before and that of the next element.
[[nodiscard]] constexpr std::size_t hash_combine(std::size_t seed, std::size_t next) noexcept {
    return static_cast<std::size_t>(hash_mix(seed + 0x9e3779b97f4a7c15 + next));
}

} // namespace acache::detail

#endif
