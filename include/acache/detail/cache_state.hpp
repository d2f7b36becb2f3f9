// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CACHE_STATE_HPP
#define ACACHE_DETAIL_CACHE_STATE_HPP

#include <acache/backend.hpp>
#include <acache/detail/atomic_histogram.hpp>
#include <acache/detail/checks.hpp>
#include <acache/detail/counters.hpp>
#include <acache/detail/flight_group.hpp>
#include <acache/detail/keys.hpp>
#include <acache/detail/read_section.hpp>
#include <acache/detail/state_ref.hpp>
#include <acache/detail/store.hpp>
#include <acache/load_context.hpp>
#include <acache/lookup_result.hpp>
#include <acache/metrics.hpp>
#include <acache/options.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace acache::detail {

/// What an `async_cache` is a handle to: the flights, and the store that they fill.
///
/// Here is the policy: what is fresh, what may be stored, and in which order writes and flights see each
/// other. A write to a synchronous backend happens under the lock of the key's flight, together with the
/// fence. A write to an asynchronous one takes its turn among the writes of its key, and fences before and
/// after, so that no flight that began meanwhile stores what it read before the write took effect.
template <class K, class V, class Backend>
class cache_state final
    : public flight_group<K, V, typename store<K, V, Backend>::key_equal, backend_clock_t<Backend>> {
public:
    using backend_type = Backend;
    using store_type = store<K, V, Backend>;
    using clock_type = backend_clock_t<Backend>;
    using timer_clock = timer_clock_t<clock_type>;
    using group = flight_group<K, V, typename store_type::key_equal, clock_type>;
    using typename group::flight_ptr;
    using typename group::flight_type;
    using typename group::job;
    using typename group::job_ptr;
    using typename group::outcome_type;

    static constexpr bool synchronous = store_type::synchronous;

    /// `keeps` is false where nothing is ever to be stored: flights and their callers then do without the
    /// store.
    cache_state(asio::any_io_executor executor, Backend backend, const cache_options& options,
                std::size_t shards = 16, bool keeps = true)
        : group(std::move(executor), settings_of(options, shards)), store_(std::move(backend)),
          name_(options.name), ttl_(options.ttl), keeps_(keeps), anchor_(state_anchor::take(this)) {}
    ~cache_state() override { anchor_.give_back(); }

    [[nodiscard]] state_ref<cache_state> ref() const noexcept { return state_ref<cache_state>(anchor_); }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] store_type& stored() noexcept { return store_; }
    [[nodiscard]] bool keeps() const noexcept { return keeps_; }
    void count(counter c, std::uint64_t n = 1) noexcept { counters_.add(c, n); }
    /// Counts a load that ended, `failed` keys of it without a value. One that was cancelled, or that a
    /// timeout has counted already, does not count.
    void count_load(const job& j, typename timer_clock::time_point begun, std::size_t failed) noexcept {
        if (!j.cancelled()) {
            count(counter::load_failures, failed);
            load_time_.record(timer_clock::now() - begun);
        }
    }

    [[nodiscard]] cache_metrics metrics() const {
        cache_metrics m;
        counters_.read_into(m);
        m.load_time = load_time_.snapshot();
        const auto held = store_.metrics();
        m.removals = held.removals;
        m.rejected = held.rejected;
        m.size = held.size;
        m.weight = held.weight;
        m.in_flight = this->in_flight();
        return m;
    }

    /// Anything with the stamps of an entry.
    template <class Stamped>
    [[nodiscard]] static bool fresh(const Stamped& e) noexcept {
        return e.expires == time_point::max() || e.expires > clock_type::now();
    }

    [[nodiscard]] static std::optional<entry<V>> if_fresh(std::optional<entry<V>> found) {
        if (found && !fresh(*found)) {
            found.reset();
        }
        return found;
    }

    /// Stamps for a value that is to live for `ttl`, or for the cache's.
    struct stamps {
        time_point created;
        time_point expires;
        /// It is to be stored, and not dead already.
        bool alive;
        /// The older entry may stay although this value is not stored.
        bool keep_older = false;
    };

    [[nodiscard]] stamps stamp(std::optional<std::chrono::nanoseconds> ttl) const noexcept {
        const auto now = clock_type::now();
        return stamp_from(now, now, ttl);
    }

    [[nodiscard]] stamps stamp(const load_context& context, const load_options& options) const noexcept {
        const auto now = clock_type::now();
        auto result =
            stamp_from(now, context.valid_from().value_or(now), context.ttl() ? context.ttl() : options.ttl);
        if (context.expires_at()) {
            result.expires = *context.expires_at();
            result.alive = result.expires > now;
        }
        result.keep_older = !keeps_ || !context.stores();
        result.alive = result.alive && !result.keep_older;
        return result;
    }

    [[nodiscard]] static std::chrono::nanoseconds age(time_point created) noexcept {
        const auto age = clock_type::now() - created;
        return age < age.zero() ? age.zero() : age;
    }

    /// What is known of the key without suspending, an expired entry taken for none.
    template <class Q>
    [[nodiscard]] local_answer<V> ask(const Q& query, std::size_t hash) {
        auto answer = store_.ask(query, hash);
        if (answer.found() && !fresh(*answer.found())) {
            answer.found().reset();
        }
        return answer;
    }

    /// The way of a hit: calls `take(value, created)` with the fresh entry of the key, if there is one that
    /// can be told without suspending, and counts it. All that it calls is inlined, which g++ else leaves
    /// off halfway down: a hit takes a fifth less so.
    template <class Q, class Take>
    [[nodiscard, gnu::flatten]] bool hit(const Q& query, Take take) {
        const bool found = store_.read(query, store_.hash(query), [&](auto&& value, const auto& stamped) {
            const bool is_fresh = fresh(stamped);
            if (is_fresh) {
                take(std::forward<decltype(value)>(value), stamped.created);
            }
            return is_fresh;
        });
        if (found) {
            count(counter::hits);
        }
        return found;
    }

    /// A shared pointer to the board, which keeps the state alive.
    [[nodiscard]] std::shared_ptr<job_board> shared_board() {
        return std::shared_ptr<job_board>(this->shared_from_this(), &this->board);
    }

    void context_gone(asio::execution_context& context) override {
        store_.turns.discard_waiters_of(context);
        store_.erasures.discard_waiters_of(context);
        group::context_gone(context);
    }

private:
    static flight_settings settings_of(const cache_options& options, std::size_t shards) {
        check_positive(options.ttl, "ttl");
        check_positive(options.load_timeout, "load_timeout");
        check_not_zero(options.max_concurrent_loads, "max_concurrent_loads");
        return {options.load_timeout, options.finish_abandoned_loads, options.max_concurrent_loads,
                options.max_queued_loads, shards};
    }

    [[nodiscard]] stamps stamp_from(time_point now, time_point created,
                                    std::optional<std::chrono::nanoseconds> ttl) const noexcept {
        if (!ttl) {
            ttl = ttl_;
        }
        const auto expires = ttl ? saturating_add(created, *ttl) : time_point::max();
        return {created, expires, expires > now};
    }

    void on_timeout(std::size_t keys) override { count(counter::load_failures, keys); }
    void on_overload(std::size_t keys) override { count(counter::overloaded, keys); }

    store_type store_;
    counters counters_;
    atomic_histogram load_time_;
    const std::string name_;
    const std::optional<std::chrono::nanoseconds> ttl_;
    const bool keeps_;
    state_anchor& anchor_;
};

/// The value of a hit on a cache that may be no more; nothing where it takes more than a look.
template <class State, class Query>
[[nodiscard]] std::optional<typename State::value_type> hit(state_ref<State> where, const Query& query) {
    std::optional<typename State::value_type> result;
    if constexpr (State::store_type::answers_locally) {
        const read_section reading;
        State* const state = where.find();
        if (state != nullptr && state->board.admits(false)) {
            (void)state->hit(query, [&](auto&& value, time_point) {
                result.emplace(std::forward<decltype(value)>(value));
            });
        }
    }
    return result;
}

} // namespace acache::detail

#endif
