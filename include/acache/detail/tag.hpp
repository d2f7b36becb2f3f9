// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_TAG_HPP
#define ACACHE_DETAIL_TAG_HPP

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace acache::detail {

/// Orders loads and invalidations of tags within a cache. A counter, since clocks stand still and go astray.
using tag_stamp = std::uint64_t;

/// A name that entries have in common.
class tag : public boost::intrusive_ref_counter<tag> {
public:
    explicit tag(std::string_view name) : name_(name) {}

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    /// When the tag was last invalidated; 0 if never.
    [[nodiscard]] tag_stamp invalidated() const noexcept {
        return invalidated_.load(std::memory_order_acquire);
    }

private:
    friend class tag_table;
    const std::string name_;
    std::atomic<tag_stamp> invalidated_ = 0;
};

using tag_ptr = boost::intrusive_ptr<tag>;

/// A tag of an entry, whose load began at this stamp.
struct tagging {
    tag_ptr of;
    tag_stamp began;

    /// The tag has been invalidated since.
    [[nodiscard]] bool invalid() const noexcept { return of->invalidated() > began; }
};

} // namespace acache::detail

#endif
