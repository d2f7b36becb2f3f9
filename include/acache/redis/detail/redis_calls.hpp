// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_CALLS_HPP
#define ACACHE_REDIS_DETAIL_REDIS_CALLS_HPP

#include <acache/detail/context_watch.hpp>
#include <acache/detail/waiter.hpp>
#include <acache/redis/detail/redis_operation.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/intrusive/list.hpp>

#include <chrono>
#include <cstddef>
#include <mutex>
#include <utility>

namespace acache::detail {

/// The operations that have no outcome yet, in the order of their deadlines, and the coroutines that wait for
/// them, on whatever contexts.
class redis_calls {
public:
    using time = std::chrono::steady_clock::time_point;

    [[nodiscard]] std::mutex& mutex() noexcept { return mutex_; }

    /// All operations may take the same time, so they end in the order in which they began.
    void add(redis_operation& op, std::chrono::nanoseconds timeout) {
        const std::lock_guard lock{mutex_};
        if (!op.is_settled) {
            op.deadline = std::chrono::steady_clock::now() +
                          std::chrono::duration_cast<std::chrono::steady_clock::duration>(timeout);
            list_.push_back(op);
        }
    }

    /// Parks the caller of an operation; false where its outcome is there.
    [[nodiscard]] bool park(redis_operation& op, waiter& w) {
        const std::lock_guard lock{mutex_};
        if (op.is_settled) {
            return false;
        }
        op.caller.park(w);
        return true;
    }

    /// Runs `f` while the caller of an operation can neither be cancelled nor destroyed; false where it has
    /// been, or the operation has its outcome.
    template <class F>
    [[nodiscard]] bool while_waiting(redis_operation& op, F f) {
        const std::lock_guard lock{mutex_};
        if (op.is_settled || op.caller.empty()) {
            return false;
        }
        f();
        return true;
    }

    /// Gives an operation its outcome; false where it had one.
    bool settle(redis_operation& op, error_code ec) {
        std::unique_lock lock{mutex_};
        if (std::exchange(op.is_settled, true)) {
            return false;
        }
        op.outcome = ec;
        op.unlink();
        if (waiter* const w = op.caller.take_first()) {
            if (op.here) {
                lock.unlock();
                w->resume_here({});
                return true;
            }
            const wakeups::scope waking(wakeups_);
            lock.unlock();
            w->resume({});
            return true;
        }
        lock.unlock();
        op.settled(ec);
        return true;
    }

    /// The first operation, if its time is over at `now`. The list is not changed.
    [[nodiscard]] redis_operation* first_late(time now) {
        const std::lock_guard lock{mutex_};
        return list_.empty() || list_.front().deadline > now ? nullptr : &list_.front();
    }
    /// When the first operation has to be looked after; `time::max()` where there is none.
    [[nodiscard]] time next_deadline() {
        const std::lock_guard lock{mutex_};
        return list_.empty() ? time::max() : list_.front().deadline;
    }

    /// Wakes all that wait, with `operation_aborted`. From any thread.
    void abort_callers() {
        wait_list taken;
        {
            const std::lock_guard lock{mutex_};
            take_all(taken);
        }
        taken.resume_all(asio::error::operation_aborted);
    }

    /// `context` is being destroyed, and with it the coroutines that run there. If it is the link's, there
    /// will be no outcome for the others.
    void context_gone(asio::execution_context& context, bool is_own) {
        wait_list gone;
        wait_list others;
        {
            const std::lock_guard lock{mutex_};
            for (auto& op : list_) {
                op.caller.take_all_of(context, gone);
            }
            if (is_own) {
                take_all(others);
                list_.clear();
            }
        }
        wakeups_.wait();
        gone.discard_all();
        others.resume_all(asio::error::operation_aborted);
    }

private:
    void take_all(wait_list& taken) {
        for (auto& op : list_) {
            op.caller.take_all(taken);
        }
    }

    std::mutex mutex_;
    boost::intrusive::list<redis_operation, boost::intrusive::constant_time_size<false>> list_;
    wakeups wakeups_;
};

} // namespace acache::detail

#endif
