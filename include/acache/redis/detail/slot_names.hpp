// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_SLOT_NAMES_HPP
#define ACACHE_REDIS_DETAIL_SLOT_NAMES_HPP

#include <acache/redis/detail/envelope.hpp>

#include <boost/algorithm/hex.hpp>

#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace acache::detail {

/// What the slot of a key is called, put together no earlier than in a request.
struct slot_name {
    std::string_view generation;
    std::string_view key;
};

/// How Boost.Redis writes it: as one string.
inline void boost_redis_to_bulk(std::string& to, const slot_name& name) {
    to.append(1, '$').append(std::to_string(name.generation.size() + name.key.size())).append("\r\n");
    to.append(name.generation).append(name.key).append("\r\n");
}

/// What the keys of one cache are called in Redis. Under the prefix "users":
///
///     users:v:<generation>:<key>  the slot of a key: its value, or the lease of who loads it
///     users:s                     the state: generation, stamps of tags (see redis_scripts)
///     users:t:<tag>               holds nothing; touched when the tag is invalidated, so that all are told
///     users:c                     the same for a clear
class slot_names {
public:
    enum class kind { slot, tag, clears, state, other };

    explicit slot_names(std::string_view prefix) {
        if (prefix.empty()) {
            throw std::invalid_argument(
                "acache: a cache in Redis needs a prefix that no other cache has; set "
                "redis_options.prefix, to the cache's name say");
        }
        prefix_ = std::string(prefix) + ':';
        state_ = prefix_ + 's';
        clears_ = prefix_ + 'c';
    }

    [[nodiscard]] const std::string& prefix() const noexcept { return prefix_; }
    [[nodiscard]] const std::string& state() const noexcept { return state_; }
    [[nodiscard]] const std::string& clears() const noexcept { return clears_; }
    [[nodiscard]] std::string tag(std::string_view name) const { return prefix_ + "t:" + std::string(name); }
    /// Good as long as the key, and until the generation changes.
    [[nodiscard]] slot_name slot(std::string_view key) const noexcept { return {slots_, key}; }

    /// A generation's name, of a number that is used once.
    [[nodiscard]] static std::string generation_of(const slot_id& id) {
        std::string result;
        boost::algorithm::hex_lower(id.begin(), id.end(), std::back_inserter(result));
        return result;
    }
    /// From now on slots are of this generation; whether that is another one.
    bool generation(std::string_view name) {
        auto slots = prefix_ + "v:" + std::string(name) + ':';
        return std::exchange(slots_, slots) != slots;
    }

    [[nodiscard]] kind kind_of(std::string_view name) const noexcept {
        if (name.size() > prefix_.size() + 1 && name[prefix_.size() + 1] == ':') {
            const char c = name[prefix_.size()];
            return c == 'v' ? kind::slot : c == 't' ? kind::tag : kind::other;
        }
        return name == state_ ? kind::state : name == clears_ ? kind::clears : kind::other;
    }
    /// Of a tag's name.
    [[nodiscard]] std::string_view tag_of(std::string_view name) const {
        return name.substr(prefix_.size() + 2);
    }
    /// Of a slot's; empty where it is of another generation.
    [[nodiscard]] std::optional<std::string_view> key_of(std::string_view name) const {
        if (!name.starts_with(slots_)) {
            return std::nullopt;
        }
        return name.substr(slots_.size());
    }

private:
    std::string prefix_;
    std::string state_;
    std::string clears_;
    std::string slots_; // what the names of slots begin with
};

} // namespace acache::detail

#endif
