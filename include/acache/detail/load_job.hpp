// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_LOAD_JOB_HPP
#define ACACHE_DETAIL_LOAD_JOB_HPP

#include <acache/detail/fair_queue.hpp>
#include <acache/detail/load_node.hpp>
#include <acache/detail/ref_count.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/intrusive/list.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/system/error_code.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace acache::detail {

namespace asio = boost::asio;

class job_board;
class load_runner;

/// One run of a loader or of a batch function, for one or more flights. A `job_board` starts it, when its
/// turn has come, and hears when it has ended; a `load_runner` runs it. Its line in the board's queue is the
/// hash of the first flight's key.
class load_job
    : public ref_count<load_job>,
      public fair_queue_item,
      public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
public:
    enum class stage : std::uint8_t { created, queued, running, ended, overload };
    /// Where the load may begin: in the starter's call, or only after it. A job that starts because another
    /// has ended is posted, or a queue of loads that never suspend would nest as deep as it is long.
    enum class launch : std::uint8_t { dispatched, posted };

    /// With the reference of its maker. `board` is the one that this job will be submitted to.
    explicit load_job(std::shared_ptr<job_board> board)
        : ref_count(1), board_(std::move(board)), node_(adopt(new load_node)) {}
    load_job(const load_job&) = delete;
    load_job& operator=(const load_job&) = delete;
    virtual ~load_job() = default;

    /// Has the load run, by `runner` or, where that is null, by a new one. Called once at most, with no lock
    /// held.
    virtual void start(boost::intrusive_ptr<load_runner> runner, launch how) = 0;
    /// The load itself, to be awaited in the coroutine of `runner()`.
    virtual asio::awaitable<void> work() = 0;
    /// Ends the flights that have not ended with `why`; the load will not run, or has run. With no lock held.
    virtual void refuse(boost::system::error_code why) = 0;

    /// It was cancelled while it ran, and may take a while to heed that. With no lock held.
    virtual void give_up() {}

    [[nodiscard]] job_board& board() const noexcept { return *board_; }

    /// What the load is called in the graph of waits.
    [[nodiscard]] const load_node_ptr& node() const noexcept { return node_; }
    /// True from the moment that a cancellation has been asked for: from then on its outcome is no result.
    [[nodiscard]] bool cancelled() const noexcept { return cancelled_.load(); }

    /// The job is `runner`'s from now until it has ended.
    void run_by(load_runner& runner) noexcept { runner_.store(&runner); }

    /// Flights of this job that somebody still waits for.
    std::atomic<std::size_t> wanted{0};
    /// One of them was fenced, by whatever means, before it had ended.
    std::atomic<bool> fenced = false;

protected:
    /// Null before the start. Valid until the job has ended.
    [[nodiscard]] load_runner* runner() const noexcept { return runner_.load(); }

private:
    friend class job_board;

    // Wants the board's mutex, so that the job, and with it the runner's part in it, does not end meanwhile.
    void emit_cancellation();

    const std::shared_ptr<job_board> board_;
    const load_node_ptr node_;
    // Who cancels sets the flag and then looks for a runner; who runs is set as the runner and then looks at
    // the flag: one of them sees the other (both sequentially consistent).
    std::atomic<bool> cancelled_ = false;
    std::atomic<load_runner*> runner_ = nullptr;
    // Guarded by the board's mutex.
    stage stage_ = stage::created;
    bool counted_ = false;
    bool exempt_ = false;
};

using load_job_ptr = boost::intrusive_ptr<load_job>;

} // namespace acache::detail

#endif
