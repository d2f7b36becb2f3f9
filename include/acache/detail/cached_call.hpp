// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CACHED_CALL_HPP
#define ACACHE_DETAIL_CACHED_CALL_HPP

#include <acache/detail/cache_load.hpp>
#include <acache/detail/cached_key.hpp>
#include <acache/detail/function_traits.hpp>
#include <acache/detail/input_range.hpp>
#include <acache/detail/read_section.hpp>
#include <acache/detail/striped_ref_count.hpp>
#include <acache/load_context.hpp>
#include <acache/observer.hpp>
#include <acache/options.hpp>

#include <boost/asio/awaitable.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// The options of a function with those of one call in their place, where that has any.
[[nodiscard]] inline load_options overlaid(load_options function, const load_options& call) noexcept {
    const auto overlay = [](auto& option, const auto& given) {
        if (given) {
            option = given;
        }
    };
    overlay(function.ttl, call.ttl);
    overlay(function.load_timeout, call.load_timeout);
    overlay(function.stale_while_revalidate, call.stale_while_revalidate);
    overlay(function.stale_if_error, call.stale_if_error);
    overlay(function.keep_stale, call.keep_stale);
    overlay(function.negative_ttl, call.negative_ttl);
    overlay(function.soft_timeout, call.soft_timeout);
    overlay(function.max_age, call.max_age);
    return function;
}

/// How arguments are kept and passed on, by what is known of the function's parameters.
template <class Parameters>
struct argument_list;

template <class... P>
struct argument_list<parameters<P...>> {
    using tuple = std::tuple<kept_argument_t<P>...>;

    template <class... A>
    static constexpr bool accepts = [] {
        if constexpr (sizeof...(A) == sizeof...(P)) {
            return (std::constructible_from<kept_argument_t<P>, A> && ...);
        } else {
            return false;
        }
    }();

    template <class F, class Tuple>
    static decltype(auto) apply(F&& f, Tuple& kept) {
        return [&]<std::size_t... I>(std::index_sequence<I...>) -> decltype(auto) {
            return std::invoke(f, pass_argument<P>(std::get<I>(kept))...);
        }(std::index_sequence_for<P...>{});
    }
};

/// For a key function with parameters of its own and a function without.
template <>
struct argument_list<unknown_parameters> {
    template <class... A>
    static constexpr bool accepts = true;

    template <class F, class Tuple>
    static decltype(auto) apply(F&& f, Tuple& kept) {
        return std::apply([&](auto&... a) -> decltype(auto) { return std::invoke(f, std::move(a)...); },
                          kept);
    }
};

/// The parameters of the function; of the key function where the function's cannot be told.
template <class KeyMaker, class Fn>
using call_parameters =
    std::conditional_t<parameters_of<Fn>::known, parameters_t<Fn>, parameters_t<typename KeyMaker::function>>;

/// What all copies of a cached_function share: they own it, and calls and loads use it.
template <class State, class KeyMaker, class Fn>
struct cached_call : striped_ref_count<cached_call<State, KeyMaker, Fn>> {
    using K = typename State::key_type;
    using V = typename State::value_type;
    using arguments = argument_list<call_parameters<KeyMaker, Fn>>;

    template <class... A>
    static constexpr bool accepts = arguments::template accepts<A...>;

    cached_call(std::shared_ptr<State> s, KeyMaker k, Fn f, load_options o)
        : state(std::move(s)), make_key(std::move(k)), fn(std::move(f)), options(o) {}

    template <class... A>
    [[nodiscard]] static auto keep(A&&... args) {
        if constexpr (requires { typename arguments::tuple; }) {
            return typename arguments::tuple(std::forward<A>(args)...);
        } else {
            return std::tuple<kept_argument_t<A&&>...>(std::forward<A>(args)...);
        }
    }

    /// The kept arguments of each element of a range.
    template <class Range>
    [[nodiscard]] static auto keep_all(Range&& range) {
        using element = range_reference_t<Range>;
        const auto keep_one = [](auto&& each) {
            if constexpr (accepts<element>) {
                return keep(std::forward<decltype(each)>(each));
            } else {
                return std::apply([](const auto&... a) { return keep(a...); }, each);
            }
        };
        std::vector<decltype(keep_one(std::declval<element>()))> kept;
        for (auto&& each : range) {
            kept.push_back(keep_one(std::forward<decltype(each)>(each)));
        }
        return kept;
    }

    template <class Tuple>
    [[nodiscard]] K key(const Tuple& kept) const {
        return with_query(kept, [](const auto& query) { return K(query); });
    }

    /// Calls `f` with the key as it is looked up: the text of a format stays in a buffer on the stack.
    template <class Tuple, class F>
    decltype(auto) with_query(const Tuple& kept, F f) const {
        return std::apply(
            [&](const auto&... a) -> decltype(auto) { return make_key.template with_query<K>(f, a...); },
            kept);
    }

    /// The call of the function with these arguments, as a loader.
    template <class Tuple>
    class bound {
    public:
        bound(counted_use<const cached_call> call, Tuple kept)
            : call_(std::move(call)), kept_(std::move(kept)) {}

        static constexpr bool takes_context = [] {
            if constexpr (parameters_of<Fn>::known) {
                return parameters_of<Fn>::takes_context;
            } else {
                return []<class... A>(std::type_identity<std::tuple<A...>>) {
                    return !std::invocable<Fn&, A...>;
                }(std::type_identity<Tuple>{});
            }
        }();

        auto operator()(load_context& context)
            requires takes_context
        {
            return arguments::apply(
                [&](auto&&... a) { return std::invoke(call_->fn, context, std::forward<decltype(a)>(a)...); },
                kept_);
        }
        auto operator()()
            requires(!takes_context)
        {
            return arguments::apply(call_->fn, kept_);
        }

    private:
        counted_use<const cached_call> call_;
        Tuple kept_;
    };

    template <class Tuple>
    [[nodiscard]] static bound<Tuple> bind(counted_use<const cached_call> call, Tuple kept) {
        return bound<Tuple>(std::move(call), std::move(kept));
    }

    const std::shared_ptr<State> state;
    const KeyMaker make_key;
    mutable Fn fn;
    const load_options options;
};

/// Takes the value of a hit, counted, and ends the use of the call then; nothing where it takes more than a
/// look. The value is put where it is wanted: as a result it would be moved from frame to frame.
template <class Call, class Tuple>
void hit(counted_use<const Call>& call, const Tuple& kept, std::optional<typename Call::V>& value) {
    call->with_query(kept, [&](const auto& query) {
        using state = std::remove_cvref_t<decltype(*call->state)>;
        bool found = false;
        {
            const read_section reading;
            found = call->state->hit(
                query, [&](auto&& held, time_point) { value.emplace(std::forward<decltype(held)>(held)); },
                call->options.max_age);
            if (found && !state::template observes<events::hit>) {
                call.try_end(reading); // nothing of the call is touched on the way back
            }
        }
        if constexpr (state::template observes<events::hit>) {
            if (found) {
                call->state->template tell<events::hit>(query);
            }
        }
    });
}

/// Past the store: the call as a load.
template <class Call, class Tuple>
[[nodiscard]] auto load_cached(counted_use<const Call> call, Tuple kept) {
    auto key = call->key(kept);
    auto state = call->state;
    const auto options = call->options;
    return load(std::move(state), std::move(key), Call::bind(std::move(call), std::move(kept)), options,
                load_mode{});
}

/// The way of a call. The buffer of the key stands in the frame of `hit`, not in the coroutine's.
template <class Call, class Tuple>
asio::awaitable<typename Call::V> call_cached(counted_use<const Call> call, Tuple kept) {
    using state = std::remove_cvref_t<decltype(*call->state)>;
    if constexpr (state::store_type::answers_locally) {
        if (call->state->board.admits(false)) {
            std::optional<typename Call::V> value;
            hit(call, kept, value);
            if (value) {
                co_return std::move(*value);
            }
        }
    }
    auto result = co_await load_cached(std::move(call), std::move(kept));
    co_return std::move(result.value);
}

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
