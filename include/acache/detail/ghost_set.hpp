// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_GHOST_SET_HPP
#define ACACHE_DETAIL_GHOST_SET_HPP

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace acache::detail {

/// Remembers about the last `capacity` hashes it was given, as 32-bit fingerprints. A fingerprint lives in a
/// bucket of one cache line that is a small queue of its own: four bytes a ghost, one line a look-up.
/// Against an exact queue, a ghost leaves somewhat early or late (a quarter of the capacity, typically),
/// and one look-up in 10^8 or so is wrong. The idea is that of section 4.2 of Yang et al., "FIFO queues
/// are all you need for cache eviction", SOSP 2023.
class ghost_set {
public:
    /// Remembers `hash`, and forgets an old one if need be. Without memory it remembers less.
    void insert(std::uint64_t hash, std::size_t capacity) noexcept {
        fit(capacity);
        if (ways_ != 0) {
            push(fingerprint_of(hash));
        }
    }

    /// Whether `hash` is remembered; if so, forgets it.
    [[nodiscard]] bool take(std::uint64_t hash) noexcept {
        if (ways_ == 0) {
            return false;
        }
        const auto fingerprint = fingerprint_of(hash);
        auto& slots = bucket_of(fingerprint).slots;
        const auto end = slots + ways_;
        const auto found = std::find(slots + 0, end, fingerprint);
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
    static constexpr std::size_t bucket_size = 16;
    static constexpr std::uint32_t none = 0;

    /// The newest first, `none` after the oldest.
    struct alignas(bucket_size * sizeof(std::uint32_t)) bucket {
        std::uint32_t slots[bucket_size] = {};
    };

    static std::uint32_t fingerprint_of(std::uint64_t hash) noexcept {
        const auto fingerprint = static_cast<std::uint32_t>(hash >> 32);
        return fingerprint == none ? 1 : fingerprint;
    }

    bucket& bucket_of(std::uint32_t fingerprint) noexcept {
        return buckets_[static_cast<std::size_t>((std::uint64_t{fingerprint} * buckets_.size()) >> 32)];
    }

    void push(std::uint32_t fingerprint) noexcept {
        auto& slots = bucket_of(fingerprint).slots;
        std::copy_backward(slots + 0, slots + ways_ - 1, slots + ways_);
        slots[0] = fingerprint;
    }

    /// Grows to hold `capacity` ghosts, in steps of an eighth so that growing costs O(1) amortised.
    void fit(std::size_t capacity) noexcept {
        const auto held = buckets_.size() * ways_;
        if (capacity <= held + held / 8) {
            return;
        }
        try {
            const auto count = (capacity + bucket_size - 1) / bucket_size;
            std::vector<bucket> old(count);
            old.swap(buckets_);
            ways_ = (capacity + count - 1) / count;
            for (const auto& b : old) {
                std::for_each(std::rbegin(b.slots), std::rend(b.slots), [this](std::uint32_t f) {
                    if (f != none) {
                        push(f);
                    }
                });
            }
        } catch (const std::bad_alloc&) {
            return; // fewer ghosts cost hits, nothing else
        }
    }

    std::vector<bucket> buckets_;
    std::size_t ways_ = 0;
};

} // namespace acache::detail

#endif
