// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_GHOST_SET_HPP
#define ACACHE_DETAIL_GHOST_SET_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace acache::detail {

/// Remembers about the last `capacity` keys it was given, by 22-bit tags made from their hashes: two bytes
/// and a bucket are kept of each. A bucket is one cache line and a small queue of its own. Against an
/// exact queue, a ghost leaves somewhat early or late (a fifth of the capacity, typically), and one
/// look-up in 2^22 / capacity, or in 2000, is wrong. The idea is that of section 4.2 of Yang et al.,
/// "FIFO queues are all you need for cache eviction", SOSP 2023.
class ghost_set {
public:
    /// The tag of a key, which whoever holds the key's entry keeps in its stead.
    static constexpr int tag_bits = 22;
    static constexpr std::uint32_t tag_mask = (1U << tag_bits) - 1;

    /// Every bit of the hash matters: some are the same for all keys of a shard.
    [[nodiscard]] static std::uint32_t tag_of(std::uint64_t hash) noexcept {
        return static_cast<std::uint32_t>((hash * 0x9E37'79B9'7F4A'7C15U) >> (64 - tag_bits));
    }

    /// Remembers the tag, and forgets an old one if need be. Without memory it remembers less.
    void insert(std::uint32_t tag, std::size_t capacity) noexcept {
        fit(capacity);
        if (ways_ != 0) {
            push(bucket_of(tag), fingerprint_of(tag));
        }
    }

    /// Whether the tag is remembered; if so, forgets it.
    [[nodiscard]] bool take(std::uint32_t tag) noexcept {
        if (ways_ == 0) {
            return false;
        }
        auto& slots = buckets_[bucket_of(tag)].slots;
        const auto end = slots + ways_;
        const auto found = std::find(slots + 0, end, fingerprint_of(tag));
        if (found == end) {
            return false;
        }
        *std::copy(found + 1, end, found) = none;
        return true;
    }

    void clear() noexcept {
        buckets_.clear();
        ways_ = 0;
    }

private:
    static constexpr std::size_t bucket_size = 32;
    static constexpr std::uint16_t none = 0;

    /// The newest first, `none` after the oldest.
    struct alignas(bucket_size * sizeof(std::uint16_t)) bucket {
        std::uint16_t slots[bucket_size] = {};
    };

    static std::uint16_t fingerprint_of(std::uint32_t tag) noexcept {
        const auto fingerprint = static_cast<std::uint16_t>(tag);
        return fingerprint == none ? std::uint16_t{1} : fingerprint;
    }

    std::size_t bucket_of(std::uint32_t tag) const noexcept {
        return static_cast<std::size_t>((std::uint64_t{tag} * buckets_.size()) >> tag_bits);
    }

    void push(std::size_t place, std::uint16_t fingerprint) noexcept {
        auto& slots = buckets_[place].slots;
        std::copy_backward(slots + 0, slots + ways_ - 1, slots + ways_);
        slots[0] = fingerprint;
    }

    /// Grows to hold `capacity` ghosts, in steps of an eighth so that growing costs O(1) amortised. Growing
    /// forgets them all: what is kept of a tag does not tell its new bucket, and stores grow rarely.
    void fit(std::size_t capacity) noexcept {
        const auto held = buckets_.size() * ways_;
        if (capacity <= held + held / 8) {
            return;
        }
        try {
            const auto count = (capacity + bucket_size - 1) / bucket_size;
            buckets_.assign(count, {});
            ways_ = (capacity + count - 1) / count;
        } catch (const std::bad_alloc&) {
            return; // fewer ghosts cost hits, nothing else
        }
    }

    std::vector<bucket> buckets_;
    std::size_t ways_ = 0;
};

} // namespace acache::detail

#endif
