// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_FAILED_LOAD_HPP
#define ACACHE_DETAIL_FAILED_LOAD_HPP

#include <acache/clock.hpp>
#include <acache/detail/counters.hpp>
#include <acache/entry.hpp>
#include <acache/error.hpp>
#include <acache/options.hpp>

#include <boost/system/system_error.hpp>

#include <chrono>
#include <exception>
#include <optional>
#include <utility>

namespace acache::detail {

/// One exception for all, which also makes it cheap to recognise: a batch may have many.
[[nodiscard]] inline const std::exception_ptr& not_found() {
    static const std::exception_ptr shared =
        std::make_exception_ptr(boost::system::system_error(errc::not_found));
    return shared;
}

/// Of what kind the error of a load is.
enum class failure_kind {
    answer,  ///< the source has no value for the key
    own,     ///< the library's own, which says nothing of the source: of a load that waits for itself, say
    trouble, ///< anything else, a load that took too long included
};

[[nodiscard]] inline failure_kind kind_of(const std::exception_ptr& error) {
    if (error == not_found()) {
        return failure_kind::answer;
    }
    try {
        std::rethrow_exception(error);
    } catch (const boost::system::system_error& e) {
        if (e.code() == errc::not_found) {
            return failure_kind::answer;
        }
        const bool is_own = e.code().category() == error_category() && e.code() != errc::load_timeout;
        return is_own ? failure_kind::own : failure_kind::trouble;
    } catch (...) {
        return failure_kind::trouble;
    }
}

/// What a failed load leaves behind.
struct failure_fate {
    /// The key has no value, and what is stored under it goes.
    bool is_answer = false;
    /// It is remembered for so long.
    std::optional<std::chrono::nanoseconds> length = std::nullopt;
    /// What its loader has said: with its tags it is forgotten.
    entry_details_ptr details = nullptr;
};

/// Whether the entry that a load set out to renew is still the one stored (contract C19); true for a load
/// that is no renewal.
template <class State>
[[nodiscard]] bool in_place(State& self, const typename State::flight_type& flight,
                            const std::optional<time_point>& renews) {
    if (!renews) {
        return true;
    }
    const auto there = self.stored().get(flight.key, flight.hash);
    return there && there->created == *renews;
}

/// A load of the key has failed: where stale values are served, they are for a while without another one.
template <class State>
void hold_back(State& self, const typename State::flight_type& flight, const load_options& options) {
    if (self.keeps_stale(options) || flight.renews) {
        self.backoff.failed(flight.hash, State::clock_type::now());
        self.count(counter::refresh_failures, flight.renews ? 1 : 0);
    }
}

/// Ends a flight that has brought an error: removes from a synchronous backend what there is no more, and
/// remembers the error, if it is to be. A flight that was fenced does neither. Whether it had not ended yet.
template <class State>
bool finish_failed(State& self, typename State::flight_type& flight, typename State::outcome_type outcome,
                   const failure_fate& fate, bool is_waking = false,
                   const std::optional<time_point>& renews = std::nullopt) {
    typename State::failures_type::removed displaced;
    [[maybe_unused]] auto erased = [&] {
        if constexpr (State::synchronous) {
            return std::optional<decltype(self.stored().erase(flight.key, flight.hash))>();
        } else {
            return 0;
        }
    }();
    const auto error = outcome.error;
    outcome.details = fate.details;
    std::exception_ptr failure; // to be told with no lock held
    const bool ended = self.finish(
        flight, std::move(outcome),
        [&] {
            try {
                if constexpr (State::synchronous) {
                    if (fate.is_answer) {
                        if (!in_place(self, flight, renews)) {
                            return;
                        }
                        erased.emplace(self.stored().erase(flight.key, flight.hash));
                    }
                }
                self.remember(flight, error, fate, displaced);
            } catch (...) {
                failure = std::current_exception();
            }
        },
        is_waking);
    if (failure) {
        self.backend_failed(failure);
    }
    if constexpr (State::synchronous) {
        self.tell_erased(flight.key, erased && static_cast<bool>(*erased));
    }
    return ended;
}

/// Ends a flight whose outcome was put down, a failure, when it has been seen to what is stored.
template <class State>
void finish_failed_later(State& self, typename State::flight_type& flight, const std::exception_ptr& error,
                         const failure_fate& fate) {
    typename State::failures_type::removed displaced;
    std::exception_ptr failure;
    self.finish_loaded(flight, [&] {
        try {
            self.remember(flight, error, fate, displaced);
        } catch (...) {
            failure = std::current_exception();
        }
    });
    if (failure) {
        self.backend_failed(failure);
    }
}

} // namespace acache::detail

#endif
