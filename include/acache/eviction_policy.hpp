// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_EVICTION_POLICY_HPP
#define ACACHE_EVICTION_POLICY_HPP

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace acache {

/// Names an entry of one shard of a store: its place in the store's slab.
using entry_id = std::uint32_t;

/// No entry at all.
inline constexpr entry_id no_entry = UINT32_MAX;

namespace detail {

/// The least that a policy may ask of a table of hooks.
template <class Hook>
struct any_hooks {
    Hook& operator[](entry_id id) noexcept;
};

} // namespace detail

/// An eviction policy orders the entries of one shard of a store and names the next to go. It knows
/// neither keys nor values nor time. The store numbers its entries and keeps a `P::hook` for each, in
/// which the policy keeps what it must know of it; `hooks[id]` is the hook of entry `id`. Policies count
/// what they hold and need no capacity: a store that is full asks for a victim before it inserts.
///
/// - `insert(hooks, id, hash)`: a new entry, with the 64 well-mixed bits of its key's hash. Whatever the hook
///   held before is gone.
/// - `hit(hooks, id)`: the entry was read, or its value replaced. With `P::concurrent_hits` true, hits may
///   run at the same time as each other and as anything else, even for an entry that has just left, so they
///   touch nothing but atomics; otherwise the store keeps calls apart.
/// - `replace(hooks, old, fresh)`: `fresh` takes the place of `old`, with its history.
/// - `remove(hooks, id)`: the entry leaves for another reason than room.
/// - `evict(hooks)`: takes the victim out and returns its id; there must be one.
/// - `clear()`: forgets all entries, without touching their hooks, and all history.
/// - `empty()`: whether it holds no entry.
///
/// All are O(1), amortised, and none throws: history that finds no memory is dropped. An id and its hook
/// stay the entry's while the policy holds it; then the id may come back for another entry.
template <class P>
concept eviction_policy = std::default_initializable<P> && std::default_initializable<typename P::hook> &&
                          std::is_trivially_destructible_v<typename P::hook> &&
                          std::convertible_to<decltype(P::concurrent_hits), bool> &&
                          requires(P& policy, const P& held, detail::any_hooks<typename P::hook>& hooks,
                                   entry_id id, std::uint64_t hash) {
                              { policy.insert(hooks, id, hash) } noexcept;
                              { policy.hit(hooks, id) } noexcept;
                              { policy.replace(hooks, id, id) } noexcept;
                              { policy.remove(hooks, id) } noexcept;
                              { policy.evict(hooks) } noexcept -> std::same_as<entry_id>;
                              { policy.clear() } noexcept;
                              { held.empty() } noexcept -> std::convertible_to<bool>;
                          };

} // namespace acache

#endif
