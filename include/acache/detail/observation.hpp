// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_OBSERVATION_HPP
#define ACACHE_DETAIL_OBSERVATION_HPP

#include <acache/observer.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <type_traits>
#include <utility>

namespace acache::detail {

/// The observer of a cache, and how it is called. Empty where nobody listens.
template <class K, class Observer>
class observation {
public:
    /// Whether the observer wants to hear of these events. What is done for them alone is done where this
    /// says so, when the cache is compiled.
    template <template <class> class Event>
    static constexpr bool observes = requires(Observer& o, const Event<K>& e) { o.on(e); };
    static constexpr bool observes_loads = observes<events::load_started> || observes<events::load_ended>;

    explicit observation(Observer observer) : observer_(std::move(observer)) {}

    [[nodiscard]] Observer& observer() noexcept { return observer_; }

    /// Names for so many loads: this and the ones after it.
    [[nodiscard]] std::uint64_t name_loads(std::size_t count) noexcept
        requires observes_loads
    {
        return named_.fetch_add(count, std::memory_order_relaxed) + 1;
    }

protected:
    // What an observer throws has nowhere to go.
    template <class Event>
    void call(const Event& event) noexcept {
        observer_.on(event);
    }

private:
    struct nothing {};
    [[no_unique_address]] Observer observer_;
    [[no_unique_address]] std::conditional_t<observes_loads, std::atomic<std::uint64_t>, nothing> named_{};
};

/// A hit that was found in a read section, to be told when that is over: the observer may do anything.
template <class State, bool = State::template observes<events::hit>>
class hit_report {
public:
    static void of(State&) noexcept {}
    template <class Query>
    static void tell(const Query&) noexcept {}
};
template <class State>
class hit_report<State, true> {
public:
    /// Keeps the cache's state alive. In a read section in which it was found.
    void of(State& state) { state_ = std::static_pointer_cast<State>(state.weak_from_this().lock()); }
    template <class Query>
    void tell(const Query& key) const {
        if (state_) {
            state_->template tell<events::hit>(key);
        }
    }

private:
    std::shared_ptr<State> state_;
};

/// What is told of one call of a loader, for a key or for each of a batch.
template <class State, bool = State::observes_loads>
class load_report {
public:
    static void begin(State&, std::size_t) noexcept {}
    static void started(State&, const typename State::key_type&, bool, std::size_t = 0) noexcept {}
    static void ended(State&, const typename State::flight_type&, std::chrono::nanoseconds,
                      const std::exception_ptr&, std::size_t = 0) noexcept {}
};
template <class State>
class load_report<State, true> {
public:
    void begin(State& self, std::size_t keys) noexcept { first_ = self.name_loads(keys); }
    void started(State& self, const typename State::key_type& key, bool refresh,
                 std::size_t at = 0) const noexcept {
        self.template tell<events::load_started>(key, id(at), refresh);
    }
    /// To be called before the flight ends with what the loader has brought. Where it has ended before that,
    /// its callers know of another failure.
    void ended(State& self, const typename State::flight_type& flight, std::chrono::nanoseconds took,
               const std::exception_ptr& failure, std::size_t at = 0) const noexcept {
        const bool over = State::ended(flight) && flight.outcome.error;
        self.template tell<events::load_ended>(flight.key, id(at), took,
                                               over ? flight.outcome.error : failure);
    }

private:
    [[nodiscard]] events::load_id id(std::size_t at) const noexcept {
        return static_cast<events::load_id>(first_ + at);
    }

    std::uint64_t first_ = 0;
};

} // namespace acache::detail

#endif
