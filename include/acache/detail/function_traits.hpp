// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_FUNCTION_TRAITS_HPP
#define ACACHE_DETAIL_FUNCTION_TRAITS_HPP

#include <acache/load_context.hpp>

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>

namespace acache::detail {

/// The parameters of a wrapped function, a leading `load_context&` taken off.
template <class... P>
struct parameters {
    using list = parameters;
    static constexpr bool known = true;
    static constexpr bool takes_context = false;
};
template <class... P>
struct parameters<load_context&, P...> {
    using list = parameters<P...>;
    static constexpr bool known = true;
    static constexpr bool takes_context = true;
};

/// A function object whose parameters cannot be told: its call operator is a template or overloaded.
struct unknown_parameters {
    using list = unknown_parameters;
    static constexpr bool known = false;
};

template <class F>
struct parameters_of_call : unknown_parameters {};
template <class R, class... P>
struct parameters_of_call<R (*)(P...)> : parameters<P...> {};
template <class R, class... P>
struct parameters_of_call<R (*)(P...) noexcept> : parameters<P...> {};
template <class R, class C, class... P>
struct parameters_of_call<R (C::*)(P...)> : parameters<P...> {};
template <class R, class C, class... P>
struct parameters_of_call<R (C::*)(P...) const> : parameters<P...> {};
template <class R, class C, class... P>
struct parameters_of_call<R (C::*)(P...) noexcept> : parameters<P...> {};
template <class R, class C, class... P>
struct parameters_of_call<R (C::*)(P...) const noexcept> : parameters<P...> {};

template <class F>
struct parameters_of : parameters_of_call<F> {};
template <class F>
    requires requires { &F::operator(); }
struct parameters_of<F> : parameters_of_call<decltype(&F::operator())> {};

/// The parameters of `F` as `parameters<P...>`, or `unknown_parameters`.
template <class F>
using parameters_t = typename parameters_of<F>::list;

template <class T>
inline constexpr bool is_span = false;
template <class T, std::size_t N>
inline constexpr bool is_span<std::span<T, N>> = true;

/// An argument as a flight keeps it: a decayed copy, text as a string.
template <class P>
struct kept_argument {
    using decayed = std::decay_t<P>;
    static constexpr bool is_text = std::is_same_v<decayed, std::string_view> ||
                                    std::is_same_v<decayed, const char*> || std::is_same_v<decayed, char*>;
    static_assert(!std::is_lvalue_reference_v<P> || std::is_const_v<std::remove_reference_t<P>>,
                  "acache::cached: a parameter that is a reference to non-const cannot be kept for a load "
                  "that outlives "
                  "the call; take it by value or by reference to const");
    static_assert(is_text || (!std::is_pointer_v<decayed> && !is_span<decayed>),
                  "acache::cached: a parameter that is a pointer or a span does not own what it refers to, "
                  "which may be "
                  "gone while the load runs; take the values themselves, or a std::shared_ptr");
    using type = std::conditional_t<is_text, std::string, decayed>;
};

template <class P>
using kept_argument_t = typename kept_argument<P>::type;

/// Passes a kept argument on as the parameter `P` of the function. Called once for each.
template <class P, class Kept>
[[nodiscard]] decltype(auto) pass_argument(Kept& kept) {
    if constexpr (std::is_pointer_v<std::decay_t<P>>) {
        return kept.c_str();
    } else if constexpr (std::is_same_v<std::decay_t<P>, std::string_view>) {
        return std::string_view(kept);
    } else {
        return static_cast<Kept&&>(kept);
    }
}

} // namespace acache::detail

#endif
