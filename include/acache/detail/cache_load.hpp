// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CACHE_LOAD_HPP
#define ACACHE_DETAIL_CACHE_LOAD_HPP

#include <acache/detail/cache_state.hpp>
#include <acache/detail/flight_caller.hpp>
#include <acache/detail/keys.hpp>
#include <acache/detail/serving.hpp>
#include <acache/detail/single_load.hpp>
#include <acache/entry.hpp>
#include <acache/error.hpp>
#include <acache/lookup_result.hpp>
#include <acache/observer.hpp>
#include <acache/options.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// Where a value was: at its source, or in the backend, whoever looked; told by that without suspending, or
/// not.
enum class found_in : std::uint8_t { source, backend, local };

/// What `lookup_result` tells, in less space: that of a wrapped call would be in the frame of each caller.
template <class V>
struct found_value {
    V value;
    lookup_source source;
    found_in where;
    std::chrono::nanoseconds age;

    template <class State>
    [[nodiscard]] std::string_view tier() const noexcept {
        return where == found_in::source  ? source_tier
               : where == found_in::local ? State::local_tier
                                          : State::tier;
    }
};

/// What a caller with a loader of its own asks of the flights.
template <class State, class Query, class Load>
class load_request : public flight_request {
public:
    using V = typename State::value_type;

    /// What is given by reference outlives the request, which stands in the frames of those who wait.
    /// `listener`, which may be null, hears of the end of a flight that is made for this request.
    load_request(State& self, const Query& query, Load& load, const load_options& options, load_mode mode,
                 std::shared_ptr<flight_listener> listener = nullptr)
        : self_(self), query_(query), load_(load), options_(options), mode_(mode),
          listener_(std::move(listener)), hash_(self.stored().hash(query)) {}

    [[nodiscard]] std::size_t hash() const noexcept { return hash_; }
    [[nodiscard]] const Query& query() const noexcept { return query_; }
    [[nodiscard]] bool may_answer() const noexcept { return !mode_.replaces && may_serve(self_, options_); }
    [[nodiscard]] bool replaces(const typename State::flight_type& flight) const noexcept {
        return mode_.replaces ||
               (options_.max_age && is_older(State::clock_type::now() - flight.begun, *options_.max_age));
    }

    [[nodiscard]] bool found(const typename State::flight_type* flight) {
        if (mode_.replaces) {
            return false;
        }
        auto there = stored_here(self_, query_, hash_, flight, &local_);
        // Near its end it would have been a hit, but for the draw.
        constexpr bool drawn = State::store_type::answers_locally;
        const auto use = there ? serve(self_, *there, hash_, options_, drawn, mode_.serves_stale) : serving{};
        if (!use.answers) {
            failure_ = recall(self_, query_, options_, there, mode_.serves_stale);
        }
        found_ = std::move(there);
        stale_ = use.stale || !use.answers;
        renews_ = use.renews;
        return found_ || failure_;
    }
    /// The remembered failure that is the answer; null where it is another.
    [[nodiscard]] const std::exception_ptr& failure() const noexcept { return failure_; }
    [[nodiscard]] bool renews() const noexcept { return renews_ && mode_.serves_stale; }
    void keep_renewal(typename State::flight_ptr flight) noexcept { renewal_ = std::move(flight); }
    /// By a post: who gets the stale value does not wait even for the first steps of the load.
    void launch_renewal() {
        if (renewal_) {
            renewal_->job->board().submit(*renewal_->job, load_job::launch::posted);
        }
    }

    template <class Make>
    [[nodiscard]] auto add(Make make) {
        using body = single_load<State, Load>;
        auto mode = mode_;
        if (found_) { // to be renewed
            mode = load_mode{.reads = false, .counts = false, .renews = found_->created, .early = !stale_};
        }
        auto flight =
            make(self_.template make_job<body>(options_.load_timeout, nullptr, std::move(load_), options_,
                                               mode, lookup_tally<State>(self_, mode.counts && !joined_)));
        flight->listener = std::move(listener_);
        flight->renews = mode.renews.has_value();
        flight->looking = State::leases;
        return flight;
    }

    void joined() {
        seen_ = self_.tags().now();
        if (!std::exchange(joined_, true)) {
            count(counter::coalesced);
        }
    }
    static void launch(typename State::flight_type& flight) { flight.job->board().submit(*flight.job); }

    /// What the caller gets of its flight, which has ended; null where there was an answer without one.
    [[nodiscard]] found_value<V> result(typename State::flight_type* flight, bool started) {
        using enum lookup_source;
        V brought = value(flight);
        if (found_) {
            return {std::move(brought), stale_ ? stale : hit, local_ ? found_in::local : found_in::backend,
                    State::age(found_->created)};
        }
        const auto& outcome = flight->outcome;
        const auto source = outcome.stale ? stale : !started ? joined_flight : outcome.found ? hit : loaded;
        return {std::move(brought), source, outcome.found ? found_in::backend : found_in::source,
                State::age(outcome.created)};
    }
    /// Whether there is a stale value for a caller who has waited long enough; then that is the answer, and
    /// it has no flight any more.
    [[nodiscard]] bool outlasted(typename State::flight_type& flight) {
        take(second_best(self_, query_, flight, options_, &local_));
        late_ = found_.has_value();
        self_.count(counter::soft_timeouts, late_ ? 1 : 0);
        return late_;
    }
    [[nodiscard]] bool satisfied(const typename State::flight_type* flight, bool started) const {
        // Its own has judged by its options, and has its loader.
        return flight == nullptr || started || will_do(self_, *flight, options_, seen_);
    }
    /// The flight was refused before it could look in an asynchronous backend, where there may be a value
    /// that is better than the error.
    [[nodiscard]] bool is_refused(const typename State::flight_type* flight) const {
        return flight != nullptr && !mode_.replaces && self_.freshness.windows(options_).serve() &&
               ended_with<State>(*flight, errc::overloaded);
    }
    asio::awaitable<void> look_past(const typename State::flight_type& refused) {
        if (!self_.stored().erasures.idle()) {
            co_await wait_for_erasures(self_, refused.hash);
        }
        auto there = co_await read_any(self_, refused.key);
        if (there && self_.judge(*there, self_.freshness.demand_of(options_)) >= standing::if_error) {
            take(std::move(there));
            local_ = false;
            self_.count(counter::stale_on_error);
        }
    }
    [[nodiscard]] V value(typename State::flight_type* flight) {
        if (flight != nullptr) {
            if (flight->outcome.error && !mode_.replaces && !found_) {
                take(better_than_error(self_, query_, *flight, options_, &local_));
            }
            if (!found_) {
                return flight->outcome.get();
            }
        } else if (!joined_ && !late_) {
            count(!failure_ && stale_ ? counter::stale_hits : counter::hits);
            self_.count(counter::negative_hits, failure_ && mode_.counts ? 1 : 0);
        }
        if (failure_) {
            std::rethrow_exception(failure_);
        }
        return std::move(found_->value);
    }

private:
    static constexpr auto joined_flight = lookup_source::joined;

    /// An answer in place of what a flight brings. It may be fresh: a `set` has come meanwhile.
    void take(std::optional<entry<V>> there) {
        found_ = std::move(there);
        stale_ = found_ && self_.judge(*found_, self_.freshness.demand_of(options_)) != standing::fresh;
    }

    void count(counter as) {
        if (mode_.counts) {
            self_.looked_up(as, query_);
        }
    }

    State& self_;
    const Query& query_;
    Load& load_;
    const load_options& options_;
    const load_mode mode_;
    std::shared_ptr<flight_listener> listener_;
    const std::size_t hash_;
    /// The answer that needs no load.
    std::optional<entry<V>> found_;
    std::exception_ptr failure_;
    bool stale_ = false;
    bool late_ = false;
    bool renews_ = false;
    /// The answer was told without suspending.
    bool local_ = false;
    typename State::flight_ptr renewal_;
    /// When it joined a flight, in the order of invalidations.
    tag_stamp seen_ = 0;
    bool joined_ = false;
};

/// As `load`, for callers who rather have a stale value than wait so long. In a frame of its own, as others
/// need no deadline in theirs; what is given by reference is in the frame of who awaits it.
template <class State, class Query, class Load>
asio::awaitable<found_value<typename State::value_type>>
load_softly(State& self, const Query& query, Load& loader, const load_options& options, load_mode mode,
            std::chrono::nanoseconds patience) {
    load_request<State, Query, Load> request(self, query, loader, options, mode);
    for (;;) {
        flight_caller<typename State::group> caller(self, co_await asio::this_coro::executor);
        caller.enter(request);
        if (caller.has_to_wait()) {
            {
                const auto deadline = caller.deadline(patience);
                co_await caller.wait();
            }
            if (!caller.over()) {
                if (request.outlasted(caller.waits_for())) {
                    caller.let_go_on();
                    co_return request.result(nullptr, caller.started());
                }
                co_await caller.wait();
            }
        }
        if constexpr (!State::synchronous) {
            if (request.is_refused(caller.flight())) {
                co_await request.look_past(*caller.flight());
            }
        }
        if (!caller.withdrawn() && request.satisfied(caller.flight(), caller.started())) {
            co_return request.result(caller.flight(), caller.started());
        }
    }
}

/// The way past the store: joins the key's flight or starts one.
template <class State, class Key, class Load>
asio::awaitable<found_value<typename State::value_type>>
load(std::shared_ptr<State> self, Key kept, Load loader, load_options options, load_mode mode) {
    const auto& query = query_of(kept);
    if (const auto patience = self->freshness.soft_timeout(options); patience && !mode.replaces) {
        co_return co_await load_softly(*self, query, loader, options, mode, *patience);
    }
    load_request<State, std::remove_cvref_t<decltype(query)>, Load> request(*self, query, loader, options,
                                                                            mode);
    for (;;) {
        flight_caller<typename State::group> caller(*self, co_await asio::this_coro::executor);
        caller.enter(request);
        if (caller.has_to_wait()) {
            co_await caller.wait();
        }
        if constexpr (!State::synchronous) {
            if (request.is_refused(caller.flight())) {
                co_await request.look_past(*caller.flight());
            }
        }
        if (!caller.withdrawn() && request.satisfied(caller.flight(), caller.started())) {
            co_return request.result(caller.flight(), caller.started());
        }
    }
}

/// The whole way: a hit returns from here, in one frame and without suspending.
template <class State, class Key, class Load>
asio::awaitable<lookup_result<typename State::value_type>> lookup(state_ref<State> where, Key kept,
                                                                  Load loader, load_options options) {
    time_point created{};
    if (auto value = hit(where, query_of(kept), options.max_age, &created)) {
        co_return lookup_result<typename State::value_type>{std::move(*value), lookup_source::hit,
                                                            State::age(created), State::local_tier};
    }
    auto found = co_await load(where.lock(), std::move(kept), std::move(loader), options, load_mode{});
    co_return lookup_result<typename State::value_type>{std::move(found.value), found.source, found.age,
                                                        found.template tier<State>()};
}

/// In place of `load_options` where none were given: a hit then has none to copy into its frame.
struct no_load_options {
    static constexpr std::nullopt_t max_age = std::nullopt;
    operator const load_options&() const noexcept {
        static constexpr load_options none;
        return none;
    }
};

/// The same for those who want the value alone.
template <class State, class Key, class Load, class Options>
asio::awaitable<typename State::value_type> get_or_load(state_ref<State> where, Key kept, Load loader,
                                                        Options options) {
    if (auto value = hit(where, query_of(kept), options.max_age)) {
        co_return std::move(*value);
    }
    const auto self = where.lock();
    const auto& query = query_of(kept);
    if (const auto patience = self->freshness.soft_timeout(options)) {
        auto result = co_await load_softly(*self, query, loader, options, load_mode{}, *patience);
        co_return std::move(result.value);
    }
    // As `load`, but in this frame: the frames of those who wait are what a herd costs most.
    load_request<State, std::remove_cvref_t<decltype(query)>, Load> request(*self, query, loader, options,
                                                                            load_mode{});
    for (;;) {
        flight_caller<typename State::group> caller(*self, co_await asio::this_coro::executor);
        caller.enter(request);
        if (caller.has_to_wait()) {
            co_await caller.wait();
        }
        if constexpr (!State::synchronous) {
            if (request.is_refused(caller.flight())) {
                co_await request.look_past(*caller.flight());
            }
        }
        if (!caller.withdrawn() && request.satisfied(caller.flight(), caller.started())) {
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
