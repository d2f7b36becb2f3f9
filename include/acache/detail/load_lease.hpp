// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_LOAD_LEASE_HPP
#define ACACHE_DETAIL_LOAD_LEASE_HPP

#include <memory>
#include <mutex>
#include <utility>

namespace acache::detail {

/// The lease of a load, or those of a batch, from the look until the value is stored, or is not to be. Who
/// cancels the load takes it away while the loader runs, which may be long in heeding that: meanwhile the key
/// is free for others (contract C06, C32). What was cancelled is not stored, so nobody misses the lease.
template <class Lease>
class shared_lease {
public:
    /// To look or store with, by the load, until it calls another member.
    [[nodiscard]] Lease& use() {
        const std::lock_guard lock{mutex_};
        rests_ = false;
        return lease_;
    }
    /// The loader runs.
    void rest() {
        change([this] { rests_ = true; });
    }
    /// The load will not store any more.
    void let_go() {
        change([this] { rests_ = cancelled_ = true; });
    }
    /// The load was cancelled, by any thread.
    void cancel() {
        change([this] { cancelled_ = true; });
    }

private:
    template <class F>
    void change(F f) {
        Lease gone; // destroyed with no lock held
        const std::lock_guard lock{mutex_};
        f();
        if (rests_ && cancelled_) {
            gone = std::exchange(lease_, Lease());
        }
    }

    std::mutex mutex_;
    Lease lease_;
    bool rests_ = false;
    bool cancelled_ = false;
};

/// What a load has of it: nothing, where the backend gives no leases.
template <class Lease, bool wanted>
class load_lease {
public:
    [[nodiscard]] Lease& use() noexcept { return none_; }
    static void rest() noexcept {}
    static void let_go() noexcept {}

private:
    [[no_unique_address]] Lease none_;
};

template <class Lease>
class load_lease<Lease, true> {
public:
    [[nodiscard]] Lease& use() { return shared_->use(); }
    void rest() { shared_->rest(); }
    void let_go() { shared_->let_go(); }
    [[nodiscard]] const std::shared_ptr<shared_lease<Lease>>& shared() const noexcept { return shared_; }

private:
    std::shared_ptr<shared_lease<Lease>> shared_ = std::make_shared<shared_lease<Lease>>();
};

} // namespace acache::detail

#endif
