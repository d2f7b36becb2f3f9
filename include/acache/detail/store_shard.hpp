// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_STORE_SHARD_HPP
#define ACACHE_DETAIL_STORE_SHARD_HPP

#include <acache/clock.hpp>
#include <acache/detail/node_table.hpp>
#include <acache/metrics.hpp>

#include <cstdint>
#include <memory>
#include <mutex>

namespace acache::detail {

[[nodiscard]] inline std::uint64_t& count_of(removal_counts& counts, removal_cause cause) noexcept {
    switch (cause) {
    case removal_cause::capacity:
        return counts.capacity;
    case removal_cause::expired:
        return counts.expired;
    case removal_cause::invalidated:
        return counts.invalidated;
    case removal_cause::replaced:
        break;
    }
    return counts.replaced;
}

/// One part of a sharded store: a table of the nodes it owns, in the order of an eviction policy. Every
/// member function wants the mutex held.
template <class Node, class Policy>
struct alignas(64) store_shard {
    using node_ptr = std::unique_ptr<Node>;

    store_shard() = default;
    store_shard(const store_shard&) = delete;
    store_shard& operator=(const store_shard&) = delete;
    ~store_shard() {
        table.for_each([](Node& node) { delete &node; });
    }

    [[nodiscard]] node_ptr replace(Node& old, node_ptr fresh) noexcept {
        table.replace(old, *fresh);
        policy.replace(old, *fresh);
        policy.hit(*fresh.release());
        return node_ptr{&old};
    }

    [[nodiscard]] node_ptr remove(Node& node) noexcept {
        policy.remove(node);
        table.erase(node);
        return node_ptr{&node};
    }

    [[nodiscard]] node_ptr evict() noexcept {
        auto& victim = static_cast<Node&>(policy.evict());
        table.erase(victim);
        return node_ptr{&victim};
    }

    /// Counts a removal: whatever drove an entry out, an expired one was no loss.
    void count(const Node& gone, removal_cause cause, time_point now) noexcept {
        ++count_of(removals, gone.stored.expired(now) ? removal_cause::expired : cause);
    }

    std::mutex mutex;
    node_table<Node> table;
    Policy policy;
    removal_counts removals;
};

} // namespace acache::detail

#endif
