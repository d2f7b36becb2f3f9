// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_MEMBER_HPP
#define ACACHE_REDIS_DETAIL_REDIS_MEMBER_HPP

#include <acache/redis/detail/redis_reply.hpp>

#include <boost/redis/request.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acache::detail {

/// What a cache is to the link. Called on the link's executor, in the order of the server's messages.
class redis_member {
public:
    virtual ~redis_member() = default;
    /// What all of its keys begin with. Ends with ':', and stays the same.
    [[nodiscard]] virtual const std::string& prefix() const noexcept = 0;
    /// Appends exactly one command: what it has to know before it can be coherent.
    virtual void push_opening(boost::redis::request&) = 0;
    /// The reply to that, from node `at`. Throws if it is of no use; it is asked for again later. From here
    /// on every change is told.
    virtual void opened(const redis_reply&, std::size_t at) = 0;
    /// A key with the prefix was changed by another connection, or has expired. Called only while it is open.
    virtual void changed(std::string_view key) = 0;
    /// From here on changes may go unheard, until it is opened again.
    virtual void lost() noexcept = 0;
};

/// A member and how it stands on the present connection.
struct redis_slot {
    explicit redis_slot(std::shared_ptr<redis_member> m) : member(std::move(m)) {}

    [[nodiscard]] bool is_open() const noexcept { return coherence != 0; }

    std::shared_ptr<redis_member> member; // null: removed
    std::uint64_t coherence = 0;          // another number each time that it is opened; 0: not open
    bool opening = false;                 // its command is under way
    bool refused = false;                 // it did not get what it wants: not tried again at once
    bool flushed = false;                 // what that command brings is out of date
    // Changes that were told after the reply to that command had been read, and before it is handed over.
    std::vector<std::string> early;
};

} // namespace acache::detail

#endif
