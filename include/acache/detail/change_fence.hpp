// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CHANGE_FENCE_HPP
#define ACACHE_DETAIL_CHANGE_FENCE_HPP

#include <acache/shared_backend.hpp>

#include <memory>
#include <utility>

namespace acache::detail {

/// What a cache makes of what others do to its backend: an invalidation by somebody else is one all the same
/// (contract C11, C14).
template <class State>
class change_fence final : public change_listener<typename State::key_type> {
    using K = typename State::key_type;

public:
    explicit change_fence(std::weak_ptr<State> state) noexcept : state_(std::move(state)) {}

    // Where a key cannot be hashed or compared, it may be any: all are fenced.
    void changed(const K& key) noexcept override {
        if (const auto state = state_.lock()) {
            try {
                state->changed(key);
            } catch (...) {
                state->fence_all();
            }
        }
    }
    /// What is stored may be served until it is heard of again; that is the backend's business.
    void lost() noexcept override {}
    void all_changed() noexcept override {
        if (const auto state = state_.lock()) {
            state->fence_all();
        }
    }

private:
    /// The backend may call while the cache is being destroyed by another thread.
    const std::weak_ptr<State> state_;
};

} // namespace acache::detail

#endif
