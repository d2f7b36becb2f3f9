// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CHECKS_HPP
#define ACACHE_DETAIL_CHECKS_HPP

#include <acache/options.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>

namespace acache::detail {

inline void check_positive(const std::optional<std::chrono::nanoseconds>& given, const char* option) {
    if (given && given->count() <= 0) {
        throw std::invalid_argument(std::string("acache: ") + option + " is " +
                                    std::to_string(given->count()) +
                                    " ns and must be positive; leave it out for none");
    }
}

inline void check_not_zero(std::size_t given, const char* option) {
    if (given == 0) {
        throw std::invalid_argument(std::string("acache: ") + option +
                                    " is 0 and must be at least 1; leave it out for the default");
    }
}

inline void check_not_negative(std::chrono::nanoseconds given, const char* option) {
    if (given.count() < 0) {
        throw std::invalid_argument(std::string("acache: ") + option + " is " +
                                    std::to_string(given.count()) +
                                    " ns and must not be negative; zero means none");
    }
}

inline void check_not_negative(const std::optional<std::chrono::nanoseconds>& given, const char* option) {
    if (given) {
        check_not_negative(*given, option);
    }
}

inline void check(const load_options& options) {
    check_positive(options.ttl, "ttl");
    check_positive(options.load_timeout, "load_timeout");
    check_not_negative(options.stale_while_revalidate, "stale_while_revalidate");
    check_not_negative(options.stale_if_error, "stale_if_error");
    check_not_negative(options.keep_stale, "keep_stale");
    check_positive(options.negative_ttl, "negative_ttl");
    check_positive(options.soft_timeout, "soft_timeout");
    check_not_negative(options.max_age, "max_age");
}

} // namespace acache::detail

#endif
