// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_PUSH_READER_HPP
#define ACACHE_REDIS_DETAIL_PUSH_READER_HPP

#include <boost/redis/resp3/node.hpp>
#include <boost/redis/resp3/type.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <functional>
#include <limits>
#include <memory>
#include <string_view>

namespace acache::detail {

/// Reads what the server says of changed keys: `["invalidate", [key, ...]]`, or null for all of them. It does
/// so while the message is parsed, and so before any answer behind it is: what has been answered is never
/// older than what has been heard.
class push_reader {
public:
    /// `all()` for a database that was emptied.
    push_reader(std::function<void(std::string_view key)> changed, std::function<void()> all)
        : changed_(std::move(changed)), all_(std::move(all)) {}

    /// Nothing is said any more. The connection may keep the reader, and outlive whom it told.
    void close() noexcept { is_closed_ = true; }

    template <class Node>
    void read(const Node& node) {
        using enum boost::redis::resp3::type;
        if (is_closed_) {
            return;
        }
        if (node.depth == 0) {
            is_push_ = node.data_type == push;
            is_invalidation_ = false;
        } else if (node.depth == 1 && is_push_ && !is_invalidation_) {
            is_invalidation_ = node.value == "invalidate";
            is_push_ = is_invalidation_;
        } else if (is_invalidation_ && node.data_type == null) {
            all_();
        } else if (is_invalidation_ && node.depth == 2) {
            changed_(node.value);
        }
    }

    struct adapter {
        std::shared_ptr<push_reader> to;

        [[nodiscard]] static std::size_t get_supported_response_size() noexcept {
            return std::numeric_limits<std::size_t>::max();
        }
        template <class String>
        void operator()(std::size_t, const boost::redis::resp3::basic_node<String>& node,
                        boost::system::error_code&) const {
            to->read(node);
        }
    };

private:
    std::function<void(std::string_view)> changed_;
    std::function<void()> all_;
    bool is_closed_ = false;
    bool is_push_ = false;
    bool is_invalidation_ = false;
};

/// How Boost.Redis asks for it.
[[nodiscard]] inline push_reader::adapter
boost_redis_adapt(const std::shared_ptr<push_reader>& reader) noexcept {
    return {reader};
}

} // namespace acache::detail

#endif
