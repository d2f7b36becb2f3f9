// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_INDEX_LIST_HPP
#define ACACHE_DETAIL_INDEX_LIST_HPP

#include <acache/eviction_policy.hpp>

#include <cstddef>

namespace acache::detail {

/// The neighbours of an entry in an `index_list`; hooks derive from it.
struct index_links {
    entry_id newer = no_entry;
    entry_id older = no_entry;
};

/// A doubly linked queue of entries by their ids: new ones enter at the front, the oldest stands at the
/// back. The links live in the hooks, eight bytes an entry. Every operation is O(1).
class index_list {
public:
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// `no_entry` if empty.
    [[nodiscard]] entry_id back() const noexcept { return oldest_; }

    template <class Hooks>
    void push_front(Hooks& hooks, entry_id id) noexcept {
        index_links& links = hooks[id];
        links.newer = no_entry;
        links.older = newest_;
        attach(hooks, id, links);
        ++size_;
    }

    template <class Hooks>
    void erase(Hooks& hooks, entry_id id) noexcept {
        const index_links& links = hooks[id];
        newer_end(hooks, links) = links.older;
        older_end(hooks, links) = links.newer;
        --size_;
    }

    template <class Hooks>
    void move_to_front(Hooks& hooks, entry_id id) noexcept {
        erase(hooks, id);
        push_front(hooks, id);
    }

    /// `fresh`, which is in no list, takes the place of `old`.
    template <class Hooks>
    void replace(Hooks& hooks, entry_id old, entry_id fresh) noexcept {
        index_links& links = hooks[fresh];
        links = static_cast<const index_links&>(hooks[old]);
        attach(hooks, fresh, links);
    }

    /// Forgets all entries without touching their hooks.
    void clear() noexcept { *this = {}; }

private:
    /// What leads to an entry with these links from its newer neighbour, or from the front.
    template <class Hooks>
    entry_id& newer_end(Hooks& hooks, const index_links& links) noexcept {
        return links.newer == no_entry ? newest_ : static_cast<index_links&>(hooks[links.newer]).older;
    }

    template <class Hooks>
    entry_id& older_end(Hooks& hooks, const index_links& links) noexcept {
        return links.older == no_entry ? oldest_ : static_cast<index_links&>(hooks[links.older]).newer;
    }

    template <class Hooks>
    void attach(Hooks& hooks, entry_id id, const index_links& links) noexcept {
        newer_end(hooks, links) = id;
        older_end(hooks, links) = id;
    }

    entry_id newest_ = no_entry;
    entry_id oldest_ = no_entry;
    std::size_t size_ = 0;
};

} // namespace acache::detail

#endif
