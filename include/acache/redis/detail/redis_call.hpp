// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_CALL_HPP
#define ACACHE_REDIS_DETAIL_REDIS_CALL_HPP

#include <acache/detail/waiter.hpp>
#include <acache/redis/detail/redis_operation.hpp>
#include <acache/redis/detail/redis_reply.hpp>

#include <boost/system/system_error.hpp>

#include <atomic>
#include <mutex>
#include <utility>

namespace acache::detail {

/// The coroutines that wait for answers.
struct redis_calls {
    std::mutex mutex;
    wakeups wakings;
    wait_list waiting;

    void discard_waiters_of(const asio::execution_context& context) {
        discard_waiters(mutex, wakings, [&](wait_list& gone) { waiting.take_all_of(context, gone); });
    }
};

/// A request for a coroutine on any executor.
class redis_call final : public redis_operation {
public:
    explicit redis_call(redis_calls& all) : all_(all) {}

    /// Who waits for the answer, as long as he does.
    class caller : private waiter {
    public:
        explicit caller(redis_call& of) : of_(of) { of.caller_ = this; }
        caller(const caller&) = delete;
        caller& operator=(const caller&) = delete;
        ~caller() {
            const std::scoped_lock lock{of_.held_, of_.all_.mutex};
            of_.caller_ = nullptr;
        }

        /// To be `co_await`ed until there is one.
        [[nodiscard]] auto answer() {
            return wait(of_.all_.mutex, [this](waiter& self) {
                const std::lock_guard lock{of_.all_.mutex};
                const bool is_pending = of_.is_pending();
                if (is_pending) {
                    of_.all_.waiting.park(self);
                }
                return is_pending;
            });
        }

    private:
        friend class redis_call;
        redis_call& of_;
    };

    /// A lock under which the caller does not leave; none if he has left.
    [[nodiscard]] std::unique_lock<std::mutex> hold_caller() {
        std::unique_lock lock{held_};
        if (caller_ == nullptr) {
            lock.unlock();
            lock.release();
        }
        return lock;
    }

    [[nodiscard]] bool is_pending() const noexcept { return !is_over_.load(std::memory_order_acquire); }

    /// What it has come to. Once it is not pending any more.
    [[nodiscard]] redis_reply take() {
        if (failure_) {
            throw boost::system::system_error(failure_);
        }
        return std::move(reply);
    }

private:
    void end(error_code failure) override {
        waiter* woken = nullptr;
        const wakeups::scope waking(all_.wakings);
        {
            const std::lock_guard lock{all_.mutex};
            failure_ = failure;
            is_over_.store(true, std::memory_order_release);
            if (caller_ != nullptr && caller_->parked) {
                wait_list::take(*caller_);
                woken = caller_;
            }
        }
        if (woken != nullptr) {
            woken->resume({});
        }
    }

    redis_calls& all_;
    std::mutex held_;
    caller* caller_ = nullptr; // changed under both mutexes
    error_code failure_;
    std::atomic<bool> is_over_ = false;
};

} // namespace acache::detail

#endif
