// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_CACHED_HPP
#define ACACHE_CACHED_HPP

#include <acache/detail/cached_call.hpp>
#include <acache/detail/checks.hpp>
#include <acache/detail/compiler.hpp>
#include <acache/detail/input_range.hpp>
#include <acache/detail/striped_ref_count.hpp>
#include <acache/detail/warmup.hpp>
#include <acache/lookup_result.hpp>
#include <acache/options.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace acache {

/// A coroutine function behind a cache: what `async_cache::cached` returns. Called like the function; equal
/// arguments make equal keys, and equal keys share one run and its result.
///
/// The function and decayed copies of its arguments live as long as a load that uses them, so captures and
/// references to arguments are safe in it. Text arguments (`std::string_view`, `const char*`) are kept as
/// `std::string`. Copies of a cached_function are the same function; none keeps the cache open: once it is
/// closed or destroyed, calls give `errc::closed`. Any thread may call any operation. Errors and cancellation
/// are those of `async_cache::get_or_load`.
template <class State, class KeyMaker, class Fn>
class cached_function {
    using call = detail::cached_call<State, KeyMaker, Fn>;
    using K = typename State::key_type;
    using V = typename State::value_type;

public:
    cached_function(std::shared_ptr<State> state, KeyMaker key, Fn fn, load_options options)
        : call_(new call(std::move(state), std::move(key), std::move(fn), options), false) {
        detail::check(options);
    }

    /// The fresh value for these arguments, or what the function returns for them.
    template <class... A>
        requires(call::template accepts<A...>)
    [[nodiscard]] boost::asio::awaitable<V> operator()(A&&... args) const {
        detail::check_awaitable_arguments<A...>();
        return detail::call_cached(use(), call::keep(std::forward<A>(args)...));
    }

    /// The same for once with options of the call's own, each in the place of the function's:
    /// `co_await get_user.with({.max_age = 1s}, 42)`. Throws `std::invalid_argument` for options that make no
    /// sense.
    template <class... A>
        requires(call::template accepts<A...>)
    [[nodiscard]] boost::asio::awaitable<V> with(load_options options, A&&... args) const {
        detail::check_awaitable_arguments<A...>();
        detail::check(options);
        auto kept = call::keep(std::forward<A>(args)...);
        K key = call_->key(kept);
        return detail::get_or_load(call_->state->ref(), std::move(key), call::bind(use(), std::move(kept)),
                                   detail::overlaid(call_->options, options));
    }

    /// The same as a call, with the provenance of the value.
    template <class... A>
        requires(call::template accepts<A...>)
    [[nodiscard]] boost::asio::awaitable<lookup_result<V>> lookup(A&&... args) const {
        detail::check_awaitable_arguments<A...>();
        auto kept = call::keep(std::forward<A>(args)...);
        K key = call_->key(kept);
        return detail::lookup(call_->state->ref(), std::move(key), call::bind(use(), std::move(kept)),
                              call_->options);
    }

    /// The key that these arguments make.
    template <class... A>
        requires(call::template accepts<A...>)
    [[nodiscard]] K key(A&&... args) const {
        return call_->key(call::keep(std::forward<A>(args)...));
    }

    /// The fresh value, if it can be told without suspending; never calls the function.
    template <class... A>
        requires(call::template accepts<A...> && State::store_type::answers_locally)
    [[nodiscard]] std::optional<V> try_get(A&&... args) const {
        call_->state->board.check(true); // a draining cache still answers
        return call_->with_query(call::keep(std::forward<A>(args)...),
                                 [&](const auto& query) { return detail::try_get(*call_->state, query); });
    }

    /// Stores a value for these arguments, for the function's ttl, and kept after it as its options say.
    template <class U, class... A>
        requires(call::template accepts<A...> && std::constructible_from<V, U>)
    [[nodiscard]] boost::asio::awaitable<void> set(U&& value, A&&... args) const {
        detail::check_awaitable_arguments<U, A...>();
        return detail::set<State, K, V>(call_->state, key(std::forward<A>(args)...),
                                        V(std::forward<U>(value)), call_->options.ttl,
                                        call_->state->freshness.windows(call_->options));
    }

    /// Removes what is stored for these arguments; whether there was something.
    template <class... A>
        requires(call::template accepts<A...>)
    [[nodiscard]] boost::asio::awaitable<bool> invalidate(A&&... args) const {
        detail::check_awaitable_arguments<A...>();
        return detail::invalidate(call_->state, key(std::forward<A>(args)...));
    }

    /// Makes what is stored for these arguments stale; whether there was something. See
    /// `async_cache::expire`.
    template <class... A>
        requires(call::template accepts<A...>)
    [[nodiscard]] boost::asio::awaitable<bool> expire(A&&... args) const {
        detail::check_awaitable_arguments<A...>();
        return detail::expire(call_->state, key(std::forward<A>(args)...),
                              call_->state->freshness.windows(call_->options));
    }

    /// Calls the function now, whatever is stored; see `async_cache::refresh`.
    template <class... A>
        requires(call::template accepts<A...>)
    [[nodiscard]] boost::asio::awaitable<V> refresh(A&&... args) const {
        detail::check_awaitable_arguments<A...>();
        auto kept = call::keep(std::forward<A>(args)...);
        K key = call_->key(kept);
        return detail::refresh(call_->state->ref(), std::move(key), call::bind(use(), std::move(kept)),
                               call_->options);
    }

    /// Calls the function for those of `arguments` that have no fresh entry; see `async_cache::warmup`. The
    /// elements are the argument of a function that has one, and tuples of the arguments of others.
    template <detail::input_range Arguments>
    [[nodiscard]] boost::asio::awaitable<warmup_report<K>> warmup(Arguments&& arguments,
                                                                  warmup_options options = {}) const {
        detail::check_not_zero(options.concurrency, "concurrency");
        std::vector<K> keys;
        auto kept = call::keep_all(arguments);
        for (const auto& each : kept) {
            keys.push_back(call_->key(each));
        }
        return detail::warmup(
            call_->state, std::move(keys),
            [self = *this, kept = std::move(kept)](std::size_t i) { return call::bind(self.use(), kept[i]); },
            call_->options, options.concurrency);
    }

private:
    [[nodiscard]] detail::counted_use<const call> use() const noexcept {
        return detail::counted_use<const call>(*call_);
    }

    boost::intrusive_ptr<const call> call_;
};

namespace detail {

template <class KeyMaker, class State, class Fn>
[[nodiscard]] auto make_cached(std::shared_ptr<State> state, KeyMaker key, Fn fn, load_options options) {
    static_assert(parameters_of<Fn>::known || parameters_of<typename KeyMaker::function>::known ||
                      !std::is_void_v<typename KeyMaker::function>,
                  "acache::cached: the parameters of this function cannot be told, since its call operator "
                  "is a template "
                  "or overloaded; wrap it in a lambda with named parameter types: "
                  "[](std::int64_t id) { return fn(id); }");
    return cached_function<State, KeyMaker, Fn>(std::move(state), std::move(key), std::move(fn), options);
}

} // namespace detail
} // namespace acache

#endif
