// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_BACKEND_HPP
#define ACACHE_REDIS_BACKEND_HPP

#include <acache/redis/client.hpp>
#include <acache/redis/codec.hpp>
#include <acache/redis/detail/redis_cache.hpp>
#include <acache/redis/key_codec.hpp>
#include <acache/redis/options.hpp>
#include <acache/shared_backend.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/redis/connection.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acache {

/// Entries in Redis or Valkey, shared by all processes that name the same prefix. An asynchronous backend
/// with all capabilities of `shared_backend.hpp`; in most services it is the second level of a
/// `tiered_backend`.
///
/// Values go through `Codec`, keys through `KeyCodec`. What cannot be read (another format or version,
/// garbage, the value of another key; contract C33) is taken for absent and counted. The server's clock
/// decides when an entry expires. All processes are to have the same codecs and the same types.
///
/// Without the server, look-ups throw `redis_errc::unavailable` or `timeout`, as do loads when they store; a
/// cache counts that and goes on (contract C29). `set`, `erase`, `clear` and `invalidate_tag` do not throw:
/// what they could not remove is queued, and removed when the server is back, before anything else is asked
/// of it.
///
/// May be used from any thread and on any executor; what is sent goes by the client's connection. A coroutine
/// that is cancelled ends with `operation_aborted`, and what it has sent may still be carried out. What is
/// under way keeps the client alive, and not its connection.
template <class K, class V, codec<V> Codec = default_codec<V>, codec<K> KeyCodec = default_key_codec<K>>
class redis_backend {
    using cache = detail::redis_cache<K, V, Codec, KeyCodec>;

public:
    using key_type = K;
    using mapped_type = V;
    using lease = detail::redis_lease;
    /// What `lookup_result::tier` says of its entries.
    static constexpr std::string_view tier_name = "redis";

    /// Throws `std::invalid_argument` for options that make no sense, or if another cache of the client has a
    /// prefix that begins like this one.
    redis_backend(const redis_client& client, const redis_options& options, Codec codec = Codec(),
                  KeyCodec key_codec = KeyCodec())
        : cache_(std::make_shared<cache>(detail::link_of(client), options, std::move(codec),
                                         std::move(key_codec))) {
        cache_->link().add(cache_);
    }
    /// With a client of its own over this connection, which nobody else may use.
    redis_backend(boost::redis::connection& connection, const redis_options& options, Codec codec = Codec(),
                  KeyCodec key_codec = KeyCodec())
        : redis_backend(redis_client(connection), options, std::move(codec), std::move(key_codec)) {}
    redis_backend(std::shared_ptr<boost::redis::connection> connection, const redis_options& options,
                  Codec codec = Codec(), KeyCodec key_codec = KeyCodec())
        : redis_backend(redis_client(std::move(connection)), options, std::move(codec),
                        std::move(key_codec)) {}

    redis_backend(redis_backend&&) noexcept = default;
    redis_backend& operator=(redis_backend&& other) noexcept {
        leave();
        cache_ = std::move(other.cache_);
        return *this;
    }
    ~redis_backend() { leave(); }

    /// One GET.
    [[nodiscard]] boost::asio::awaitable<std::optional<entry<V>>> get(const K& key) {
        return cache_->get(key);
    }
    /// One SET with NX, GET and PX, and one more for each change of the slot that it waits for.
    [[nodiscard]] boost::asio::awaitable<std::optional<entry<V>>> get(const K& key, lease& of,
                                                                      lease_mode mode) {
        return cache_->get(key, of, mode);
    }
    /// One MGET. `keys` outlive the call.
    [[nodiscard]] boost::asio::awaitable<std::vector<std::optional<entry<V>>>>
    get_many(std::span<const K> keys) {
        return cache_->get_many(keys);
    }
    /// One MGET, and where anything is missing a SET for each of that, in one pipeline.
    [[nodiscard]] boost::asio::awaitable<std::vector<std::optional<entry<V>>>>
    get_many(std::span<const K> keys, std::span<lease> leases) {
        return cache_->get_many(keys, leases);
    }

    /// One SET with PX. A value that is too large, or could not be written, is removed instead.
    [[nodiscard]] boost::asio::awaitable<void> set(const K& key, entry<V> e) {
        return cache_->set(key, std::move(e));
    }
    [[nodiscard]] boost::asio::awaitable<bool> set(const K& key, entry<V> e, lease& of) {
        return cache_->set(key, std::move(e), of);
    }
    /// In one pipeline. `keys` outlive the call.
    [[nodiscard]] boost::asio::awaitable<std::vector<bool>>
    set_many(std::span<const K> keys, std::vector<std::optional<entry<V>>> entries, std::span<lease> leases) {
        return cache_->set_many(keys, std::move(entries), leases);
    }

    /// One UNLINK; whether an entry was there, as far as is known.
    [[nodiscard]] boost::asio::awaitable<bool> erase(const K& key) { return cache_->erase(key); }
    /// O(1): a new generation begins, and nothing of the old one is found any more. Redis drops that as it
    /// expires, or when memory runs short.
    [[nodiscard]] boost::asio::awaitable<void> clear() { return cache_->clear(); }

    [[nodiscard]] detail::tag_table& tags() noexcept { return cache_->tags(); }
    /// O(1). The names of all tags that were invalidated since the cache was last cleared stay in its state
    /// in Redis.
    [[nodiscard]] boost::asio::awaitable<void> invalidate_tag(std::string_view tag) {
        cache_->tags().invalidate(tag);
        return cache_->invalidate_tag(std::string(tag));
    }

    void listen(std::weak_ptr<change_listener<K>> listener) { cache_->listen(std::move(listener)); }
    [[nodiscard]] std::uint64_t coherence() const noexcept { return cache_->coherence(); }

private:
    void leave() noexcept {
        if (cache_) {
            cache_->link().remove(*cache_);
        }
    }

    std::shared_ptr<cache> cache_;
};

} // namespace acache

#endif
