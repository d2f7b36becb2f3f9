// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_ERROR_HPP
#define ACACHE_ERROR_HPP

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/result.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <string>
#include <type_traits>

namespace acache {

/// Errors of the library itself. A loader's own exception reaches its callers unchanged.
enum class errc { not_found = 1, recursive_load, load_timeout, closed, overloaded, batch_size_mismatch };

/// A value or the exception of one key.
template <class T>
using load_result = boost::system::result<T, std::exception_ptr>;

namespace detail {

class error_category_impl final : public boost::system::error_category {
public:
    // A fixed id makes the category one and the same in every shared library.
    constexpr error_category_impl() noexcept : error_category(0x6163616368650001ULL) {}

    const char* name() const noexcept override { return "acache"; }

    std::string message(int value) const override {
        switch (static_cast<errc>(value)) {
        case errc::not_found:
            return "the source has no value for this key";
        case errc::recursive_load:
            return "a load waits for itself: its loader asks, directly or through other keys, for the "
                   "key it is loading; load that key's parts under keys of their own";
        case errc::load_timeout:
            return "the load took longer than load_timeout; make the source faster or raise load_timeout";
        case errc::closed:
            return "the cache or loader is closed, or its executor's context is gone; keep both alive as "
                   "long as calls may come";
        case errc::overloaded:
            return "too many loads are waiting for their turn; retry later, or raise max_queued_loads or "
                   "max_concurrent_loads";
        case errc::batch_size_mismatch:
            return "the batch function returned another number of results than it got keys; return one "
                   "result for each key, in the order of the keys";
        }
        return "unknown acache error";
    }
};

inline constexpr error_category_impl error_category_instance;

} // namespace detail

[[nodiscard]] inline const boost::system::error_category& error_category() noexcept {
    return detail::error_category_instance;
}

[[nodiscard]] inline boost::system::error_code make_error_code(errc e) noexcept {
    return {static_cast<int>(e), error_category()};
}

} // namespace acache

template <>
struct boost::system::is_error_code_enum<acache::errc> : std::true_type {};

#endif
