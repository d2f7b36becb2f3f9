// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CACHE_BATCH_HPP
#define ACACHE_DETAIL_CACHE_BATCH_HPP

#include <acache/detail/batch_load.hpp>
#include <acache/detail/cache_state.hpp>
#include <acache/entry.hpp>
#include <acache/error.hpp>
#include <acache/observer.hpp>
#include <acache/options.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// What one key of a bulk operation asks of the flights. `Batch` has `add(make)`, which gives the job.
template <class State, class Batch>
class batch_request : public flight_request {
public:
    using K = typename State::key_type;
    using V = typename State::value_type;

    /// A key that cannot be hashed fails alone, when it is entered. `counted` says that the look-up counts no
    /// more.
    batch_request(State& self, Batch& batch, const K& key, bool counted = false)
        : self_(&self), batch_(&batch), key_(&key), counted_(counted) {}

    /// Asked for once.
    [[nodiscard]] std::size_t hash() {
        hash_ = self_->stored().hash(*key_);
        return hash_;
    }
    [[nodiscard]] const K& query() const noexcept { return *key_; }

    [[nodiscard]] bool found(const typename State::flight_type*) {
        if constexpr (State::store_type::answers_locally) {
            if (self_->keeps()) {
                found_ = std::move(self_->ask(*key_, hash_).found());
            }
        }
        return found_.has_value();
    }

    template <class Make>
    [[nodiscard]] auto add(Make make) {
        return batch_->add(std::move(make));
    }
    void answered() { count<events::hit>(counter::hits); }
    void added() {
        if constexpr (State::synchronous) {
            count<events::miss>(counter::misses);
        }
    }
    void joined() { count<events::join>(counter::coalesced); }
    void launch(typename State::flight_type&) { batch_->launch(); }
    /// The answer that `found` found.
    [[nodiscard]] V& found_value() noexcept { return found_->value; }
    /// The request has neither found an answer nor a flight to wait for.
    void fail(std::exception_ptr error) { error_ = std::move(error); }

    /// What the caller gets. A value that cannot be copied is an error of its key.
    [[nodiscard]] load_result<V> result(const typename State::flight_type* flight) {
        try {
            if (error_ || (flight != nullptr && flight->outcome.error)) {
                return load_result<V>(boost::system::in_place_error, error_ ? error_ : flight->outcome.error);
            }
            if (flight != nullptr) {
                return load_result<V>(boost::system::in_place_value, *flight->outcome.value);
            }
            return load_result<V>(boost::system::in_place_value, std::move(found_value()));
        } catch (...) {
            return load_result<V>(boost::system::in_place_error, std::current_exception());
        }
    }

private:
    template <template <class> class Event>
    void count(counter c) {
        if (!std::exchange(counted_, true)) {
            self_->count(c);
            self_->template tell<Event>(*key_);
        }
    }

    State* self_;
    Batch* batch_;
    const K* key_;
    std::size_t hash_ = 0;
    std::optional<entry<V>> found_;
    std::exception_ptr error_;
    bool counted_;
};

/// A batch of a single bulk operation.
template <class State, class Fn>
class bulk_batch {
public:
    bulk_batch(State& self, Fn& fn, load_options options) : self_(self), fn_(fn), options_(options) {}

    template <class Make>
    [[nodiscard]] auto add(Make make) {
        if (!job_) {
            tally_ = make_batch_tally(self_);
            job_ = self_.template make_job<batch_load<State, Fn>>(options_.load_timeout, nullptr,
                                                                  std::move(fn_), options_, tally_);
        }
        auto flight = make(job_);
        if (tally_) {
            tally_->add();
        }
        return flight;
    }

    void launch() {
        tally_ = nullptr; // the job's from now on
        if (job_) {
            job_->board().submit(*job_);
        }
    }

private:
    State& self_;
    Fn& fn_;
    const load_options options_;
    typename State::job_ptr job_;
    batch_tally_ptr<State> tally_;
};

/// Fresh values, flights under way and one batch for the rest, gathered in one map.
template <class Map, class State, class Fn>
asio::awaitable<Map> get_many_or_load(std::shared_ptr<State> self, std::vector<typename State::key_type> keys,
                                      Fn fn, load_options options) {
    using K = typename State::key_type;
    bulk_batch<State, Fn> batch(*self, fn, options);
    std::vector<batch_request<State, bulk_batch<State, Fn>>> requests;
    requests.reserve(keys.size());
    for (const K& key : keys) {
        requests.emplace_back(*self, batch, key);
    }
    const auto flights = co_await State::join_all(self, requests, batch);
    Map result;
    for (std::size_t i = 0; i != requests.size(); ++i) {
        result.emplace(requests[i].query(), requests[i].result(flights[i].get()));
    }
    co_return result;
}

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
