// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_TIER_STATE_HPP
#define ACACHE_DETAIL_TIER_STATE_HPP

#include <acache/backend.hpp>
#include <acache/clock.hpp>
#include <acache/detail/clear_count.hpp>
#include <acache/detail/context_watch.hpp>
#include <acache/detail/key_lines.hpp>
#include <acache/detail/level_fills.hpp>
#include <acache/detail/partition.hpp>
#include <acache/detail/shared_reads.hpp>
#include <acache/detail/store.hpp>
#include <acache/detail/tag_table.hpp>
#include <acache/entry.hpp>
#include <acache/shared_backend.hpp>

#include <boost/asio/execution_context.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace acache::detail {

struct tier_settings {
    std::optional<std::chrono::nanoseconds> ttl;
    bool await_writes;
    std::size_t max_pending_writes;
    std::chrono::nanoseconds max_stale_on_partition;
};

/// What a `tiered_backend` is a handle to: both levels, what is on its way between them, and how far level 1
/// may be trusted. It is what level 2 tells of changes.
///
/// All that level 1 is given passes `level_fills`. What is read in level 2 is put in only if nobody has
/// changed the key since before the request was sent, and changes have been heard all the while. What is
/// written is put in unless somebody else has changed the key meanwhile.
template <class L1, class L2>
class tier_state final : public change_listener<typename L1::key_type>, public context_watcher {
public:
    using K = typename L1::key_type;
    using V = typename L1::mapped_type;
    using clock_type = backend_clock_t<L1>;
    using near_type = store<K, V, L1>;
    using found_type = std::optional<entry<V>>;
    using reads_type = shared_reads<K, V, typename near_type::key_equal>;

    static constexpr bool notified = notifying_backend<L2, K>;
    static constexpr bool tagged = tagging_backend<L2>;

    tier_state(L1 l1, L2 l2, const tier_settings& s)
        : partitioned(s.max_stale_on_partition), near(std::move(l1)), far(std::move(l2)), settings(s) {}

    /// Begins to hear of changes. Once, before anything else.
    void listen(std::weak_ptr<change_listener<K>> self) {
        if constexpr (notified) {
            if (far.coherence() == 0) {
                partitioned.begin();
            }
            far.listen(std::move(self));
            const std::lock_guard lock{channel_mutex_};
            if (!heard_ && far.coherence() != 0) {
                partitioned.end(); // it began to work before there was a listener to be told
            }
        }
    }

    void changed(const K& key) override {
        remove(key, near.hash(key));
        tell([&](auto& listener) { listener.changed(key); });
    }
    void lost() override {
        {
            const std::lock_guard lock{channel_mutex_};
            heard_ = true;
            partitioned.begin();
        }
        tell([](auto& listener) { listener.lost(); });
    }
    void all_changed() override {
        remove_all();
        {
            const std::lock_guard lock{channel_mutex_};
            heard_ = true;
            partitioned.end();
        }
        tell([](auto& listener) { listener.all_changed(); });
    }
    void relay_to(std::weak_ptr<change_listener<K>> listener) {
        const std::lock_guard lock{channel_mutex_};
        listener_ = std::move(listener);
    }

    [[nodiscard]] std::uint64_t coherence() const {
        if constexpr (notified) {
            return far.coherence();
        } else {
            return 1;
        }
    }

    /// What level 1 may say of the key.
    template <class Q>
    [[nodiscard]] found_type here(const Q& key, std::size_t hash) {
        auto found = near.get(key, hash);
        if (found && (is_dead(*found) || !partitioned.trusts([&] { return found->created; }))) {
            found.reset();
        }
        return found;
    }

    /// The same without a copy, for a hit: `f` is called with the value and its stamps.
    template <class Q, class F>
    bool read(const Q& key, std::size_t hash, F& f) {
        return near.read(key, hash, [&](auto&& value, const auto& stamps) {
            if (!partitioned.trusts([&] { return stamps.created(); })) [[unlikely]] {
                return false;
            }
            f(value, stamps);
            return true;
        });
    }

    /// Takes the key out of level 1, with what is on its way there; whether it was there.
    bool remove(const K& key, std::size_t hash) {
        const auto removed = fills.fence(hash, [&] { return near.erase(key, hash); });
        return static_cast<bool>(removed);
    }
    void remove_all() {
        fills.fence_all();
        const auto removed = kept_result([&] { return near.backend().clear(); });
    }

    /// Puts in level 1 what the caller is about to write, whatever is on its way there.
    void put(const K& key, std::size_t hash, const entry<V>& e) {
        if (is_dead(e)) {
            remove(key, hash);
            return;
        }
        auto copy = bounded(e);
        const auto displaced = fills.fence(hash, [&] { return near.set(key, std::move(copy), hash); });
    }

    /// The entry as level 1 is to have it.
    [[nodiscard]] entry<V> bounded(const entry<V>& e) const {
        entry<V> result = e;
        if (settings.ttl) {
            result.expires = std::min(e.expires, saturating_add(clock_type::now(), *settings.ttl));
        }
        return result;
    }

    [[nodiscard]] static bool is_dead(const entry<V>& e) noexcept {
        return (e.expires != time_point::max() && e.expires <= clock_type::now()) ||
               (e.details && e.details->invalidated());
    }

    void context_gone(boost::asio::execution_context& context) override {
        reads.discard_waiters_of(context);
        pending.discard_waiters_of(context);
    }

    [[nodiscard]] bool writes_behind() const noexcept {
        return !settings.await_writes && pending.size() < settings.max_pending_writes;
    }

    partition<clock_type> partitioned; // beside the store: what a hit looks at
    near_type near;
    L2 far;
    const tier_settings settings;
    level_fills fills;
    reads_type reads;
    /// Writes in the background, and what has to come after them.
    key_lines pending;
    /// Invalidations of tags by this process that level 2 is being told of.
    clear_count tag_invalidations;

    struct {
        std::atomic<std::uint64_t> reads = 0;
        std::atomic<std::uint64_t> shared = 0;
        std::atomic<std::uint64_t> fenced = 0;
        std::atomic<std::uint64_t> background_failures = 0;
    } counts;

private:
    template <class Call>
    void tell(Call call) {
        std::shared_ptr<change_listener<K>> listener;
        {
            const std::lock_guard lock{channel_mutex_};
            listener = listener_.lock();
        }
        if (listener) {
            call(*listener);
        }
    }

    std::mutex channel_mutex_;
    std::weak_ptr<change_listener<K>> listener_;
    bool heard_ = false;
};

} // namespace acache::detail

#endif
