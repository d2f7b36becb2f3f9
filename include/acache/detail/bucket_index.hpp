// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_BUCKET_INDEX_HPP
#define ACACHE_DETAIL_BUCKET_INDEX_HPP

#include <acache/clock.hpp>
#include <acache/detail/index_bucket.hpp>
#include <acache/eviction_policy.hpp>

#include <bit>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace acache::detail {

/// Finds entries by the hashes of their keys: an open-addressing table of ids that is read without a lock
/// while one writer at a time changes it.
///
/// A bucket is a cache line of twelve entries, each with a tag of eight bits of its hash. An entry that
/// finds its bucket full goes on to the next, and the full bucket counts it, so a search ends at the first
/// bucket that has sent nobody on, an erasure leaves no tombstone, and no entry ever moves within a table.
/// The tags are those of Facebook's F14 (Bronson and Shi, 2019), the counts of those sent on too.
///
/// The number of buckets need not be a power of two: the bucket is `hash * buckets / 2^32` (Lemire, "Fast
/// random integer generation in an interval", ACM TOMACS 29(1), 2019).
class bucket_index {
public:
    static constexpr std::size_t most_buckets = std::size_t{1} << 27;

    /// Room for `most_held(buckets)` entries. Throws `std::bad_alloc`.
    explicit bucket_index(std::size_t buckets)
        : count_(static_cast<std::uint32_t>(buckets)), buckets_(std::make_unique<index_bucket[]>(buckets)) {}

    [[nodiscard]] std::size_t buckets() const noexcept { return count_; }

    /// Another table that is to be freed with this one, or that was cleared after it.
    std::unique_ptr<bucket_index> older;
    /// When its entries were cleared.
    time_point cleared = time_point::min();

    /// How many entries may be in a table of so many buckets: a few places stay free, lest searches get long.
    [[nodiscard]] static constexpr std::size_t most_held(std::size_t buckets) noexcept {
        const auto places = buckets * index_bucket::places;
        return places - places / 16;
    }

    /// Whether `matches` holds for the first id that `find` would look at, which is as a rule the one wanted.
    template <class Matches>
    bool guess(std::uint32_t hash, Matches&& matches) const {
        const index_bucket& home = buckets_[home_of(hash)];
        const auto places = home.matching(index_bucket::tag_of(hash));
        return places != 0 && matches(home.id_at(lowest(places)));
    }

    /// The first id with this hash for which `matches(id)` holds, or `no_entry`. For readers and the writer.
    template <class Matches>
    entry_id find(std::uint32_t hash, Matches&& matches) const {
        const auto tag = index_bucket::tag_of(hash);
        auto at = home_of(hash);
        auto left = count_;
        do {
            const index_bucket& bucket = buckets_[at];
            for (auto places = bucket.matching(tag); places != 0; places &= places - 1) {
                const auto id = bucket.id_at(lowest(places));
                if (matches(id)) [[likely]] {
                    return id;
                }
            }
            if (!bucket.sent_on()) {
                break;
            }
            at = next(at);
        } while (--left != 0);
        return no_entry;
    }

    /// Adds an id; there must be room.
    void insert(std::uint32_t hash, entry_id id) noexcept {
        std::uint32_t at = home_of(hash);
        while (buckets_[at].full()) {
            buckets_[at].send_on();
            at = next(at);
        }
        buckets_[at].put(index_bucket::tag_of(hash), id);
    }

    /// `fresh` takes the place of `old`: who searches finds one or the other.
    void replace(std::uint32_t hash, entry_id old, entry_id fresh) noexcept {
        const auto found = place_of(hash, old);
        buckets_[found.bucket].exchange(found.place, fresh);
    }

    void erase(std::uint32_t hash, entry_id id) noexcept {
        const auto found = place_of(hash, id);
        buckets_[found.bucket].clear(found.place);
        for (auto at = home_of(hash); at != found.bucket; at = next(at)) {
            buckets_[at].take_back();
        }
    }

    template <class F>
    void for_each(F&& f) const {
        for (std::uint32_t at = 0; at != count_; ++at) {
            for (auto places = buckets_[at].taken(); places != 0; places &= places - 1) {
                f(buckets_[at].id_at(lowest(places)));
            }
        }
    }

    /// Takes out up to `most` ids, from bucket `at` on, and calls `f(id)` for each: for a table that nothing
    /// is put into any more. Says how many there were, and moves `at` on; it may stop at many empty buckets.
    template <class F>
    std::size_t take(std::uint32_t& at, std::size_t most, F&& f) noexcept {
        std::size_t taken = 0;
        for (unsigned empty = 0; at != count_ && taken != most && empty != 64;) {
            const auto places = buckets_[at].taken();
            if (places == 0) {
                ++at;
                ++empty;
                continue;
            }
            const auto id = buckets_[at].id_at(lowest(places));
            buckets_[at].clear(lowest(places));
            f(id);
            ++taken;
        }
        return taken;
    }

private:
    struct location {
        std::uint32_t bucket;
        unsigned place;
    };

    [[nodiscard]] static unsigned lowest(unsigned places) noexcept {
        return static_cast<unsigned>(std::countr_zero(places));
    }
    [[nodiscard]] std::uint32_t home_of(std::uint32_t hash) const noexcept {
        return static_cast<std::uint32_t>(std::uint64_t{hash} * count_ >> 32);
    }
    [[nodiscard]] std::uint32_t next(std::uint32_t at) const noexcept {
        return at + 1 == count_ ? 0 : at + 1;
    }

    /// Where an id is that is there.
    [[nodiscard]] location place_of(std::uint32_t hash, entry_id id) const noexcept {
        const auto tag = index_bucket::tag_of(hash);
        for (auto at = home_of(hash);; at = next(at)) {
            for (auto places = buckets_[at].matching(tag); places != 0; places &= places - 1) {
                if (buckets_[at].id_at(lowest(places)) == id) {
                    return {at, lowest(places)};
                }
            }
        }
    }

    const std::uint32_t count_;
    const std::unique_ptr<index_bucket[]> buckets_;
};

} // namespace acache::detail

#endif
