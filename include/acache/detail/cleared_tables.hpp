// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CLEARED_TABLES_HPP
#define ACACHE_DETAIL_CLEARED_TABLES_HPP

#include <acache/clock.hpp>
#include <acache/detail/bucket_index.hpp>
#include <acache/eviction_policy.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace acache::detail {

/// The tables that a shard was cleared of, and in them its entries then, which are taken out a few at a time.
/// Readers may still be looking at both.
class cleared_tables {
public:
    cleared_tables() = default;
    cleared_tables(const cleared_tables&) = delete;
    cleared_tables& operator=(const cleared_tables&) = delete;
    ~cleared_tables() {
        while (first_ != nullptr) { // not by recursion: they may be many
            first_ = std::move(first_->older);
        }
    }

    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
    /// Of entries that are left.
    [[nodiscard]] std::size_t count() const noexcept { return count_; }

    /// A table of so many entries, cleared at that time.
    void push(std::unique_ptr<bucket_index> table, std::size_t entries, time_point now) noexcept {
        table->cleared = now;
        auto* const last = table.get();
        (first_ == nullptr ? first_ : last_->older) = std::move(table);
        last_ = last;
        count_ += entries;
    }

    /// Calls `f(id, cleared)` for up to `most` entries, which it takes out, or for fewer where that took a
    /// long look. Returns a table that has become empty, or null.
    template <class F>
    [[nodiscard]] std::unique_ptr<bucket_index> take(std::size_t most, F&& f) noexcept {
        if (first_ == nullptr) {
            return nullptr;
        }
        const auto cleared = first_->cleared;
        count_ -= first_->take(bucket_, most, [&](entry_id id) { f(id, cleared); });
        if (bucket_ != first_->buckets()) {
            return nullptr;
        }
        bucket_ = 0;
        auto next = std::move(first_->older);
        return std::exchange(first_, std::move(next));
    }

private:
    std::unique_ptr<bucket_index> first_;
    bucket_index* last_ = nullptr; // of the chain that `first_` begins
    std::uint32_t bucket_ = 0;     // of the first table: those before are empty
    std::size_t count_ = 0;
};

} // namespace acache::detail

#endif
