// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_PUSH_READER_HPP
#define ACACHE_REDIS_DETAIL_REDIS_PUSH_READER_HPP

#include <boost/redis/resp3/node.hpp>
#include <boost/redis/resp3/type.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>

namespace acache::detail {

/// What tracking tells. Called while a message is parsed: before all that the server has sent behind it is
/// looked at.
class redis_push_sink {
public:
    virtual void key_changed(std::string_view key) noexcept = 0;
    virtual void all_flushed() noexcept = 0;

protected:
    ~redis_push_sink() = default;
};

/// Reads the pushes of CLIENT TRACKING: an array of keys, or null for all.
class redis_push_reader {
public:
    /// Null for none.
    void set_sink(redis_push_sink* sink) noexcept { sink_ = sink; }

    void read(boost::redis::resp3::type type, std::size_t depth, std::string_view text) noexcept {
        using boost::redis::resp3::type::null;
        using boost::redis::resp3::type::push;
        if (depth == 0) {
            expected_ = type == push ? part::name : part::nothing; // whatever was cut off before
        } else if (depth == 1 && expected_ == part::name) {
            expected_ = text == "invalidate" ? part::keys : part::nothing;
        } else if (expected_ == part::keys && sink_ != nullptr) {
            if (depth == 2) {
                sink_->key_changed(text);
            } else if (type == null) {
                sink_->all_flushed();
            }
        }
    }

private:
    enum class part : std::uint8_t { nothing, name, keys };

    redis_push_sink* sink_ = nullptr;
    part expected_ = part::nothing;
};

/// What a connection is given to receive its pushes. It lives as long as the connection keeps it.
struct redis_push_response {
    std::shared_ptr<redis_push_reader> reader;

    [[nodiscard]] std::size_t get_supported_response_size() const noexcept {
        return std::numeric_limits<std::size_t>::max();
    }
    template <class String>
    void operator()(std::size_t, const boost::redis::resp3::basic_node<String>& node,
                    boost::system::error_code&) const {
        reader->read(node.data_type, node.depth, node.value);
    }
};

/// Found by Boost.Redis through the type of the response.
[[nodiscard]] inline redis_push_response boost_redis_adapt(redis_push_response& response) {
    return response;
}

} // namespace acache::detail

#endif
