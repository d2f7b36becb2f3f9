// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_ASYNC_CACHE_HPP
#define ACACHE_ASYNC_CACHE_HPP

#include <acache/backend.hpp>
#include <acache/cached.hpp>
#include <acache/detail/cache_batch.hpp>
#include <acache/detail/cache_load.hpp>
#include <acache/detail/cache_read.hpp>
#include <acache/detail/cache_state.hpp>
#include <acache/detail/cache_write.hpp>
#include <acache/detail/compiler.hpp>
#include <acache/detail/executor.hpp>
#include <acache/detail/input_range.hpp>
#include <acache/detail/keys.hpp>
#include <acache/detail/warmup.hpp>
#include <acache/flight_info.hpp>
#include <acache/lookup_result.hpp>
#include <acache/memory_backend.hpp>
#include <acache/metrics.hpp>
#include <acache/observer.hpp>
#include <acache/options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace acache {

template <class, class, class>
class DataLoader;

/// A cache of values `V` by keys `K`, for coroutines on Boost.Asio: look-ups that miss load through a
/// coroutine function, once a key however many ask (contract C01 to C21).
///
/// Any thread may call any operation at the same time. Loads run on the cache's executor, each by itself
/// as on a strand, and in a coroutine that is the cache's own; callers are resumed on theirs. An operation
/// begins when it is awaited; it has copies of its key, value and loader. Awaited operations give
/// `errc::closed` after the end of the cache. A caller that is cancelled gets `operation_aborted`, alone and
/// at once.
///
/// The cache is a handle, and the only owner: its destructor closes without waiting, so that callers get
/// `errc::closed` and loads are cancelled; what still runs keeps what it needs alive. Wrapped functions and
/// loaders made from it do not keep it open. Moving and destroying are for one thread alone.
template <class K, class V, class Backend = memory_backend<K, V>, class Observer = no_observer>
class async_cache {
    static_assert(backend<Backend, K, V>,
                  "acache: this class cannot be the backend of an async_cache<K, V>: it models neither "
                  "acache::synchronous_backend nor acache::asynchronous_backend; "
                  "static_assert(acache::asynchronous_backend<B, K, V>) tells which requirement it misses");
    static_assert(std::copy_constructible<V>,
                  "acache: values are copied to each of their readers; keep a value that cannot be copied as "
                  "std::shared_ptr<const V>");
    static_assert(std::move_constructible<Observer>,
                  "acache: an observer is moved into its cache, and this class cannot be moved; keep what "
                  "cannot behind a pointer");
    static_assert(cache_observer<Observer, K>,
                  "acache: this class cannot be the observer of an async_cache<K, V>: it has no on(event) "
                  "for any event of acache::events with this very key type, such as "
                  "void on(const acache::events::hit<K>&)");

    using state = detail::cache_state<K, V, Backend, Observer>;
    using hasher = typename state::store_type::hasher;

    template <class T>
    using map_of = std::conditional_t<detail::std_hashable<K>, std::unordered_map<K, T>,
                                      std::unordered_map<K, T, hash<K>>>;

    static constexpr bool makes_backend =
        std::constructible_from<Backend, memory_options> || std::constructible_from<Backend, std::size_t>;

public:
    using key_type = K;
    using mapped_type = V;
    using backend_type = Backend;
    using observer_type = Observer;
    using clock_type = backend_clock_t<Backend>;
    using executor_type = boost::asio::any_io_executor;
    /// `std::unordered_map<K, V>`, with `acache::hash` where there is no `std::hash` for `K`.
    using value_map = map_of<V>;
    using result_map = map_of<load_result<V>>;

    /// A cache over the default backend. `where` is an executor or an execution context, to load on.
    /// Throws `std::invalid_argument` for options that make no sense.
    template <detail::executor_or_context Where>
        requires(makes_backend && std::default_initializable<Observer>)
    explicit async_cache(Where&& where, cache_options options = {})
        : async_cache(where, make_backend(options), options, Observer()) {}
    /// The same with an observer, which the cache keeps: see `cache_observer`.
    template <detail::executor_or_context Where>
        requires(makes_backend)
    async_cache(Where&& where, cache_options options, Observer observer)
        : async_cache(where, make_backend(options), options, std::move(observer)) {}

    /// A cache over a backend of one's own, which has its own capacity.
    template <detail::executor_or_context Where, std::same_as<Backend> B>
        requires(std::default_initializable<Observer>)
    async_cache(Where&& where, B backend, cache_options options = {})
        : async_cache(where, std::move(backend), options, Observer()) {}
    /// The same with an observer. One that wants to know of removals needs a `memory_backend` that nothing
    /// was written to yet: else `std::logic_error`.
    template <detail::executor_or_context Where, std::same_as<Backend> B>
    async_cache(Where&& where, B backend, cache_options options, Observer observer)
        : state_(std::make_shared<state>(detail::to_executor(where), std::move(backend), options,
                                         state::default_shards, true, std::move(observer))) {
        state_->listen();
    }

    async_cache(async_cache&&) noexcept = default;
    async_cache& operator=(async_cache&& other) noexcept {
        async_cache(std::move(other)).swap(*this);
        return *this;
    }
    ~async_cache() {
        if (state_) {
            state_->shut();
        }
    }
    void swap(async_cache& other) noexcept { state_.swap(other.state_); }

    [[nodiscard]] executor_type get_executor() const noexcept { return state_->executor(); }
    [[nodiscard]] std::string_view name() const noexcept { return state_->name(); }
    /// The backend, for what it can do beyond the concept, such as `memory_backend::resize`. What is written
    /// or removed through it passes loads under way by: they may overwrite it. Valid as long as the cache.
    [[nodiscard]] Backend& backend() noexcept { return state_->stored().backend(); }
    /// The observer that was given. Valid as long as the cache; events may be told at the same time.
    [[nodiscard]] Observer& observer() noexcept { return state_->observer(); }
    /// A snapshot of the counters. O(threads), not O(size).
    [[nodiscard]] cache_metrics metrics() const { return state_->metrics(); }
    /// Has the errors of loads remembered for which `lasts(error)` says how long, as `negative_ttl` has "not
    /// found": until then, callers of that key whom no value can be given get that same exception, without a
    /// load. `lasts` is called as `(const std::exception_ptr&)` and returns a `std::optional` of a duration;
    /// empty, or not positive, for errors that are not to be remembered, and so is one that it throws at. It
    /// is not asked about cancellations, nor about the library's own errors but for `errc::load_timeout`.
    ///
    /// To be called before any other operation, by one thread alone; `lasts` itself is called by any.
    template <class Lasts>
        requires std::is_invocable_r_v<std::optional<std::chrono::nanoseconds>, const Lasts&,
                                       const std::exception_ptr&>
    void remember_errors(Lasts lasts) {
        state_->failures.remember_errors(std::move(lasts));
    }
    /// The loads under way, those that wait for their turn and those that were fenced included, in no order.
    /// A load whose callers have been given an error, of a timeout say, is not among them, though its loader
    /// may take a while to heed its cancellation. O(flights), which it locks out one by one, and not O(size).
    [[nodiscard]] std::vector<flight_info<K>> in_flight() const { return state_->list(); }

    /// The fresh value of `key`, if it can be told without suspending. Throws `errc::closed`.
    template <class Q = K>
        requires detail::key_for<Q, K, hasher> && (state::store_type::answers_locally)
    [[nodiscard]] std::optional<V> try_get(const Q& key) {
        state_->board.check(true); // a draining cache still answers
        return detail::try_get(*state_, key);
    }

    /// The fresh value of `key`; never loads. A failure of the backend is a miss.
    template <class Q = K>
        requires detail::key_for<Q, K, hasher>
    [[nodiscard]] boost::asio::awaitable<std::optional<V>> get(Q&& key) {
        detail::check_awaitable_arguments<Q>();
        return detail::get(state_->ref(), keep(std::forward<Q>(key)));
    }

    /// The fresh value of `key`, or what `loader` brings, which is then stored. `loader` is called in the
    /// first form that fits: `(key)`, `()`, `(load_context&, key)`, `(load_context&)`; it returns an
    /// awaitable of what makes a `V`, or of a `std::optional<V>`. Many callers of one key make one call.
    ///
    /// Errors: what the loader throws, to each caller of that flight, and nothing is stored;
    /// `errc::not_found` where it returns an empty optional, which as if thrown removes what is stored, and
    /// is remembered for `negative_ttl`; `errc::load_timeout`; `errc::overloaded` where too many loads wait;
    /// `errc::recursive_load` where the loader asks for its own key; `errc::closed`; what copying the value
    /// throws. Cancellation: the caller alone leaves; with the last one the load is cancelled, unless
    /// `finish_abandoned_loads`.
    template <class Q = K, class Loader>
        requires detail::key_for<Q, K, hasher>
    [[nodiscard]] boost::asio::awaitable<V> get_or_load(Q&& key, Loader&& loader) {
        check_load<Q, Loader>();
        return detail::get_or_load(state_->ref(), keep(std::forward<Q>(key)),
                                   own(std::forward<Loader>(loader)), detail::no_load_options{});
    }
    template <class Q = K, class Loader>
        requires detail::key_for<Q, K, hasher>
    [[nodiscard]] boost::asio::awaitable<V> get_or_load(Q&& key, Loader&& loader, load_options options) {
        check_load<Q, Loader>(options);
        return detail::get_or_load(state_->ref(), keep(std::forward<Q>(key)),
                                   own(std::forward<Loader>(loader)), options);
    }

    /// The same, with the provenance of the value.
    template <class Q = K, class Loader>
        requires detail::key_for<Q, K, hasher>
    [[nodiscard]] boost::asio::awaitable<lookup_result<V>> lookup(Q&& key, Loader&& loader,
                                                                  load_options options = {}) {
        check_load<Q, Loader>(options);
        return detail::lookup(state_->ref(), keep(std::forward<Q>(key)), own(std::forward<Loader>(loader)),
                              options);
    }

    /// Loads now, whatever is stored, and joins no load that began before. A failure throws and keeps the
    /// old entry, but for `errc::not_found`, which removes it. A load that was under way goes on for its
    /// callers and stores nothing.
    template <class Q = K, class Loader>
        requires detail::key_for<Q, K, hasher>
    [[nodiscard]] boost::asio::awaitable<V> refresh(Q&& key, Loader&& loader, load_options options = {}) {
        check_load<Q, Loader>(options);
        return detail::refresh(state_->ref(), keep(std::forward<Q>(key)), own(std::forward<Loader>(loader)),
                               options);
    }

    /// Stores a value. Loads of the key that are under way do not overwrite it. A backend's failure is
    /// thrown.
    template <class Q = K, class U = V>
        requires detail::key_for<Q, K, hasher> && std::constructible_from<V, U>
    [[nodiscard]] boost::asio::awaitable<void> set(Q&& key, U&& value, entry_options options = {}) {
        detail::check_awaitable_arguments<Q, U>();
        return detail::set<state, K, V>(state_, K(std::forward<Q>(key)), V(std::forward<U>(value)),
                                        options.ttl, state_->freshness.windows({}),
                                        std::vector<std::string>(options.tags.begin(), options.tags.end()));
    }

    /// Removes the entry of `key`; whether there was one. Loads of the key that are under way go on for
    /// their callers and store nothing; a later look-up does not join them. A backend's failure is
    /// thrown.
    template <class Q = K>
        requires detail::key_for<Q, K, hasher>
    [[nodiscard]] boost::asio::awaitable<bool> invalidate(Q&& key) {
        detail::check_awaitable_arguments<Q>();
        return detail::invalidate(state_, keep(std::forward<Q>(key)));
    }

    /// Makes the entry of `key` stale: it is served no more as a fresh one, but where the options let a stale
    /// one be, and kept for as long as it would have been after its freshness; with no such option it is
    /// removed (a soft purge). Whether there was one. Loads that are under way are as with `invalidate`.
    template <class Q = K>
        requires detail::key_for<Q, K, hasher>
    [[nodiscard]] boost::asio::awaitable<bool> expire(Q&& key) {
        detail::check_awaitable_arguments<Q>();
        return detail::expire(state_, K(std::forward<Q>(key)), state_->freshness.windows({}));
    }

    /// `invalidate` for every entry that `chosen(key)`, or `chosen(key, value)`, picks; how many those were.
    /// Loads under way are fenced where `chosen` picks their key; where it looks at values, all are. It is
    /// called under locks of the cache and its store, and must not call either. O(size). For backends that
    /// can be enumerated.
    template <class Chosen>
        requires(state::synchronous && enumerable_backend<Backend, K, V> &&
                 (std::predicate<std::decay_t<Chosen>&, const K&> ||
                  std::predicate<std::decay_t<Chosen>&, const K&, const V&>))
    [[nodiscard]] boost::asio::awaitable<std::size_t> invalidate_if(Chosen&& chosen) {
        detail::check_awaitable_arguments<Chosen>();
        return detail::invalidate_if(state_, own(std::forward<Chosen>(chosen)));
    }

    /// `invalidate` for every entry that has this tag: what a loader gave it by `load_context::tag`, or a
    /// `set`. Entries whose loads were under way go with them, and who asks for them from now on does not get
    /// what those loads bring; entries whose loads begin later stay. O(1), however many have the tag; their
    /// memory is freed as it is needed.
    [[nodiscard]] boost::asio::awaitable<void> invalidate_tag(std::string_view tag) {
        return detail::invalidate_tag(state_, std::string(tag));
    }

    /// `invalidate` for every key. O(1) in the number of entries where the backend's is; the memory backend
    /// frees what was cleared later, a few entries a write.
    [[nodiscard]] boost::asio::awaitable<void> clear() { return detail::clear(state_); }

    /// The fresh values of those of `keys` that have one, in one operation where the backend can.
    template <detail::input_range Keys = std::vector<K>>
        requires std::convertible_to<detail::range_reference_t<Keys>, K>
    [[nodiscard]] boost::asio::awaitable<value_map> get_many(Keys&& keys) {
        return detail::get_many<state, value_map>(state_, list(keys));
    }

    /// A value or an error for each of `keys`. Those that are neither stored nor being loaded go to
    /// `batch` in one call: a coroutine function of `std::span<const K>` or `std::vector<K>`; its results
    /// as `DataLoader` takes them. Throws `errc::closed`; an error of the batch function stands at each
    /// of its keys.
    ///
    /// Stale values are served and renewed as for `get_or_load`: what is to be renewed goes to `batch` with
    /// the rest, in the same call, but nobody waits for it. With a `max_age`, `batch` may be called once
    /// more, for keys whose load somebody else had begun and which brought too old a value out of the
    /// backend. `soft_timeout` is not looked at.
    template <detail::input_range Keys = std::vector<K>, class Batch>
        requires std::convertible_to<detail::range_reference_t<Keys>, K>
    [[nodiscard]] boost::asio::awaitable<result_map> get_many_or_load(Keys&& keys, Batch&& batch,
                                                                      load_options options = {}) {
        detail::check_batch_function<std::decay_t<Batch>, K, V>();
        detail::check_awaitable_arguments<Batch>();
        detail::check(options);
        return detail::get_many_or_load<result_map>(state_, list(keys), own(std::forward<Batch>(batch)),
                                                    options);
    }

    /// Loads those of `keys` that have no fresh entry and are not being loaded, at most `concurrency` at
    /// a time, and goes on past errors. Counts as one caller of each load it began.
    template <detail::input_range Keys = std::vector<K>, class Loader>
        requires std::convertible_to<detail::range_reference_t<Keys>, K>
    [[nodiscard]] boost::asio::awaitable<warmup_report<K>> warmup(Keys&& keys, Loader&& loader,
                                                                  warmup_options options = {}) {
        check_load<K, Loader>({});
        detail::check_not_zero(options.concurrency, "concurrency");
        detail::shared_loader<std::decay_t<Loader>> each(std::forward<Loader>(loader));
        return detail::warmup(state_, list(keys), std::move(each), load_options{}, options.concurrency);
    }

    /// Wraps a coroutine function, so that calls with equal arguments share one run and its result: see
    /// `cached_function`. `format` makes the key of the arguments, and is checked when it is compiled.
    /// Throws `std::invalid_argument` for options that make no sense.
    template <class Fn>
    [[nodiscard]] auto cached(detail::format_for<Fn> format, Fn fn, load_options options = {}) {
        return detail::make_cached(state_, detail::format_key<detail::format_for<Fn>>{format}, std::move(fn),
                                   options);
    }

    /// The same with a function from the arguments to the key.
    template <class KeyFn, class Fn>
        requires(!std::convertible_to<KeyFn, std::string_view> && !std::same_as<Fn, load_options>)
    [[nodiscard]] auto cached(KeyFn key, Fn fn, load_options options = {}) {
        return detail::make_cached(state_, detail::function_key<KeyFn>{std::move(key)}, std::move(fn),
                                   options);
    }

    /// The same with the key made of the arguments themselves: `K{args...}`, without narrowing.
    template <class Fn>
    [[nodiscard]] auto cached(Fn fn, load_options options = {}) {
        return detail::make_cached(state_, detail::arguments_key<K>{}, std::move(fn), options);
    }

    /// Refuses new work, gives waiting callers `errc::closed`, cancels loads, and returns when all work
    /// has ended, that which nobody waits for included. From inside a load of this cache:
    /// `errc::recursive_load`. May be called again, and returns when it is all over then too.
    [[nodiscard]] boost::asio::awaitable<void> close() { return state::close(state_); }
    /// The same, but lets loads and callers finish first. Loads may still ask for other keys.
    [[nodiscard]] boost::asio::awaitable<void> drain() { return state::drain(state_); }

private:
    template <class, class, class>
    friend class DataLoader;

    static Backend make_backend(const cache_options& options) {
        if constexpr (std::constructible_from<Backend, memory_options>) {
            return Backend(
                memory_options{.capacity = options.capacity,
                               .time_to_idle = options.time_to_idle,
                               .retention = std::max({options.stale_while_revalidate, options.stale_if_error,
                                                      options.keep_stale, std::chrono::nanoseconds{0}})});
        } else {
            return Backend(options.capacity);
        }
    }

    template <class Q>
    static auto keep(Q&& key) {
        return detail::keep_key<K, hasher, Q>(std::forward<Q>(key));
    }

    template <class T>
    static std::decay_t<T> own(T&& object) {
        return std::decay_t<T>(std::forward<T>(object));
    }

    template <class Keys>
    static std::vector<K> list(Keys&& keys) {
        std::vector<K> result;
        for (auto&& key : keys) {
            result.push_back(K(key));
        }
        return result;
    }

    template <class Q, class Loader>
    static void check_load(const load_options& options) {
        check_load<Q, Loader>();
        detail::check(options);
    }
    template <class Q, class Loader>
    static void check_load() {
        static_assert(detail::loader<std::decay_t<Loader>, K, V>,
                      "acache: a loader is a coroutine function called as (key), (), (load_context&, key) or "
                      "(load_context&), and returns a boost::asio::awaitable of what makes a V, or of a "
                      "std::optional<V>");
        detail::check_awaitable_arguments<Q, Loader>();
    }

    std::shared_ptr<state> state_;
};

} // namespace acache

#endif
