// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_LOAD_CONTEXT_HPP
#define ACACHE_LOAD_CONTEXT_HPP

#include <acache/clock.hpp>

#include <chrono>
#include <optional>

namespace acache {

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

    [[nodiscard]] std::optional<std::chrono::nanoseconds> ttl() const noexcept { return ttl_; }
    [[nodiscard]] std::optional<time_point> expires_at() const noexcept { return expires_at_; }
    [[nodiscard]] std::optional<time_point> valid_from() const noexcept { return valid_from_; }
    [[nodiscard]] bool stores() const noexcept { return !no_store_; }

private:
    std::optional<std::chrono::nanoseconds> ttl_;
    std::optional<time_point> expires_at_;
    std::optional<time_point> valid_from_;
    bool no_store_ = false;
};

} // namespace acache

#endif
