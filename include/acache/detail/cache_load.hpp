// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CACHE_LOAD_HPP
#define ACACHE_DETAIL_CACHE_LOAD_HPP

#include <acache/detail/cache_state.hpp>
#include <acache/detail/flight_caller.hpp>
#include <acache/detail/keys.hpp>
#include <acache/detail/single_load.hpp>
#include <acache/entry.hpp>
#include <acache/lookup_result.hpp>
#include <acache/options.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// What a caller with a loader of its own asks of the flights.
template <class State, class Query, class Load>
class load_request {
public:
    using V = typename State::value_type;

    /// `listener`, which may be null, hears of the end of a flight that is made for this request.
    load_request(State& self, const Query& query, Load& load, load_options options, load_mode mode,
                 std::shared_ptr<flight_listener> listener = nullptr)
        : self_(self), query_(query), load_(load), options_(options), mode_(mode),
          listener_(std::move(listener)), hash_(self.stored().hash(query)) {}

    [[nodiscard]] std::size_t hash() const noexcept { return hash_; }
    [[nodiscard]] const Query& query() const noexcept { return query_; }
    [[nodiscard]] bool replace() const noexcept { return mode_.replaces; }

    [[nodiscard]] bool found() {
        if constexpr (State::store_type::answers_locally) {
            if (!mode_.replaces) {
                found_ = std::move(self_.ask(query_, hash_).found());
            }
        }
        return found_.has_value();
    }

    template <class Make>
    [[nodiscard]] auto add(Make make) {
        using body = single_load<State, Load>;
        auto flight =
            make(self_.template make_job<body>(options_.load_timeout, nullptr, std::move(load_), options_,
                                               mode_, lookup_tally<State>(self_, mode_.counts && !joined_)));
        flight->listener = std::move(listener_);
        return flight;
    }

    void joined() {
        if (!std::exchange(joined_, true)) {
            count(counter::coalesced);
        }
    }
    static void launch(typename State::flight_type& flight) { flight.job->board().submit(*flight.job); }

    /// What the caller gets.
    [[nodiscard]] lookup_result<V> result(const typename State::flight_type* flight, bool started) {
        using enum lookup_source;
        if (flight == nullptr) {
            return {value(flight), hit, State::age(found_->created)};
        }
        const auto& outcome = flight->outcome;
        const auto source = !started ? joined_flight : outcome.found ? hit : loaded;
        return {value(flight), source, State::age(outcome.created)};
    }
    [[nodiscard]] V value(const typename State::flight_type* flight) {
        if (flight == nullptr) {
            if (!joined_) {
                count(counter::hits);
            }
            return std::move(found_->value);
        }
        return flight->outcome.get();
    }

private:
    static constexpr auto joined_flight = lookup_source::joined;

    void count(counter c) {
        if (mode_.counts) {
            self_.count(c);
        }
    }

    State& self_;
    const Query& query_;
    Load& load_;
    const load_options options_;
    const load_mode mode_;
    std::shared_ptr<flight_listener> listener_;
    const std::size_t hash_;
    std::optional<entry<V>> found_;
    bool joined_ = false;
};

/// The way past the store: joins the key's flight or starts one.
template <class State, class Key, class Load>
asio::awaitable<lookup_result<typename State::value_type>>
load(std::shared_ptr<State> self, Key kept, Load loader, load_options options, load_mode mode) {
    const auto& query = query_of(kept);
    load_request<State, std::remove_cvref_t<decltype(query)>, Load> request(*self, query, loader, options,
                                                                            mode);
    for (;;) {
        flight_caller<typename State::group> caller(*self, co_await asio::this_coro::executor);
        caller.enter(request);
        if (caller.has_to_wait()) {
            co_await caller.wait();
        }
        if (!caller.withdrawn()) {
            co_return request.result(caller.flight(), caller.started());
        }
    }
}

/// The whole way: a hit returns from here, in one frame and without suspending.
template <class State, class Key, class Load>
asio::awaitable<lookup_result<typename State::value_type>> lookup(state_ref<State> where, Key kept,
                                                                  Load loader, load_options options) {
    std::optional<lookup_result<typename State::value_type>> found;
    if constexpr (State::store_type::answers_locally) {
        const read_section reading;
        State* const state = where.find();
        if (state != nullptr && state->board.admits(false)) {
            (void)state->hit(query_of(kept), [&](auto&& value, time_point created) {
                found.emplace(lookup_result<typename State::value_type>{
                    std::forward<decltype(value)>(value), lookup_source::hit, State::age(created)});
            });
        }
    }
    if (found) {
        co_return std::move(*found);
    }
    co_return co_await load(where.lock(), std::move(kept), std::move(loader), options, load_mode{});
}

/// In place of `load_options` where none were given: a hit then has none to copy into its frame.
struct no_load_options {
    operator load_options() const noexcept { return {}; }
};

/// The same for those who want the value alone.
template <class State, class Key, class Load, class Options>
asio::awaitable<typename State::value_type> get_or_load(state_ref<State> where, Key kept, Load loader,
                                                        Options options) {
    if (auto value = hit(where, query_of(kept))) {
        co_return std::move(*value);
    }
    // As `load`, but in this frame: the frames of those who wait are what a herd costs most.
    const auto self = where.lock();
    const auto& query = query_of(kept);
    load_request<State, std::remove_cvref_t<decltype(query)>, Load> request(*self, query, loader, options,
                                                                            load_mode{});
    for (;;) {
        flight_caller<typename State::group> caller(*self, co_await asio::this_coro::executor);
        caller.enter(request);
        if (caller.has_to_wait()) {
            co_await caller.wait();
        }
        if (!caller.withdrawn()) {
            co_return request.value(caller.flight());
        }
    }
}

/// Loads whatever is stored.
template <class State, class Key, class Load>
asio::awaitable<typename State::value_type> refresh(state_ref<State> where, Key kept, Load loader,
                                                    load_options options) {
    auto result = co_await load(where.lock(), std::move(kept), std::move(loader), options,
                                load_mode{.reads = false, .replaces = true, .counts = false});
    co_return std::move(result.value);
}

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
