// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_CONTEXT_WATCH_HPP
#define ACACHE_DETAIL_CONTEXT_WATCH_HPP

#include <boost/asio/execution_context.hpp>
#include <boost/intrusive/list.hpp>

#include <atomic>
#include <list>
#include <memory>
#include <mutex>

namespace acache::detail {

namespace asio = boost::asio;

/// An object whose coroutines wait on execution contexts that may be destroyed before it. Asio destroys what
/// is queued in a context with the context; a waiter is queued here instead, so its frame, which may
/// hold sockets and timers of that context, has to go when the context does, and not later.
class context_watcher : public std::enable_shared_from_this<context_watcher> {
public:
    context_watcher() = default;
    context_watcher(const context_watcher&) = delete;
    context_watcher& operator=(const context_watcher&) = delete;

    /// The context is being destroyed: let go of everything that refers to it.
    virtual void context_gone(asio::execution_context& context) = 0;

    /// Asks to be told when `context` goes. Cheap when asked again for the context that came first.
    void watch(asio::execution_context& context);

    virtual ~context_watcher();

private:
    friend class watch_service;

    struct link
        : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
        context_watcher* owner;
        asio::execution_context* context;
    };

    // Wants the mutex. A later context may stand at the address of the one that goes.
    void forget(const link& gone) noexcept {
        auto* context = gone.context;
        first_.compare_exchange_strong(context, nullptr, std::memory_order_acq_rel);
        links_.remove_if([&](const link& l) { return &l == &gone; });
    }

    // One mutex for all links: they are made once an object and context, and broken from either side.
    inline static std::mutex mutex_;
    std::list<link> links_;
    std::atomic<asio::execution_context*> first_ = nullptr;
};

/// The end of the links that an execution context holds.
class watch_service : public asio::execution_context::service {
public:
    using key_type = watch_service;
    inline static asio::execution_context::id id;

    explicit watch_service(asio::execution_context& context) : service(context) {}

private:
    friend class context_watcher;

    void shutdown() override {
        while (const auto owner = take_one()) {
            owner->context_gone(context());
        }
    }

    /// Null where no living owner is left. Owners that are being destroyed just now have nothing to let go
    /// of.
    std::shared_ptr<context_watcher> take_one() {
        const std::lock_guard lock{context_watcher::mutex_};
        while (!links_.empty()) {
            auto& owner = *links_.front().owner;
            owner.forget(links_.front());
            if (auto living = owner.weak_from_this().lock()) {
                return living;
            }
        }
        return nullptr;
    }

    boost::intrusive::list<context_watcher::link, boost::intrusive::constant_time_size<false>> links_;
};

inline void context_watcher::watch(asio::execution_context& context) {
    if (first_.load(std::memory_order_acquire) == &context) {
        return;
    }
    auto& service = asio::use_service<watch_service>(context);
    const std::lock_guard lock{mutex_};
    for (const auto& l : links_) {
        if (l.context == &context) {
            return;
        }
    }
    auto& added = links_.emplace_back();
    added.owner = this;
    added.context = &context;
    service.links_.push_back(added);
    asio::execution_context* none = nullptr;
    first_.compare_exchange_strong(none, &context, std::memory_order_release);
}

inline context_watcher::~context_watcher() {
    const std::lock_guard lock{mutex_};
    links_.clear();
}

} // namespace acache::detail

#endif
