// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_COMPILER_HPP
#define ACACHE_DETAIL_COMPILER_HPP

#include <type_traits>

namespace acache::detail {

/// g++ before 13 destroys some temporaries twice that stand in an expression with `co_await` (GCC bugs 98401
/// and 104031, among others): closures with captures and aggregates, where their destructor does something.
/// No signature can tell such a temporary from a moved object, so both are refused there.
#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
inline constexpr bool destroys_temporaries_twice = true;
#else
inline constexpr bool destroys_temporaries_twice = false;
#endif

/// ThreadSanitizer does not see barriers that are not in the language.
#if defined(__SANITIZE_THREAD__)
inline constexpr bool thread_sanitized = true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
inline constexpr bool thread_sanitized = true;
#else
inline constexpr bool thread_sanitized = false;
#endif
#else
inline constexpr bool thread_sanitized = false;
#endif

/// Calls `f`, but never inline: what is seldom done would else make the usual way around it too long to be
/// inlined itself. `f` should hold copies, lest variables of that way have to be in memory for it.
template <class F>
[[gnu::noinline, gnu::cold]] decltype(auto) out_of_line(F f) {
    return f();
}

/// Whether an argument deduced as `T&&` may stand in an awaited expression.
template <class T>
inline constexpr bool awaitable_argument =
    !destroys_temporaries_twice || std::is_lvalue_reference_v<T> || std::is_trivially_destructible_v<T> ||
    (!std::is_aggregate_v<T> && std::is_move_assignable_v<T>);

/// Refuses arguments that this compiler would destroy twice.
template <class... T>
constexpr void check_awaitable_arguments() {
    static_assert(
        (awaitable_argument<T> && ...),
        "acache: g++ before 13 destroys a temporary closure or aggregate twice when it is an argument "
        "of an awaited call. Give the object a name and pass it by that name, without std::move; for "
        "a loader, wrap it once with cache.cached() and await the wrapped function");
}

} // namespace acache::detail

#endif
