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
///
/// There is one `hit`, `stale_hit`, `miss` or `join` for each look-up that `cache_metrics` counts so, one
/// `load_started` for each of its `loads`, and one `backend_failed` for each of its `backend_failures`.
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

/// A loader is about to be called for a key, or a batch function that is given it.
template <class K>
struct load_started {
    const K& key;
    load_id id;
    /// It renews an entry in the background, and nobody waits for it.
    bool refresh;
};
/// A loader has ended for a key; once for each `load_started`, but for those that a closing cache or its
/// context took away. Its value is not stored yet, and its callers have not been told.
template <class K>
struct load_ended {
    const K& key;
    load_id id;
    std::chrono::nanoseconds took;
    /// What its callers get instead of a value: what it threw, or what ended their wait before it, as
    /// `errc::load_timeout` does. Null where it brought the value.
    std::exception_ptr failure;
};
/// A value was stored under a key: the backend has taken it, and may have found no room for it.
template <class K>
struct stored {
    const K& key;
};
/// An entry has left the store. A `memory_backend` tells of each, once, and then `clear` takes a time
/// proportional to the size. Of other backends only that is told which the cache itself removes, key by key:
/// with `invalidate`, say, but not with `clear`; the cause is `invalidated` then.
template <class K>
struct removed {
    const K& key;
    removal_cause cause;
};
/// An operation of the backend threw, and the cache went on without it; what is thrown to a caller is not
/// told.
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
/// above; those that it has no `on` for cost nothing. `on` is called
/// - on the thread where it happens, any number of them at the same time, on the way of what happens, so it
///   should be quick;
/// - with no lock of the cache's held, so it may call the cache, which tells it of that too;
/// - where nothing can be thrown to: what it throws ends the program (`std::terminate`);
/// - as long as the cache is open: from `close`, the end of `drain`, or its destruction on nothing is told,
///   but a call that has begun by then goes on meanwhile.
///
/// For `hit`, a key is made of what was looked up, where that is no `K` but a `std::string_view`, say.
template <class O, class K>
concept cache_observer =
    std::move_constructible<O> && (std::same_as<O, no_observer> || detail::observes_something<O, K>);

} // namespace acache

#endif
