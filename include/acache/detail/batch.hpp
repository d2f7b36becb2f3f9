// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_BATCH_HPP
#define ACACHE_DETAIL_BATCH_HPP

#include <acache/detail/failed_load.hpp>
#include <acache/detail/loader.hpp>
#include <acache/error.hpp>

#include <boost/asio/awaitable.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace acache::detail {

template <class R>
inline constexpr bool is_vector = false;
template <class T, class A>
inline constexpr bool is_vector<std::vector<T, A>> = true;

/// What stands for one key in the vector that a batch function returns.
template <class T, class V>
concept batch_element = std::same_as<T, V> || std::same_as<T, load_result<V>> ||
                        std::same_as<T, std::optional<V>> || std::constructible_from<V, T>;

template <class R, class K, class V>
concept batch_vector = is_vector<R> && batch_element<typename R::value_type, V>;

template <class R, class K, class V>
concept batch_map = requires(R& map, const K& key) {
    typename R::mapped_type;
    { map.find(key) == map.end() } -> std::convertible_to<bool>;
    requires batch_element<typename R::mapped_type, V>;
};

template <class R, class K, class V>
concept batch_result = batch_vector<R, K, V> || batch_map<R, K, V>;

template <class F, class K>
concept batch_of_span = std::invocable<F&, std::span<const K>>;
template <class F, class K>
concept batch_of_vector = std::invocable<F&, std::vector<K>>;

template <class F, class K>
struct batch_call {};
template <class F, class K>
    requires batch_of_span<F, K>
struct batch_call<F, K> {
    using type = std::invoke_result_t<F&, std::span<const K>>;
};
template <class F, class K>
    requires(batch_of_vector<F, K> && !batch_of_span<F, K>)
struct batch_call<F, K> {
    using type = std::invoke_result_t<F&, std::vector<K>>;
};

template <class F, class K>
using batch_awaited_t = awaited_t<typename batch_call<F, K>::type>;

/// A coroutine function from `std::span<const K>` or `std::vector<K>` to an `asio::awaitable` of
/// `std::vector<V>`, `std::vector<load_result<V>>`, `std::vector<std::optional<V>>`, or a map from K to V.
template <class F, class K, class V>
concept batch_function =
    requires { typename batch_awaited_t<F, K>; } && batch_result<batch_awaited_t<F, K>, K, V>;

template <class F, class K, class V>
constexpr void check_batch_function() {
    static_assert(batch_function<F, K, V>,
                  "acache: a batch function is a coroutine function of std::span<const K> or std::vector<K> "
                  "that returns "
                  "a boost::asio::awaitable of std::vector<V>, std::vector<load_result<V>>, "
                  "std::vector<std::optional<V>> or a map from K to V");
}

/// One element of a batch's result as a `load_result`.
template <class V, class T>
[[nodiscard]] load_result<V> to_load_result(T&& element) {
    using type = std::remove_cvref_t<T>;
    if constexpr (std::same_as<type, V> || !(is_optional<type> || std::same_as<type, load_result<V>>)) {
        return load_result<V>(boost::system::in_place_value, std::forward<T>(element));
    } else if constexpr (is_optional<type>) {
        if (element) {
            return load_result<V>(boost::system::in_place_value, *std::forward<T>(element));
        }
        return load_result<V>(boost::system::in_place_error, not_found());
    } else if (element.has_error() && !element.error()) {
        return load_result<V>(boost::system::in_place_error, not_found()); // an error that says nothing
    } else {
        return std::forward<T>(element);
    }
}

/// A batch's result as one `load_result` a key. Throws `errc::batch_size_mismatch`.
template <class K, class V, class R>
[[nodiscard]] std::vector<load_result<V>> to_load_results(const std::vector<K>& keys, R&& results) {
    std::vector<load_result<V>> out;
    out.reserve(keys.size());
    if constexpr (batch_vector<R, K, V>) {
        if (results.size() != keys.size()) {
            throw boost::system::system_error(errc::batch_size_mismatch,
                                              "acache: " + std::to_string(results.size()) + " results for " +
                                                  std::to_string(keys.size()) + " keys");
        }
        for (std::size_t i = 0; i != keys.size(); ++i) {
            // By value for the sake of vector<bool>.
            typename R::value_type element = std::move(results[i]);
            out.push_back(to_load_result<V>(std::move(element)));
        }
    } else {
        for (const auto& key : keys) {
            const auto at = results.find(key);
            out.push_back(at == results.end() ? load_result<V>(boost::system::in_place_error, not_found())
                                              : to_load_result<V>(std::move(at->second)));
        }
    }
    return out;
}

} // namespace acache::detail

#endif
