// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_RUNNING_JOB_HPP
#define ACACHE_DETAIL_RUNNING_JOB_HPP

#include <acache/detail/job_board.hpp>
#include <acache/detail/load_job.hpp>
#include <acache/error.hpp>

#include <memory>
#include <utility>

namespace acache::detail {

class runner_pool;

/// A job from its start to its end. However that end comes, by return, by an exception or with the context,
/// no flight is left behind and the board is told.
class running_job {
public:
    /// `pool` is where the runner rests when the job is over. It keeps its owner alive, and with it all that
    /// the job refers to.
    running_job(load_job& job, std::shared_ptr<runner_pool> pool) noexcept
        : job_(&job), pool_(std::move(pool)) {}
    running_job(running_job&&) noexcept = default;
    running_job& operator=(running_job&&) = delete;
    ~running_job() {
        if (job_) {
            (void)end();
        }
    }

    [[nodiscard]] load_job& operator*() const noexcept { return *job_; }
    [[nodiscard]] load_job* operator->() const noexcept { return job_.get(); }

    /// Gives the pool, or null where the runner of a cancelled job is not to be used again.
    [[nodiscard]] std::shared_ptr<runner_pool> end() {
        const load_job_ptr job = std::move(job_);
        job->refuse(errc::closed);
        job->board().ended(*job);
        // From here on nobody can cancel it.
        return job->cancelled() ? nullptr : std::move(pool_);
    }

private:
    load_job_ptr job_;
    std::shared_ptr<runner_pool> pool_;
};

} // namespace acache::detail

#endif
