// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_GHOST_SET_HPP
#define ACACHE_DETAIL_GHOST_SET_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <vector>

namespace acache::detail {

/// What a policy keeps of a key in its entry's hook, to remember it by when the entry has left.
inline constexpr int ghost_tag_bits = 23;
inline constexpr std::uint32_t ghost_tag_mask = (1U << ghost_tag_bits) - 1;

/// Every bit of the hash matters: some are the same for all keys of a shard.
[[nodiscard]] inline std::uint32_t ghost_tag(std::uint64_t hash) noexcept {
    return static_cast<std::uint32_t>((hash * 0x9E37'79B9'7F4A'7C15U) >> (64 - ghost_tag_bits));
}

/// Remembers about the last `capacity` tags it was given, in two bytes each: a fingerprint in a bucket that
/// the tag selects, which is a queue of at most `Ways` (with 32, one cache line). Against an exact queue,
/// a ghost leaves somewhat early or late (a fifth of the capacity, typically, with 32 ways), and one
/// look-up in 2^23 / capacity, or in 2^16 / Ways, is wrong. The idea is that of section 4.2 of Yang et
/// al., "FIFO queues are all you need for cache eviction", SOSP 2023.
template <std::size_t Ways = 32>
class ghost_set {
public:
    /// Remembers the tag, and forgets an old one if need be. Without memory it remembers less.
    void insert(std::uint32_t tag, std::size_t capacity) noexcept {
        fit(capacity);
        if (ways_ != 0) {
            auto& slots = buckets_[bucket_of(tag)].slots;
            std::copy_backward(slots + 0, slots + ways_ - 1, slots + ways_);
            slots[0] = fingerprint_of(tag);
        }
    }

    /// Forgets the tag. If it was remembered, its age: how many others of its bucket came after it. Each
    /// stands for `period()` insertions, on average.
    std::optional<std::size_t> take(std::uint32_t tag) noexcept {
        if (ways_ == 0) {
            return std::nullopt;
        }
        auto& slots = buckets_[bucket_of(tag)].slots;
        const auto end = slots + ways_;
        const auto found = std::find(slots + 0, end, fingerprint_of(tag));
        if (found == end) {
            return std::nullopt;
        }
        *found = none; // the older ones stay where they are: their places tell their ages
        return static_cast<std::size_t>(found - slots);
    }

    [[nodiscard]] std::size_t period() const noexcept { return buckets_.size(); }

    void clear() noexcept {
        buckets_.clear();
        ways_ = 0;
    }

private:
    static constexpr std::uint16_t none = 0;

    /// The newest first.
    struct alignas(Ways * sizeof(std::uint16_t)) bucket {
        std::uint16_t slots[Ways] = {};
    };

    static std::uint16_t fingerprint_of(std::uint32_t tag) noexcept {
        const auto fingerprint = static_cast<std::uint16_t>(tag);
        return fingerprint == none ? std::uint16_t{1} : fingerprint;
    }

    std::size_t bucket_of(std::uint32_t tag) const noexcept {
        return static_cast<std::size_t>((std::uint64_t{tag} * buckets_.size()) >> ghost_tag_bits);
    }

    /// Grows or shrinks to `capacity` ghosts, in large enough steps to cost O(1) amortised, and forgets them
    /// all: what is kept of a tag does not tell its new bucket, and stores change size rarely.
    void fit(std::size_t capacity) noexcept {
        const auto held = buckets_.size() * ways_;
        if (capacity <= held + held / 8 && capacity >= held / 2) {
            return;
        }
        try {
            const auto count = (capacity + Ways - 1) / Ways;
            std::vector<bucket>(count).swap(buckets_);
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
