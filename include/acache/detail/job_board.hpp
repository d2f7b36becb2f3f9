// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_JOB_BOARD_HPP
#define ACACHE_DETAIL_JOB_BOARD_HPP

#include <acache/detail/fair_queue.hpp>
#include <acache/detail/load_job.hpp>
#include <acache/detail/load_runner.hpp>
#include <acache/detail/running_job.hpp>
#include <acache/detail/waiter.hpp>
#include <acache/error.hpp>
#include <acache/options.hpp>

#include <boost/intrusive/list.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace acache::detail {

/// The jobs of one cache or loader: which run, which wait for their turn under the cap, and whether new
/// ones are taken; and the runners that rest meanwhile. Also counts operations that `close` has to wait for
/// besides jobs.
///
/// Thread-safe. Calls jobs with no lock held.
class job_board {
public:
    enum class admission { open, draining, closed };

    /// `limit` jobs run at the same time, and `queue_limit` wait.
    explicit job_board(std::size_t limit, std::size_t queue_limit = unbounded)
        : limit_(limit), queue_limit_(queue_limit) {}
    job_board(const job_board&) = delete;
    job_board& operator=(const job_board&) = delete;
    virtual ~job_board() { discard(resting_); }

    /// Whether work may begin; while draining, only what running loads ask for.
    [[nodiscard]] bool admits(bool from_inside_a_load) const noexcept {
        const auto now = admission_.load(std::memory_order_acquire);
        return now == admission::open || (now == admission::draining && from_inside_a_load);
    }

    /// Throws `errc::closed` where work may not begin.
    void check(bool from_inside_a_load) const {
        if (!admits(from_inside_a_load)) {
            throw boost::system::system_error(errc::closed);
        }
    }

    /// Starts the job, or queues it where the cap is reached and the job is not exempt. A closed board
    /// refuses it, and so does one whose queue is full. No effect on a job that has been dropped.
    void submit(load_job& job, load_job::launch how = load_job::launch::dispatched) {
        std::unique_lock lock{mutex_};
        if (job.stage_ != load_job::stage::created) {
            return;
        }
        if (admission_.load(std::memory_order_relaxed) == admission::closed) {
            end_unstarted(job);
            lock.unlock();
            job.refuse(errc::closed);
        } else if (job.exempt_ || running_ < limit_) {
            auto runner = run(job);
            lock.unlock();
            job.start(std::move(runner), how);
        } else if (queue_.size() < queue_limit_) {
            job.stage_ = load_job::stage::queued;
            intrusive_ptr_add_ref(&job);
            queue_.push(job);
        } else {
            job.stage_ = load_job::stage::overload;
            lock.unlock();
            job.refuse(errc::overloaded);
        }
    }

    /// A load waits for `job`, which must then not wait for the cap: what it waits for may be that very load.
    /// False where the job has been refused for want of a place already: its flights are about to end.
    [[nodiscard]] bool exempt(load_job& job) {
        load_job_ptr taken;
        load_runner_ptr runner;
        {
            const std::lock_guard lock{mutex_};
            if (job.stage_ == load_job::stage::overload) {
                return false;
            }
            job.exempt_ = true;
            if (job.stage_ == load_job::stage::queued) {
                taken = take_from_queue(job);
                runner = run(job);
            }
        }
        if (taken) {
            taken->start(std::move(runner), load_job::launch::dispatched);
        }
        return true;
    }

    /// Nobody wants the job any more: a queued one is dropped, a running one gets its cancellation. One that
    /// is still being put together may yet be wanted again, and stays.
    void cancel(load_job& job) { cancel(job, false, false); }

    /// The same whoever wants it. One that is still being put together is dropped too if it can be sealed;
    /// else it is refused when it is submitted.
    void drop(load_job& job) { cancel(job, true, seal(job)); }

    /// A started job has ended: the next one may run. Takes over its runner, which may be null, to start it
    /// again, unless the result is false.
    [[nodiscard]] bool ended(load_job& job, load_runner* runner) {
        load_job_ptr next;
        load_runner_ptr next_runner;
        runner_list gone;
        wait_list idle;
        bool rests = false;
        std::optional<wakeups::scope> waking;
        {
            const std::lock_guard lock{mutex_};
            job.stage_ = load_job::stage::ended; // from here on nobody can cancel it
            job.unlink();
            rests = runner != nullptr && rest(*runner, gone);
            running_ -= job.counted_ ? 1 : 0;
            if (running_ < limit_ && !queue_.empty()) {
                next = take_from_queue(queue_.front());
                next_runner = run(*next);
            }
            take_if_idle(idle);
            if (next || !gone.empty() || !idle.empty()) {
                waking.emplace(wakeups_);
            }
        }
        if (next) {
            try {
                next->start(std::move(next_runner), load_job::launch::posted);
            } catch (...) { // its callers have been told, and who ended has no part in it
                (void)next.reset();
            }
        }
        idle.resume_all({});
        discard(gone);
        return rests;
    }

    /// Something other than a job that `close` has to wait for begins, and ends.
    void begin_operation() {
        const std::lock_guard lock{mutex_};
        ++operations_;
    }
    void end_operation() {
        wait_list idle;
        const wakeups::scope waking(wakeups_);
        {
            const std::lock_guard lock{mutex_};
            --operations_;
            take_if_idle(idle);
        }
        idle.resume_all({});
    }

    /// Takes no new work from outside.
    void drain() noexcept {
        auto open = admission::open;
        admission_.compare_exchange_strong(open, admission::draining);
    }

    /// Takes no new work at all.
    void close() {
        runner_list gone;
        const wakeups::scope ending(wakeups_);
        {
            const std::lock_guard lock{mutex_};
            admission_.store(admission::closed, std::memory_order_release);
            gone.swap(resting_);
        }
        discard(gone);
    }

    /// The jobs that run or wait for their turn.
    [[nodiscard]] std::vector<load_job_ptr> jobs() {
        const std::lock_guard lock{mutex_};
        std::vector<load_job_ptr> result;
        const auto add = [&](load_job& job) { result.emplace_back(&job); };
        std::for_each(running_jobs_.begin(), running_jobs_.end(), add);
        queue_.for_each(add);
        return result;
    }

    /// Whether the job waits for its turn under the cap.
    [[nodiscard]] bool queued(const load_job& job) {
        const std::lock_guard lock{mutex_};
        return job.stage_ == load_job::stage::queued;
    }

    /// Parks until neither jobs nor operations are left; false where that is so already.
    [[nodiscard]] bool park_until_idle(waiter& w) {
        const std::lock_guard lock{mutex_};
        if (idle()) {
            return false;
        }
        idle_waiters_.park(w);
        return true;
    }

    /// Parks `w` until `wake`, unless `ready()`, which is asked under the board's mutex.
    template <class Ready>
    [[nodiscard]] bool park_unless(waiter& w, Ready ready) {
        const std::lock_guard lock{mutex_};
        if (ready()) {
            return false;
        }
        others_.park(w);
        return true;
    }

    /// Resumes `w`, if it is parked, after `change()` under the board's mutex.
    template <class Change>
    void wake(waiter& w, Change change) {
        const wakeups::scope waking(wakeups_);
        {
            const std::lock_guard lock{mutex_};
            change();
            if (!w.parked) {
                return;
            }
            wait_list::take(w);
        }
        w.resume({});
    }

    /// The context goes: destroys the coroutines of it that wait or rest here.
    void discard_waiters_of(const asio::execution_context& context) {
        wait_list gone;
        runner_list gone_runners;
        {
            const std::lock_guard lock{mutex_};
            idle_waiters_.take_all_of(context, gone);
            others_.take_all_of(context, gone);
            if (!resting_.empty() && &resting_.front().context() == &context) { // all are on one
                gone_runners.swap(resting_);
            }
        }
        wakeups_.wait();
        gone.discard_all();
        discard(gone_runners);
    }

    /// Runners that rest.
    [[nodiscard]] std::size_t resting() {
        const std::lock_guard lock{mutex_};
        return resting_.size();
    }

    /// Guards the waiters that are parked here.
    [[nodiscard]] std::mutex& mutex() noexcept { return mutex_; }

private:
    /// Makes sure that a job that is still being put together gets no more flights; whether it can. Called
    /// with no lock held.
    virtual bool seal(load_job&) { return false; }

    void cancel(load_job& job, bool wanted_too, bool unsent_too) {
        load_job_ptr dropped;
        bool runs = false;
        wait_list idle;
        const wakeups::scope waking(wakeups_);
        {
            const std::lock_guard lock{mutex_};
            if (!wanted_too && job.wanted.load(std::memory_order_relaxed) != 0) {
                return; // wanted again since the last caller left
            }
            if (job.stage_ == load_job::stage::running) {
                job.emit_cancellation();
                runs = true;
            } else if (job.stage_ == load_job::stage::queued) {
                dropped = take_from_queue(job);
            } else if (job.stage_ == load_job::stage::created && unsent_too) {
                dropped = &job;
            }
            if (dropped) {
                end_unstarted(job);
                take_if_idle(idle);
            }
        }
        if (dropped) {
            dropped->refuse(errc::closed);
        } else if (runs) {
            job.give_up();
        }
        idle.resume_all({});
    }

    using runner_list = boost::intrusive::list<
        load_runner,
        boost::intrusive::member_hook<load_runner, boost::intrusive::list_member_hook<>, &load_runner::hook>>;

    /// As many loads at once find runners that rest, at about 2 KB each.
    static constexpr std::size_t most_resting = 1024;
    /// After so many loads, half of the runners that were never needed meanwhile go.
    static constexpr unsigned trim_interval = 1024;
    /// The latest runner is the likeliest to be in the processor's cache; but where its job has only just
    /// ended on another thread, that thread's stack may still have the executor.
    static constexpr int looks = 4;

    static void discard(runner_list& gone) {
        while (!gone.empty()) {
            const load_runner_ptr first(&gone.front(), false);
            gone.pop_front();
            first->discard();
        }
    }

    // These want the mutex.

    /// The job is to be started by the runner that is returned, or a new one where that is null.
    [[nodiscard]] load_runner_ptr run(load_job& job) noexcept {
        job.stage_ = load_job::stage::running;
        job.counted_ = !job.exempt_;
        running_ += job.counted_ ? 1 : 0;
        running_jobs_.push_back(job);
        ++runs_;
        load_runner_ptr found;
        auto at = resting_.end();
        for (int n = 0; !found && n != looks && at != resting_.begin(); ++n) {
            if ((--at)->rested()) {
                found = load_runner_ptr(&*at, false);
                at = resting_.erase(at);
            }
        }
        fewest_resting_ = std::min(fewest_resting_, resting_.size());
        return found;
    }

    [[nodiscard]] bool rest(load_runner& runner, runner_list& gone) noexcept {
        if (admission_.load(std::memory_order_relaxed) == admission::closed) {
            return false;
        }
        intrusive_ptr_add_ref(&runner);
        resting_.push_back(runner);
        auto surplus = resting_.size() > most_resting ? std::size_t{1} : std::size_t{0};
        if (runs_ >= trim_interval) {
            surplus = std::max(surplus, fewest_resting_ / 2);
            fewest_resting_ = resting_.size();
            runs_ = 0;
        }
        for (; surplus != 0; --surplus) {
            gone.splice(gone.end(), resting_, resting_.begin());
        }
        return true;
    }

    static void end_unstarted(load_job& job) noexcept { job.stage_ = load_job::stage::ended; }

    [[nodiscard]] load_job_ptr take_from_queue(load_job& job) {
        queue_.erase(job);
        return load_job_ptr(&job, false); // the queue's reference
    }

    [[nodiscard]] bool idle() const noexcept {
        return running_jobs_.empty() && queue_.empty() && operations_ == 0;
    }

    void take_if_idle(wait_list& taken) {
        if (idle()) {
            idle_waiters_.take_all(taken);
        }
    }

    using job_list = boost::intrusive::list<load_job, boost::intrusive::constant_time_size<false>>;

    std::mutex mutex_;
    const std::size_t limit_;
    const std::size_t queue_limit_;
    std::size_t running_ = 0; // those that count against the limit
    std::size_t operations_ = 0;
    std::atomic<admission> admission_ = admission::open;
    fair_queue<load_job> queue_; // owns a reference to each
    job_list running_jobs_;
    runner_list resting_;            // owns a reference to each
    std::size_t fewest_resting_ = 0; // in the runs since the last trimming
    unsigned runs_ = 0;
    wait_list idle_waiters_;
    wait_list others_;
    wakeups wakeups_;
};

/// Counts as an operation of a board as long as it lives. Keeps the board's owner alive.
class board_operation {
public:
    explicit board_operation(std::shared_ptr<job_board> board) : board_(std::move(board)) {
        board_->begin_operation();
    }
    board_operation(board_operation&&) noexcept = default;
    board_operation& operator=(board_operation&&) = delete;
    ~board_operation() {
        if (board_) {
            board_->end_operation();
        }
    }

private:
    std::shared_ptr<job_board> board_;
};

inline bool running_job::end(load_runner* runner) {
    const auto owner = std::move(owner_);
    const auto job = std::move(job_);
    job->refuse(errc::closed);
    return job->board().ended(*job, runner);
}

} // namespace acache::detail

#endif
