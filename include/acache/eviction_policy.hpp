// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_EVICTION_POLICY_HPP
#define ACACHE_EVICTION_POLICY_HPP

#include <concepts>
#include <cstdint>

namespace acache {

/// An eviction policy orders the entries of one shard of a store and names the next to go. It knows
/// neither keys nor values nor time: the store derives its nodes from `P::hook` and shows the policy each
/// node, together with the 64 well-mixed bits of its key's hash. Policies count what they hold and need
/// no capacity: the store asks for a victim just before an insertion that finds it full.
///
/// - `insert(hook, hash)`: a new entry.
/// - `hit(hook)`: the entry was read, or its value replaced. With `P::concurrent_hits` true, hits may run
///   at the same time as each other and as anything else; otherwise the store keeps calls apart.
/// - `replace(old, fresh)`: `fresh` takes the place of `old`, with its history.
/// - `remove(hook)`: the entry leaves for another reason than room.
/// - `evict()`: takes the victim out and returns its hook; there must be one.
/// - `clear()`: forgets all entries, without touching their hooks, and all history.
/// - `empty()`: whether it holds no entry.
///
/// All are O(1), amortised, and none throws: history that finds no memory is dropped. A hook stays where
/// it is while the policy holds it.
template <class P>
concept eviction_policy = std::default_initializable<P> && std::default_initializable<typename P::hook> &&
                          std::convertible_to<decltype(P::concurrent_hits), bool> &&
                          requires(P& policy, const P& held, typename P::hook& hook, std::uint64_t hash) {
                              { policy.insert(hook, hash) } noexcept;
                              { policy.hit(hook) } noexcept;
                              { policy.replace(hook, hook) } noexcept;
                              { policy.remove(hook) } noexcept;
                              { policy.evict() } noexcept -> std::same_as<typename P::hook&>;
                              { policy.clear() } noexcept;
                              { held.empty() } noexcept -> std::convertible_to<bool>;
                          };

} // namespace acache

#endif
