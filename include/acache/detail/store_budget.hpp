// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_STORE_BUDGET_HPP
#define ACACHE_DETAIL_STORE_BUDGET_HPP

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <limits>

namespace acache::detail {

/// How much a store holds and may hold, in entries and in weight: one budget for all shards, so that none
/// evicts while another has room. What is held never passes what was allowed when room was taken.
class store_budget {
public:
    store_budget(std::size_t capacity, std::size_t max_weight) noexcept
        : capacity_(capacity), max_weight_(max_weight) {}

    [[nodiscard]] std::size_t size() const noexcept { return size_.load(std::memory_order_relaxed); }
    [[nodiscard]] std::size_t weight() const noexcept { return weight_.load(std::memory_order_relaxed); }
    /// Where nothing weighs entries, each weighs 1.
    [[nodiscard]] std::size_t capacity() const noexcept {
        const auto entries = capacity_.load(std::memory_order_relaxed);
        return weighs_ ? entries : std::min(entries, max_weight());
    }
    [[nodiscard]] std::size_t max_weight() const noexcept {
        return max_weight_.load(std::memory_order_relaxed);
    }

    /// From now on entries have weights of their own. For an empty store.
    void weigh() noexcept { weighs_ = true; }

    void allow(std::size_t capacity) noexcept { capacity_.store(capacity, std::memory_order_relaxed); }
    void allow_weight(std::size_t weight) noexcept { max_weight_.store(weight, std::memory_order_relaxed); }

    /// There is no room for another entry of this weight.
    [[nodiscard]] bool lacks_room(std::size_t weight) const noexcept {
        return size() >= capacity() || max_weight() < weight || this->weight() > max_weight() - weight;
    }
    /// More is held than is allowed (any more).
    [[nodiscard]] bool exceeded() const noexcept { return size() > capacity() || weight() > max_weight(); }

    void release(std::size_t entries, std::size_t weight) noexcept {
        if (entries != 0) {
            size_.fetch_sub(entries, std::memory_order_relaxed);
        }
        if (weight != 0) {
            weight_.fetch_sub(weight, std::memory_order_relaxed);
        }
    }

    /// Room on its way from one entry to another: taken from what is free, and from what is evicted.
    class claim {
    public:
        explicit claim(store_budget& budget) noexcept : budget_(budget) {}
        claim(const claim&) = delete;
        claim& operator=(const claim&) = delete;
        ~claim() { drop(); }

        /// Sees that it is so much at least, if what is missing is free. What it had before counts only as
        /// far as that is allowed still.
        [[nodiscard]] bool cover(std::size_t entries, std::size_t weight) noexcept {
            yield();
            if (entries_ < entries && take(budget_.size_, budget_.capacity(), entries - entries_)) {
                entries_ = entries;
            }
            if (weight_ < weight && take(budget_.weight_, budget_.max_weight(), weight - weight_)) {
                weight_ = weight;
            }
            return entries_ >= entries && weight_ >= weight;
        }

        /// An entry has gone in its favour.
        void add(std::size_t weight) noexcept {
            entries_ += 1;
            weight_ += weight;
        }
        /// An entry has taken its room.
        void use(std::size_t weight) noexcept {
            entries_ -= 1;
            weight_ -= weight;
        }

        /// Gives up what it holds.
        void drop() noexcept {
            budget_.release(entries_, weight_);
            entries_ = weight_ = 0;
        }
        /// The same, if more is held in all than is allowed.
        void yield() noexcept {
            if (budget_.exceeded()) {
                drop();
            }
        }

    private:
        static bool take(std::atomic<std::size_t>& held, std::size_t most, std::size_t amount) noexcept {
            if (most < amount) {
                return false;
            }
            auto seen = held.load(std::memory_order_relaxed);
            while (seen <= most - amount) {
                if (held.compare_exchange_weak(seen, seen + amount, std::memory_order_relaxed)) {
                    return true;
                }
            }
            return false;
        }

        store_budget& budget_;
        std::size_t entries_ = 0;
        std::size_t weight_ = 0;
    };

private:
    std::atomic<std::size_t> capacity_;
    std::atomic<std::size_t> max_weight_;
    bool weighs_ = false;
    alignas(64) std::atomic<std::size_t> size_{0};
    std::atomic<std::size_t> weight_{0};
};

} // namespace acache::detail

#endif
