// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_FLIGHT_HPP
#define ACACHE_DETAIL_FLIGHT_HPP

#include <acache/clock.hpp>
#include <acache/detail/load_job.hpp>
#include <acache/detail/ref_count.hpp>
#include <acache/detail/waiter.hpp>
#include <acache/entry.hpp>

#include <boost/intrusive/list.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/unordered/unordered_flat_set.hpp>

#include <atomic>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace acache::detail {

/// How a flight ended: a value or an error.
template <class V>
struct flight_outcome {
    std::optional<V> value;
    std::exception_ptr error;
    /// When the value was made.
    time_point created{};
    /// Of its entry.
    entry_details_ptr details = nullptr;
    /// The value was found in the backend, and no loader ran.
    bool found = false;
    /// It was past its freshness, since then.
    bool stale = false;
    time_point fresh_until{};
    /// Taken back by the loader whose batch it was part of, which has closed. Who has a loader of his own and
    /// only joined may go on with that.
    bool withdrawn = false;

    /// The value. Throws the error.
    [[nodiscard]] const V& get() const {
        if (error) {
            std::rethrow_exception(error);
        }
        return *value;
    }
};

/// Hears that a flight has ended. Called with no lock held.
class flight_listener {
public:
    virtual ~flight_listener() = default;
    virtual void flight_ended() = 0;
};

/// One running load of one key. The job that runs it keeps it alive, and so does each caller.
template <class K, class V>
class flight
    : public ref_count<flight<K, V>>,
      public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    /// With the references of the job and of the caller that it is made for.
    flight(K k, std::size_t h, load_job_ptr j, time_point now)
        : ref_count<flight>(2), key(std::move(k)), hash(h), job(std::move(j)), begun(now) {}

    const K key;
    const std::size_t hash;
    const load_job_ptr job;
    /// When it was made, before anything of its load ran.
    const time_point begun;

    // Guarded by the mutex of the flight's shard.
    wait_list waiters;
    /// Callers, and others who want the result.
    std::size_t interest = 0;
    /// In the table: new callers join, and the result is stored. Once false, false for ever.
    bool joinable = false;
    /// Nobody wants it any more, and its job has been told.
    bool abandoned = false;
    /// What an asynchronous backend had for the key when the load began, where that may still be of use; and
    /// the entry that a batch renews. Set once, if at all, and constant once `ended` is true.
    std::unique_ptr<entry<V>> older;
    /// It renews an entry in the background: of a batch, and over an asynchronous backend, `older`. Constant
    /// once its load has begun.
    bool renews = false;
    /// That entry is still fresh.
    bool early = false;
    /// The look-up that it was made for, if any, has been counted. Of the flights of batches over an
    /// asynchronous backend.
    bool counted = false;
    /// The loader has brought the outcome, which is being stored.
    bool loaded = false;
    /// Its load has yet to look in a backend that leases, or does so now: see `flight_table::changed`.
    bool looking = false;
    /// Somebody else has changed what is stored, since the look began; and somebody joined after that.
    bool changed = false;
    bool joined_since = false;
    /// Set under the mutex, and read without it too. Who sees it true sees the outcome.
    std::atomic<bool> ended = false;
    /// May be null.
    std::shared_ptr<flight_listener> listener;

    /// Constant once `ended` is true.
    flight_outcome<V> outcome;
};

template <class K, class V>
using flight_ptr = boost::intrusive_ptr<flight<K, V>>;

/// The flights whose keys fall in one part of the hash range, and the mutex for all that is theirs.
template <class K, class V, class KeyEqual>
class flight_shard {
public:
    using flight_type = flight<K, V>;

    std::mutex mutex;

    // What follows wants the mutex.

    /// The joinable flight of a key, or null. Any key type that `KeyEqual` takes.
    template <class Q>
    [[nodiscard]] flight_type* find(std::size_t hash, const Q& key) const {
        if (joinable_.empty()) {
            return nullptr;
        }
        const auto it = joinable_.find(lookup<Q>{hash, key});
        return it == joinable_.end() ? nullptr : *it;
    }

    void insert(flight_type& f) {
        joinable_.insert(&f);
        running_.push_back(f);
        f.joinable = true;
        count(+1);
    }

    /// Takes the flight out of the table, by identity: a successor under its key stays.
    void detach(flight_type& f) noexcept {
        if (std::exchange(f.joinable, false)) {
            joinable_.erase(&f);
        }
    }

    void end(flight_type& f) noexcept {
        detach(f);
        f.ended.store(true, std::memory_order_release);
        f.unlink();
        count(-1);
    }

    /// Every flight that has not ended, joinable or not.
    [[nodiscard]] auto& running() noexcept { return running_; }
    /// How many these are. Does not want the mutex.
    [[nodiscard]] std::size_t count() const noexcept { return count_.load(std::memory_order_relaxed); }

private:
    void count(int change) noexcept {
        count_.store(count() + static_cast<std::size_t>(change), std::memory_order_relaxed);
    }

    template <class Q>
    struct lookup {
        std::size_t hash;
        const Q& key;
    };

    // Flights are found by key and removed by identity; no code of the user's runs in a removal, so none can
    // throw there.
    struct hash_of {
        using is_transparent = void;
        std::size_t operator()(const flight_type* f) const noexcept { return f->hash; }
        template <class Q>
        std::size_t operator()(const lookup<Q>& l) const noexcept {
            return l.hash;
        }
    };

    struct same {
        using is_transparent = void;
        bool operator()(const flight_type* a, const flight_type* b) const noexcept { return a == b; }
        template <class Q>
        bool operator()(const lookup<Q>& l, const flight_type* f) const {
            return l.hash == f->hash && KeyEqual{}(f->key, l.key);
        }
        template <class Q>
        bool operator()(const flight_type* f, const lookup<Q>& l) const {
            return (*this)(l, f);
        }
    };

    boost::unordered_flat_set<flight_type*, hash_of, same> joinable_;
    boost::intrusive::list<flight_type, boost::intrusive::constant_time_size<false>> running_;
    std::atomic<std::size_t> count_ = 0; // changed under the mutex
};

} // namespace acache::detail

#endif
