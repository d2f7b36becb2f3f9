// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_LOAD_CONTEXT_HPP
#define ACACHE_LOAD_CONTEXT_HPP

#include <acache/clock.hpp>

#include <chrono>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <typeinfo>
#include <vector>

namespace acache {

namespace detail {
template <class V>
class stale_value;
}

/// What a loader may say about the value it is loading. Given by reference to loaders that take it as their
/// first parameter, valid until that loader's coroutine ends, and to be used from it alone.
class load_context {
public:
    load_context() = default;
    load_context(const load_context&) = delete;
    load_context& operator=(const load_context&) = delete;

    /// The value lives so long, from the end of the load or from `valid_from`. Zero or negative: it is not
    /// stored, and an older entry goes.
    void ttl(std::chrono::nanoseconds d) noexcept { ttl_ = d; }
    /// The value lives until `t`, whatever its ttl. An instant that is past: as a ttl of zero.
    void expires_at(time_point t) noexcept { expires_at_ = t; }
    /// The value was made at `t`, say when a replica was read; its age and its ttl count from there.
    void valid_from(time_point t) noexcept { valid_from_ = t; }
    /// The value goes to those who wait for it and is not stored; an older entry stays.
    void no_store() noexcept { no_store_ = true; }

    /// The entry gets this tag, and dies with it: see `async_cache::invalidate_tag`. An invalidation that
    /// comes while the load runs counts, also before this call.
    void tag(std::string_view name) { tags_.emplace_back(name); }
    /// What the source calls this version of the value, such as an ETag; kept in the entry.
    void validator(std::string_view version) { validator_ = version; }

    /// The value that is stored under the key, however old it is; null if there is none. `V` is the cache's.
    template <class V>
    [[nodiscard]] const V* stale() const {
        if (stale_ != nullptr && *stale_type_ != typeid(V)) {
            throw std::logic_error("acache: load_context::stale<V>() was called with another V than the "
                                   "cache's values have; name that one");
        }
        return static_cast<const V*>(stale_);
    }
    /// The validator of that value; empty if it has none.
    [[nodiscard]] std::string_view stale_validator() const noexcept { return stale_validator_; }
    /// That value is still right: it is stored anew in place of what the loader returns, which does not
    /// matter then, and keeps its validator, and its tags where none are given. Throws `std::logic_error`
    /// where there is no such value.
    void not_modified() {
        if (stale_ == nullptr) {
            throw std::logic_error("acache: load_context::not_modified() was called, but no value is stored "
                                   "that could be kept; ask stale() first");
        }
        not_modified_ = true;
    }

    [[nodiscard]] std::optional<std::chrono::nanoseconds> ttl() const noexcept { return ttl_; }
    [[nodiscard]] std::optional<time_point> expires_at() const noexcept { return expires_at_; }
    [[nodiscard]] std::optional<time_point> valid_from() const noexcept { return valid_from_; }
    [[nodiscard]] bool stores() const noexcept { return !no_store_; }
    [[nodiscard]] bool is_not_modified() const noexcept { return not_modified_; }
    [[nodiscard]] const std::vector<std::string>& tags() const noexcept { return tags_; }
    [[nodiscard]] const std::string& validator() const noexcept { return validator_; }

private:
    template <class>
    friend class detail::stale_value;

    std::optional<std::chrono::nanoseconds> ttl_;
    std::optional<time_point> expires_at_;
    std::optional<time_point> valid_from_;
    bool no_store_ = false;
    bool not_modified_ = false;
    std::vector<std::string> tags_;
    std::string validator_;
    const void* stale_ = nullptr;
    const std::type_info* stale_type_ = nullptr;
    std::string_view stale_validator_;
};

} // namespace acache

#endif
