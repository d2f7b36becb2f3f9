// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_RUNNER_POOL_HPP
#define ACACHE_DETAIL_RUNNER_POOL_HPP

#include <acache/detail/load_runner.hpp>
#include <acache/detail/waiter.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/intrusive/list.hpp>

#include <cstddef>
#include <mutex>

namespace acache::detail {

/// The runners of one cache or loader that rest. Thread-safe.
class runner_pool {
public:
    runner_pool() = default;
    runner_pool(const runner_pool&) = delete;
    runner_pool& operator=(const runner_pool&) = delete;
    ~runner_pool() { close(); }

    /// A runner on `executor` with the coroutine `run`, which are the same in each call: one that rests, or a
    /// new one.
    [[nodiscard]] load_runner_ptr take(const asio::any_io_executor& executor, load_runner::coroutine* run) {
        auto found = take_rested();
        return found ? found : load_runner_ptr(new load_runner(executor, run));
    }

    void put(load_runner& runner) {
        list gone;
        const wakeups::scope ending(ends_);
        {
            const std::lock_guard lock{mutex_};
            intrusive_ptr_add_ref(&runner);
            resting_.push_back(runner);
            if (closed_ || resting_.size() > most) {
                gone.splice(gone.begin(), resting_, resting_.begin());
            }
        }
        discard(gone);
    }

    /// Ends the runners that rest, and each that comes later.
    void close() {
        list gone;
        const wakeups::scope ending(ends_);
        {
            const std::lock_guard lock{mutex_};
            closed_ = true;
            gone.swap(resting_);
        }
        discard(gone);
    }

    /// Returns when no other thread is about to end a runner: that posts to their context, which must not go
    /// meanwhile. For who has closed the pool.
    void wait() const noexcept { ends_.wait(); }

private:
    using list = boost::intrusive::list<
        load_runner,
        boost::intrusive::member_hook<load_runner, boost::intrusive::list_member_hook<>, &load_runner::hook>>;

    /// Bounds what a burst of loads leaves behind, at about 2 KB each.
    static constexpr std::size_t most = 128;
    /// The latest one is the likeliest to be in the processor's cache; but where its job has only just ended
    /// on another thread, that thread's stack may still have the executor.
    static constexpr int looks = 4;

    [[nodiscard]] load_runner_ptr take_rested() {
        const std::lock_guard lock{mutex_};
        auto at = resting_.end();
        for (int n = 0; n != looks && at != resting_.begin(); ++n) {
            if ((--at)->rested()) {
                load_runner& found = *at;
                resting_.erase(at);
                return load_runner_ptr(&found, false);
            }
        }
        return nullptr;
    }

    static void discard(list& gone) {
        while (!gone.empty()) {
            const load_runner_ptr first(&gone.front(), false);
            gone.pop_front();
            first->discard();
        }
    }

    std::mutex mutex_;
    list resting_; // owns a reference to each
    bool closed_ = false;
    wakeups ends_;
};

inline void load_runner::go_to(runner_pool& pool) {
    pool.put(*this);
}

} // namespace acache::detail

#endif
