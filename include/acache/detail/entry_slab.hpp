// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_ENTRY_SLAB_HPP
#define ACACHE_DETAIL_ENTRY_SLAB_HPP

#include <acache/eviction_policy.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace acache::detail {

/// What a slab keeps of each entry on request only.
struct entry_usage {
    std::size_t weight = 0;
    std::atomic<std::int64_t> used{0}; // the last use, in nanoseconds of the clock
};

/// The memory of a shard's entries: chunks of about 16 KB, of which each place has a number. In a chunk stand
/// first the nodes, so that a small one never lies across two cache lines, and then their other parts. Memory
/// that was freed is used for later entries, and returned with the slab.
///
/// Readers turn ids into nodes while a writer adds chunks. So the directory of chunks is loaded after the id
/// was, with acquire order: it is then at least as new as the chunk. A directory that has become too small
/// is kept until the end, since a reader may be about to use it; all of them together are as long as the
/// last.
template <class Node, class Cold>
class entry_slab {
public:
    entry_slab() = default;
    entry_slab(const entry_slab&) = delete;
    entry_slab& operator=(const entry_slab&) = delete;
    /// Whoever made nodes has destroyed them.
    ~entry_slab() {
        for (std::byte* chunk : chunks_) {
            ::operator delete(chunk, alignment);
        }
    }

    /// Whether there is a place to keep usage in. To be called before the first `make`.
    void keep_usage() noexcept { keeps_usage_ = true; }
    /// Nothing was ever made.
    [[nodiscard]] bool unused() const noexcept { return used_ == 0; }

    [[nodiscard]] Node& operator[](entry_id id) const noexcept { return part<Node>(id, 0); }
    /// The other part of the entry of this node, without a look at the directory.
    [[nodiscard]] static Cold& cold(Node& node, entry_id id) noexcept {
        const auto at = id % per_chunk;
        auto* first = reinterpret_cast<std::byte*>(&node - at) + cold_offset;
        return *std::launder(reinterpret_cast<Cold*>(first + at * sizeof(Cold)));
    }
    [[nodiscard]] Cold& cold(entry_id id) const noexcept { return part<Cold>(id, cold_offset); }
    /// Only after `keep_usage`.
    [[nodiscard]] entry_usage& usage(entry_id id) const noexcept {
        return part<entry_usage>(id, usage_offset);
    }

    /// A new node. What throws leaves the slab as it was.
    template <class... Args>
    [[nodiscard]] entry_id make(Args&&... args) {
        const auto id = take_place();
        try {
            ::new (place(id)) Node(std::forward<Args>(args)...);
        } catch (...) {
            free_ = put_free(id, free_);
            throw;
        }
        ::new (static_cast<void*>(&cold(id))) Cold;
        if (keeps_usage_) {
            ::new (static_cast<void*>(&usage(id))) entry_usage;
        }
        return id;
    }

    /// Destroys a node that nobody can read any more. For the writer.
    void destroy(entry_id id) noexcept {
        (*this)[id].~Node();
        free_ = put_free(id, free_);
    }

    /// The same for many, from outside the writer's lock, each after a call of `f(id)`, which names the next.
    template <class F>
    void destroy_chain(entry_id first, F f) noexcept {
        entry_id freed = no_entry;
        entry_id last = no_entry;
        while (first != no_entry) {
            const auto id = std::exchange(first, f(first));
            (*this)[id].~Node();
            last = freed == no_entry ? id : last;
            freed = put_free(id, freed);
        }
        if (freed != no_entry) {
            auto head = given_back_.load(std::memory_order_relaxed);
            do {
                put_free(last, head);
            } while (!given_back_.compare_exchange_weak(head, freed, std::memory_order_release,
                                                        std::memory_order_relaxed));
        }
    }

private:
    struct free_place {
        entry_id next;
    };

    static constexpr std::size_t chunk_bytes = 16 * 1024;
    static constexpr std::size_t per_chunk =
        std::bit_floor(std::max<std::size_t>(chunk_bytes / (sizeof(Node) + sizeof(Cold)), 1));
    static constexpr std::align_val_t alignment{std::max<std::size_t>(alignof(Node), 64)};
    static constexpr std::size_t cold_offset = (per_chunk * sizeof(Node) + 15) / 16 * 16;
    static constexpr std::size_t usage_offset = (cold_offset + per_chunk * sizeof(Cold) + 15) / 16 * 16;
    static constexpr entry_id most = entry_id{1} << 31;
    static_assert(sizeof(Node) >= sizeof(free_place) && alignof(Node) >= alignof(free_place));
    static_assert(alignof(Cold) <= 16 && alignof(entry_usage) <= 16);

    [[nodiscard]] std::byte* chunk(entry_id id) const noexcept {
        return directory_.load(std::memory_order_acquire)[id / per_chunk];
    }
    template <class T>
    [[nodiscard]] T& part(entry_id id, std::size_t offset) const noexcept {
        return *std::launder(reinterpret_cast<T*>(chunk(id) + offset + id % per_chunk * sizeof(T)));
    }
    [[nodiscard]] void* place(entry_id id) const noexcept {
        return chunk(id) + id % per_chunk * sizeof(Node);
    }

    entry_id put_free(entry_id id, entry_id next) noexcept {
        ::new (place(id)) free_place{next};
        return id;
    }

    [[nodiscard]] entry_id take_place() {
        if (free_ == no_entry) {
            if (given_back_.load(std::memory_order_relaxed) == no_entry) {
                return add_place();
            }
            free_ = given_back_.exchange(no_entry, std::memory_order_acquire);
        }
        const auto id = free_;
        free_ = std::launder(static_cast<free_place*>(place(id)))->next;
        return id;
    }

    [[nodiscard]] entry_id add_place() {
        if (used_ == chunks_.size() * per_chunk) {
            if (used_ == most) {
                throw std::bad_alloc();
            }
            add_chunk();
        }
        return used_++;
    }

    void add_chunk() {
        if (chunks_.size() == chunks_.capacity()) {
            std::vector<std::byte*> longer;
            longer.reserve(std::max<std::size_t>(2 * chunks_.size(), 4));
            longer.assign(chunks_.begin(), chunks_.end());
            old_directories_.reserve(old_directories_.size() + 1);
            chunks_.swap(longer);
            directory_.store(chunks_.data(), std::memory_order_release);
            old_directories_.push_back(std::move(longer));
        }
        const auto bytes = keeps_usage_ ? usage_offset + per_chunk * sizeof(entry_usage)
                                        : cold_offset + per_chunk * sizeof(Cold);
        chunks_.push_back(static_cast<std::byte*>(::operator new(bytes, alignment)));
    }

    std::atomic<std::byte* const*> directory_{nullptr};
    bool keeps_usage_ = false;
    entry_id free_ = no_entry;
    entry_id used_ = 0;
    std::vector<std::byte*> chunks_; // never reallocates where readers look: the directory is its array
    std::vector<std::vector<std::byte*>> old_directories_;
    // Apart from what readers look at: threads give back here at any time.
    alignas(64) std::atomic<entry_id> given_back_{no_entry};
};

} // namespace acache::detail

#endif
