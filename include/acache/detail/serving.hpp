// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_SERVING_HPP
#define ACACHE_DETAIL_SERVING_HPP

#include <acache/detail/cache_load.hpp>
#include <acache/detail/counters.hpp>
#include <acache/detail/standing.hpp>
#include <acache/entry.hpp>
#include <acache/options.hpp>

#include <boost/system/system_error.hpp>

#include <cstddef>
#include <exception>
#include <optional>

namespace acache::detail {

/// What a reader with a load of his own does with an entry that he has found.
struct serving {
    /// It is his answer.
    bool answers = false;
    /// It is past its freshness.
    bool stale = false;
    /// It is to be renewed in the background.
    bool renews = false;
};

/// `drawn` says that the draw of `early_refresh` has been made for this look-up, and that it was this entry
/// that kept it from being a hit, if it is near its end.
template <class State>
[[nodiscard]] serving serve(State& self, const entry<typename State::value_type>& there, std::size_t hash,
                            const load_options& options, bool drawn = false) {
    const auto is = self.judge(there, self.freshness.demand_of(options));
    if (is == standing::fresh) {
        const auto due = [&] {
            const auto now = State::clock_type::now();
            const auto* details = there.details.get();
            return drawn ? self.freshness.may_be_due(now, there.fresh_until, details)
                         : self.freshness.is_due(now, there.fresh_until, details);
        };
        return {true, false, self.freshness.renews_early() && due() && !self.held_back(hash)};
    }
    if (is < standing::if_error) {
        return {};
    }
    const bool held_back = self.held_back(hash); // a load has failed only just now
    return {is == standing::revalidate || held_back, true, !held_back};
}

/// Whether a look-up may have its answer from the store although a load of its key is under way.
template <class State>
[[nodiscard]] bool may_serve(const State& self, const load_options& options) noexcept {
    return self.keeps_stale(options) || options.max_age;
}

/// What can be told without suspending of what is stored, usable or not; `flight` is the key's, or null.
template <class State, class Query>
[[nodiscard]] std::optional<entry<typename State::value_type>>
stored_here(State& self, const Query& query, std::size_t hash, const typename State::flight_type* flight) {
    std::optional<entry<typename State::value_type>> there;
    if constexpr (State::store_type::answers_locally) {
        if (self.keeps()) {
            there = std::move(self.stored().ask(query, hash).found());
        }
    }
    if (!there && flight != nullptr && flight->older) {
        there = *flight->older;
    }
    return there;
}

/// A value that is better than nothing for a reader, stale or not; empty if there is none. `flight` is the
/// reader's, which may be under way.
template <class State, class Query>
[[nodiscard]] std::optional<entry<typename State::value_type>>
second_best(State& self, const Query& query, typename State::flight_type& flight,
            const load_options& options) {
    auto there = stored_here(self, query, flight.hash, nullptr);
    if (!there) {
        there = self.copy_older(flight);
    }
    if (there && self.judge(*there, self.freshness.demand_of(options)) < standing::if_error) {
        there.reset();
    }
    return there;
}

/// The same in place of the error of a flight that has ended with one, where that may be, and counted.
template <class State, class Query>
[[nodiscard]] std::optional<entry<typename State::value_type>>
better_than_error(State& self, const Query& query, typename State::flight_type& flight,
                  const load_options& options) {
    std::optional<entry<typename State::value_type>> there;
    if (self.freshness.windows(options).longest().count() > 0 && is_outage(flight.outcome.error)) {
        there = second_best(self, query, flight, options);
        self.count(counter::stale_on_error, there ? 1 : 0);
    }
    return there;
}

/// Whether a flight of a job that was cancelled ended since its time was up: that is a failure, and no
/// cancellation that anybody has asked for (contract C21).
template <class State>
[[nodiscard]] bool timed_out(const typename State::flight_type& flight) {
    if (!State::ended(flight) || !flight.outcome.error) {
        return false;
    }
    try {
        std::rethrow_exception(flight.outcome.error);
    } catch (const boost::system::system_error& e) {
        return e.code() == errc::load_timeout;
    } catch (...) {
        return false;
    }
}

} // namespace acache::detail

#endif
