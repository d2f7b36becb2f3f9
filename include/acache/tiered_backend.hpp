// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TIERED_BACKEND_HPP
#define ACACHE_TIERED_BACKEND_HPP

#include <acache/backend.hpp>
#include <acache/detail/checks.hpp>
#include <acache/detail/clear_count.hpp>
#include <acache/detail/tier_reads.hpp>
#include <acache/detail/tier_state.hpp>
#include <acache/detail/tier_writes.hpp>
#include <acache/entry.hpp>
#include <acache/metrics.hpp>
#include <acache/shared_backend.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace acache {

/// Options of a `tiered_backend`.
struct tiered_options {
    /// How long level 1 keeps an entry at most, whatever its own time. Positive. Such an entry takes a little
    /// more memory there.
    std::optional<std::chrono::nanoseconds> ttl = std::nullopt;
    /// A write returns when level 2 has taken it. Else it returns when level 1 has it, and goes on in the
    /// background.
    bool await_writes = true;
    /// Operations in the background at most; further writes are awaited. At least 1.
    std::size_t max_pending_writes = 10'000;
    /// While changes by others go unheard: how long an entry of level 1 is served, from then on or from when
    /// it was made if that is later. 0: not at all. Not negative.
    std::chrono::nanoseconds max_stale_on_partition = std::chrono::seconds{1};
};

/// What a `tiered_backend` has done.
struct tiered_metrics {
    std::uint64_t reads = 0;               ///< requests sent to level 2, those for many keys as one
    std::uint64_t shared_reads = 0;        ///< look-ups that waited for somebody else's request
    std::uint64_t fenced_fills = 0;        ///< values read there that did not get into level 1
    std::uint64_t pending_writes = 0;      ///< in the background at present
    std::uint64_t background_failures = 0; ///< writes in the background that level 2 failed at
    bool partitioned = false;              ///< changes by others go unheard at present
};

namespace detail {

template <class B>
concept names_its_entries = requires {
    typename B::key_type;
    typename B::mapped_type;
};

template <class L2>
struct lease_of_level {};
template <class L2>
    requires requires { typename L2::lease; }
struct lease_of_level<L2> {
    /// That of level 2.
    using lease = typename L2::lease;
};

template <class B>
[[nodiscard]] constexpr std::string_view tier_name_of(std::string_view otherwise) {
    if constexpr (requires { std::string_view(B::tier_name); }) {
        return B::tier_name;
    } else {
        return otherwise;
    }
}

} // namespace detail

/// Two levels as one asynchronous backend: `L1`, synchronous and near, as a `memory_backend`, over `L2`,
/// asynchronous, which others may write to as well. What level 1 has costs what it costs there. All that
/// level 2 can do beyond the concept of an asynchronous backend the tier can do too: `get_many`, leases,
/// `set_many`, tags, and to tell of changes.
///
/// **Coherence** (contract C28 to C31). Concurrent look-ups of one key make one request. A value read in level
/// 2 is kept in level 1 only if since before the request nobody has written or removed the key, cleared or
/// invalidated a tag of it, here or as level 2 has told, and it could tell all the while. A removal takes the
/// key out of level 1 before and after it does of level 2. While changes go unheard, level 1 is served as
/// `max_stale_on_partition` says, and gets what this process writes, but nothing that it reads; when they
/// are heard again it is emptied. A level 2 that does not tell of changes is taken to be this process's own.
///
/// **Errors** are those of level 2, passed on when level 1 has been dealt with: a key that could not be
/// removed is gone here, and a value that could not be written is here, unless somebody else has changed the
/// key meanwhile or the caller was cancelled.
///
/// **Writes in the background** (`await_writes = false`). Those of one key stay in order, and no later look-up
/// here sees the key as it was before: what level 1 cannot answer waits for them. So do removals, which are
/// always awaited. A `set` with a lease then says true; if level 2 finds that others have changed the key, it
/// leaves level 1 again. They run on the executor of who wrote, past the end of the tier and of its cache,
/// as long as level 2 and that executor's context live: run a context to its end before it goes. Failures are
/// counted.
///
/// **Threads, cancellation, lifetime.** Any thread may call any operation, and level 2 its listener. An
/// operation has copies of its key and values; leases, and keys given with them, outlive it. A look-up that
/// is cancelled leaves alone; if others wait for its request, they ask anew. The backend is a handle, and may
/// go while operations are under way. Moving and destroying it are for one thread alone.
template <class L1, class L2>
class tiered_backend : public detail::lease_of_level<L2> {
    static_assert(detail::names_its_entries<L1>,
                  "acache: level 1 of a tiered_backend names what it holds: key_type and mapped_type");
    using K = typename L1::key_type;
    using V = typename L1::mapped_type;
    static_assert(synchronous_backend<L1, K, V>,
                  "acache: level 1 of a tiered_backend answers at once, as a memory_backend does: this class "
                  "does not model acache::synchronous_backend of its key_type and mapped_type");
    static_assert(asynchronous_backend<L2, K, V>,
                  "acache: level 2 of a tiered_backend is asked with co_await: this class does not model "
                  "acache::asynchronous_backend of the key_type and mapped_type of level 1");
    static_assert(std::copy_constructible<V>,
                  "acache: a tiered_backend copies values from one level to the other; keep a value that "
                  "cannot be copied as std::shared_ptr<const V>");

    using state = detail::tier_state<L1, L2>;
    using found = std::optional<entry<V>>;
    template <class T>
    using awaitable = boost::asio::awaitable<T>;

    static constexpr bool leases = leasing_backend<L2, K, V>;

public:
    using key_type = K;
    using mapped_type = V;
    using hasher = typename state::near_type::hasher;
    using key_equal = typename state::near_type::key_equal;
    using clock_type = typename state::clock_type;
    /// What `lookup_result::tier` says of what level 2 had, and of what level 1 had.
    static constexpr std::string_view tier_name = detail::tier_name_of<L2>("backend");
    static constexpr std::string_view local_tier_name = detail::tier_name_of<L1>("memory");

    /// Throws `std::invalid_argument` for options that make no sense. Level 1 is best given empty.
    tiered_backend(L1 level1, L2 level2, tiered_options options = {})
        : state_(std::make_shared<state>(std::move(level1), std::move(level2), checked(options))) {
        state_->listen(std::weak_ptr<change_listener<K>>(state_));
    }

    /// The levels, for what they can do beyond the concepts. What is written through them passes the tier by.
    /// Valid as long as the tier.
    [[nodiscard]] L1& level1() noexcept { return state_->near.backend(); }
    [[nodiscard]] L2& level2() noexcept { return state_->far; }

    template <class Q>
        requires requires(const L1& level, const Q& key) { level.hash_of(key); }
    [[nodiscard]] std::uint64_t hash_of(const Q& key) const {
        return state_->near.hash(key);
    }

    /// What level 1 has, or else that it is not known here.
    [[nodiscard]] local_answer<V> try_get(const K& key) {
        auto here = state_->here(key, state_->near.hash(key));
        return here ? local_answer<V>::here(std::move(*here)) : local_answer<V>::unknown();
    }
    /// The same without a copy: calls `f(value, stamps)`, as `memory_backend::read` does, if level 1 has the
    /// entry; whether it had.
    template <class Q, class F>
    bool read(const Q& key, std::uint64_t hash, F&& f) {
        return state_->read(key, hash, f);
    }

    [[nodiscard]] awaitable<found> get(const K& key) { return detail::tier_get(state_, key); }
    [[nodiscard]] awaitable<std::vector<found>> get_many(std::span<const K> keys)
        requires multi_get_backend<L2, K, V>
    {
        return detail::tier_get_many(state_, std::vector<K>(keys.begin(), keys.end()));
    }
    [[nodiscard]] awaitable<void> set(const K& key, entry<V> e) {
        return detail::tier_set(state_, key, std::move(e));
    }
    /// Whether level 2 had the key, or level 1.
    [[nodiscard]] awaitable<bool> erase(const K& key) { return detail::tier_erase(state_, key); }
    [[nodiscard]] awaitable<void> clear() { return detail::tier_clear(state_); }

    /// Look-ups with leases ask level 2 always: there are those who need it.
    template <class Lease>
        requires(leases && std::same_as<Lease, typename L2::lease>)
    [[nodiscard]] awaitable<found> get(const K& key, Lease& given, lease_mode mode) {
        return detail::tier_get_leased(state_, key, given, mode);
    }
    template <class Lease>
        requires(leases && std::same_as<Lease, typename L2::lease>)
    [[nodiscard]] awaitable<std::vector<found>> get_many(std::span<const K> keys, std::span<Lease> given) {
        return detail::tier_get_many_leased(state_, keys, given);
    }
    template <class Lease>
        requires(leases && std::same_as<Lease, typename L2::lease>)
    [[nodiscard]] awaitable<bool> set(const K& key, entry<V> e, Lease& given) {
        return detail::tier_set(state_, key, std::move(e), given);
    }
    template <class Lease>
        requires(std::same_as<Lease, typename L2::lease> && multi_set_backend<L2, K, V>)
    [[nodiscard]] awaitable<std::vector<bool>>
    set_many(std::span<const K> keys, std::vector<found> entries, std::span<Lease> given) {
        return detail::tier_set_many(state_, std::vector<K>(keys.begin(), keys.end()), std::move(entries),
                                     given);
    }

    [[nodiscard]] detail::tag_table& tags()
        requires tagging_backend<L2>
    {
        return state_->far.tags();
    }
    [[nodiscard]] awaitable<void> invalidate_tag(std::string_view tag)
        requires tagging_backend<L2>
    {
        auto scope = std::make_unique<detail::clear_count::scope>(state_->tag_invalidations);
        auto begun = state_->far.invalidate_tag(tag);
        return detail::tier_invalidate_tag(state_, std::move(scope), std::move(begun));
    }

    /// The listener is told when level 1 has been dealt with.
    void listen(std::weak_ptr<change_listener<K>> listener)
        requires notifying_backend<L2, K>
    {
        state_->relay_to(std::move(listener));
    }
    [[nodiscard]] std::uint64_t coherence() const
        requires notifying_backend<L2, K>
    {
        return state_->coherence();
    }

    /// Those of level 1.
    [[nodiscard]] backend_metrics metrics() const
        requires measured_backend<L1>
    {
        return state_->near.metrics();
    }
    [[nodiscard]] tiered_metrics level_metrics() const {
        const auto& c = state_->counts;
        return {c.reads,  c.shared, c.fenced, state_->pending.size(), c.background_failures,
                state_->partitioned.lasts()};
    }

    /// Has `f` told of what leaves level 1, as there.
    template <class F>
        requires requires(L1& level, F f) { level.on_removal(std::move(f)); }
    void on_removal(F f) {
        state_->near.backend().on_removal(std::move(f));
    }

private:
    static detail::tier_settings checked(const tiered_options& options) {
        detail::check_positive(options.ttl, "ttl of tiered_options");
        detail::check_not_zero(options.max_pending_writes, "max_pending_writes");
        detail::check_not_negative(options.max_stale_on_partition, "max_stale_on_partition");
        return {options.ttl, options.await_writes, options.max_pending_writes,
                options.max_stale_on_partition};
    }

    std::shared_ptr<state> state_;
};

} // namespace acache

#endif
