// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_NODE_TABLE_HPP
#define ACACHE_DETAIL_NODE_TABLE_HPP

#include <acache/entry.hpp>

#include <boost/unordered/unordered_flat_set.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace acache::detail {

/// What a store keeps of one key: the only copy of it, its mixed hash, the entry, and the policy's hook.
template <class K, class V, class Hook>
struct cache_node : Hook {
    cache_node(K k, entry<V> e, std::uint64_t h) : hash(h), key(std::move(k)), stored(std::move(e)) {}

    const std::uint64_t hash;
    const K key;
    entry<V> stored;
};

/// A set of nodes by key. It owns none of them and computes no hash; stored nodes differ by address.
template <class Node>
class node_table {
public:
    /// The node of `key`, or null. Throws what the comparison throws.
    template <class Q, class KeyEqual>
    [[nodiscard]] Node* find(const Q& key, std::uint64_t hash, const KeyEqual& equal) const {
        const auto found = nodes_.find(probe<Q, KeyEqual>{key, hash, equal});
        return found == nodes_.end() ? nullptr : *found;
    }

    /// Adds a node whose key is not there yet. `std::bad_alloc` leaves the table as it was.
    void insert(Node& node) { nodes_.insert(&node); }

    void erase(Node& node) noexcept { nodes_.erase(&node); }

    /// `fresh`, of the same key, takes the place of `old`.
    void replace(Node& old, Node& fresh) noexcept {
        // The set's elements are const lest their hash change; here it does not.
        const_cast<Node*&>(*nodes_.find(&old)) = &fresh;
    }

    template <class F>
    void for_each(F&& f) const {
        for (Node* node : nodes_) {
            f(*node);
        }
    }

    [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }
    void swap(node_table& other) noexcept { nodes_.swap(other.nodes_); }

private:
    template <class Q, class KeyEqual>
    struct probe {
        const Q& key;
        std::uint64_t hash;
        const KeyEqual& equal;

        bool matches(const Node& node) const { return hash == node.hash && equal(key, node.key); }
    };

    struct stored_hash {
        using is_transparent = void;
        using is_avalanching = std::true_type;

        std::size_t operator()(const Node* node) const noexcept {
            return static_cast<std::size_t>(node->hash);
        }
        template <class Q, class KeyEqual>
        std::size_t operator()(const probe<Q, KeyEqual>& wanted) const noexcept {
            return static_cast<std::size_t>(wanted.hash);
        }
    };

    struct same_node {
        using is_transparent = void;

        bool operator()(const Node* a, const Node* b) const noexcept { return a == b; }
        template <class Q, class KeyEqual>
        bool operator()(const probe<Q, KeyEqual>& wanted, const Node* node) const {
            return wanted.matches(*node);
        }
        template <class Q, class KeyEqual>
        bool operator()(const Node* node, const probe<Q, KeyEqual>& wanted) const {
            return wanted.matches(*node);
        }
    };

    boost::unordered_flat_set<Node*, stored_hash, same_node> nodes_;
};

} // namespace acache::detail

#endif
