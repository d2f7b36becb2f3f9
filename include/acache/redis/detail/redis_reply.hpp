// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_REPLY_HPP
#define ACACHE_REDIS_DETAIL_REDIS_REPLY_HPP

#include <boost/redis/resp3/node.hpp>
#include <boost/redis/resp3/type.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace acache::detail {

/// A part of a reply. An aggregate has `size` elements (pairs, in a map), which follow it.
struct redis_node {
    boost::redis::resp3::type type;
    std::size_t size;
    std::size_t depth;
    std::string text;

    [[nodiscard]] bool is_error() const noexcept {
        return type == boost::redis::resp3::type::simple_error ||
               type == boost::redis::resp3::type::blob_error;
    }
    [[nodiscard]] bool is_null() const noexcept { return type == boost::redis::resp3::type::null; }
};

/// The replies to all commands of a request, flattened in pre-order. An error is a node like others:
/// Boost.Redis' own `generic_response` would lose what comes behind it.
struct redis_reply {
    std::vector<redis_node> nodes;

    /// Where the reply to the command after the one that is answered at `at` begins.
    [[nodiscard]] std::size_t next(std::size_t at) const noexcept {
        do {
            ++at;
        } while (at < nodes.size() && nodes[at].depth != 0);
        return at;
    }
    /// Where the reply to the command of this index begins.
    [[nodiscard]] std::size_t of_command(std::size_t index) const noexcept {
        std::size_t at = 0;
        while (index-- != 0 && at < nodes.size()) {
            at = next(at);
        }
        return at;
    }
};

/// Boost.Redis calls it with each node as it is parsed.
class redis_reply_adapter {
public:
    explicit redis_reply_adapter(redis_reply& to) noexcept : to_(&to) {}

    [[nodiscard]] std::size_t get_supported_response_size() const noexcept {
        return std::numeric_limits<std::size_t>::max();
    }
    template <class String>
    void operator()(std::size_t, const boost::redis::resp3::basic_node<String>& node,
                    boost::system::error_code&) const {
        to_->nodes.push_back({node.data_type, node.aggregate_size, node.depth,
                              std::string(node.value.data(), node.value.size())});
    }

private:
    redis_reply* to_;
};

/// Found by Boost.Redis through the type of the response.
[[nodiscard]] inline redis_reply_adapter boost_redis_adapt(redis_reply& to) noexcept {
    return redis_reply_adapter(to);
}

} // namespace acache::detail

#endif
