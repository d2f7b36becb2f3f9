// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_HASH_MIX_HPP
#define ACACHE_DETAIL_HASH_MIX_HPP

#include <cstddef>
#include <cstdint>

namespace acache::detail {

/// Spreads a hash over all 64 bits, so that any of them may choose a shard, a slot or a fingerprint:
/// `std::hash` of an integer is the integer. The two halves of a product of 128 bits, one on the other, as
/// Wang Yi's wyhash mixes, with two of its constants. Every look-up waits for this: two rounds of xor-shift
/// and multiply, which spread some strides more evenly, make a hit a seventh slower.
[[nodiscard]] constexpr std::uint64_t hash_mix(std::uint64_t h) noexcept {
    constexpr std::uint64_t multiplier = 0x8ebc6af09c88c6e3;
    h ^= 0x1d8e4e27c47d124f;
#ifdef __SIZEOF_INT128__
    __extension__ using wide = unsigned __int128;
    const wide product = static_cast<wide>(h) * multiplier;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
#else
    h ^= h >> 32;
    h *= multiplier;
    h ^= h >> 29;
    h *= multiplier;
    return h ^ h >> 32;
#endif
}

/// The hash of a sequence from the hash of what came before and that of the next element.
[[nodiscard]] constexpr std::size_t hash_combine(std::size_t seed, std::size_t next) noexcept {
    return static_cast<std::size_t>(hash_mix(seed + 0x9e3779b97f4a7c15 + next));
}

} // namespace acache::detail

#endif
