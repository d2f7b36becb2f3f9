// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_RETIRED_LIST_HPP
#define ACACHE_DETAIL_RETIRED_LIST_HPP

#include <acache/detail/bucket_index.hpp>
#include <acache/eviction_policy.hpp>
#include <acache/metrics.hpp>

#include <cstddef>
#include <memory>
#include <utility>

namespace acache::detail {

/// What a shard has unlinked and not freed yet: entries, chained in the order of their removal by
/// their timer links, which hold the cause too; and tables that have become too small.
class retired_list {
public:
    retired_list() = default;
    retired_list(retired_list&& other) noexcept
        : first_(std::exchange(other.first_, no_entry)), last_(std::exchange(other.last_, no_entry)),
          count_(std::exchange(other.count_, 0)), tables_(std::move(other.tables_)) {}
    retired_list& operator=(retired_list&&) = delete;
    ~retired_list() {
        while (tables_ != nullptr) { // not by recursion: they may be many
            tables_ = std::move(tables_->older);
        }
    }

    [[nodiscard]] bool empty() const noexcept { return first_ == no_entry && tables_ == nullptr; }
    /// Of entries and tables.
    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    [[nodiscard]] entry_id first() const noexcept { return first_; }

    template <class Links>
    void push(Links& links, entry_id id, removal_cause cause) noexcept {
        links[id] = {no_entry, static_cast<entry_id>(cause)};
        link(links, id);
        last_ = id;
        ++count_;
    }

    void push(std::unique_ptr<bucket_index> table) noexcept {
        link(std::move(table));
        ++count_;
    }

    /// Takes over all that is in `other`, behind its own.
    template <class Links>
    void append(Links& links, retired_list other) noexcept {
        if (other.first_ != no_entry) {
            link(links, other.first_);
            last_ = other.last_;
        }
        if (other.tables_ != nullptr) {
            link(std::move(other.tables_));
        }
        count_ += other.count_;
    }

    /// Calls `f(id, cause)` for each entry.
    template <class Links, class F>
    void for_each(Links& links, F&& f) const {
        for (auto id = first_; id != no_entry; id = links[id].next) {
            f(id, static_cast<removal_cause>(links[id].prev));
        }
    }

private:
    template <class Links>
    void link(Links& links, entry_id id) noexcept {
        (first_ == no_entry ? first_ : links[last_].next) = id;
    }
    void link(std::unique_ptr<bucket_index> tables) noexcept {
        auto older = std::exchange(tables_, std::move(tables));
        if (older != nullptr) {
            auto* last = tables_.get();
            while (last->older != nullptr) {
                last = last->older.get();
            }
            last->older = std::move(older);
        }
    }

    entry_id first_ = no_entry;
    entry_id last_ = no_entry;
    std::size_t count_ = 0;
    std::unique_ptr<bucket_index> tables_;
};

} // namespace acache::detail

#endif
