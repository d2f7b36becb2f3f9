// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_MEMBERS_HPP
#define ACACHE_REDIS_DETAIL_REDIS_MEMBERS_HPP

#include <acache/redis/detail/redis_member.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acache::detail {

/// The caches on one link, and which prefixes the server tracks for the present connection. Members may add
/// and remove members while they are called.
class redis_members {
public:
    using slot_ptr = std::shared_ptr<redis_slot>;

    void add(std::shared_ptr<redis_member> member) {
        sweep();
        slots_.push_back(std::make_shared<redis_slot>(std::move(member)));
    }
    void remove(const redis_member& member) {
        for (const auto& slot : slots_) {
            if (slot->member.get() == &member) {
                slot->coherence = 0;
                const auto removed = std::exchange(slot->member, nullptr);
                return; // the member may be destroyed here
            }
        }
    }
    void clear() {
        const auto gone = std::exchange(slots_, {});
        for (const auto& slot : gone) {
            slot->coherence = 0;
            const auto removed = std::exchange(slot->member, nullptr);
        }
    }

    [[nodiscard]] std::uint64_t coherence_of(const redis_member& member) const noexcept {
        for (const auto& slot : slots_) {
            if (slot->member.get() == &member) {
                return slot->coherence;
            }
        }
        return 0;
    }
    [[nodiscard]] bool all_open() const noexcept {
        return std::ranges::all_of(slots_, [](const auto& s) { return !s->member || s->is_open(); });
    }
    /// Those that are neither open nor being opened, nor to be left alone for now.
    [[nodiscard]] std::vector<slot_ptr> closed() const {
        std::vector<slot_ptr> found;
        std::ranges::copy_if(slots_, std::back_inserter(found), [](const auto& s) {
            return s->member && !s->is_open() && !s->opening && !s->refused;
        });
        return found;
    }

    /// Calls `f(slot)` for each member that there is now, those removed meanwhile left out.
    template <class F>
    void for_each(F f) {
        for (std::size_t i = 0, end = slots_.size(); i < std::min(end, slots_.size()); ++i) {
            const slot_ptr slot = slots_[i];
            if (slot->member) {
                f(*slot);
            }
        }
    }
    /// Calls `f(slot)` for each member whose prefix `key` has; that is one, as prefixes do not overlap.
    template <class F>
    void for_each_of(std::string_view key, F f) {
        for_each([&](redis_slot& slot) {
            if (key.starts_with(slot.member->prefix())) {
                f(slot);
            }
        });
    }

private:
    void sweep() {
        std::erase_if(slots_, [](const auto& slot) { return !slot->member && !slot->opening; });
    }

    std::vector<slot_ptr> slots_;
};

/// The prefixes that the server tracks for a connection. It refuses one that overlaps another, the same one
/// included, and forgets none but with all others.
class redis_tracking {
public:
    [[nodiscard]] static bool overlap(std::string_view a, std::string_view b) noexcept {
        return a.starts_with(b) || b.starts_with(a);
    }

    void clear() noexcept { prefixes_.clear(); }
    void add(const std::string& prefix) {
        if (!has(prefix)) {
            prefixes_.push_back(prefix);
        }
    }
    [[nodiscard]] bool has(std::string_view prefix) const noexcept {
        return std::ranges::find(prefixes_, prefix) != prefixes_.end();
    }
    /// Whether the server would refuse it beside one that nobody needs any more.
    [[nodiscard]] bool blocks(std::string_view prefix) const noexcept {
        return !has(prefix) &&
               std::ranges::any_of(prefixes_, [&](const auto& p) { return overlap(p, prefix); });
    }

private:
    std::vector<std::string> prefixes_;
};

} // namespace acache::detail

#endif
