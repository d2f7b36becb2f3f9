// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_INTRUSIVE_LIST_HPP
#define ACACHE_DETAIL_INTRUSIVE_LIST_HPP

#include <cstddef>

namespace acache::detail {

struct list_hook {
    list_hook* next = nullptr;
    list_hook* prev = nullptr;
};

/// A doubly linked queue of hooks that it does not own: new ones enter at the front, the oldest stands at
/// the back. Every operation is O(1).
class intrusive_list {
public:
    intrusive_list() noexcept { clear(); }
    intrusive_list(const intrusive_list&) = delete;
    intrusive_list& operator=(const intrusive_list&) = delete;

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] list_hook& back() noexcept { return *end_.prev; }

    void push_front(list_hook& hook) noexcept {
        link(hook, end_, *end_.next);
        ++size_;
    }

    void erase(list_hook& hook) noexcept {
        hook.prev->next = hook.next;
        hook.next->prev = hook.prev;
        --size_;
    }

    void move_to_front(list_hook& hook) noexcept {
        erase(hook);
        push_front(hook);
    }

    /// `fresh` takes the place of `old`.
    static void replace(list_hook& old, list_hook& fresh) noexcept { link(fresh, *old.prev, *old.next); }

    /// Forgets all hooks without touching them.
    void clear() noexcept {
        end_.next = end_.prev = &end_;
        size_ = 0;
    }

private:
    static void link(list_hook& hook, list_hook& before, list_hook& after) noexcept {
        hook.prev = &before;
        hook.next = &after;
        before.next = &hook;
        after.prev = &hook;
    }

    list_hook end_;
    std::size_t size_ = 0;
};

} // namespace acache::detail

#endif
