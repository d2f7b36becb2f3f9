// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CACHED_KEY_HPP
#define ACACHE_DETAIL_CACHED_KEY_HPP

#include <acache/detail/function_traits.hpp>
#include <acache/key_buffer.hpp>
#include <acache/key_format.hpp>

#include <concepts>
#include <functional>
#include <string_view>
#include <type_traits>
#include <utility>

namespace acache::detail {

// The three ways from the arguments of a wrapped function to a key. Each has `with_query<K>(f, args...)`,
// which calls `f` with the key in the form in which it is looked up.

/// By a format.
template <class Format>
struct format_key {
    using function = void;
    Format format;

    template <class K, class F, class... A>
    decltype(auto) with_query(F& f, const A&... args) const {
        static_assert(std::constructible_from<K, std::string_view>,
                      "acache::cached: a format makes text, but the cache's keys are not strings; use a key "
                      "function, or "
                      "leave the format out to make the key of the arguments themselves");
        key_buffer buffer;
        const std::string_view text = format.write(buffer, args...);
        return f(text);
    }
};

/// By a function.
template <class Fn>
struct function_key {
    using function = Fn;
    Fn fn;

    template <class K, class F, class... A>
    decltype(auto) with_query(F& f, const A&... args) const {
        static_assert(std::invocable<const Fn&, const A&...>,
                      "acache::cached: the key function cannot be called, as const, with the arguments of "
                      "the function; "
                      "give it the same parameters");
        const K key(std::invoke(fn, args...));
        return f(key);
    }
};

/// By the arguments themselves.
template <class K>
struct arguments_key {
    using function = void;

    template <class, class F, class... A>
    decltype(auto) with_query(F& f, const A&... args) const {
        static_assert(
            requires { K{args...}; }, "acache::cached: the cache's key cannot be made of the arguments as "
                                      "K{args...} without narrowing; "
                                      "use a key function");
        const K key{args...};
        return f(key);
    }
};

/// Takes the place of a format for a function whose parameters cannot be told, to say so.
struct no_format {
    template <std::convertible_to<std::string_view> Text>
    constexpr no_format(const Text&) noexcept {}
};

template <class Parameters>
struct format_of_parameters {
    using type = no_format;
};
template <class... P>
struct format_of_parameters<parameters<P...>> {
    using type = basic_key_format<kept_argument_t<P>...>;
};

/// The parameter type of a format for `Fn`.
template <class Fn>
using format_for = typename format_of_parameters<parameters_t<Fn>>::type;

} // namespace acache::detail

#endif
