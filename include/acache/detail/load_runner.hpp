// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_LOAD_RUNNER_HPP
#define ACACHE_DETAIL_LOAD_RUNNER_HPP

#include <acache/detail/load_executor.hpp>
#include <acache/detail/load_job.hpp>
#include <acache/detail/parked_handler.hpp>
#include <acache/detail/ref_count.hpp>
#include <acache/detail/running_job.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/system/errc.hpp>

#include <cstddef>
#include <exception>
#include <utility>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// A coroutine that runs one job after the other, on a lane of its own. Between two jobs it rests on its
/// board, and counts as no work of its context; so a load costs no `co_spawn`, which takes as long as all the
/// rest of it.
///
/// A job gets nothing of those before it. A cancellation comes to the lane before the job after the one that
/// it is meant for, and what it has changed of the coroutine's cancellation state is set back then, as is
/// what a load has changed. A runner whose executor somebody still has, such as a coroutine that a load has
/// spawned on it and left behind, rests until nobody has it, since the load's name in the graph of waits goes
/// with it.
class load_runner : public ref_count<load_runner> {
public:
    /// With the reference of its maker. `Run{}(runner)`, which has no state, is the coroutine: in a loop, it
    /// rests, takes the next job, runs it.
    template <class Run>
    load_runner(const asio::any_io_executor& executor, Run)
        : ref_count(1), lane_(new load_lane(executor)), spawn_([](load_runner& self) { self.spawn<Run>(); }) {
    }
    load_runner(const load_runner&) = delete;
    load_runner& operator=(const load_runner&) = delete;

    /// Runs a job. For a new runner, and for one that rests and was taken off its list.
    static void start(boost::intrusive_ptr<load_runner> runner, running_job job, load_job::launch how) {
        job->run_by(*runner);
        auto& lane = *runner->lane_;
        // On the lane, where alone the coroutine and its cancellation slot may be touched.
        arrival go(std::move(runner), std::move(job));
        if (const nesting here; how == load_job::launch::dispatched && here.allowed()) {
            lane.dispatch_here(std::move(go));
        } else {
            lane.post(std::move(go));
        }
    }

    /// Cancels what the job awaits.
    void cancel() {
        lane_->post(
            [self = boost::intrusive_ptr(this)] { self->signal_.emit(asio::cancellation_type::all); });
    }

    /// Whether nobody else has its executor, and nothing is to run on its lane. Then that stays so until the
    /// next job.
    [[nodiscard]] bool rested() const noexcept { return lane_->use_count() == holders_; }

    /// Ends a runner that rests and was taken off its list.
    void discard() { handler_.drop(); }

    /// Runs `f` between the steps of its coroutine.
    template <class F>
    void dispatch(F f) {
        lane_->dispatch(std::move(f));
    }

    /// An operation to be `co_await`ed by its coroutine: ends the job that it has run, and returns when there
    /// is the next one.
    [[nodiscard]] auto rest(running_job& done) {
        return asio::async_initiate<const asio::deferred_t&, void(error_code)>(
            [this, &done](auto handler) {
                handler_.keep(std::move(handler));
                this->park(done);
            },
            asio::deferred);
    }

    /// What there is to run.
    [[nodiscard]] running_job next() noexcept { return std::move(job_); }

    [[nodiscard]] asio::execution_context& context() const noexcept {
        return asio::query(lane_->inner(), asio::execution::context);
    }

    /// The board's.
    boost::intrusive::list_member_hook<> hook;

private:
    /// A job on its way to its runner. Where it does not come there, since the context goes, the runner goes
    /// too: nobody else knows of it.
    class arrival {
    public:
        arrival(boost::intrusive_ptr<load_runner> runner, running_job&& job) noexcept
            : runner_(std::move(runner)), job_(std::move(job)) {}
        arrival(arrival&&) noexcept = default;
        arrival& operator=(arrival&&) = delete;
        ~arrival() {
            if (runner_ && runner_->resting_) {
                runner_->discard();
            }
        }
        void operator()() {
            try {
                runner_->prepare(*job_);
            } catch (...) { // there is no coroutine, or it cannot go on
                job_->refuse(boost::system::errc::make_error_code(boost::system::errc::not_enough_memory));
                return;
            }
            const auto runner = std::move(runner_);
            runner->take(std::move(job_));
        }

    private:
        boost::intrusive_ptr<load_runner> runner_;
        running_job job_;
    };

    /// A load that asks for another key, whose load asks for another: as each begins in the call of the one
    /// before, they are on top of each other on the thread's stack. Beyond a few they begin by a post.
    class nesting {
    public:
        nesting() noexcept { ++depth; }
        nesting(const nesting&) = delete;
        nesting& operator=(const nesting&) = delete;
        ~nesting() { --depth; }

        [[nodiscard]] static bool allowed() noexcept { return depth <= 16; }

    private:
        static inline constinit thread_local unsigned depth = 0;
    };

    void prepare(const load_job& job) {
        lane_->node = job.node();
        if (!std::exchange(spawned_, true)) {
            spawn_(*this);
        }
        if (resting_) {
            lane_->end_rest_of_owner();
        }
    }

    void take(running_job&& job) {
        job_ = std::move(job);
        if (std::exchange(resting_, false)) {
            handler_.call({});
        }
    }

    void park(running_job& done) {
        resting_ = true;
        if (done) {
            // A load may have moved its coroutine to another executor, and ended there.
            lane_->begin_rest_of_owner(lane_->running_here() && lane_->use_count() - this_turn == holders_);
            if (!done.end(this)) {
                discard();
            }
        } else if (job_) {
            resting_ = false;
            handler_.post({});
        }
    }

    template <class Run> // so that a file that only includes this does not compile Asio's part
    void spawn() {
        // The handler keeps the signal alive as long as the coroutine.
        asio::co_spawn(load_executor(lane_), Run{}(*this),
                       asio::bind_cancellation_slot(signal_.slot(), [self = boost::intrusive_ptr(this)](
                                                                        const std::exception_ptr&) {}));
        if (resting_) { // as it does by now, since it runs on this lane
            holders_ = lane_->use_count() - this_turn;
            lane_->set_own_work();
        }
    }

    /// The reference to the lane that whoever runs on it has.
    static constexpr unsigned this_turn = 1;

    const load_lane_ptr lane_;
    void (*const spawn_)(load_runner&);
    asio::cancellation_signal signal_;
    /// How many references to the lane there are when all executors are the coroutine's own.
    unsigned holders_ = 0;
    // Touched on the lane, or by who has taken the runner off its list.
    bool spawned_ = false;
    bool resting_ = false;
    parked_handler handler_;
    running_job job_;
};

using load_runner_ptr = boost::intrusive_ptr<load_runner>;

inline void load_job::emit_cancellation() {
    cancelled_.store(true);
    if (auto* runner = runner_.load()) {
        runner->cancel();
    }
}

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#include <acache/detail/job_board.hpp>

#endif
