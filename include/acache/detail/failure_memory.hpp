// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_FAILURE_MEMORY_HPP
#define ACACHE_DETAIL_FAILURE_MEMORY_HPP

#include <acache/clock.hpp>
#include <acache/detail/standing.hpp>
#include <acache/detail/store.hpp>
#include <acache/entry.hpp>
#include <acache/memory_backend.hpp>
#include <acache/turnstile.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace acache::detail {

/// A failure that is given to later callers too: the exception itself, which they share.
struct remembered_failure {
    std::exception_ptr error;
    /// The source has no value for the key, which is no trouble of the source.
    bool is_answer = false;
};

/// Which keys lately had no value, or an error that is to be remembered: a store beside that of the values,
/// in this process whatever those are kept in. It is made when it is first needed; until then all of this is
/// a look at a pointer.
///
/// Thread-safe, but for `remember_errors`. What is forgotten or displaced goes into a `removed` that the
/// caller has, so that no exception is destroyed under a lock of his. To forget too much costs a load, no
/// more.
template <class K, class Hash, class KeyEqual, class Clock>
class failure_memory {
    using backend = memory_backend<K, remembered_failure, Hash, KeyEqual, turnstile, Clock>;

public:
    /// How long an error is to be remembered, if at all.
    using error_predicate = std::function<std::optional<std::chrono::nanoseconds>(const std::exception_ptr&)>;
    /// To be destroyed under no lock.
    using removed = std::optional<typename backend::removed>;

    explicit failure_memory(std::size_t capacity) noexcept : capacity_(capacity) {}
    failure_memory(const failure_memory&) = delete;
    failure_memory& operator=(const failure_memory&) = delete;
    ~failure_memory() { delete kept_.load(); }

    /// Before anything is loaded, by one thread alone.
    void remember_errors(error_predicate lasts) { made().lasts = std::move(lasts); }

    /// What the predicate says of an error, if there is one. One that throws says nothing.
    [[nodiscard]] std::optional<std::chrono::nanoseconds> lasts(const std::exception_ptr& error) const {
        const auto* all = kept_.load(std::memory_order_acquire);
        if (all == nullptr || !all->lasts) {
            return std::nullopt;
        }
        try {
            const auto length = all->lasts(error);
            return length && length->count() > 0 ? length : std::nullopt;
        } catch (...) {
            return std::nullopt;
        }
    }

    [[nodiscard]] bool empty() const noexcept {
        auto* all = kept_.load(std::memory_order_acquire);
        return all == nullptr || all->failures.backend().size() == 0;
    }

    /// What is remembered of the key, if it is no older than that.
    template <class Q>
    [[nodiscard]] std::optional<remembered_failure>
    find(const Q& query, const std::optional<std::chrono::nanoseconds>& max_age) {
        if (empty()) {
            return std::nullopt;
        }
        auto& failures = kept_.load(std::memory_order_relaxed)->failures;
        auto found = failures.get(query, failures.hash(query));
        if (!found || judge(*found, found->details.get(), Clock::now(), {{}, max_age}) != standing::fresh) {
            return std::nullopt;
        }
        return std::move(found->value);
    }

    /// `details` may have tags, with which the failure is forgotten.
    void remember(const K& key, remembered_failure failure, std::chrono::nanoseconds length,
                  removed& displaced, entry_details_ptr details = nullptr) {
        auto& failures = made().failures;
        const auto now = Clock::now();
        const auto until = saturating_add(now, length);
        displaced.emplace(
            failures.set(key,
                         entry<remembered_failure>(std::move(failure), entry_stamps{now, until, until},
                                                   std::move(details)),
                         failures.hash(key)));
    }

    template <class Q>
    void forget(const Q& query, removed& forgotten) {
        if (!empty()) {
            auto& failures = kept_.load(std::memory_order_relaxed)->failures;
            forgotten.emplace(failures.erase(query, failures.hash(query)));
        }
    }
    template <class Q>
    void forget(const Q& query) {
        removed forgotten;
        forget(query, forgotten);
    }
    template <class F>
    void forget_if(F& chosen) {
        if (!empty()) {
            auto& failures = kept_.load(std::memory_order_relaxed)->failures;
            std::vector<K> keys;
            failures.backend().visit([&](const K& key, const entry<remembered_failure>&) {
                if (chosen(key)) {
                    keys.push_back(key);
                }
            });
            for (const K& key : keys) {
                forget(key);
            }
        }
    }
    void forget_all() {
        if (auto* all = kept_.load(std::memory_order_acquire)) {
            const auto cleared = all->failures.backend().clear();
        }
    }

    /// Frees what has expired.
    void tidy() const {
        if (auto* all = kept_.load(std::memory_order_acquire)) {
            (void)all->failures.metrics();
        }
    }

private:
    struct kept {
        explicit kept(std::size_t capacity) : failures(backend(capacity)) {}
        // It hashes by itself: a backend's hash may have a seed.
        store<K, remembered_failure, backend> failures;
        error_predicate lasts;
    };

    [[nodiscard]] kept& made() {
        auto* there = kept_.load(std::memory_order_acquire);
        if (there == nullptr) {
            auto fresh = std::make_unique<kept>(capacity_);
            if (kept_.compare_exchange_strong(there, fresh.get(), std::memory_order_acq_rel)) {
                there = fresh.release();
            }
        }
        return *there;
    }

    const std::size_t capacity_;
    std::atomic<kept*> kept_ = nullptr;
};

} // namespace acache::detail

#endif
