// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_JSON_TEXT_HPP
#define ACACHE_REDIS_DETAIL_JSON_TEXT_HPP

#include <boost/json/parse.hpp>
#include <boost/json/parse_options.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>
#include <boost/json/value_to.hpp>
#include <boost/system/error_code.hpp>

#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace acache::detail {

/// Boost.JSON converts it, both ways. Of containers it is their elements' conversion that Boost.JSON asks for
/// in turn. Not long double, which would lose its precision.
template <class T>
concept json_convertible = boost::json::has_value_from<T>::value && boost::json::has_value_to<T>::value &&
                           !std::same_as<T, long double>;

template <class T>
void append_json(const T& value, std::string& to) {
    to += boost::json::serialize(boost::json::value_from(value));
}

/// Whatever `append_json` writes is read, and comes back as it was: with the exact number, with strings
/// that are no UTF-8, and nested deeper than Boost.JSON takes text from strangers.
[[nodiscard]] inline boost::json::parse_options own_json_options() noexcept {
    boost::json::parse_options options;
    options.numbers = boost::json::number_precision::precise;
    options.allow_invalid_utf8 = true;
    options.max_depth = 200;
    return options;
}

/// Empty for what is no JSON or not of this type.
template <class T>
[[nodiscard]] std::optional<T> parse_json(std::string_view text) {
    try {
        boost::system::error_code error;
        const boost::json::value value = boost::json::parse(text, error, {}, own_json_options());
        if (error) {
            return std::nullopt;
        }
        return std::optional<T>(std::in_place, boost::json::value_to<T>(value));
    } catch (...) { // conversions of users' throw what they like
        return std::nullopt;
    }
}

} // namespace acache::detail

#endif
