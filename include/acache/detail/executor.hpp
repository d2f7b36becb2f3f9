// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_EXECUTOR_HPP
#define ACACHE_DETAIL_EXECUTOR_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>

#include <concepts>
#include <type_traits>

namespace acache::detail {

namespace asio = boost::asio;

template <class T>
concept execution_context_like =
    std::derived_from<std::remove_cvref_t<T>, asio::execution_context> && requires(T& context) {
        { context.get_executor() } -> std::convertible_to<asio::any_io_executor>;
    };

/// What caches and loaders are made on: an executor, or an execution context by its own.
template <class T>
concept executor_or_context = execution_context_like<T> || std::convertible_to<T, asio::any_io_executor>;

template <executor_or_context T>
[[nodiscard]] asio::any_io_executor to_executor(T& where) {
    if constexpr (execution_context_like<T>) {
        return where.get_executor();
    } else {
        return where;
    }
}

} // namespace acache::detail

#endif
