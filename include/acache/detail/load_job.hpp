// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_LOAD_JOB_HPP
#define ACACHE_DETAIL_LOAD_JOB_HPP

#include <acache/detail/load_executor.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <boost/system/error_code.hpp>

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace acache::detail {

namespace asio = boost::asio;

class job_board;

/// One run of a loader or of a batch function, for one or more flights. A `job_board` starts it, when its
/// turn has come, and hears when it has ended.
class load_job
    : public boost::intrusive_ref_counter<load_job>,
      public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    enum class stage { created, queued, running, ended };
    /// Where the load may begin: in the starter's call, or only after it. A job that starts because another
    /// has ended is posted, or a queue of loads that never suspend would nest as deep as it is long.
    enum class launch { dispatched, posted };

    /// `board` is the one that this job will be submitted to.
    load_job(const asio::any_io_executor& executor, std::shared_ptr<job_board> board)
        : board_(std::move(board)), node_(new load_node), lane_(new load_lane(executor, node_)) {}
    load_job(const load_job&) = delete;
    load_job& operator=(const load_job&) = delete;
    virtual ~load_job() = default;

    /// Spawns the load. Called once at most, with no lock held.
    virtual void start(launch how) = 0;
    /// Ends the flights with `why`; the load will not run. Called instead of `start`, with no lock held.
    virtual void refuse(boost::system::error_code why) = 0;

    [[nodiscard]] job_board& board() const noexcept { return *board_; }

    /// What the load is called in the graph of waits.
    [[nodiscard]] const load_node_ptr& node() const noexcept { return node_; }
    /// True from the moment that a cancellation has been asked for: from then on its outcome is no result.
    [[nodiscard]] bool cancelled() const noexcept { return cancelled_.load(std::memory_order_acquire); }

    /// Flights of this job that somebody still waits for.
    std::atomic<std::size_t> wanted{0};

protected:
    /// Valid until the job has ended.
    [[nodiscard]] const asio::strand<asio::any_io_executor>& strand() const noexcept { return lane_->strand; }
    [[nodiscard]] asio::any_io_executor executor() const { return load_executor(lane_); }
    /// To be touched on the strand alone.
    [[nodiscard]] asio::cancellation_slot slot() noexcept { return signal_.slot(); }

private:
    friend class job_board;

    // Wants the board's mutex: the lane goes when the job ends, since its strand must not outlive its
    // context.
    void emit_cancellation() {
        cancelled_.store(true, std::memory_order_release);
        asio::post(lane_->strand, [self = boost::intrusive_ptr<load_job>(this)] {
            self->signal_.emit(asio::cancellation_type::all);
        });
    }

    const std::shared_ptr<job_board> board_;
    const load_node_ptr node_;
    load_lane_ptr lane_;
    asio::cancellation_signal signal_;
    std::atomic<bool> cancelled_ = false;
    // Guarded by the board's mutex.
    stage stage_ = stage::created;
    bool counted_ = false;
    bool exempt_ = false;
};

using load_job_ptr = boost::intrusive_ptr<load_job>;

} // namespace acache::detail

#endif
