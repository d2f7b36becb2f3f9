// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_LRU_HPP
#define ACACHE_LRU_HPP

#include <acache/detail/intrusive_list.hpp>

#include <cstdint>

namespace acache {

/// Least recently used: the entry unread for longest goes first. A loop a little longer than the cache
/// never hits, and a scan drives everything out; `s3_fifo` stands both better.
class lru {
public:
    struct hook : private detail::list_hook {
        friend class lru;
    };

    static constexpr bool concurrent_hits = false;

    [[nodiscard]] bool empty() const noexcept { return queue_.empty(); }
    void insert(hook& entry, std::uint64_t) noexcept { queue_.push_front(entry); }
    void hit(hook& entry) noexcept { queue_.move_to_front(entry); }
    void replace(hook& old, hook& fresh) noexcept { queue_.replace(old, fresh); }
    void remove(hook& entry) noexcept { queue_.erase(entry); }
    void clear() noexcept { queue_.clear(); }

    [[nodiscard]] hook& evict() noexcept {
        auto& victim = static_cast<hook&>(queue_.back());
        queue_.erase(victim);
        return victim;
    }

private:
    detail::intrusive_list queue_;
};

} // namespace acache

#endif
