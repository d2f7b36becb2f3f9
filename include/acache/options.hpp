// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_OPTIONS_HPP
#define ACACHE_OPTIONS_HPP

#include <chrono>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <string_view>

namespace acache {

/// No limit, where an option counts something.
inline constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

/// Options of a cache. All options structs are trivially destructible aggregates, to be written as a
/// braced list at the call: `{.capacity = 100'000, .ttl = 60s}`.
struct cache_options {
    /// Entries the default memory backend keeps. 0 stores nothing and still coalesces; `unbounded` has to
    /// be named. A backend of one's own has its own capacity, and this is not looked at, but for
    /// `negative_ttl`.
    std::size_t capacity = 10'000;
    /// How long an entry is served, from the end of its load; never expires if left out. Zero or negative
    /// is `std::invalid_argument`.
    std::optional<std::chrono::nanoseconds> ttl = std::nullopt;
    /// An entry that nobody has read or written for so long expires, whatever its ttl; no such bound if left
    /// out. Zero or negative is `std::invalid_argument`. A backend of one's own sees to that itself, and this
    /// is not looked at.
    std::optional<std::chrono::nanoseconds> time_to_idle = std::nullopt;
    /// Names the cache in metrics and errors; copied.
    std::string_view name = {};
    /// How long one load may take before its callers get `errc::load_timeout`; no limit if left out.
    std::optional<std::chrono::nanoseconds> load_timeout = std::nullopt;
    /// Let a load whose callers have all left finish, joinable, and store; otherwise it is cancelled.
    bool finish_abandoned_loads = false;
    /// Loads that run at the same time; more wait their turn, a load of each waiting key after the other.
    /// Loads asked for from inside a load do not count, nor do the batches of a DataLoader, which has a cap
    /// of its own.
    std::size_t max_concurrent_loads = unbounded;
    /// Loads that may wait for their turn. One more is refused: its callers get `errc::overloaded`, or a
    /// stale value that `stale_if_error` lets them have, and the next call for its key tries again. 0 lets
    /// none wait. Loads asked for from inside a load do not wait, and are not refused.
    std::size_t max_queued_loads = unbounded;

    /// For so long after its freshness an entry is still served, at once, while one load in the background
    /// renews it (RFC 5861). Counts from the end of the ttl.
    std::chrono::nanoseconds stale_while_revalidate{0};
    /// For so long after its freshness an entry is served in place of the error of a load that failed (RFC
    /// 5861). Counts from the end of the ttl, whatever stale_while_revalidate is. "Not found" is an answer
    /// and no error, and so is a cancellation.
    std::chrono::nanoseconds stale_if_error{0};
    /// For so long after its freshness an entry is kept for loaders that ask their source what has changed
    /// since (`load_context::stale`), and served to nobody. Those that the two above keep are there for
    /// loaders too.
    std::chrono::nanoseconds keep_stale{0};
    /// How long a key whose load in the background has failed is not tried again; doubles with each further
    /// failure up to `refresh_backoff_max`, each time shortened at random by a quarter at most. Meanwhile
    /// stale values are served without a load.
    std::chrono::nanoseconds refresh_backoff = std::chrono::seconds{1};
    std::chrono::nanoseconds refresh_backoff_max = std::chrono::minutes{1};
    /// Renews entries in the background before they expire, the likelier the nearer that is and the longer
    /// their load took, so that hot keys never expire: XFetch (Vattani et al., VLDB 2015), of which this is
    /// the beta. 0 never; 1 is best as a rule; more renews earlier. Entries then keep the time of their load.
    double early_refresh = 0;
    /// Each ttl is shortened at random by up to this share of it, so that entries made together do not
    /// expire together. From 0 to less than 1.
    double ttl_jitter = 0;
    /// How long it is remembered that the source has no value for a key: a loader has thrown
    /// `errc::not_found`, or returned an empty `std::optional<V>`, or a batch function had nothing for the
    /// key. Not at all if left out. Kept in this process, for at most `capacity` keys, or 10'000 where that
    /// is `unbounded`.
    std::optional<std::chrono::nanoseconds> negative_ttl = std::nullopt;
    /// A caller who could have a stale value gets it after waiting so long for a load, which goes on. Not
    /// looked at by who asks for many keys in one call: `get_many_or_load` and `DataLoader::load_many`.
    std::optional<std::chrono::nanoseconds> soft_timeout = std::nullopt;
};

/// Options of one wrapped function, or of one get_or_load. Those that a cache has too take the place of the
/// cache's, and must be as those must.
struct load_options {
    std::optional<std::chrono::nanoseconds> ttl = std::nullopt;
    std::optional<std::chrono::nanoseconds> load_timeout = std::nullopt;
    std::optional<std::chrono::nanoseconds> stale_while_revalidate = std::nullopt;
    std::optional<std::chrono::nanoseconds> stale_if_error = std::nullopt;
    std::optional<std::chrono::nanoseconds> keep_stale = std::nullopt;
    std::optional<std::chrono::nanoseconds> negative_ttl = std::nullopt;
    std::optional<std::chrono::nanoseconds> soft_timeout = std::nullopt;
    /// The value must not be older: it is loaded anew where it is, and a load under way is joined only if it
    /// began no longer ago than this. Zero: a load of one's own.
    std::optional<std::chrono::nanoseconds> max_age = std::nullopt;
};

/// Options of one `set`.
struct entry_options {
    /// Takes the place of the cache's ttl. Zero or negative means: do not store, and an older entry goes.
    std::optional<std::chrono::nanoseconds> ttl = std::nullopt;
    /// What the entry is tagged with; copied at once.
    std::span<const std::string_view> tags = {};
};

/// Options of a warm-up.
struct warmup_options {
    /// Loads under way at the same time; at least 1.
    std::size_t concurrency = 16;
};

/// Options of a `single_flight` that stands alone. The members mean what they mean in `cache_options`.
struct single_flight_options {
    std::optional<std::chrono::nanoseconds> load_timeout = std::nullopt;
    bool finish_abandoned_loads = false;
    std::size_t max_concurrent_loads = unbounded;
    std::size_t max_queued_loads = unbounded;
};

/// Options of a `DataLoader`.
struct data_loader_options {
    /// Keys in one batch; a batch that is full is sent at once. 0 is `std::invalid_argument`.
    std::size_t max_batch_size = unbounded;
    /// How long a batch gathers keys after its first; zero: until the executor runs what is posted next.
    std::chrono::nanoseconds batch_window{0};
    /// Remember results for the loader's lifetime. Not looked at by a loader over a cache.
    bool cache = true;
    /// Batches that run at the same time; more wait, first come first served, but of those that begin with
    /// the same key one a round. Batches asked for from inside a load do not count.
    std::size_t max_concurrent_batches = unbounded;
};

} // namespace acache

#endif
