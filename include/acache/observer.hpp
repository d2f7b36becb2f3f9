// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_OBSERVER_HPP
#define ACACHE_OBSERVER_HPP

#include <acache/metrics.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>

namespace acache {

/// What an observer of a cache hears of. Keys are references, valid during the call.
namespace events {

/// A look-up was answered by a fresh entry.
template <class K>
struct hit {
    const K& key;
};
/// A look-up was answered by a stale entry.
template <class K>
struct stale_hit {
    const K& key;
};
/// A look-up found no usable entry and no load to join.
template <class K>
struct miss {
    const K& key;
};
/// A look-up joined a load under way.
template <class K>
struct join {
    const K& key;
};

/// Tells the loads of a cache apart.
enum class load_id : std::uint64_t {};

/// A loader is about to be called for a key.
template <class K>
struct load_started {
    const K& key;
    load_id id;
    /// It renews an entry in the background, and nobody waits for it.
    bool refresh;
};
/// A loader has ended for a key; once for each `load_started`, and not for those that a closing cache or its
/// context took away.
template <class K>
struct load_ended {
    const K& key;
    load_id id;
    std::chrono::nanoseconds took;
    /// What it threw, or what ended its callers' wait; null if it brought a value.
    std::exception_ptr failure;
};
/// A value was stored under a key.
template <class K>
struct stored {
    const K& key;
};
/// An entry has left the store.
template <class K>
struct removed {
    const K& key;
    removal_cause cause;
};
/// An operation of the backend threw.
template <class K>
struct backend_failed {
    const std::exception_ptr& failure;
};

} // namespace events

namespace detail {

template <class O, class K>
concept observes_something = requires(O& o, const events::hit<K>& e) { o.on(e); } ||
                             requires(O& o, const events::stale_hit<K>& e) { o.on(e); } ||
                             requires(O& o, const events::miss<K>& e) { o.on(e); } ||
                             requires(O& o, const events::join<K>& e) { o.on(e); } ||
                             requires(O& o, const events::load_started<K>& e) { o.on(e); } ||
                             requires(O& o, const events::load_ended<K>& e) { o.on(e); } ||
                             requires(O& o, const events::stored<K>& e) { o.on(e); } ||
                             requires(O& o, const events::removed<K>& e) { o.on(e); } ||
                             requires(O& o, const events::backend_failed<K>& e) { o.on(e); };

} // namespace detail

/// Nobody listens, and nothing is paid for it.
struct no_observer {};

/// Hears of what happens in a cache with keys `K`: a class that has `on(event)` for one or more of the events
/// above; those that it has no `on` for cost nothing. Called on the thread where it happens, any number of
/// them at the same time, with no lock of the cache's held; it should be quick, must not throw, and may call
/// the cache.
template <class O, class K>
concept cache_observer =
    std::movable<O> && (std::same_as<O, no_observer> || detail::observes_something<O, K>);

} // namespace acache

#endif
