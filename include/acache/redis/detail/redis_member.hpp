// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_MEMBER_HPP
#define ACACHE_REDIS_DETAIL_REDIS_MEMBER_HPP

#include <acache/redis/detail/redis_reply.hpp>

#include <boost/redis/request.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace acache::detail {

/// What a cache is to the link that it uses with others. Called on the link's executor, in the order of the
/// server's messages.
class redis_member {
public:
    virtual ~redis_member() = default;
    /// Of its keys; ends with a colon. Constant.
    [[nodiscard]] virtual const std::string& prefix() const noexcept = 0;
    /// Asks, in one command, for what it has to know before anything else.
    virtual void push_opening(boost::redis::request& to) = 0;
    /// The answer, from node `at` on; throws if it cannot be used. From here on the member hears of changes.
    virtual void opened(const redis_reply& reply, std::size_t at) = 0;
    /// A key with the prefix was changed by somebody else.
    virtual void changed(std::string_view key) = 0;
    /// From here on changes may go unheard, and nothing can be asked, until `opened`.
    virtual void lost() noexcept = 0;
};

} // namespace acache::detail

#endif
