// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CACHE_BATCH_HPP
#define ACACHE_DETAIL_CACHE_BATCH_HPP

#include <acache/clock.hpp>
#include <acache/detail/batch_load.hpp>
#include <acache/detail/cache_state.hpp>
#include <acache/detail/serving.hpp>
#include <acache/entry.hpp>
#include <acache/error.hpp>
#include <acache/observer.hpp>
#include <acache/options.hpp>

#include <boost/asio/awaitable.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// What one key of a bulk operation asks of the flights. `Batch` has `add(make, counts)`, which gives the
/// job, and the `options()` of who asks.
template <class State, class Batch>
class batch_request : public flight_request {
public:
    using K = typename State::key_type;
    using V = typename State::value_type;
    using flight_type = typename State::flight_type;

    /// A key that cannot be hashed fails alone, when it is entered. `counted` says that the look-up counts no
    /// more, `drawn` what it does for `serve`.
    batch_request(State& self, Batch& batch, const K& key, bool counted = false, bool drawn = false)
        : self_(&self), batch_(&batch), key_(&key), counted_(counted), drawn_(drawn) {}

    /// Asked for once.
    [[nodiscard]] std::size_t hash() {
        hash_ = self_->stored().hash(*key_);
        return hash_;
    }
    [[nodiscard]] const K& query() const noexcept { return *key_; }

    [[nodiscard]] bool may_answer() const noexcept { return may_serve(*self_, batch_->options()); }
    [[nodiscard]] bool replaces(const flight_type& flight) const noexcept {
        return batch_->too_old(flight.begun);
    }

    [[nodiscard]] bool found(const flight_type* flight) {
        auto there = stored_here(*self_, *key_, hash_, flight);
        const auto use = there ? serve(*self_, *there, hash_, batch_->options(), drawn_) : serving{};
        if (!use.answers) {
            error_ = recall(*self_, *key_, batch_->options(), there);
        }
        found_ = std::move(there);
        stale_ = use.stale || !use.answers;
        renews_ = use.renews;
        return found_ || error_;
    }
    /// Its flight is one of the batch, which sends it and keeps it.
    [[nodiscard]] bool renews() const noexcept { return renews_; }

    template <class Make>
    [[nodiscard]] auto add(Make make) {
        if (found_) {
            auto older = std::make_unique<entry<V>>(*found_);
            const auto make_renewal = [&](const auto& job) {
                auto flight = make(job);
                flight->older = std::move(older);
                flight->renews = true;
                flight->early = !stale_;
                return flight;
            };
            return batch_->add(make_renewal, false);
        }
        const bool counts = !counted_;
        const auto make_counted = [&](const auto& job) {
            auto flight = make(job);
            flight->counted = State::synchronous || !counts;
            return flight;
        };
        auto flight = batch_->add(make_counted, counts);
        counted_ = counted_ || !State::synchronous; // by the batch, when the backend has answered
        return flight;
    }
    void answered() {
        if (count(found_ && stale_ ? counter::stale_hits : counter::hits)) {
            self_->count(counter::negative_hits, error_ ? 1 : 0);
        }
    }
    void added() {
        if constexpr (State::synchronous) {
            count(counter::misses);
        }
    }
    void joined() {
        joined_ = true;
        seen_ = self_->tags().now();
        count(counter::coalesced);
    }
    void launch(flight_type&) { batch_->launch(); }
    /// The answer that `found` found. Throws the error that is remembered.
    [[nodiscard]] V& found_value() {
        if (error_) {
            std::rethrow_exception(error_);
        }
        return found_->value;
    }
    /// The request has neither found an answer nor a flight to wait for.
    void fail(std::exception_ptr error) { error_ = std::move(error); }

    /// The same request once more, when the flight that it has joined will not do.
    [[nodiscard]] batch_request anew() const { return batch_request(*self_, *batch_, *key_, true); }
    [[nodiscard]] bool satisfied(const flight_type* flight) const {
        return flight == nullptr || !joined_ || will_do(*self_, *flight, batch_->options(), seen_);
    }
    /// What the caller gets of its flight, which has ended; null where there is none. A value that cannot be
    /// copied is an error of its key.
    [[nodiscard]] load_result<V> result(flight_type* flight) {
        try {
            if (flight != nullptr && flight->outcome.error) {
                found_ = better_than_error(*self_, *key_, *flight, batch_->options());
                error_ = found_ ? nullptr : flight->outcome.error;
            } else if (flight != nullptr) {
                return load_result<V>(boost::system::in_place_value, *flight->outcome.value);
            }
            if (error_) {
                return load_result<V>(boost::system::in_place_error, error_);
            }
            return load_result<V>(boost::system::in_place_value, std::move(found_value()));
        } catch (...) {
            return load_result<V>(boost::system::in_place_error, std::current_exception());
        }
    }

private:
    /// Whether the look-up was not counted yet.
    bool count(counter as) {
        const bool counts = !std::exchange(counted_, true);
        if (counts) {
            self_->looked_up(as, *key_);
        }
        return counts;
    }

    State* self_;
    Batch* batch_;
    const K* key_;
    std::size_t hash_ = 0;
    std::optional<entry<V>> found_;
    std::exception_ptr error_;
    /// When it joined a flight, in the order of invalidations.
    tag_stamp seen_ = 0;
    bool joined_ = false;
    bool counted_;
    bool drawn_;
    bool stale_ = false;
    bool renews_ = false;
};

/// A batch function that more than one batch of an operation may call.
template <class Fn>
struct shared_batch_function {
    std::shared_ptr<Fn> fn;

    template <class Keys>
        requires std::invocable<Fn&, Keys>
    auto operator()(Keys&& keys) {
        return std::invoke(*fn, std::forward<Keys>(keys));
    }
};

/// The batches of a single bulk operation: one, and one more for each time that a flight which it has joined
/// brings a value that will not do.
template <class State, class Fn>
class bulk_batch {
    using function = shared_batch_function<Fn>;

public:
    bulk_batch(State& self, Fn fn, const load_options& options)
        : self_(self), fn_{std::make_shared<Fn>(std::move(fn))}, options_(options),
          begun_(options.max_age ? State::clock_type::now() : time_point{}) {}

    [[nodiscard]] const load_options& options() const noexcept { return options_; }
    /// Whether a load that began then will not do. Those of the operation's own always do.
    [[nodiscard]] bool too_old(time_point load_begun) const noexcept {
        return options_.max_age && is_older(begun_ - load_begun, *options_.max_age);
    }

    template <class Make>
    [[nodiscard]] auto add(Make make, bool counts) {
        if (!job_) {
            tally_ = make_batch_tally(self_);
            job_ = self_.template make_job<batch_load<State, function>>(options_.load_timeout, nullptr, fn_,
                                                                        options_, tally_);
        }
        auto flight = make(job_);
        if (tally_ && counts) {
            tally_->add();
        }
        return flight;
    }

    void launch() {
        tally_ = nullptr; // the job's from now on
        if (const auto job = std::exchange(job_, nullptr)) {
            job->board().submit(*job);
        }
    }

private:
    State& self_;
    const function fn_;
    const load_options& options_;
    const time_point begun_;
    typename State::job_ptr job_;
    batch_tally_ptr<State> tally_;
};

/// As `flight_group::join_all`, but requests whose flights will not do are entered anew.
template <class State, class Request, class Batch>
asio::awaitable<std::vector<typename State::flight_ptr>>
join_all_anew(std::shared_ptr<State> self, std::vector<Request>& requests, Batch& batch,
              const void* owner = nullptr) {
    auto flights = co_await State::join_all(self, requests, batch, owner);
    for (;;) {
        std::vector<std::size_t> places;
        std::vector<Request> again;
        for (std::size_t i = 0; i != requests.size(); ++i) {
            if (!requests[i].satisfied(flights[i].get())) {
                places.push_back(i);
                again.push_back(requests[i].anew());
            }
        }
        if (again.empty()) {
            co_return flights;
        }
        auto next = co_await State::join_all(self, again, batch, owner);
        for (std::size_t i = 0; i != places.size(); ++i) {
            requests[places[i]] = std::move(again[i]);
            flights[places[i]] = std::move(next[i]);
        }
    }
}

/// Values that will do, flights under way and one batch for the rest, gathered in one map. What is to be
/// renewed is in that batch too, which so may go on when the map is complete.
template <class Map, class State, class Fn>
asio::awaitable<Map> get_many_or_load(std::shared_ptr<State> self, std::vector<typename State::key_type> keys,
                                      Fn fn, load_options options) {
    using K = typename State::key_type;
    bulk_batch<State, Fn> batch(*self, std::move(fn), options);
    std::vector<batch_request<State, bulk_batch<State, Fn>>> requests;
    requests.reserve(keys.size());
    for (const K& key : keys) {
        requests.emplace_back(*self, batch, key);
    }
    const auto flights = co_await join_all_anew(self, requests, batch);
    Map result;
    for (std::size_t i = 0; i != requests.size(); ++i) {
        result.emplace(requests[i].query(), requests[i].result(flights[i].get()));
    }
    co_return result;
}

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
