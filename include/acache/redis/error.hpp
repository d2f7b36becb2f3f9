// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_ERROR_HPP
#define ACACHE_REDIS_ERROR_HPP

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>

#include <string>
#include <type_traits>

namespace acache {

/// Why an operation on Redis was given up. A cache goes on without Redis and only counts them; who uses a
/// backend by itself gets them in a `boost::system::system_error`.
enum class redis_errc {
    unavailable = 1, ///< not sent: there is no connection that answers
    timeout,         ///< sent and not answered in time; whether it was carried out is not known
    server_error,    ///< answered with an error
    too_large        ///< not sent: the value takes more bytes than `redis_options::max_payload`
};

namespace detail {

class redis_category_impl final : public boost::system::error_category {
public:
    constexpr redis_category_impl() noexcept : error_category(0x6163616368650002ULL) {}

    const char* name() const noexcept override { return "acache.redis"; }

    std::string message(int value) const override {
        switch (static_cast<redis_errc>(value)) {
        case redis_errc::unavailable:
            return "Redis is not to be reached, or has stopped answering; nothing was sent. See that the "
                   "server runs and that the connection's async_run is running; it is tried again without "
                   "your help";
        case redis_errc::timeout:
            return "Redis did not answer in time, and may yet do what it was asked; look for what keeps the "
                   "server or the network busy, or raise redis_client_options::timeout";
        case redis_errc::server_error:
            return "Redis answered with an error; see to what it says";
        case redis_errc::too_large:
            return "the value is too large for Redis, and is kept in this process alone; make it smaller, "
                   "leave it out of Redis, or raise redis_options::max_payload";
        }
        return "unknown acache.redis error";
    }
};

inline constexpr redis_category_impl redis_category_instance;

} // namespace detail

[[nodiscard]] inline const boost::system::error_category& redis_category() noexcept {
    return detail::redis_category_instance;
}

[[nodiscard]] inline boost::system::error_code make_error_code(redis_errc e) noexcept {
    return {static_cast<int>(e), redis_category()};
}

} // namespace acache

template <>
struct boost::system::is_error_code_enum<acache::redis_errc> : std::true_type {};

#endif
