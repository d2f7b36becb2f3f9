// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTING_SCRIPTED_BACKEND_HPP
#define ACACHE_TESTING_SCRIPTED_BACKEND_HPP

#include <acache/entry.hpp>
#include <acache/hash.hpp>
#include <acache/testing/manual_clock.hpp>
#include <acache/testing/script.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace acache::testing {

/// An asynchronous backend over a map, played from outside: its `script()` counts operations, parks and
/// releases them, and makes them fail.
///
///     scripted_backend<std::string, user> backend;
///     auto script = backend.script();
///     async_cache<std::string, user, scripted_backend<std::string, user>> cache{context, backend};
///     script.hold(op::get);          // the next look-up stops in the second level ...
///     script.release_all();          // ... until here
///
/// Copies are handles on one and the same map and script. Every operation suspends at least once, also when
/// nothing holds it. It keeps entries that have expired, as a remote store may. Any thread may call.
template <class K, class V, class Hash = acache::hash<K>, class KeyEqual = std::equal_to<>>
class scripted_backend {
    template <class T>
    using awaitable = boost::asio::awaitable<T>;
    using found = std::optional<entry<V>>;

public:
    using clock_type = manual_clock;
    using hasher = Hash;
    using key_equal = KeyEqual;

    [[nodiscard]] testing::script script() const { return shared_->script; }

    [[nodiscard]] awaitable<found> get(const K& key) {
        return act<found>(shared_, op::get, [key](map& m) { return find(m, key); });
    }

    [[nodiscard]] awaitable<std::vector<found>> get_many(std::span<const K> keys) {
        return act<std::vector<found>>(shared_, op::get_many,
                                       [keys = std::vector<K>(keys.begin(), keys.end())](map& m) {
                                           std::vector<found> result;
                                           for (const K& key : keys) {
                                               result.push_back(find(m, key));
                                           }
                                           return result;
                                       });
    }

    [[nodiscard]] awaitable<void> set(const K& key, entry<V> e) {
        return act<void>(shared_, op::set, [key, e = std::move(e)](map& m) { m.insert_or_assign(key, e); });
    }

    [[nodiscard]] awaitable<bool> erase(const K& key) {
        return act<bool>(shared_, op::erase, [key](map& m) { return m.erase(key) != 0; });
    }

    [[nodiscard]] awaitable<void> clear() {
        return act<void>(shared_, op::clear, [](map& m) { m.clear(); });
    }

    /// What is stored, at once and uncounted.
    [[nodiscard]] found peek(const K& key) const {
        const std::lock_guard lock{shared_->mutex};
        return find(shared_->entries, key);
    }
    /// Stores, at once and uncounted.
    void plant(const K& key, entry<V> e) {
        const std::lock_guard lock{shared_->mutex};
        shared_->entries.insert_or_assign(key, std::move(e));
    }
    [[nodiscard]] std::size_t size() const {
        const std::lock_guard lock{shared_->mutex};
        return shared_->entries.size();
    }

private:
    using map = std::unordered_map<K, entry<V>, Hash, KeyEqual>;

    struct shared {
        testing::script script;
        std::mutex mutex;
        map entries;
    };

    static found find(const map& m, const K& key) {
        const auto it = m.find(key);
        return it == m.end() ? found() : found(it->second);
    }

    template <class R, class Effect>
    static awaitable<R> act(std::shared_ptr<shared> self, op kind, Effect effect) {
        co_await self->script.begin(kind);
        if constexpr (std::is_void_v<R>) {
            apply(*self, effect);
            co_await self->script.end(kind);
        } else {
            auto result = apply(*self, effect);
            co_await self->script.end(kind);
            co_return result;
        }
    }

    template <class Effect>
    static decltype(auto) apply(shared& self, Effect& effect) {
        const std::lock_guard lock{self.mutex};
        return effect(self.entries);
    }

    std::shared_ptr<shared> shared_ = std::make_shared<shared>();
};

} // namespace acache::testing

#endif
