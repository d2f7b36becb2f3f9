// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_BACKEND_HPP
#define ACACHE_BACKEND_HPP

#include <acache/clock.hpp>
#include <acache/entry.hpp>
#include <acache/metrics.hpp>

#include <boost/asio/awaitable.hpp>

#include <concepts>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace acache {

/// A store that answers at once. `get`, `set`, `erase` and `clear` may be called from any thread at the same
/// time. The cache calls `set` and `erase` under a lock of its own, so they must not call the cache back;
/// whatever they return (displaced values, say; `void` will do for `set` and `clear`) is kept until that
/// lock is released. What `erase` returns converts to bool: was the key there.
template <class B, class K, class V>
concept synchronous_backend = std::movable<B> && requires(B& b, const K& key, entry<V> e) {
    { b.get(key) } -> std::same_as<std::optional<entry<V>>>;
    b.set(key, std::move(e));
    static_cast<bool>(b.erase(key));
    b.clear();
} && !requires(B& b) { typename decltype(b.clear())::executor_type; };

/// A store that is asked with `co_await`, on the executor of the coroutine that asks; any number of
/// operations may be under way. The cache lets no two writes of one key overlap. An operation that
/// cannot be carried out throws; a `get` that throws is a miss to the cache.
template <class B, class K, class V>
concept asynchronous_backend = std::movable<B> && requires(B& b, const K& key, entry<V> e) {
    { b.get(key) } -> std::same_as<boost::asio::awaitable<std::optional<entry<V>>>>;
    { b.set(key, std::move(e)) } -> std::same_as<boost::asio::awaitable<void>>;
    { b.erase(key) } -> std::same_as<boost::asio::awaitable<bool>>;
    { b.clear() } -> std::same_as<boost::asio::awaitable<void>>;
};

/// What an `async_cache<K, V, B>` can stand on.
template <class B, class K, class V>
concept backend = synchronous_backend<B, K, V> || asynchronous_backend<B, K, V>;

/// Capability of an asynchronous backend: it can answer some look-ups without suspending.
template <class B, class K, class V>
concept local_lookup_backend = requires(B& b, const K& key) {
    { b.try_get(key) } -> std::same_as<local_answer<V>>;
};

/// Capability of an asynchronous backend: many keys in one operation. The result has the length and
/// the order of the keys.
template <class B, class K, class V>
concept multi_get_backend = requires(B& b, std::span<const K> keys) {
    { b.get_many(keys) } -> std::same_as<boost::asio::awaitable<std::vector<std::optional<entry<V>>>>>;
};

/// Capability: the backend counts what it holds and what it has removed.
template <class B>
concept measured_backend = requires(const B& b) {
    { b.metrics() } -> std::same_as<backend_metrics>;
};

/// Capability of a synchronous backend: `visit(f)` calls `f(key, entry)` for every entry.
template <class B, class K, class V>
concept enumerable_backend =
    requires(const B& b, void (*visitor)(const K&, const entry<V>&)) { b.visit(visitor); };

namespace detail {

template <class Backend>
struct clock_of {
    using type = coarse_clock;
};

template <class Backend>
    requires requires { typename Backend::clock_type; }
struct clock_of<Backend> {
    using type = typename Backend::clock_type;
};

} // namespace detail

/// The clock of a backend: its `clock_type`, or `coarse_clock`.
template <class Backend>
using backend_clock_t = typename detail::clock_of<Backend>::type;

} // namespace acache

#endif
