// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_REPLY_HPP
#define ACACHE_REDIS_DETAIL_REDIS_REPLY_HPP

#include <acache/redis/error.hpp>

#include <boost/redis/resp3/node.hpp>
#include <boost/redis/resp3/type.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace acache::detail {

using redis_node = boost::redis::resp3::basic_node<std::string_view>;

/// Keeps copies of texts where they are, a few hundred in one piece of memory.
class text_pool {
public:
    [[nodiscard]] std::string_view keep(std::string_view text) {
        if (text.size() > left_ || pieces_.empty()) {
            grow(text.size());
        }
        char* const begin = end_ - left_;
        std::ranges::copy(text, begin);
        left_ -= text.size();
        return {begin, text.size()};
    }

private:
    void grow(std::size_t least) {
        const std::size_t size = pieces_.empty() ? least : std::max(least, next_);
        pieces_.push_back(std::make_unique_for_overwrite<char[]>(size));
        end_ = pieces_.back().get() + size;
        left_ = size;
        next_ = std::min<std::size_t>(4 * size, 65'536);
    }

    std::vector<std::unique_ptr<char[]>> pieces_;
    char* end_ = nullptr;
    std::size_t left_ = 0; // of the last piece, at its end
    std::size_t next_ = 0;
};

/// The answers to all commands of a request, trees of nodes in pre-order, errors among them: one command that
/// fails says nothing of the others.
struct redis_reply {
    std::vector<redis_node> nodes;
    text_pool texts; // the nodes'

    struct adapter {
        redis_reply* to;

        [[nodiscard]] static std::size_t get_supported_response_size() noexcept {
            return std::numeric_limits<std::size_t>::max();
        }
        template <class String>
        void operator()(std::size_t, const boost::redis::resp3::basic_node<String>& node,
                        boost::system::error_code&) const {
            if (node.aggregate_size > 1 && node.depth == 0) {
                to->nodes.reserve(to->nodes.size() + 1 + std::min<std::size_t>(node.aggregate_size, 1000));
            }
            to->nodes.push_back({node.data_type, node.aggregate_size, node.depth,
                                 to->texts.keep(std::string_view(node.value))});
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
        throw boost::system::system_error(redis_errc::server_error, std::string(node.value));
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
