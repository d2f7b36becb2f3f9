// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DATA_LOADER_HPP
#define ACACHE_DATA_LOADER_HPP

#include <acache/async_cache.hpp>
#include <acache/detail/batch.hpp>
#include <acache/detail/checks.hpp>
#include <acache/detail/compiler.hpp>
#include <acache/detail/executor.hpp>
#include <acache/detail/input_range.hpp>
#include <acache/detail/loader_core.hpp>
#include <acache/detail/loader_over.hpp>
#include <acache/error.hpp>
#include <acache/memory_backend.hpp>
#include <acache/options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <concepts>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace acache {

/// Gathers the `load(key)` calls of one executor tick, or of a time window, into one call of a batch
/// function, which loads many keys at once. A batch holds each key once.
///
/// Alone it remembers what it loaded for as long as it lives, and is made for one request; over a cache it
/// reads and fills that cache, shares its table of flights with single and bulk gets, and may live long. That
/// cache's options say what becomes of stale values: they are served at once, and their keys go into the
/// batch that gathers, with those that are missing, so that what is due for a refresh in one tick or window
/// is renewed by one call.
///
/// The batch function is a coroutine function of `std::span<const K>` or `std::vector<K>`. It returns an
/// awaitable of `std::vector<V>` or `std::vector<load_result<V>>` in the length and order of the keys, of
/// `std::vector<std::optional<V>>`, or of a map from K to V; a key without a value gets `errc::not_found`, a
/// vector of another length fails the whole batch with `errc::batch_size_mismatch`. Errors are not
/// remembered, but by a cache below that is asked to (`negative_ttl`, `remember_errors`).
///
/// The tick: the first load of a batch posts the sending to the loader's executor; what is loaded before that
/// runs is in the batch. On an `io_context` with one thread, or where the loader and its callers share a
/// strand, these are all siblings that can run. A pool has no tick: there, set a `batch_window`.
///
/// Any thread may call any operation. The batch function runs on the loader's executor. The destructor closes
/// without waiting: callers get `errc::closed`, those of batches not yet sent too. Moving and destroying
/// are for one thread alone. Over a cache, a loader does not keep it open.
template <class K, class V, class Clock = coarse_clock>
class DataLoader {
public:
    using key_type = K;
    using mapped_type = V;
    using executor_type = boost::asio::any_io_executor;

    /// A loader that stands alone. `where` is an executor or an execution context.
    /// Throws `std::invalid_argument` for options that make no sense.
    template <detail::executor_or_context Where, class Fn>
    DataLoader(Where&& where, Fn fn, data_loader_options options = {}) {
        using store = memory_backend<K, V, hash<K>, std::equal_to<>, turnstile, Clock>;
        using state = detail::cache_state<K, V, store>;
        const memory_options memory{.capacity = options.cache ? unbounded : 0, .shards = 1};
        core_ = make_core(std::make_shared<state>(detail::to_executor(where), store(memory), cache_options{},
                                                  1, options.cache),
                          true, std::move(fn), options);
    }

    /// A loader over a cache, on its executor.
    template <class Backend, class Observer, class Fn>
    DataLoader(async_cache<K, V, Backend, Observer>& cache, Fn fn, data_loader_options options = {})
        : core_(make_core(cache.state_, false, std::move(fn), options)) {}

    DataLoader(DataLoader&&) noexcept = default;
    DataLoader& operator=(DataLoader&& other) noexcept {
        DataLoader(std::move(other)).swap(*this);
        return *this;
    }
    ~DataLoader() {
        if (core_) {
            core_->shut();
        }
    }
    void swap(DataLoader& other) noexcept { core_.swap(other.core_); }

    [[nodiscard]] executor_type get_executor() const { return core_->executor(); }

    /// The value of `key`: remembered or stored, of a load under way, or of the next batch, in which it takes
    /// its place when it is awaited.
    ///
    /// Errors: the key's own, or what the batch function throws; `errc::not_found`,
    /// `errc::batch_size_mismatch`, `errc::load_timeout`, `errc::recursive_load` where the batch waits for
    /// this call, `errc::closed`. Cancellation: the caller alone leaves; a batch that all have left is not
    /// sent, or cancelled.
    template <class Q = K>
        requires std::convertible_to<Q, K>
    [[nodiscard]] boost::asio::awaitable<V> load(Q&& key) {
        detail::check_awaitable_arguments<Q>();
        return core_->load(K(std::forward<Q>(key)));
    }

    /// A value or an error for each key, in their order; never throws for a key. Throws `errc::closed`.
    template <detail::input_range Keys = std::vector<K>>
        requires std::convertible_to<detail::range_reference_t<Keys>, K>
    [[nodiscard]] boost::asio::awaitable<std::vector<load_result<V>>> load_many(Keys&& keys) {
        std::vector<K> list;
        for (auto&& key : keys) {
            list.push_back(K(key));
        }
        return core_->load_many(std::move(list));
    }

    /// Remembers `value`, unless the key has a value or is being loaded. Returns at once; over an
    /// asynchronous backend the value is stored in the background. Throws `errc::closed`.
    void prime(K key, V value) { core_->prime(std::move(key), std::move(value)); }

    /// Forgets the value of `key`: a later load does not join one that was begun before, and a late result of
    /// that one is not remembered. Returns at once; over an asynchronous backend the entry is removed in the
    /// background, and a failure counted in the cache's metrics. Throws `errc::closed`.
    void clear(K key) { core_->clear(std::move(key)); }
    /// The same for every key, of the cache too that the loader is over.
    void clear_all() { core_->clear_all(); }

    /// Sends the batch that is being gathered now.
    void flush() { core_->flush(); }

    /// Refuses new loads, gives waiting callers `errc::closed`, cancels batches, and returns when all have
    /// ended. From inside a batch: `errc::recursive_load`. May be called again. A cache below stays open.
    [[nodiscard]] boost::asio::awaitable<void> close() { return core_->close(); }
    /// The same, but sends what is gathered and lets batches and callers finish first.
    [[nodiscard]] boost::asio::awaitable<void> drain() { return core_->drain(); }

private:
    template <class State, class Fn>
    static std::shared_ptr<detail::loader_core<K, V>> make_core(std::shared_ptr<State> state, bool owns,
                                                                Fn fn, const data_loader_options& options) {
        detail::check_batch_function<Fn, K, V>();
        detail::check_not_zero(options.max_batch_size, "max_batch_size");
        detail::check_not_zero(options.max_concurrent_batches, "max_concurrent_batches");
        detail::check_not_negative(options.batch_window, "batch_window");
        return std::make_shared<detail::loader_over<State, Fn>>(std::move(state), owns, std::move(fn),
                                                                options);
    }

    std::shared_ptr<detail::loader_core<K, V>> core_;
};

template <class K, class V, class Backend, class Observer, class Fn>
DataLoader(async_cache<K, V, Backend, Observer>&, Fn, data_loader_options = {})
    -> DataLoader<K, V, typename async_cache<K, V, Backend, Observer>::clock_type>;

} // namespace acache

#endif
