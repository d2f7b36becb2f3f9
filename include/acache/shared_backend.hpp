// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_SHARED_BACKEND_HPP
#define ACACHE_SHARED_BACKEND_HPP

#include <acache/backend.hpp>
#include <acache/detail/tag_table.hpp>
#include <acache/entry.hpp>

#include <boost/asio/awaitable.hpp>

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace acache {

// Capabilities of asynchronous backends that others write to as well: other processes, or other caches of
// this one. Each stands alone; Redis has all of them.

/// Hears of what others do to a backend. Called from any thread, one call at a time, with no lock of the
/// backend's held; what is called must not throw. The cache, and with it this handle of the backend, may be
/// destroyed in a call: who calls keeps alive what he needs after it.
template <class K>
class change_listener {
public:
    virtual ~change_listener() = default;
    /// Somebody else has written or removed this key.
    virtual void changed(const K& key) = 0;
    /// From here on changes may go unheard, until `all_changed`.
    virtual void lost() = 0;
    /// Changes are heard again; whatever was read before may have changed meanwhile.
    virtual void all_changed() = 0;
};

/// Capability: the backend tells one listener of what others change. `coherence()` says, from any thread,
/// whether that works at present: 0 if not, and else a number that is another one each time after it did
/// not. A reply whose request was sent under the number that still holds is as good as what the listener
/// has been told: it may be kept as long as that hears of no change.
template <class B, class K>
concept notifying_backend = requires(B& b, const B& c, std::weak_ptr<change_listener<K>> listener) {
    b.listen(std::move(listener));
    { c.coherence() } -> std::same_as<std::uint64_t>;
};

/// What a reader with a load of its own does where somebody else has said that he loads the key.
enum class lease_mode : std::uint8_t {
    wait, ///< waits for what that load brings, as long as its holder lives
    go_on ///< loads too, and takes the lease over: the other one stores no more
};

/// Capability: a lease, which makes loads safe against what others write meanwhile (Nishtala et al., "Scaling
/// Memcache at Facebook", NSDI 2013). `get` with a lease gives what is stored, and the lease remembers what
/// that was; where there is nothing it says so to others, who may wait. `set` with that lease stores only if
/// nobody has written or removed the key since, and says whether it did. A lease that is destroyed or used
/// up lets those who wait for it go on. Default-constructed it is none: `set` with it stores in any case. But
/// one that was given to a `get` that threw has seen nothing: `set` with that stores nothing that others
/// could see, at most in what is this process's own. Any thread may destroy a lease.
template <class B, class K, class V>
concept leasing_backend =
    asynchronous_backend<B, K, V> && std::default_initializable<typename B::lease> &&
    std::movable<typename B::lease> &&
    requires(B& b, const K& key, std::span<const K> keys, entry<V> e, typename B::lease& lease,
             std::span<typename B::lease> leases, lease_mode mode) {
        { b.get(key, lease, mode) } -> std::same_as<boost::asio::awaitable<std::optional<entry<V>>>>;
        { b.set(key, std::move(e), lease) } -> std::same_as<boost::asio::awaitable<bool>>;
        // Many keys in one operation, which waits for nobody; the leases are as many as the keys.
        {
            b.get_many(keys, leases)
        } -> std::same_as<boost::asio::awaitable<std::vector<std::optional<entry<V>>>>>;
    };

/// Capability of a leasing backend: many entries in one operation. Keys, entries and leases are as many, and
/// so are the results: whether each was stored. An empty entry is for a key that is left alone.
template <class B, class K, class V>
concept multi_set_backend = leasing_backend<B, K, V> && requires(B& b, std::span<const K> keys,
                                                                 std::vector<std::optional<entry<V>>> entries,
                                                                 std::span<typename B::lease> leases) {
    {
        b.set_many(keys, std::move(entries), leases)
    } -> std::same_as<boost::asio::awaitable<std::vector<bool>>>;
};

/// Capability: tags that are invalidated for all who share the backend (contract C15). It keeps the tags of
/// the entries that it returns in a table of its own, in the place of the cache's; `invalidate_tag` is in
/// force there when it returns its awaitable, and everywhere when that has completed.
template <class B>
concept tagging_backend = requires(B& b, std::string_view tag) {
    { b.tags() } -> std::same_as<detail::tag_table&>;
    { b.invalidate_tag(tag) } -> std::same_as<boost::asio::awaitable<void>>;
};

} // namespace acache

#endif
