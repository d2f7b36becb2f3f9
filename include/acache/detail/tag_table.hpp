// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_TAG_TABLE_HPP
#define ACACHE_DETAIL_TAG_TABLE_HPP

#include <acache/detail/tag.hpp>

#include <boost/intrusive/list.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace acache::detail {

/// The tags of one cache, and when each was last invalidated (contract C15). An entry keeps its tags, and the
/// stamp of the moment when its load began: it is dead once a tag of it has a later one. So to invalidate a
/// tag is O(1), however many entries have it, and loads that are under way are found out when they end.
///
/// A tag lives as long as an entry has it, or a load may still come to have it that began before its last
/// invalidation; what else is there is dropped in passing. Thread-safe.
class tag_table {
public:
    /// A load that may name tags, from its beginning to its end.
    class load : public boost::intrusive::list_base_hook<> {
    public:
        explicit load(tag_table& table) : table_(table) {
            const std::lock_guard lock{table_.mutex_};
            began_ = table_.now();
            table_.loads_.push_back(*this);
        }
        load(const load&) = delete;
        load& operator=(const load&) = delete;
        ~load() {
            const std::lock_guard lock{table_.mutex_};
            table_.loads_.erase(table_.loads_.iterator_to(*this));
        }

        [[nodiscard]] tag_stamp began() const noexcept { return began_; }

    private:
        tag_table& table_;
        tag_stamp began_;
    };

    /// The present stamp: what is invalidated later has a greater one.
    [[nodiscard]] tag_stamp now() const noexcept { return now_.load(std::memory_order_acquire); }

    /// The tag of this name; a load or an entry is about to have it.
    [[nodiscard]] tag_ptr find_or_add(std::string_view name) {
        const std::lock_guard lock{mutex_};
        return at(name);
    }

    /// The tags of these names, as a load that began then has them; it has to be under way still.
    [[nodiscard]] std::vector<tagging> taggings(const std::vector<std::string>& names, tag_stamp began) {
        std::vector<tagging> result;
        if (!names.empty()) {
            result.reserve(names.size());
            for (const auto& name : names) {
                result.push_back({find_or_add(name), began});
            }
        }
        return result;
    }

    /// Whatever has the tag, or will, and began before now is invalid. O(1), amortised.
    void invalidate(std::string_view name) {
        const std::lock_guard lock{mutex_};
        const auto it = tags_.find(name);
        if (it == tags_.end() && loads_.empty()) {
            return; // nobody has it, and nobody who began before now will
        }
        const auto& found = it == tags_.end() ? at(name) : it->second;
        const auto stamp = now() + 1;
        found->invalidated_.store(stamp, std::memory_order_release);
        now_.store(stamp, std::memory_order_release);
    }

    /// How many tags are kept.
    [[nodiscard]] std::size_t size() {
        const std::lock_guard lock{mutex_};
        return tags_.size();
    }

private:
    // These want the mutex.

    [[nodiscard]] const tag_ptr& at(std::string_view name) {
        if (const auto it = tags_.find(name); it != tags_.end()) {
            return it->second;
        }
        if (tags_.size() >= sweep_at_) {
            sweep();
        }
        const tag_ptr made(new tag(name));
        return tags_.emplace(made->name(), made).first->second;
    }

    void sweep() {
        const auto oldest = loads_.empty() ? now() : loads_.front().began();
        std::erase_if(tags_, [&](const auto& t) {
            return t.second->use_count() == 1 && t.second->invalidated() <= oldest;
        });
        sweep_at_ = std::max<std::size_t>(64, 2 * tags_.size());
    }

    std::mutex mutex_;
    std::atomic<tag_stamp> now_ = 1; // changed under the mutex
    std::unordered_map<std::string_view, tag_ptr> tags_;
    std::size_t sweep_at_ = 64;
    boost::intrusive::list<load, boost::intrusive::constant_time_size<false>> loads_; // the oldest first
};

} // namespace acache::detail

#endif
