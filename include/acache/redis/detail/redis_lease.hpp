// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_LEASE_HPP
#define ACACHE_REDIS_DETAIL_REDIS_LEASE_HPP

#include <acache/redis/detail/redis_space.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace acache::detail {

/// A lease's mark that is being offered to a slot. Who does not wait for the answer, as he is cancelled or
/// the server is slow, takes it back, or the others would wait for a load that is none. The space, the key
/// and the mark outlive it.
class lease_offer {
public:
    lease_offer(redis_space& space, const std::string& key, const std::string& marker) noexcept
        : space_(space), key_(key), marker_(marker) {}
    lease_offer(const lease_offer&) = delete;
    lease_offer& operator=(const lease_offer&) = delete;
    ~lease_offer() {
        if (is_open_) {
            space_.give_back(marker_, key_);
        }
    }

    [[nodiscard]] const std::string& key() const noexcept { return key_; }
    [[nodiscard]] const std::string& marker() const noexcept { return marker_; }
    void sent() noexcept { is_open_ = true; }
    void answered() noexcept { is_open_ = false; }

private:
    redis_space& space_;
    const std::string& key_;
    const std::string& marker_;
    bool is_open_ = false;
};

/// What a load has seen in the slot of its key, where it may store as long as that is still there. If it was
/// the lease itself that put that there, it takes it away when it goes unused.
class redis_lease {
public:
    redis_lease() = default;
    redis_lease(redis_lease&& other) noexcept
        : space_(std::move(other.space_)), key_(std::move(other.key_)), header_(std::move(other.header_)),
          stamp_(other.stamp_), ours_(std::exchange(other.ours_, false)) {}
    redis_lease& operator=(redis_lease&& other) noexcept {
        redis_lease taken(std::move(other));
        std::swap(space_, taken.space_);
        std::swap(key_, taken.key_);
        std::swap(header_, taken.header_);
        std::swap(stamp_, taken.stamp_);
        std::swap(ours_, taken.ours_);
        return *this;
    }
    ~redis_lease() {
        if (ours_) {
            space_->give_back(header_, key_);
        }
    }

    /// To be looked with; nothing was seen yet.
    void begin(std::shared_ptr<redis_space> space, std::string key) {
        *this = redis_lease();
        space_ = std::move(space);
        key_ = std::move(key);
    }
    /// The load begins now, and not before it has looked: invalidations of tags that were heard of when it
    /// did have been counted by then.
    void saw(std::string_view header) {
        header_ = header;
        stamp_ = space_->stamp();
    }
    /// It is the lease's own mark.
    void took(std::string_view header) {
        saw(header);
        ours_ = true;
        space_->leases().keep(header_, key_);
    }
    /// The slot holds something else now.
    void used() {
        if (std::exchange(ours_, false)) {
            space_->leases().let_go(header_);
        }
        header_.clear();
    }

    [[nodiscard]] explicit operator bool() const noexcept { return space_ != nullptr; }
    [[nodiscard]] const std::string& header() const noexcept { return header_; }
    /// How many invalidations of tags were known of when the load began.
    [[nodiscard]] std::uint64_t stamp() const noexcept { return stamp_; }

private:
    std::shared_ptr<redis_space> space_;
    std::string key_;
    std::string header_;      // empty: nothing was seen, the server did not answer
    std::uint64_t stamp_ = 0; // invalidations of tags that came before the load
    bool ours_ = false;
};

} // namespace acache::detail

#endif
