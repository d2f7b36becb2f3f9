// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_STORE_HPP
#define ACACHE_DETAIL_STORE_HPP

#include <acache/backend.hpp>
#include <acache/clock.hpp>
#include <acache/detail/clear_count.hpp>
#include <acache/detail/standing.hpp>
#include <acache/detail/write_turns.hpp>
#include <acache/entry.hpp>
#include <acache/hash.hpp>
#include <acache/metrics.hpp>

#include <cstddef>
#include <functional>
#include <optional>
#include <type_traits>
#include <utility>

namespace acache::detail {

template <class Backend, class K>
struct hash_of_backend {
    using type = hash<K>;
};
template <class Backend, class K>
    requires requires { typename Backend::hasher; }
struct hash_of_backend<Backend, K> {
    using type = typename Backend::hasher;
};

template <class Backend>
struct key_equal_of_backend {
    using type = std::equal_to<>;
};
template <class Backend>
    requires requires { typename Backend::key_equal; }
struct key_equal_of_backend<Backend> {
    using type = typename Backend::key_equal;
};

/// What a synchronous backend's write returned, `void` made storable: kept until the locks are released.
template <class F>
[[nodiscard]] auto kept_result(F write) {
    if constexpr (std::is_void_v<decltype(write())>) {
        write();
        return 0;
    } else {
        return write();
    }
}

/// The stamps and details of an entry that is at hand, as a memory backend's `read` gives them.
class plain_stamps {
public:
    template <class V>
    explicit plain_stamps(const entry<V>& of) noexcept : stamps_(of), details_(of.details.get()) {}

    /// Whether the entry is fresh and none of its tags was invalidated. Calls `now` if need be.
    template <class Now>
    [[nodiscard]] bool fresh(Now now) const noexcept {
        if (details_ == nullptr && stamps_.fresh_until == time_point::max()) {
            return true;
        }
        return judge(stamps_, details_, now(), {}) == standing::fresh;
    }
    [[nodiscard]] time_point created() const noexcept { return stamps_.created; }
    [[nodiscard]] time_point fresh_until() const noexcept { return stamps_.fresh_until; }
    [[nodiscard]] time_point expires() const noexcept { return stamps_.expires; }
    [[nodiscard]] const entry_details* details() const noexcept { return details_; }
    [[nodiscard]] const entry_stamps& all() const noexcept { return stamps_; }

private:
    const entry_stamps& stamps_;
    const entry_details* details_;
};

/// A backend as the cache asks it: one way for those that hash keys and take a hash and those that do not,
/// and for those that look up by transparent queries and those that want a `K`.
template <class K, class V, class Backend>
class store {
public:
    static constexpr bool synchronous = synchronous_backend<Backend, K, V>;
    /// Some look-ups are answered without suspending.
    static constexpr bool answers_locally = synchronous || local_lookup_backend<Backend, K, V>;

    using hasher = typename hash_of_backend<Backend, K>::type;
    using key_equal = typename key_equal_of_backend<Backend>::type;

    explicit store(Backend backend) : backend_(std::move(backend)) {}

    template <class Q>
    [[nodiscard]] std::size_t hash(const Q& key) const {
        if constexpr (requires { backend_.hash_of(key); }) {
            return backend_.hash_of(key);
        } else {
            return hasher{}(key);
        }
    }

    /// What is known about the key without suspending. `store::answers_locally` only.
    template <class Q>
    [[nodiscard]] local_answer<V> ask(const Q& key, std::size_t hash) {
        if constexpr (!synchronous) {
            return with_key(key, [this](const K& k) { return backend_.try_get(k); });
        } else if (auto found = get(key, hash)) {
            return local_answer<V>::here(std::move(*found));
        } else {
            return local_answer<V>::absent();
        }
    }

    /// Calls `take(value, stamps)` with what is known of the key without suspending, if something is; whether
    /// it was, and `take` said that it took it. The stamps are `plain_stamps`, or the backend's own of that
    /// kind. `store::answers_locally` only.
    template <class Q, class Take>
    bool read(const Q& key, std::size_t hash, Take take) {
        if constexpr (requires(visitor f) { backend_.read(key, hash, f); }) {
            bool taken = false;
            backend_.read(key, hash,
                          [&](const V& value, const auto& stamps) { taken = take(value, stamps); });
            return taken;
        } else {
            auto answer = ask(key, hash);
            auto& found = answer.found();
            return found && take(std::move(found->value), plain_stamps(*found));
        }
    }

    template <class Q>
    [[nodiscard]] std::optional<entry<V>> get(const Q& key, std::size_t hash)
        requires synchronous
    {
        if constexpr (requires { backend_.get(key, hash); }) {
            return backend_.get(key, hash);
        } else if constexpr (requires { backend_.get(key); } && !std::convertible_to<const Q&, K>) {
            return backend_.get(key);
        } else {
            return with_key(key, [this](const K& k) { return backend_.get(k); });
        }
    }

    [[nodiscard]] auto set(const K& key, entry<V> fresh, std::size_t hash)
        requires synchronous
    {
        return kept_result([&] {
            if constexpr (requires { backend_.set(key, std::move(fresh), hash); }) {
                return backend_.set(key, std::move(fresh), hash);
            } else {
                return backend_.set(key, std::move(fresh));
            }
        });
    }

    template <class Q>
    [[nodiscard]] auto erase(const Q& key, std::size_t hash)
        requires synchronous
    {
        if constexpr (requires { backend_.erase(key, hash); }) {
            return backend_.erase(key, hash);
        } else {
            return with_key(key, [this](const K& k) { return backend_.erase(k); });
        }
    }

    [[nodiscard]] backend_metrics metrics() const {
        if constexpr (measured_backend<Backend>) {
            return backend_.metrics();
        } else {
            return {};
        }
    }

    [[nodiscard]] Backend& backend() noexcept { return backend_; }

    /// For backends whose writes take time.
    write_turns turns;
    clear_count clears;
    /// Erasures that nobody awaits: a read that begins after one was asked for has to come after it.
    write_turns erasures;
    /// The line of `erasures` that every read is in.
    static constexpr std::size_t every_key = 0;

private:
    struct visitor {
        template <class Stamps>
        void operator()(const V&, const Stamps&) const;
    };

    template <class Q, class F>
    static decltype(auto) with_key(const Q& key, F f) {
        if constexpr (std::is_same_v<Q, K>) {
            return f(key);
        } else {
            return f(K(key));
        }
    }

    Backend backend_;
};

} // namespace acache::detail

#endif
