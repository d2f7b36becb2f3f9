// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_STATE_REF_HPP
#define ACACHE_DETAIL_STATE_REF_HPP

#include <acache/detail/read_section.hpp>
#include <acache/error.hpp>

#include <boost/system/system_error.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

namespace acache::detail {

/// A place that outlives every cache, where the state of one can be found as long as that lives. Places are
/// never freed, but serve one state after the other; the generation tells them apart.
class state_anchor {
public:
    [[nodiscard]] static state_anchor& take(void* state) {
        auto& unused = free_ones();
        const std::lock_guard lock{unused.mutex};
        auto* const anchor = unused.first != nullptr ? unused.first : new state_anchor;
        unused.first = anchor->next_;
        anchor->state_ = state;
        return *anchor;
    }

    /// The state is about to be destroyed: from now on nobody finds it. Returns when those who have found it
    /// in a read section are through.
    void give_back() noexcept {
        generation_.fetch_add(1, std::memory_order_seq_cst);
        wait_for_other_readers();
        auto& unused = free_ones();
        const std::lock_guard lock{unused.mutex};
        next_ = std::exchange(unused.first, this);
    }

    [[nodiscard]] std::uint64_t generation() const noexcept {
        return generation_.load(std::memory_order_acquire);
    }
    /// To be read in a read section in which `generation()` was as expected.
    [[nodiscard]] void* state() const noexcept { return state_; }

private:
    struct pool {
        std::mutex mutex;
        state_anchor* first = nullptr;
    };

    // Never destroyed: a cache may be static.
    static pool& free_ones() {
        static pool& one = *new pool;
        return one;
    }

    std::atomic<std::uint64_t> generation_{0};
    void* state_ = nullptr;
    state_anchor* next_ = nullptr;
};

/// What an operation that has not begun yet keeps of its cache. Unlike a shared pointer it is copied without
/// a count, on which all threads would wait for each other.
template <class State>
class state_ref {
public:
    explicit state_ref(const state_anchor& anchor) noexcept
        : anchor_(&anchor), generation_(anchor.generation()) {}

    /// The state, or null where it is no more. In a read section, and valid until its end.
    [[nodiscard]] State* find() const noexcept {
        return anchor_->generation() == generation_ ? static_cast<State*>(anchor_->state()) : nullptr;
    }

    /// The state, kept alive. Throws `errc::closed` where it is no more.
    [[nodiscard]] std::shared_ptr<State> lock() const {
        const read_section reading;
        std::shared_ptr<State> result;
        if (State* state = find()) {
            result = std::static_pointer_cast<State>(state->weak_from_this().lock());
        }
        if (!result) {
            throw boost::system::system_error(errc::closed);
        }
        return result;
    }

private:
    const state_anchor* anchor_;
    std::uint64_t generation_;
};

} // namespace acache::detail

#endif
