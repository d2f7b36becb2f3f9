// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_SINGLE_FLIGHT_HPP
#define ACACHE_SINGLE_FLIGHT_HPP

#include <acache/clock.hpp>
#include <acache/detail/checks.hpp>
#include <acache/detail/compiler.hpp>
#include <acache/detail/executor.hpp>
#include <acache/detail/flight_group.hpp>
#include <acache/detail/keys.hpp>
#include <acache/detail/loader.hpp>
#include <acache/hash.hpp>
#include <acache/options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include <acache/detail/push_warnings.hpp>

namespace acache {

/// Runs one coroutine function a key at a time: whoever asks while it runs waits for that run and gets its
/// result. Nothing is kept afterwards. `V` may be void.
///
/// Any thread may call any operation. Functions run on the executor given, each in a coroutine of its own;
/// callers are resumed on theirs. The destructor closes without waiting: callers get `errc::closed`, what
/// runs is cancelled. Moving and destroying are for one thread alone.
template <class K, class V, class Hash = hash<K>, class KeyEqual = std::equal_to<>,
          cache_clock Clock = coarse_clock>
class single_flight {
    using value = std::conditional_t<std::is_void_v<V>, std::monostate, V>;
    using state = detail::flight_group<K, value, KeyEqual, Clock>;

public:
    using key_type = K;
    using mapped_type = V;
    using executor_type = boost::asio::any_io_executor;

    /// `where` is an executor or an execution context, to run the functions on.
    /// Throws `std::invalid_argument` for a load_timeout or a cap that is not positive.
    template <detail::executor_or_context Where>
    explicit single_flight(Where&& where, single_flight_options options = {})
        : state_(std::make_shared<state>(detail::to_executor(where), settings(options))) {}

    single_flight(single_flight&&) noexcept = default;
    single_flight& operator=(single_flight&& other) noexcept {
        single_flight(std::move(other)).swap(*this);
        return *this;
    }
    ~single_flight() {
        if (state_) {
            state_->shut();
        }
    }

    [[nodiscard]] executor_type get_executor() const noexcept { return state_->executor(); }

    /// Joins the run under way for `key`, or starts `fn`, which is called as `fn(key)` or `fn()` and returns
    /// an awaitable of `V`; key and function are copied into the operation.
    ///
    /// Errors: what `fn` throws, to every caller; `errc::load_timeout`, `errc::overloaded`, `errc::closed`;
    /// `errc::recursive_load` where `fn` asks, directly or through others, for the key that it runs for.
    /// Cancellation: the caller alone leaves, at once; with the last one `fn` is cancelled, unless abandoned
    /// ones are to finish.
    template <class Q = K, class F>
        requires detail::key_for<Q, K, Hash>
    [[nodiscard]] boost::asio::awaitable<V> run(Q&& key, F&& fn) {
        static_assert(std::invocable<std::decay_t<F>&, const K&> || std::invocable<std::decay_t<F>&>,
                      "acache: the function of single_flight::run is to be called as fn(key) or fn()");
        detail::check_awaitable_arguments<Q, F>();
        return do_run(state_, detail::keep_key<K, Hash>(std::forward<Q>(key)),
                      std::decay_t<F>(std::forward<F>(fn)));
    }

    /// Lets nobody else join the run under way for `key`: its callers get its result, the next `run` starts
    /// anew. True if there was one.
    template <class Q = K>
        requires detail::key_for<Q, K, Hash>
    bool forget(const Q& key) {
        const auto kept = detail::keep_key<K, Hash>(key);
        const auto& query = detail::query_of(kept);
        return state_->fence(Hash{}(query), query);
    }

    /// Runs under way, those that were forgotten included.
    [[nodiscard]] std::size_t in_flight() const noexcept { return state_->in_flight(); }

    /// Refuses new runs, gives waiting callers `errc::closed`, cancels what runs, and returns when all of it
    /// has ended. From inside a run: `errc::recursive_load`. May be called again.
    [[nodiscard]] boost::asio::awaitable<void> close() { return state::close(state_); }
    /// The same, but lets what runs finish first.
    [[nodiscard]] boost::asio::awaitable<void> drain() { return state::drain(state_); }

    void swap(single_flight& other) noexcept { state_.swap(other.state_); }

private:
    static detail::flight_settings settings(const single_flight_options& options) {
        detail::check_positive(options.load_timeout, "load_timeout");
        detail::check_not_zero(options.max_concurrent_loads, "max_concurrent_loads");
        return {options.load_timeout, options.finish_abandoned_loads, options.max_concurrent_loads,
                options.max_queued_loads, 4};
    }

    /// The work of a flight.
    template <class F>
    class body {
    public:
        using job = typename state::job;
        using outcome = detail::flight_outcome<value>;

        explicit body(F fn) : fn_(std::move(fn)) {}

        static constexpr bool loads_only =
            std::same_as<decltype(detail::call_function(std::declval<F&>(), std::declval<const K&>())),
                         boost::asio::awaitable<value>>;

        [[nodiscard]] auto call(job& j) { return detail::call_function(fn_, j.flights.front()->key); }
        void done(job& j, outcome result) {
            j.group().finish(*j.flights.front(), std::move(result), [] {});
        }

        boost::asio::awaitable<void> operator()(job& j) {
            outcome result;
            try {
                if constexpr (std::is_void_v<V>) {
                    co_await call(j);
                    result.value.emplace();
                } else {
                    result.value.emplace(co_await call(j));
                }
            } catch (...) {
                result.error = std::current_exception();
            }
            done(j, std::move(result));
        }

    private:
        F fn_;
    };

    template <class Key, class F>
    struct request : detail::flight_request {
        request(state& s, const Key& k, F& f)
            : self(s), key(k), fn(f), hash_value(Hash{}(detail::query_of(k))) {}

        state& self;
        const Key& key;
        F& fn;
        const std::size_t hash_value;

        [[nodiscard]] std::size_t hash() const noexcept { return hash_value; }
        [[nodiscard]] decltype(auto) query() const noexcept { return detail::query_of(key); }
        [[nodiscard]] static bool found(const typename state::flight_type*) noexcept { return false; }
        template <class Make>
        [[nodiscard]] auto add(Make make) {
            return make(self.template make_job<body<F>>(std::nullopt, nullptr, std::move(fn)));
        }
        static void joined() noexcept {}
        static void launch(typename state::flight_type& flight) { flight.job->board().submit(*flight.job); }
    };

    template <class Key, class F>
    static boost::asio::awaitable<V> do_run(std::shared_ptr<state> self, Key key, F fn) {
        request<Key, F> asked(*self, key, fn);
        detail::flight_caller<state> caller(*self, co_await boost::asio::this_coro::executor);
        caller.enter(asked);
        if (caller.has_to_wait()) {
            co_await caller.wait();
        }
        const auto& result = caller.flight()->outcome.get();
        if constexpr (!std::is_void_v<V>) {
            co_return result;
        }
    }

    std::shared_ptr<state> state_;
};

} // namespace acache

#include <acache/detail/pop_warnings.hpp>

#endif
