// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_RUNNING_JOB_HPP
#define ACACHE_DETAIL_RUNNING_JOB_HPP

#include <acache/detail/load_job.hpp>

#include <memory>
#include <utility>

namespace acache::detail {

/// A job from its start to its end. However that end comes, by return, by an exception or with the context,
/// no flight is left behind and the board is told.
class running_job {
public:
    running_job() = default;
    /// `owner` is what the job refers to.
    running_job(load_job& job, std::shared_ptr<const void> owner) noexcept
        : owner_(std::move(owner)), job_(&job) {}
    running_job(running_job&&) noexcept = default;
    running_job& operator=(running_job&& other) noexcept {
        running_job(std::move(other)).swap(*this);
        return *this;
    }
    ~running_job() {
        if (job_) {
            (void)end(nullptr);
        }
    }

    [[nodiscard]] explicit operator bool() const noexcept { return job_ != nullptr; }
    [[nodiscard]] load_job& operator*() const noexcept { return *job_; }
    [[nodiscard]] load_job* operator->() const noexcept { return job_.get(); }

    /// The job has ended. Its runner, if it is not null, may from now on be started again by any thread where
    /// the result is true, and is not to be used again where it is false.
    [[nodiscard]] bool end(load_runner* runner); // in job_board.hpp

private:
    void swap(running_job& other) noexcept {
        owner_.swap(other.owner_);
        job_.swap(other.job_);
    }

    std::shared_ptr<const void> owner_;
    load_job_ptr job_;
};

} // namespace acache::detail

#endif
