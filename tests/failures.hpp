// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_FAILURES_HPP
#define ACACHE_TESTS_FAILURES_HPP

#include <acache/error.hpp>

#include <boost/system/errc.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <string>

// What an exception says. Tests on several threads take an exception that others get too by
// `std::current_exception()`, and ask here: see tsan_suppressions.hpp.

/// Its code; none where there is no exception, `io_error` where it has no code.
inline boost::system::error_code code_of(const std::exception_ptr& failure) {
    try {
        if (failure) {
            std::rethrow_exception(failure);
        }
    } catch (const boost::system::system_error& e) {
        return e.code();
    } catch (...) {
        return make_error_code(boost::system::errc::io_error);
    }
    return {};
}

template <class T>
boost::system::error_code code_of(const acache::load_result<T>& result) {
    return result.has_error() ? code_of(result.error()) : boost::system::error_code();
}

inline std::string text_of(const std::exception_ptr& failure) {
    try {
        if (failure) {
            std::rethrow_exception(failure);
        }
    } catch (const std::exception& e) {
        return e.what();
    } catch (...) {
        return "something that is no std::exception";
    }
    return {};
}

#endif
