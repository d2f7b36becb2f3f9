// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REMOVAL_QUEUE_HPP
#define ACACHE_REDIS_DETAIL_REMOVAL_QUEUE_HPP

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace acache::detail {

/// What an outage kept from being removed: to be made good when it ends, before anything is read again. A key
/// or a tag is in it once, the last time counts. Where it would become too long it is cut short to a removal
/// of everything, so nothing that was to go is forgotten.
class removal_queue {
    using names = boost::unordered_flat_map<std::string, std::uint64_t>; // and the turn that it came at

public:
    struct content {
        std::uint64_t all = 0; // everything, since that turn; or 0
        names keys;
        names tags;

        [[nodiscard]] std::size_t size() const noexcept {
            return keys.size() + tags.size() + (all != 0 ? 1 : 0);
        }
    };

    explicit removal_queue(std::size_t limit) : limit_(limit) {}

    void add_key(std::string_view key) { add(content_.keys, key); }
    void add_tag(std::string_view tag) { add(content_.tags, tag); }
    void add_all() {
        content_ = {};
        content_.all = ++turn_;
    }
    /// The key has been written since: its removal is out of date.
    void forget(std::string_view key) { content_.keys.erase(std::string(key)); }

    [[nodiscard]] const content& due() const noexcept { return content_; }
    [[nodiscard]] std::size_t size() const noexcept { return content_.size(); }
    /// That much has been carried out. What has come again meanwhile is still due.
    void done(const content& carried_out) {
        if (content_.all == carried_out.all) {
            content_.all = 0;
        }
        remove(content_.keys, carried_out.keys);
        remove(content_.tags, carried_out.tags);
    }

private:
    void add(names& to, std::string_view name) {
        to.insert_or_assign(std::string(name), ++turn_);
        if (content_.size() > limit_) {
            add_all();
        }
    }
    static void remove(names& from, const names& carried_out) {
        for (const auto& [name, turn] : carried_out) {
            if (const auto at = from.find(name); at != from.end() && at->second == turn) {
                from.erase(at);
            }
        }
    }

    const std::size_t limit_;
    std::uint64_t turn_ = 0;
    content content_;
};

} // namespace acache::detail

#endif
