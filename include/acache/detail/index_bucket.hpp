// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_INDEX_BUCKET_HPP
#define ACACHE_DETAIL_INDEX_BUCKET_HPP

#include <acache/eviction_policy.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace acache::detail {

/// A cache line of a `bucket_index`: the ids of up to twelve entries, a tag of eight bits for each, and how
/// many entries have gone past. Any number of threads may look while one changes it.
///
/// An id is stored before its tag, with release order, and looked at after it, with acquire order. So who
/// finds a tag finds its id or a later one of that place, and what the writer did to the entry before.
class alignas(64) index_bucket {
public:
    static constexpr unsigned places = 12;

    /// Never 0, which marks a free place.
    [[nodiscard]] static std::uint8_t tag_of(std::uint32_t hash) noexcept {
        const auto tag = static_cast<std::uint8_t>(hash);
        return static_cast<std::uint8_t>(tag + (tag == 0));
    }

    /// A bit for each place with this tag.
    [[nodiscard]] unsigned matching(std::uint8_t tag) const noexcept {
        return equal(words_[0].load(std::memory_order_acquire), words_[1].load(std::memory_order_acquire),
                     tag) &
               all;
    }

    /// Whether entries may be further on that should have been here.
    [[nodiscard]] bool sent_on() const noexcept {
        return words_[1].load(std::memory_order_acquire) >> 32 != 0;
    }

    [[nodiscard]] entry_id id_at(unsigned place) const noexcept {
        return ids_[place].load(std::memory_order_acquire);
    }

    [[nodiscard]] unsigned taken() const noexcept { return ~matching(0) & all; }

    // For the one writer.

    [[nodiscard]] bool full() const noexcept { return taken() == all; }

    void put(std::uint8_t tag, entry_id id) noexcept {
        const auto place = static_cast<unsigned>(std::countr_one(taken()));
        ids_[place].store(id, std::memory_order_release);
        add(place, tag);
    }

    void exchange(unsigned place, entry_id fresh) noexcept {
        ids_[place].store(fresh, std::memory_order_release);
    }

    void clear(unsigned place) noexcept {
        auto& word = words_[place / 8];
        const auto shift = place % 8 * 8;
        word.store(word.load(std::memory_order_relaxed) & ~(std::uint64_t{0xff} << shift),
                   std::memory_order_release);
    }

    void send_on() noexcept { add(places, 1); }
    void take_back() noexcept {
        words_[1].store(words_[1].load(std::memory_order_relaxed) - (std::uint64_t{1} << 32),
                        std::memory_order_release);
    }

private:
    static constexpr unsigned all = (1U << places) - 1;

    /// Adds to the byte, or the count, that begins at byte `at`.
    void add(unsigned at, std::uint8_t what) noexcept {
        auto& word = words_[at / 8];
        word.store(word.load(std::memory_order_relaxed) + (std::uint64_t{what} << at % 8 * 8),
                   std::memory_order_release);
    }

    /// A bit for each byte of the two words that is `tag`.
    [[nodiscard]] static unsigned equal(std::uint64_t low, std::uint64_t high, std::uint8_t tag) noexcept {
#ifdef __SSE2__
        const auto tags = _mm_set_epi64x(static_cast<long long>(high), static_cast<long long>(low));
        return static_cast<unsigned>(
            _mm_movemask_epi8(_mm_cmpeq_epi8(tags, _mm_set1_epi8(static_cast<char>(tag)))));
#else
        return zero_bytes(low ^ tag * ones) | zero_bytes(high ^ tag * ones) << 8;
#endif
    }

    /// A bit for each byte that is 0.
    [[nodiscard]] static constexpr unsigned zero_bytes(std::uint64_t word) noexcept {
        constexpr auto low_bits = 0x7f * ones;
        const auto zeros = ~(((word & low_bits) + low_bits) | word | low_bits); // 0x80 for each
        return static_cast<unsigned>(((zeros >> 7) * 0x0102040810204080) >> 56);
    }

    static constexpr std::uint64_t ones = 0x0101010101010101;

    // The tags of the places 0 to 11, and in the upper half of the second word the count of those sent on.
    std::array<std::atomic<std::uint64_t>, 2> words_{};
    std::array<std::atomic<entry_id>, places> ids_{};
};

static_assert(sizeof(index_bucket) == 64);

} // namespace acache::detail

#endif
