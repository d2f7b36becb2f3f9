// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_FAIR_QUEUE_HPP
#define ACACHE_DETAIL_FAIR_QUEUE_HPP

#include <cstddef>
#include <cstdint>
#include <utility>

namespace acache::detail {

/// What waits in a `fair_queue`.
class fair_queue_item {
public:
    /// Items of the same line wait for each other. Constant while queued.
    std::size_t line = 0;

private:
    template <class>
    friend class fair_queue;

    struct links {
        fair_queue_item* before = nullptr;
        fair_queue_item* after = nullptr;
    };
    links line_; // a ring
    bool first_ = false;
    // Of the first of a line.
    links turn_; // a ring
    fair_queue_item* below_[2] = {};
};

/// Items in turn, one of each line: round robin among lines (Nagle, RFC 970). A line has its turn, and then
/// goes behind all others, those included that have come while its last item was the last one taken. So no
/// line is served twice while another one waits, be it that it is long or that it keeps coming back.
///
/// A line is found by a digital search tree of lines (Coffman and Eve, CACM 1970): by the bits of its number,
/// so never deeper than a number has bits, and log n for hashes. Boost's containers would do as well, but are
/// dear to compile.
///
/// Owns nothing and allocates nothing. O(log n).
template <class Item>
class fair_queue {
public:
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    void push(Item& item) noexcept {
        auto*& first = find(item.line);
        item.first_ = first == nullptr;
        enter<&item_type::line_>(first, item);
        if (item.first_) {
            first = &item;
            item.below_[0] = item.below_[1] = nullptr;
            enter<&item_type::turn_>(front_, item);
            front_ = front_ == nullptr ? &item : front_;
        }
        ++size_;
    }

    /// The next one. There has to be one.
    [[nodiscard]] Item& front() noexcept {
        if (std::exchange(had_turn_, false)) {
            front_ = front_->turn_.after;
        }
        return static_cast<Item&>(*front_);
    }

    /// The front of the queue has had its line's turn, whatever becomes of it.
    void erase(Item& item) noexcept {
        if (item.first_) {
            erase_first(item);
        }
        leave<&item_type::line_>(item);
        --size_;
    }

    /// Calls `f` with each item, in no order.
    template <class F>
    void for_each(F f) {
        go_round<&item_type::turn_>(front_, [&](item_type& first) {
            go_round<&item_type::line_>(&first, [&](item_type& item) { f(static_cast<Item&>(item)); });
        });
    }

private:
    using item_type = fair_queue_item;
    using links = item_type::links;

    /// Enters a ring, which may be null, before `at`.
    template <links item_type::* Ring>
    static void enter(item_type* at, item_type& item) noexcept {
        if (at == nullptr) {
            item.*Ring = {&item, &item};
        } else {
            item.*Ring = {(at->*Ring).before, at};
            ((at->*Ring).before->*Ring).after = &item;
            (at->*Ring).before = &item;
        }
    }
    template <links item_type::* Ring>
    static void leave(item_type& item) noexcept {
        ((item.*Ring).before->*Ring).after = (item.*Ring).after;
        ((item.*Ring).after->*Ring).before = (item.*Ring).before;
    }
    template <links item_type::* Ring, class F>
    static void go_round(item_type* from, F f) {
        for (auto* at = from; at != nullptr; at = (at->*Ring).after == from ? nullptr : (at->*Ring).after) {
            f(*at);
        }
    }

    /// Where the first of a line is, or would be.
    [[nodiscard]] item_type*& find(std::size_t line) noexcept {
        auto** at = &lines_;
        // The high bits of a product are the well mixed ones; and different numbers differ in some bit of it.
        for (std::uint64_t bits = line * 0x9E3779B97F4A7C15ULL; *at != nullptr && (*at)->line != line;
             bits <<= 1) {
            at = &(*at)->below_[bits >> 63];
        }
        return *at;
    }

    void erase_first(item_type& item) noexcept {
        const bool at_front = &item == front_;
        auto*& at = find(item.line);
        if (item.line_.after == &item) {
            remove(at);
            if (at_front) {
                front_ = item.turn_.after == &item ? nullptr : item.turn_.after;
                had_turn_ = false;
            }
        } else {
            auto& next = *item.line_.after;
            next.first_ = true;
            next.below_[0] = item.below_[0];
            next.below_[1] = item.below_[1];
            at = &next;
            enter<&item_type::turn_>(&item, next);
            if (at_front) {
                front_ = &next;
                had_turn_ = true;
            }
        }
        leave<&item_type::turn_>(item);
    }

    /// Takes a line out of the tree: some end of a branch below it gets its place.
    static void remove(item_type*& at) noexcept {
        auto** end = &at;
        while (auto** const below = branch(**end)) {
            end = below;
        }
        auto* const removed = at;
        auto* const last = std::exchange(*end, nullptr);
        if (last != removed) {
            last->below_[0] = removed->below_[0];
            last->below_[1] = removed->below_[1];
            at = last;
        }
    }

    [[nodiscard]] static item_type** branch(item_type& item) noexcept {
        for (auto& below : item.below_) {
            if (below != nullptr) {
                return &below;
            }
        }
        return nullptr;
    }

    item_type* front_ = nullptr; // the first of the line at the front
    bool had_turn_ = false;      // and that line is to go behind the others
    item_type* lines_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace acache::detail

#endif
