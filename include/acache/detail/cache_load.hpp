// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CACHE_LOAD_HPP
#define ACACHE_DETAIL_CACHE_LOAD_HPP

#include <acache/detail/cache_state.hpp>
#include <acache/detail/flight_caller.hpp>
#include <acache/detail/keys.hpp>
#include <acache/detail/single_load.hpp>
#include <acache/entry.hpp>
#include <acache/error.hpp>
#include <acache/lookup_result.hpp>
#include <acache/options.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// Whether a load that ended so tells of trouble at the source, and not of the key, its caller or the cache.
[[nodiscard]] inline bool is_outage(const std::exception_ptr& error) {
    try {
        std::rethrow_exception(error);
    } catch (const boost::system::system_error& e) {
        return e.code() != errc::not_found && e.code() != errc::recursive_load && e.code() != errc::closed;
    } catch (...) {
        return true;
    }
}

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
    [[nodiscard]] bool may_answer() const noexcept {
        return !mode_.replaces && (self_.freshness.renews_early() || options_.max_age ||
                                   self_.freshness.windows(options_).serve());
    }
    [[nodiscard]] bool replaces(const typename State::flight_type& flight) const noexcept {
        return mode_.replaces ||
               (options_.max_age && State::clock_type::now() - flight.begun > *options_.max_age);
    }

    [[nodiscard]] bool found(const typename State::flight_type* flight) {
        if (!mode_.replaces) {
            if (auto there = stored(flight); there && answers(*there)) {
                found_ = std::move(there);
            }
        }
        return found_.has_value();
    }
    [[nodiscard]] bool renews() const noexcept { return renews_; }
    void keep_renewal(typename State::flight_ptr flight) noexcept { renewal_ = std::move(flight); }
    void launch_renewal() {
        if (renewal_) {
            launch(*renewal_);
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
        return flight;
    }

    void joined() {
        seen_ = self_.tags.now();
        if (!std::exchange(joined_, true)) {
            count(counter::coalesced);
        }
    }
    static void launch(typename State::flight_type& flight) { flight.job->board().submit(*flight.job); }

    /// What the caller gets of its flight, which has ended; null where there was an answer without one.
    [[nodiscard]] lookup_result<V> result(const typename State::flight_type* flight, bool started) {
        using enum lookup_source;
        V brought = value(flight);
        if (found_) {
            return {std::move(brought), stale_ ? stale : hit, State::age(found_->created)};
        }
        const auto& outcome = flight->outcome;
        const auto source = outcome.stale ? stale : !started ? joined_flight : outcome.found ? hit : loaded;
        return {std::move(brought), source, State::age(outcome.created)};
    }
    /// Whether there is a stale value for a caller who has waited long enough; then that is the answer, and
    /// it has no flight any more.
    [[nodiscard]] bool outlasted(typename State::flight_type& flight) {
        auto there = stored(nullptr);
        if (!there) {
            there = self_.copy_older(flight);
        }
        if (there && will_do(*there)) {
            late_ = true;
            found_ = std::move(there);
            self_.count(counter::soft_timeouts);
        }
        return late_;
    }
    /// What the flight brought will do. One that somebody else began may have found a value in the backend
    /// that is too old or too stale for this caller, or have begun before a tag was invalidated and this
    /// caller came (contract C15).
    [[nodiscard]] bool satisfied(const typename State::flight_type* flight, bool started) const {
        if (flight == nullptr || started) {
            return true; // its own has judged by its options, and has its loader
        }
        const auto& outcome = flight->outcome;
        if (outcome.found && options_.max_age && State::age(outcome.created) > *options_.max_age) {
            return false;
        }
        if (outcome.stale && !within_windows(outcome.fresh_until)) {
            return false;
        }
        return !(outcome.details && outcome.details->invalidated_before(seen_));
    }
    [[nodiscard]] V value(const typename State::flight_type* flight) {
        if (flight != nullptr) {
            if (!flight->outcome.error || !rescued(*flight)) {
                return flight->outcome.get();
            }
            self_.count(counter::stale_on_error);
        } else if (!joined_ && !late_) {
            count(stale_ ? counter::stale_hits : counter::hits);
        }
        return std::move(found_->value);
    }

private:
    static constexpr auto joined_flight = lookup_source::joined;

    void count(counter c) {
        if (mode_.counts) {
            self_.count(c);
        }
    }

    /// What can be told without suspending of what is stored; `flight` is the key's, or null.
    [[nodiscard]] std::optional<entry<V>> stored(const typename State::flight_type* flight) {
        std::optional<entry<V>> there;
        if constexpr (State::store_type::answers_locally) {
            if (self_.keeps()) {
                there = std::move(self_.stored().ask(query_, hash_).found());
            }
        }
        if (!there && flight != nullptr && flight->older) {
            there = *flight->older;
        }
        return there;
    }

    /// Whether what is stored is the answer, without a load.
    [[nodiscard]] bool answers(const entry<V>& there) {
        switch (self_.judge(there, self_.freshness.demand_of(options_))) {
        case standing::fresh:
            stale_ = false; // as it may have been at an earlier try
            // Near its end it would have been a hit, but for the draw.
            renews_ = self_.freshness.renews_early() &&
                      self_.freshness.may_be_due(State::clock_type::now(), there.fresh_until,
                                                 there.details.get()) &&
                      !self_.held_back(hash_);
            return true;
        case standing::revalidate:
            stale_ = true;
            renews_ = !self_.held_back(hash_);
            return mode_.serves_stale;
        case standing::if_error:
            stale_ = true;
            return mode_.serves_stale && self_.held_back(hash_); // a load has failed only just now
        default:
            return false;
        }
    }

    /// Whether there is a value that is better than the flight's error.
    [[nodiscard]] bool rescued(const typename State::flight_type& flight) {
        if (mode_.replaces || !self_.freshness.windows(options_).serve() ||
            !is_outage(flight.outcome.error)) {
            return false;
        }
        auto there = stored(&flight);
        if (there && will_do(*there)) {
            found_ = std::move(there);
        }
        return found_.has_value();
    }

    /// Whether what is stale since then may be served without a load.
    [[nodiscard]] bool within_windows(time_point fresh_until) const {
        const auto windows = self_.freshness.windows(options_);
        const auto stale_for = State::clock_type::now() - fresh_until;
        return stale_for < windows.while_revalidate ||
               (stale_for < windows.if_error && self_.held_back(hash_));
    }

    /// Whether what is stored is better than an error, or a wait. It may be fresh: a `set` has come
    /// meanwhile.
    [[nodiscard]] bool will_do(const entry<V>& there) {
        const auto is = self_.judge(there, self_.freshness.demand_of(options_));
        stale_ = is == standing::revalidate || is == standing::if_error;
        return is >= standing::if_error;
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
    bool stale_ = false;
    bool late_ = false;
    bool renews_ = false;
    typename State::flight_ptr renewal_;
    /// When it joined a flight, in the order of invalidations.
    tag_stamp seen_ = 0;
    bool joined_ = false;
};

/// As `load`, for callers who rather have a stale value than wait so long. In a frame of its own, as others
/// need no deadline in theirs; what is given by reference is in the frame of who awaits it.
template <class State, class Query, class Load>
asio::awaitable<lookup_result<typename State::value_type>>
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
        if (!caller.withdrawn() && request.satisfied(caller.flight(), caller.started())) {
            co_return request.result(caller.flight(), caller.started());
        }
    }
}

/// The way past the store: joins the key's flight or starts one.
template <class State, class Key, class Load>
asio::awaitable<lookup_result<typename State::value_type>>
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
        if (!caller.withdrawn() && request.satisfied(caller.flight(), caller.started())) {
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
            (void)state->hit(
                query_of(kept),
                [&](auto&& value, time_point created) {
                    found.emplace(lookup_result<typename State::value_type>{
                        std::forward<decltype(value)>(value), lookup_source::hit, State::age(created)});
                },
                options.max_age);
        }
    }
    if (found) {
        co_return std::move(*found);
    }
    co_return co_await load(where.lock(), std::move(kept), std::move(loader), options, load_mode{});
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
