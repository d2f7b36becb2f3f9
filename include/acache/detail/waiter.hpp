// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_WAITER_HPP
#define ACACHE_DETAIL_WAITER_HPP

#include <acache/detail/parked_handler.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/query.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/system/error_code.hpp>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <thread>
#include <utility>

namespace acache::detail {

namespace asio = boost::asio;
using boost::system::error_code;

/// A suspended coroutine. It lives in that coroutine's frame and holds the handler that owns the frame, so a
/// parked waiter lives until somebody resumes or discards it; whoever does takes it off its list first,
/// under the list's mutex, and that makes him the only one.
class waiter
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    waiter() = default;
    waiter(const waiter&) = delete;
    waiter& operator=(const waiter&) = delete;

    /// An operation to be `co_await`ed: suspends, then calls `park(*this)`, which puts the waiter on a
    /// list guarded by `mutex` and returns true, or returns false to be resumed without waiting. Completes
    /// with no error, with what `resume` was given, or, cancelled, with `operation_aborted`. `mutex` outlives
    /// the wait.
    template <class Park>
    [[nodiscard]] auto wait(std::mutex& mutex, Park park) {
        return asio::async_initiate<const asio::deferred_t&, void(error_code)>(
            [this, &mutex, park](auto handler) mutable { this->suspend(mutex, std::move(handler), park); },
            asio::deferred);
    }

    /// Runs the coroutine on, by a post to its own executor. May end the waiter's life: no lock is to be
    /// held.
    void resume(error_code ec) { handler_.post(ec); }
    /// Destroys the coroutine where it stands. May end the waiter's life: no lock is to be held.
    void discard() { handler_.drop(); }

    /// The context of the coroutine's executor.
    [[nodiscard]] asio::execution_context& context() const noexcept { return *context_; }

    /// Whether the waiter is on a list. Guarded by the list's mutex.
    bool parked = false;
    /// It was to be resumed before it was on a list: it is not to be put on one. Guarded likewise.
    bool rung = false;
    /// Whose caller it is, where that matters.
    const void* owner = nullptr;

private:
    struct canceller {
        waiter* self;
        std::mutex* mutex;

        void operator()(asio::cancellation_type_t type) const {
            if (type != asio::cancellation_type::none && self->unpark(*mutex)) {
                self->resume(asio::error::operation_aborted);
            }
        }
    };

    template <class Handler, class Park>
    void suspend(std::mutex& mutex, Handler handler, Park& park) {
        auto executor = asio::get_associated_executor(handler);
        context_ = &asio::query(executor, asio::execution::context);
        auto slot = asio::get_associated_cancellation_slot(handler);
        if (slot.is_connected()) {
            // Asio clears the slot when it resumes the coroutine, so the canceller never outlives *this.
            slot.template emplace<canceller>(canceller{this, &mutex});
        }
        handler_.keep(std::move(handler));
        // A parked waiter may be resumed, and gone, before park returns.
        if (!park(*this)) {
            resume({});
        }
    }

    bool unpark(std::mutex& mutex) {
        const std::lock_guard lock{mutex};
        if (!std::exchange(parked, false)) {
            return false;
        }
        unlink();
        return true;
    }

    asio::execution_context* context_ = nullptr;
    parked_handler handler_;
};

/// Counts the wake-ups under way, for those who have to wait until none is: a waiter that has been taken off
/// its list is still to be posted to its context, which must not go meanwhile.
class wakeups {
public:
    /// To be made before the mutex is free under which the waiters are taken, and to last until they are
    /// resumed.
    class scope {
    public:
        explicit scope(wakeups& all) noexcept : all_(all) {
            all_.count_.fetch_add(1, std::memory_order_acq_rel);
        }
        scope(const scope&) = delete;
        scope& operator=(const scope&) = delete;
        ~scope() { all_.count_.fetch_sub(1, std::memory_order_acq_rel); }

    private:
        wakeups& all_;
    };

    /// Returns when the wake-ups begun before the call are over. They only post, so that is soon.
    void wait() const noexcept {
        while (count_.load(std::memory_order_acquire) != 0) {
            std::this_thread::yield();
        }
    }

private:
    std::atomic<std::size_t> count_ = 0;
};

/// Waiters in the order in which they came. All members but `resume_all` and `discard_all` want the
/// mutex held that the waiters were given; those two want it free.
class wait_list {
public:
    [[nodiscard]] bool empty() const noexcept { return list_.empty(); }

    void park(waiter& w) noexcept {
        w.parked = true;
        list_.push_back(w);
    }

    /// Takes the first waiter off the list; null where there is none.
    [[nodiscard]] waiter* take_first() noexcept {
        if (list_.empty()) {
            return nullptr;
        }
        waiter& first = list_.front();
        list_.pop_front();
        first.parked = false;
        return &first;
    }

    /// Takes a parked waiter off the list that it is on.
    static void take(waiter& w) noexcept {
        w.parked = false;
        w.unlink();
    }

    /// Moves the waiters to `taken`; nobody can cancel them from then on.
    void take_all(wait_list& taken) noexcept {
        for (auto& w : list_) {
            w.parked = false;
        }
        taken.list_.splice(taken.list_.end(), list_);
    }

    /// The same for the waiters that run on one context.
    void take_all_of(const asio::execution_context& context, wait_list& taken) noexcept {
        take_if([&](const waiter& w) { return &w.context() == &context; }, taken);
    }

    /// The same for the waiters of which `wanted(w)` is true.
    template <class Predicate>
    void take_if(Predicate wanted, wait_list& taken) noexcept {
        for (auto it = list_.begin(); it != list_.end();) {
            waiter& w = *it++;
            if (wanted(w)) {
                w.parked = false;
                taken.list_.splice(taken.list_.end(), list_, list_.iterator_to(w));
            }
        }
    }

    void resume_all(error_code ec) {
        while (!list_.empty()) {
            waiter& w = list_.front();
            list_.pop_front();
            w.resume(ec);
        }
    }

    void discard_all() {
        while (!list_.empty()) {
            waiter& w = list_.front();
            list_.pop_front();
            w.discard();
        }
    }

private:
    boost::intrusive::list<waiter, boost::intrusive::constant_time_size<false>> list_;
};

/// Destroys coroutines whose context is being destroyed: those that `take(gone)` moves from the lists that
/// `mutex` guards. Returns when also the wake-ups under way are over, which post to that context.
template <class Take>
void discard_waiters(std::mutex& mutex, const wakeups& waking, Take take) {
    wait_list gone;
    {
        const std::lock_guard lock{mutex};
        take(gone);
    }
    waking.wait();
    gone.discard_all();
}

} // namespace acache::detail

#endif
