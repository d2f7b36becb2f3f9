// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_LRU_HPP
#define ACACHE_LRU_HPP

#include <acache/detail/index_list.hpp>
#include <acache/eviction_policy.hpp>

#include <cstdint>

namespace acache {

/// Least recently used: the entry unread for longest goes first. A loop a little longer than the cache
/// never hits, and a scan drives everything out; `turnstile` and `s3_fifo` stand both better.
class lru {
public:
    struct hook : detail::index_links {};

    static constexpr bool concurrent_hits = false;

    [[nodiscard]] bool empty() const noexcept { return queue_.empty(); }

    template <class Hooks>
    void insert(Hooks& hooks, entry_id id, std::uint64_t) noexcept {
        queue_.push_front(hooks, id);
    }

    template <class Hooks>
    void hit(Hooks& hooks, entry_id id) noexcept {
        queue_.move_to_front(hooks, id);
    }

    template <class Hooks>
    void replace(Hooks& hooks, entry_id old, entry_id fresh) noexcept {
        queue_.replace(hooks, old, fresh);
    }

    template <class Hooks>
    void remove(Hooks& hooks, entry_id id) noexcept {
        queue_.erase(hooks, id);
    }

    template <class Hooks>
    [[nodiscard]] entry_id evict(Hooks& hooks) noexcept {
        const auto victim = queue_.back();
        queue_.erase(hooks, victim);
        return victim;
    }

    void clear() noexcept { queue_.clear(); }

private:
    detail::index_list queue_;
};

} // namespace acache

#endif
