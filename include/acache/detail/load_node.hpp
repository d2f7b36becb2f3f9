// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_LOAD_NODE_HPP
#define ACACHE_DETAIL_LOAD_NODE_HPP

#include <acache/detail/ref_count.hpp>
#include <acache/error.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace acache::detail {

/// A load as a node of the graph of who waits for whom. The graph spans all caches and loaders of the
/// process: a cycle may lead through several. Only waits begun from inside a load make edges, so the one
/// mutex is off every common way.
class load_node : public ref_count<load_node> {
public:
    /// With the reference of its maker.
    load_node() noexcept : ref_count(1) {}

    /// Whether this load is `other` or waits for it, directly or through others.
    [[nodiscard]] bool leads_to(const load_node& other) {
        const std::lock_guard lock{mutex_};
        return find(other);
    }

private:
    friend class wait_edge;

    [[nodiscard]] bool find(const load_node& other) {
        ++walk_;
        return visit(other);
    }

    [[nodiscard]] bool visit(const load_node& other) {
        if (this == &other) {
            return true;
        }
        if (std::exchange(seen_, walk_) == walk_) {
            return false;
        }
        return std::any_of(waits_for_.begin(), waits_for_.end(),
                           [&](load_node* next) { return next->visit(other); });
    }

    // All of it guarded by the mutex.
    inline static std::mutex mutex_;
    inline static std::uint64_t walk_ = 0;
    std::uint64_t seen_ = 0;
    std::vector<load_node*> waits_for_;
};

using load_node_ptr = boost::intrusive_ptr<load_node>;

/// "`from` waits for `to`", as long as it lives; nothing where `from` is null.
class wait_edge {
public:
    /// Throws `errc::recursive_load` where the edge would close a cycle, which would wait for ever.
    wait_edge(load_node_ptr from, load_node_ptr to) : from_(std::move(from)), to_(std::move(to)) {
        if (from_) {
            const std::lock_guard lock{load_node::mutex_};
            if (to_->find(*from_)) {
                throw boost::system::system_error(errc::recursive_load);
            }
            from_->waits_for_.push_back(to_.get());
        }
    }

    wait_edge(wait_edge&&) noexcept = default;
    wait_edge& operator=(wait_edge&&) = delete;

    ~wait_edge() {
        if (from_) {
            const std::lock_guard lock{load_node::mutex_};
            from_->waits_for_.erase(std::find(from_->waits_for_.begin(), from_->waits_for_.end(), to_.get()));
        }
    }

private:
    load_node_ptr from_;
    load_node_ptr to_;
};

} // namespace acache::detail

#endif
