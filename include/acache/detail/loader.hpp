// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_LOADER_HPP
#define ACACHE_DETAIL_LOADER_HPP

#include <acache/load_context.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <concepts>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

namespace acache::detail {

namespace asio = boost::asio;

template <class T>
struct awaited {};

template <class T>
struct awaited<asio::awaitable<T, asio::any_io_executor>> {
    using type = T;
};

/// The result of awaiting a `T`; no such type where `T` is not an `asio::awaitable`.
template <class T>
using awaited_t = typename awaited<std::remove_cvref_t<T>>::type;

template <class R>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

/// An `asio::awaitable` whose result makes a `V`, or is a `std::optional<V>` that is empty where the source
/// has no value. Where `V` itself is what is returned, it is a value whatever it is.
template <class T, class V>
concept awaitable_of = requires { typename awaited_t<T>; } &&
                       (std::same_as<awaited_t<T>, V> || std::same_as<awaited_t<T>, std::optional<V>> ||
                        std::constructible_from<V, awaited_t<T>>);

/// A loader of values `V` for keys `K`: a coroutine function that can be called as one of `f(key)`, `f()`,
/// `f(load_context&, key)`, `f(load_context&)`, and returns an `asio::awaitable` of something that makes a
/// `V`, or of a `std::optional<V>`.
template <class F, class K, class V>
concept loader =
    (std::invocable<F&, const K&> && awaitable_of<std::invoke_result_t<F&, const K&>, V>) ||
    (std::invocable<F&> && awaitable_of<std::invoke_result_t<F&>, V>) ||
    (std::invocable<F&, load_context&, const K&> &&
     awaitable_of<std::invoke_result_t<F&, load_context&, const K&>, V>) ||
    (std::invocable<F&, load_context&> && awaitable_of<std::invoke_result_t<F&, load_context&>, V>);

/// Calls a function as `f(key)` or `f()`.
template <class K, class F>
[[nodiscard]] auto call_function(F& f, const K& key) {
    if constexpr (std::invocable<F&, const K&>) {
        return std::invoke(f, key);
    } else {
        return std::invoke(f);
    }
}

/// The first form that fits is one with a `load_context`.
template <class F, class K>
inline constexpr bool takes_context = !std::invocable<F&, const K&> && !std::invocable<F&>;

} // namespace acache::detail

#endif
