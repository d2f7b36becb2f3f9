// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_FORMAT_LIBRARY_HPP
#define ACACHE_DETAIL_FORMAT_LIBRARY_HPP

#include <type_traits>
#include <version>

#ifdef __cpp_lib_format
#include <format>
#else
#include <fmt/core.h>
#endif

namespace acache::detail {

#ifdef __cpp_lib_format

namespace format_library = std;

template <class T>
concept formattable = std::is_default_constructible_v<std::formatter<std::remove_cvref_t<T>, char>>;

#else

/// The standard library's formatting, or {fmt} where it has none: the same formats, by the same names.
namespace format_library = fmt;

template <class T>
concept formattable = fmt::is_formattable<std::remove_cvref_t<T>, char>::value;

#endif

} // namespace acache::detail

#endif
