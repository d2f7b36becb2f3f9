// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_REPLY_HPP
#define ACACHE_REDIS_DETAIL_REDIS_REPLY_HPP

#include <acache/redis/error.hpp>

#include <boost/redis/resp3/node.hpp>
#include <boost/redis/resp3/type.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace acache::detail {

using redis_node = boost::redis::resp3::node;

/// The answers to all commands of a request, trees of nodes in pre-order, errors among them: one command that
/// fails says nothing of the others.
struct redis_reply {
    std::vector<redis_node> nodes;

    struct adapter {
        redis_reply* to;

        [[nodiscard]] static std::size_t get_supported_response_size() noexcept {
            return std::numeric_limits<std::size_t>::max();
        }
        template <class String>
        void operator()(std::size_t, const boost::redis::resp3::basic_node<String>& node,
                        boost::system::error_code&) const {
            to->nodes.push_back({node.data_type, node.aggregate_size, node.depth, std::string(node.value)});
        }
    };
};

/// How Boost.Redis asks for it.
[[nodiscard]] inline redis_reply::adapter boost_redis_adapt(redis_reply& reply) noexcept {
    return {&reply};
}

[[nodiscard]] inline bool is_error(const redis_node& node) noexcept {
    using enum boost::redis::resp3::type;
    return node.data_type == simple_error || node.data_type == blob_error;
}
[[nodiscard]] inline bool is_null(const redis_node& node) noexcept {
    return node.data_type == boost::redis::resp3::type::null;
}
/// The key holds something that the command is not for.
[[nodiscard]] inline bool is_wrong_type(const redis_node& node) noexcept {
    return is_error(node) && std::string_view(node.value).starts_with("WRONGTYPE");
}
inline void throw_if_error(const redis_node& node) {
    if (is_error(node)) {
        throw boost::system::system_error(redis_errc::server_error, node.value);
    }
}
/// 0 where there is none.
[[nodiscard]] inline std::uint64_t to_number(std::string_view text) noexcept {
    std::uint64_t result = 0;
    std::from_chars(text.data(), text.data() + text.size(), result);
    return result;
}

} // namespace acache::detail

#endif
