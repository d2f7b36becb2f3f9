// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CACHE_STATE_HPP
#define ACACHE_DETAIL_CACHE_STATE_HPP

#include <acache/backend.hpp>
#include <acache/detail/atomic_histogram.hpp>
#include <acache/detail/change_fence.hpp>
#include <acache/detail/checks.hpp>
#include <acache/detail/counters.hpp>
#include <acache/detail/failed_load.hpp>
#include <acache/detail/failure_memory.hpp>
#include <acache/detail/flight_group.hpp>
#include <acache/detail/freshness_policy.hpp>
#include <acache/detail/keys.hpp>
#include <acache/detail/observation.hpp>
#include <acache/detail/read_section.hpp>
#include <acache/detail/refresh_backoff.hpp>
#include <acache/detail/standing.hpp>
#include <acache/detail/state_ref.hpp>
#include <acache/detail/store.hpp>
#include <acache/detail/tag_table.hpp>
#include <acache/load_context.hpp>
#include <acache/lookup_result.hpp>
#include <acache/metrics.hpp>
#include <acache/observer.hpp>
#include <acache/options.hpp>
#include <acache/shared_backend.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace acache::detail {

/// What a backend's leases are, where it is taken for one that `leases`.
template <class Backend, bool leases>
struct lease_of_backend {
    struct type {};
};
template <class Backend>
struct lease_of_backend<Backend, true> {
    using type = typename Backend::lease;
};

/// What an `async_cache` is a handle to: the flights, and the store that they fill.
///
/// Here is the policy: what is fresh, what may be stored, and in which order writes and flights see each
/// other. A write to a synchronous backend happens under the lock of the key's flight, together with the
/// fence. A write to an asynchronous one takes its turn among the writes of its key, and fences before and
/// after, so that no flight that began meanwhile stores what it read before the write took effect.
template <class K, class V, class Backend, class Observer = no_observer>
class cache_state final
    : public flight_group<K, V, typename store<K, V, Backend>::key_equal, backend_clock_t<Backend>>,
      public observation<K, Observer> {
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

    using failures_type =
        failure_memory<K, typename store_type::hasher, typename store_type::key_equal, clock_type>;

    static constexpr bool synchronous = store_type::synchronous;
    /// Others write to the backend as well, and: loads are made safe against that by leases,
    static constexpr bool leases = !synchronous && leasing_backend<Backend, K, V>;
    /// the backend tells of it,
    static constexpr bool hears_of_changes = !synchronous && notifying_backend<Backend, K>;
    /// and tags are those of the backend.
    static constexpr bool shares_tags = !synchronous && tagging_backend<Backend>;
    using lease_type = typename lease_of_backend<Backend, leases>::type;
    /// The backend itself tells the observer of what is removed.
    static constexpr bool hears_of_removals =
        observation<K, Observer>::template observes<events::removed> &&
        requires(Backend& b, void (*listener)(const K&, const V&, removal_cause)) { b.on_removal(listener); };
    /// What its entries are said to come from.
    static constexpr std::string_view tier = [] {
        if constexpr (requires { std::string_view(Backend::tier_name); }) {
            return std::string_view(Backend::tier_name);
        } else {
            return std::string_view("backend");
        }
    }();
    /// The same of those that it has without suspending.
    static constexpr std::string_view local_tier = [] {
        if constexpr (requires { std::string_view(Backend::local_tier_name); }) {
            return std::string_view(Backend::local_tier_name);
        } else {
            return tier;
        }
    }();

    static constexpr std::size_t default_shards = 16;

    /// `keeps` is false where nothing is ever to be stored: flights and their callers then do without the
    /// store.
    cache_state(asio::any_io_executor executor, Backend backend, const cache_options& options,
                std::size_t shards = default_shards, bool keeps = true, Observer observer = {})
        : group(std::move(executor), settings_of(options, shards)),
          observation<K, Observer>(std::move(observer)), freshness(options),
          backoff(options.refresh_backoff, options.refresh_backoff_max),
          failures(options.capacity == unbounded ? cache_options{}.capacity : options.capacity),
          store_(heard(std::move(backend))), name_(options.name), keeps_(keeps),
          anchor_(state_anchor::take(this)) {}
    ~cache_state() override { anchor_.give_back(); }

    /// To be called once and first, but when a shared pointer has the state.
    void listen() {
        if constexpr (hears_of_changes) {
            auto self = std::static_pointer_cast<cache_state>(this->shared_from_this());
            listener_ = std::make_shared<change_fence<cache_state>>(std::move(self));
            store_.backend().listen(std::weak_ptr<change_listener<K>>(listener_));
        }
    }

    [[nodiscard]] state_ref<cache_state> ref() const noexcept { return state_ref<cache_state>(anchor_); }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] store_type& stored() noexcept { return store_; }
    [[nodiscard]] bool keeps() const noexcept { return keeps_; }
    void count(counter c, std::uint64_t n = 1) noexcept { counters_.add(c, n); }
    /// Tells the observer of an event, where it wants to know of such. `key` is a `K`, or else is made one
    /// for it, which may throw. To be called with no lock held and outside read sections, since the observer
    /// may call the cache. Who is closed has nothing more to tell.
    template <template <class> class Event, class Key, class... Rest>
    void tell(const Key& key, const Rest&... rest) noexcept(std::same_as<Key, K>) {
        if constexpr (observation<K, Observer>::template observes<Event>) {
            if (this->board.admits(true)) {
                if constexpr (std::same_as<Key, K>) {
                    this->call(Event<K>{key, rest...});
                } else {
                    const K made(key);
                    this->call(Event<K>{made, rest...});
                }
            }
        }
    }
    /// What a look-up has come to: a hit, a stale one, a miss, or a load that it has joined.
    template <class Key>
    void tell_look_up(counter as, const Key& key) noexcept(std::same_as<Key, K>) {
        switch (as) {
        case counter::hits:
            return tell<events::hit>(key);
        case counter::stale_hits:
            return tell<events::stale_hit>(key);
        case counter::coalesced:
            return tell<events::join>(key);
        default:
            return tell<events::miss>(key);
        }
    }
    /// The same, counted.
    template <class Key>
    void looked_up(counter as, const Key& key) noexcept(std::same_as<Key, K>) {
        count(as);
        tell_look_up(as, key);
    }
    /// The same of a failure of the backend, which is counted.
    void backend_failed(const std::exception_ptr& failure) noexcept {
        count(counter::backend_failures);
        tell_failure(failure);
    }
    /// Tells of a failure of the backend that is counted, where there is one.
    void tell_failure([[maybe_unused]] const std::exception_ptr& failure) noexcept {
        if constexpr (observation<K, Observer>::template observes<events::backend_failed>) {
            if (failure && this->board.admits(true)) {
                this->call(events::backend_failed<K>{failure});
            }
        }
    }
    /// The same of an erasure by the cache, of an entry if there `was` one.
    template <class Key>
    void tell_erased(const Key& key, bool was) {
        if constexpr (!hears_of_removals) {
            if (was) {
                tell<events::removed>(key, removal_cause::invalidated);
            }
        }
    }
    /// Counts a load that ended, `failed` keys of it without a value. One that was cancelled, or that a
    /// timeout has counted already, does not count.
    /// How long it took is returned.
    std::chrono::nanoseconds count_load(const job& j, typename timer_clock::time_point begun,
                                        std::size_t failed) noexcept {
        const auto took = timer_clock::now() - begun;
        if (!j.cancelled()) {
            count(counter::load_failures, failed);
            load_time_.record(took);
        }
        return took;
    }

    [[nodiscard]] cache_metrics metrics() const {
        cache_metrics m;
        counters_.read_into(m);
        failures.tidy();
        m.load_time = load_time_.snapshot();
        const auto held = store_.metrics();
        m.removals = held.removals;
        m.rejected = held.rejected;
        m.size = held.size;
        m.weight = held.weight;
        m.in_flight = this->in_flight();
        return m;
    }

    [[nodiscard]] static standing judge(const entry<V>& e, const demand& reader) noexcept {
        if (e.expires == time_point::max() && e.fresh_until == time_point::max() && !e.details &&
            !reader.max_age) {
            return standing::fresh; // without a look at the clock
        }
        return detail::judge(e, e.details.get(), clock_type::now(), reader);
    }
    /// The key's loads have failed lately, and it is to be left alone for a while.
    [[nodiscard]] bool held_back(std::size_t hash) { return backoff.held_back(hash, clock_type::now()); }
    [[nodiscard]] bool keeps_stale(const load_options& options) const noexcept {
        return freshness.renews_early() || freshness.windows(options).serve();
    }

    [[nodiscard]] static bool fresh(const entry<V>& e) noexcept {
        return plain_stamps(e).fresh(&clock_type::now);
    }

    [[nodiscard]] static std::optional<entry<V>> if_fresh(std::optional<entry<V>> found) {
        if (found && !fresh(*found)) {
            found.reset();
        }
        return found;
    }

    /// The stamps and details of a value, and what is to become of it.
    struct stamps : entry_stamps {
        /// It is to be stored, and not stale already.
        bool alive;
        /// The older entry may stay although this value is not stored.
        bool keep_older = false;
        entry_details_ptr details = nullptr;
    };

    [[nodiscard]] stamps stamp(std::optional<std::chrono::nanoseconds> ttl) const noexcept {
        return stamp(ttl, freshness.windows({}));
    }
    [[nodiscard]] stamps stamp(std::optional<std::chrono::nanoseconds> ttl,
                               const stale_windows& windows) const noexcept {
        const auto now = clock_type::now();
        const auto result = freshness.stamp(now, ttl, windows);
        return {result, result.fresh_until > now};
    }
    /// Of a value that is set, with these tags.
    [[nodiscard]] stamps stamp(std::optional<std::chrono::nanoseconds> ttl, const stale_windows& windows,
                               const std::vector<std::string>& names) {
        auto result = stamp(ttl, windows);
        if (!names.empty()) {
            const tag_table::load tagging(tags());
            result.details = make_details({}, {}, tags().taggings(names, tagging.began()));
        }
        return result;
    }

    /// What a loader has said of its value that is for later; what it has not, of one that was not modified,
    /// is as it was.
    template <class Context>
    [[nodiscard]] entry_details_ptr describe(const Context& context, std::chrono::nanoseconds load_time) {
        const load_context& said = context.said();
        const entry_details* const older = said.is_not_modified() ? context.older() : nullptr;
        auto names = tags().taggings(said.tags(), context.began());
        if (older != nullptr && names.empty()) {
            for (const auto& t : older->tags) {
                names.push_back({t.of, context.began()});
            }
        }
        const std::string_view old_version = older != nullptr ? older->validator : std::string_view{};
        return make_details(load_time, said.validator().empty() ? old_version : said.validator(),
                            std::move(names));
    }

    /// Of a value that a loader has brought; `took` is how long it did.
    template <class Context>
    [[nodiscard]] stamps stamp(const Context& context, const load_options& options,
                               std::chrono::nanoseconds took) {
        const load_context& said = context.said();
        const auto now = clock_type::now();
        const auto windows = freshness.windows(options);
        stamps result{
            freshness.stamp(said.valid_from().value_or(now), said.ttl() ? said.ttl() : options.ttl, windows),
            true, !keeps_ || !said.stores()};
        if (said.expires_at()) {
            result.fresh_until = *said.expires_at();
            result.expires = saturating_add(result.fresh_until, windows.longest());
        }
        result.alive = result.fresh_until > now && !result.keep_older;
        const bool times =
            freshness.renews_early() && result.alive && result.fresh_until != time_point::max();
        result.details = describe(context, times ? took : took.zero());
        if (result.details && result.details->invalidated()) {
            result.alive = false; // contract C15
        }
        return result;
    }

    /// The entry as one that is stale from now on; whether it is then of use to anybody. It is kept as long
    /// after its freshness as it would have been, or as the windows say if that is longer.
    [[nodiscard]] static bool make_stale(entry<V>& e, const stale_windows& windows) noexcept {
        const auto now = clock_type::now();
        const auto own = e.expires == time_point::max() ? e.expires - e.expires : e.expires - e.fresh_until;
        e.fresh_until = std::min(e.fresh_until, now);
        e.expires = std::min(e.expires, saturating_add(e.fresh_until, std::max(own, windows.longest())));
        return judge(e, {.windows = windows}) != standing::dead;
    }

    [[nodiscard]] static std::chrono::nanoseconds age(time_point created) noexcept {
        const auto age = clock_type::now() - created;
        return age < age.zero() ? age.zero() : age;
    }

    /// What becomes of the error that a load has ended with.
    [[nodiscard]] failure_fate fate_of(const std::exception_ptr& error, const load_options& options) const {
        switch (kind_of(error)) {
        case failure_kind::answer:
            return {true, freshness.negative_ttl(options)};
        case failure_kind::trouble:
            return {false, failures.lasts(error)};
        default:
            return {};
        }
    }
    /// Under the lock of the key's flights, so that what fences the flight comes before or after.
    void remember(const flight_type& flight, const std::exception_ptr& error, const failure_fate& fate,
                  typename failures_type::removed& displaced) {
        if (fate.length && keeps_) {
            failures.remember(flight.key, {error, fate.is_answer}, *fate.length, displaced, fate.details);
        }
    }

    /// Whatever fences the flight of a key also makes its failure be forgotten; see `flight_table::fence`.
    template <class Q, class Write>
    auto fence(std::size_t hash, const Q& key, Write write) {
        typename failures_type::removed forgotten;
        return group::fence(hash, key, [&](bool was) {
            failures.forget(key, forgotten);
            return write(was);
        });
    }
    template <class Q>
    bool fence(std::size_t hash, const Q& key) {
        return fence(hash, key, [](bool was) { return was; });
    }
    void fence_all() {
        group::fence_all();
        failures.forget_all();
    }

    /// Somebody else has changed what the backend has for the key; see `flight_table::changed`.
    void changed(const K& key) {
        typename failures_type::removed forgotten;
        group::changed(store_.hash(key), key, [&] { failures.forget(key, forgotten); });
    }

    [[nodiscard]] tag_table& tags() noexcept {
        if constexpr (shares_tags) {
            return store_.backend().tags();
        } else {
            return own_tags_;
        }
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
    /// With a `max_age`, no entry older than that is a hit; for who `loads`, no entry that is to be renewed
    /// early.
    template <bool loads = true, class Q, class Take, class MaxAge = std::nullopt_t>
    [[nodiscard, gnu::flatten]] bool hit(const Q& query, Take take, const MaxAge& max_age = std::nullopt) {
        const bool found = store_.read(query, store_.hash(query), [&](auto&& value, const auto& stamped) {
            bool is_fresh = stamped.fresh(&clock_type::now);
            if constexpr (!std::same_as<MaxAge, std::nullopt_t>) {
                is_fresh = is_fresh && (!max_age || !is_older(age(stamped.created()), *max_age));
            }
            if (freshness.renews_early()) [[unlikely]] {
                is_fresh = is_fresh && !(loads && freshness.is_due(clock_type::now(), stamped.fresh_until(),
                                                                   stamped.details()));
            }
            if (is_fresh) {
                take(std::forward<decltype(value)>(value), stamped.created());
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

    const freshness_policy freshness;
    /// Keys whose refreshes have failed lately.
    refresh_backoff backoff;
    /// Keys whose loads have ended in an error that is told to later callers.
    failures_type failures;

    void context_gone(asio::execution_context& context) override {
        store_.turns.discard_waiters_of(context);
        store_.erasures.discard_waiters_of(context);
        group::context_gone(context);
    }

private:
    static flight_settings settings_of(const cache_options& options, std::size_t shards) {
        check_positive(options.load_timeout, "load_timeout");
        check_not_zero(options.max_concurrent_loads, "max_concurrent_loads");
        return {options.load_timeout, options.finish_abandoned_loads, options.max_concurrent_loads,
                options.max_queued_loads, shards};
    }

    [[nodiscard]] static entry_details_ptr
    make_details(std::chrono::nanoseconds load_time, std::string_view validator, std::vector<tagging> tags) {
        if (load_time.count() == 0 && validator.empty() && tags.empty()) {
            return nullptr;
        }
        auto* const made = new entry_details;
        const entry_details_ptr result(made);
        made->load_time = load_time;
        made->validator = validator;
        made->tags = std::move(tags);
        return result;
    }

    /// The backend, which tells the observer of removals, where that wants to know and it can.
    [[nodiscard]] Backend heard(Backend backend) {
        if constexpr (hears_of_removals) {
            backend.on_removal([this](const K& key, const V&, removal_cause cause) {
                this->template tell<events::removed>(key, cause);
            });
        }
        return backend;
    }

    void on_timeout(std::size_t keys) override { count(counter::load_failures, keys); }
    void on_overload(std::size_t keys) override { count(counter::overloaded, keys); }
    std::size_t fail_late(job& j, const std::exception_ptr& error) override {
        const auto fate = fate_of(error, {});
        std::size_t failed = 0;
        for (const auto& f : j.flights) {
            outcome_type outcome;
            outcome.error = error;
            if (finish_failed(*this, *f, std::move(outcome), fate)) {
                ++failed;
                hold_back(*this, *f, {});
            }
        }
        return failed;
    }

    struct nothing {};
    [[no_unique_address]] std::conditional_t<shares_tags, nothing, tag_table> own_tags_;
    store_type store_;
    counters counters_;
    atomic_histogram load_time_;
    const std::string name_;
    const bool keeps_;
    state_anchor& anchor_;
    [[no_unique_address]] std::conditional_t<hears_of_changes, std::shared_ptr<change_listener<K>>, nothing>
        listener_;
};

/// The value of a hit on a cache that may be no more; nothing where it takes more than a look. When it was
/// made is put at `created_at`, unless that is null.
template <class State, class Query, class MaxAge = std::nullopt_t, class At = std::nullptr_t>
[[nodiscard]] std::optional<typename State::value_type> hit(state_ref<State> where, const Query& query,
                                                            const MaxAge& max_age = std::nullopt,
                                                            [[maybe_unused]] At created_at = nullptr) {
    std::optional<typename State::value_type> result;
    if constexpr (State::store_type::answers_locally) {
        hit_report<State> report;
        {
            const read_section reading;
            State* const state = where.find();
            if (state != nullptr && state->board.admits(false) &&
                state->hit(
                    query,
                    [&](auto&& value, [[maybe_unused]] time_point created) {
                        result.emplace(std::forward<decltype(value)>(value));
                        if constexpr (!std::same_as<At, std::nullptr_t>) {
                            *created_at = created;
                        }
                    },
                    max_age)) {
                report.of(*state);
            }
        }
        report.tell(query);
    }
    return result;
}

} // namespace acache::detail

#endif
