// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_SERVING_HPP
#define ACACHE_DETAIL_SERVING_HPP

#include <acache/detail/counters.hpp>
#include <acache/detail/failed_load.hpp>
#include <acache/detail/flight_request.hpp>
#include <acache/detail/standing.hpp>
#include <acache/entry.hpp>
#include <acache/error.hpp>
#include <acache/options.hpp>

#include <boost/system/system_error.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

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
                            const load_options& options, bool drawn = false, bool serves_stale = true) {
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
    if (is < standing::if_error || !serves_stale) {
        return {};
    }
    const bool held_back = self.held_back(hash); // a load has failed only just now
    const bool revalidates = is == standing::revalidate;
    return {revalidates || held_back, true, revalidates && !held_back};
}

/// Whether a look-up may have its answer from the store although a load of its key is under way.
template <class State>
[[nodiscard]] bool may_serve(const State& self, const load_options& options) noexcept {
    return self.keeps_stale(options) || options.max_age || !self.failures.empty();
}

/// What can be told without suspending of what is stored, usable or not; `flight` is the key's, or null.
/// `local` says that the backend told it, and it is not what a flight has found.
template <class State, class Query>
[[nodiscard]] std::optional<entry<typename State::value_type>>
stored_here(State& self, const Query& query, std::size_t hash, const typename State::flight_type* flight,
            bool* local = nullptr) {
    std::optional<entry<typename State::value_type>> there;
    if constexpr (State::store_type::answers_locally) {
        if (self.keeps()) {
            there = std::move(self.stored().ask(query, hash).found());
        }
        if (local != nullptr) {
            *local = there.has_value();
        }
    }
    if (!there && flight != nullptr && flight->older) {
        there = *flight->older;
    }
    return there;
}

/// A value that is better than nothing for a reader, stale or not; empty if there is none. `flight` is the
/// reader's, which may be under way; `local` as above.
template <class State, class Query>
[[nodiscard]] std::optional<entry<typename State::value_type>>
second_best(State& self, const Query& query, typename State::flight_type& flight, const load_options& options,
            bool* local = nullptr) {
    auto there = stored_here(self, query, flight.hash, nullptr, local);
    if (!there) {
        there = self.copy_older(flight);
    }
    if (there && self.judge(*there, self.freshness.demand_of(options)) < standing::if_error) {
        there.reset();
    }
    return there;
}

/// The failure that is remembered of a key, whose value, if it has one, is no answer by itself. Where `there`
/// is not empty after that, it is the answer: a stale value may take the place of an error.
template <class State, class Query>
[[nodiscard]] std::exception_ptr recall(State& self, const Query& query, const load_options& options,
                                        std::optional<entry<typename State::value_type>>& there,
                                        bool serves_stale = true) {
    auto remembered = self.failures.find(query, options.max_age);
    const bool may_stand_in =
        remembered && !remembered->is_answer && serves_stale && self.freshness.windows(options).serve();
    if (!may_stand_in ||
        (there && self.judge(*there, self.freshness.demand_of(options)) < standing::if_error)) {
        there.reset();
    }
    // Over an asynchronous backend a flight is to look for a stale value first.
    const bool is_told = remembered && !there && (State::synchronous || !may_stand_in);
    return is_told ? std::move(remembered->error) : nullptr;
}

/// As `second_best`, in place of the error of a flight that has ended with one, where that may be; counted.
template <class State, class Query>
[[nodiscard]] std::optional<entry<typename State::value_type>>
better_than_error(State& self, const Query& query, typename State::flight_type& flight,
                  const load_options& options, bool* local = nullptr) {
    std::optional<entry<typename State::value_type>> there;
    if (self.freshness.windows(options).serve() && is_outage(flight.outcome.error)) {
        there = second_best(self, query, flight, options, local);
        self.count(counter::stale_on_error, there ? 1 : 0);
    }
    return there;
}

/// Whether what a flight has brought that somebody else began will do for a caller who had `seen` so much of
/// the invalidations of tags when he joined it. It may have found a value in the backend that is too old or
/// too stale for him, or have begun before a tag was invalidated and he came (contract C15).
template <class State>
[[nodiscard]] bool will_do(State& self, const typename State::flight_type& flight,
                           const load_options& options, tag_stamp seen) {
    const auto& outcome = flight.outcome;
    if (outcome.found && options.max_age && State::age(outcome.created) > *options.max_age) {
        return false;
    }
    if (outcome.stale) {
        const auto windows = self.freshness.windows(options);
        const auto stale_for = State::clock_type::now() - outcome.fresh_until;
        if (stale_for >= windows.while_revalidate &&
            (stale_for >= windows.if_error || !self.held_back(flight.hash))) {
            return false;
        }
    }
    return !(outcome.details && outcome.details->invalidated_before(seen));
}

/// Asks for a flight of a job's own, to renew what another flight of it has found in the backend, in the
/// place of that one. There is none where that was fenced meanwhile: what it has found may be gone then, and
/// is for nobody who comes later.
template <class State>
class renewal : public flight_request {
public:
    renewal(typename State::job& runs, const typename State::flight_type& found,
            std::unique_ptr<entry<typename State::value_type>> older, bool early)
        : runs_(runs), found_(found), older_(std::move(older)), early_(early) {}

    [[nodiscard]] std::size_t hash() const noexcept { return found_.hash; }
    [[nodiscard]] const typename State::key_type& query() const noexcept { return found_.key; }
    [[nodiscard]] static bool found(const typename State::flight_type* flight) noexcept {
        return flight == nullptr;
    }
    [[nodiscard]] bool replaces(const typename State::flight_type& flight) const noexcept {
        return &flight == &found_;
    }
    template <class Make>
    [[nodiscard]] auto add(Make make) {
        auto flight = make(typename State::job_ptr(&runs_));
        flight->older = std::move(older_); // for those who come while it is renewed, too
        flight->renews = true;
        flight->early = early_;
        return flight;
    }

private:
    typename State::job& runs_;
    const typename State::flight_type& found_;
    std::unique_ptr<entry<typename State::value_type>> older_;
    const bool early_;
};

/// The flight that is to renew what `flight` of the job has found; null for none.
template <class State>
[[nodiscard]] typename State::flight_ptr renew(State& self, typename State::job& j,
                                               const typename State::flight_type& flight,
                                               const entry<typename State::value_type>& found, bool early) {
    bool started = false;
    renewal<State> wanted(j, flight, std::make_unique<entry<typename State::value_type>>(found), early);
    auto next = self.join_or_add(wanted, started);
    if (next && !started) {
        self.leave(*next); // somebody else loads already
        return nullptr;
    }
    return next;
}

/// Whether what the backend has for a key, whose entry a load sets out to renew, needs no renewal: somebody
/// else was first. `early` says that the one here is still fresh.
template <class State>
[[nodiscard]] bool renewed_meanwhile(State& self, const entry<typename State::value_type>& found,
                                     bool early) {
    return State::fresh(found) &&
           !(early &&
             self.freshness.may_be_due(State::clock_type::now(), found.fresh_until, found.details.get()));
}

/// Whether a flight has ended with that error.
template <class State>
[[nodiscard]] bool ended_with(const typename State::flight_type& flight, errc code) {
    if (!State::ended(flight) || !flight.outcome.error) {
        return false;
    }
    try {
        std::rethrow_exception(flight.outcome.error);
    } catch (const boost::system::system_error& e) {
        return e.code() == code;
    } catch (...) {
        return false;
    }
}

/// Ends a flight with the failure that is remembered of its key, if there is one, and says as what the
/// look-up counts then: as a stale hit where what the backend had is to take the place of the error.
template <class State>
[[nodiscard]] std::optional<counter> end_by_memory(State& self, typename State::flight_type& flight,
                                                   const load_options& options) {
    const auto remembered = self.failures.find(flight.key, options.max_age);
    if (!remembered) {
        return std::nullopt;
    }
    const bool is_rescued =
        !remembered->is_answer && flight.older &&
        self.judge(*flight.older, self.freshness.demand_of(options)) >= standing::if_error;
    self.count(counter::negative_hits, is_rescued || flight.counted ? 0 : 1);
    typename State::outcome_type outcome;
    outcome.error = remembered->error;
    self.finish(flight, std::move(outcome), [] {});
    return is_rescued ? counter::stale_hits : counter::hits;
}

/// How the load of a flight has ended: what becomes of an error, and whether the key is to be left alone for
/// a while. Nothing where the load was cancelled or its flight has ended meanwhile; and where that was
/// fenced, what it brings tells nothing of what the key is now. Of a `whole` batch that failed, no key is
/// known not to have a value.
template <class State>
[[nodiscard]] failure_fate note_end(State& self, const typename State::job& j,
                                    typename State::flight_type& flight, const std::exception_ptr& error,
                                    const load_options& options, bool whole = false) {
    if (j.cancelled() || State::ended(flight)) {
        return {};
    }
    auto fate = error ? self.fate_of(error, options) : failure_fate{};
    if (whole && fate.is_answer) {
        fate = {};
    }
    if (error && !fate.is_answer) {
        hold_back(self, flight, options);
        return fate;
    }
    const bool may_forget = self.backoff.size() != 0 || !self.failures.empty();
    if (may_forget && self.joinable(flight)) {
        self.backoff.forget(flight.hash);
        if (!error) {
            self.failures.forget(flight.key);
        }
    }
    return fate;
}

} // namespace acache::detail

#endif
