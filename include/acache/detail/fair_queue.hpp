// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_FAIR_QUEUE_HPP
#define ACACHE_DETAIL_FAIR_QUEUE_HPP

#include <boost/intrusive/set.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>

namespace acache::detail {

struct by_turn;
struct by_line;

/// What waits in a `fair_queue`.
class fair_queue_item : public boost::intrusive::set_base_hook<boost::intrusive::tag<by_turn>>,
                        public boost::intrusive::set_base_hook<boost::intrusive::tag<by_line>> {
public:
    /// Items of the same line wait for each other. Constant while queued.
    std::size_t line = 0;

private:
    template <class>
    friend class fair_queue;
    std::uint64_t turn_ = 0;
    std::uint64_t arrival_ = 0;
};

/// Items in turn: one of each line, in the order in which they came, then a second one of each, and so on; so
/// a line that is long keeps the others waiting no longer than a short one. That is start-time fair queuing
/// (Goyal, Vin and Cheng, SIGCOMM 1996) with items that all cost the same.
///
/// Owns nothing and allocates nothing. O(log n).
template <class Item>
class fair_queue {
public:
    [[nodiscard]] bool empty() const noexcept { return turns_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return turns_.size(); }

    void push(Item& item) noexcept {
        item.turn_ = now_;
        const auto after = lines_.upper_bound(item.line, order());
        if (after != lines_.begin() && std::prev(after)->line == item.line) {
            item.turn_ = std::max(now_, std::prev(after)->turn_ + 1);
        }
        item.arrival_ = ++arrivals_;
        turns_.insert(item);
        lines_.insert(after, item);
    }

    /// The next one. There has to be one.
    [[nodiscard]] Item& front() noexcept { return *turns_.begin(); }

    void erase(Item& item) noexcept {
        if (&item == &front()) {
            // Who comes to an empty line from now on does not overtake what is due already.
            now_ = std::max(now_, item.turn_);
        }
        turns_.erase(turns_.iterator_to(item));
        lines_.erase(lines_.iterator_to(item));
    }

    [[nodiscard]] auto begin() noexcept { return turns_.begin(); }
    [[nodiscard]] auto end() noexcept { return turns_.end(); }

private:
    struct order {
        bool operator()(const Item& a, const Item& b) const noexcept {
            return a.line != b.line ? a.line < b.line : a.arrival_ < b.arrival_;
        }
        bool operator()(const Item& a, std::size_t line) const noexcept { return a.line < line; }
        bool operator()(std::size_t line, const Item& a) const noexcept { return line < a.line; }
    };
    struct earlier {
        bool operator()(const Item& a, const Item& b) const noexcept {
            return a.turn_ != b.turn_ ? a.turn_ < b.turn_ : a.arrival_ < b.arrival_;
        }
    };
    template <class Tag, class Compare>
    using tree = boost::intrusive::set<
        Item, boost::intrusive::base_hook<boost::intrusive::set_base_hook<boost::intrusive::tag<Tag>>>,
        boost::intrusive::compare<Compare>>;

    tree<by_turn, earlier> turns_;
    tree<by_line, order> lines_;
    std::uint64_t now_ = 0;
    std::uint64_t arrivals_ = 0;
};

} // namespace acache::detail

#endif
