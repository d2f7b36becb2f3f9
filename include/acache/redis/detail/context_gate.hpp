// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_CONTEXT_GATE_HPP
#define ACACHE_REDIS_DETAIL_CONTEXT_GATE_HPP

#include <atomic>
#include <cstdint>
#include <thread>

namespace acache::detail {

/// The way of all threads to an executor, until its context goes: that waits for those who are on it just
/// then. Thread-safe.
class context_gate {
public:
    /// Calls `f` if the context is still there, which it then is until that returns.
    template <class F>
    void pass(F f) {
        const visit here(visits_);
        if ((here.before & closed) == 0) {
            f();
        }
    }
    /// Nobody passes any more. From where the context is destroyed.
    void close() noexcept {
        visits_.fetch_or(closed, std::memory_order_acq_rel);
        while (visits_.load(std::memory_order_acquire) != closed) {
            std::this_thread::yield();
        }
    }

private:
    static constexpr std::uint64_t closed = std::uint64_t(1) << 63U;

    struct visit {
        explicit visit(std::atomic<std::uint64_t>& a)
            : all(a), before(a.fetch_add(1, std::memory_order_acq_rel)) {}
        visit(const visit&) = delete;
        visit& operator=(const visit&) = delete;
        ~visit() { all.fetch_sub(1, std::memory_order_acq_rel); }
        std::atomic<std::uint64_t>& all;
        const std::uint64_t before;
    };

    std::atomic<std::uint64_t> visits_ = 0; // under way, and whether it is closed
};

} // namespace acache::detail

#endif
