// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_LOAD_EXECUTOR_HPP
#define ACACHE_DETAIL_LOAD_EXECUTOR_HPP

#include <acache/detail/load_node.hpp>
#include <acache/detail/serializer.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>

#include <cstddef>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

namespace acache::detail {

namespace asio = boost::asio;

/// What the executors of one load share: a serializer, so that the load can be cancelled from any thread, and
/// the load's name in the graph of waits. Loads may have it one after the other.
class load_lane final : public serializer {
public:
    using serializer::serializer;

    /// Keeps the context at work, as often as it has been called more than `remove_work`.
    void add_work() noexcept {
        const std::lock_guard lock{mutex_};
        ++works_;
        try {
            keep_work();
        } catch (...) {
            return; // the context may run out of work early: executors are copied where nothing may throw
        }
    }
    void remove_work() noexcept {
        const std::lock_guard lock{mutex_};
        --works_;
        end_work();
    }

    /// All work that there is now is the owner's.
    void set_own_work() noexcept { own_works_ = works_; }
    /// The owner rests: its own work does not count until it goes on. `alone` says that nobody else has the
    /// lane.
    void begin_rest_of_owner(bool alone) noexcept {
        if (alone) {
            resting_works_ = own_works_;
            work_.reset();
        } else {
            const std::lock_guard lock{mutex_};
            resting_works_ = own_works_;
            end_work();
        }
    }
    /// Nobody else has the lane.
    void end_rest_of_owner() {
        resting_works_ = 0;
        keep_work();
    }

    /// Changed when nobody but the owner has the lane.
    load_node_ptr node;

private:
    void end_work() noexcept {
        if (works_ <= resting_works_) {
            work_.reset();
        }
    }
    void keep_work() {
        end_work();
        if (works_ > resting_works_ && !work_) {
            work_.emplace(asio::prefer(inner(), asio::execution::outstanding_work.tracked));
        }
    }

    std::mutex mutex_;
    std::size_t works_ = 0;
    std::size_t own_works_ = 0;
    std::size_t resting_works_ = 0; // those that do not count
    std::optional<asio::any_io_executor> work_;
};

using load_lane_ptr = boost::intrusive_ptr<load_lane>;

/// The executor that a load runs on. A coroutine that finds it under its own `this_coro::executor` knows that
/// it runs inside that load. Small, so that `any_io_executor` holds it without allocating.
class load_executor {
public:
    explicit load_executor(load_lane_ptr lane) noexcept : lane_(std::move(lane)) {}
    // Copies do not throw, though intrusive_ptr does not declare it, and adding work does not.
    load_executor(const load_executor& other) noexcept
        : lane_(other.lane_), posts_(other.posts_), works_(other.works_) {
        if (works_) {
            lane_->add_work();
        }
    }
    load_executor(load_executor&& other) noexcept
        : lane_(std::move(other.lane_)), posts_(other.posts_), works_(std::exchange(other.works_, false)) {}
    load_executor& operator=(const load_executor&) = delete;
    ~load_executor() {
        if (works_) {
            lane_->remove_work();
        }
    }

    [[nodiscard]] const load_node_ptr& node() const noexcept { return lane_->node; }
    /// Tells the coroutines that run loads apart.
    [[nodiscard]] const load_lane* lane() const noexcept { return lane_.get(); }

    [[nodiscard]] asio::execution_context& query(asio::execution::context_t p) const noexcept {
        return asio::query(lane_->inner(), p);
    }
    [[nodiscard]] asio::execution::blocking_t query(asio::execution::blocking_t) const noexcept {
        return posts_ ? asio::execution::blocking_t(asio::execution::blocking.never)
                      : asio::execution::blocking_t(asio::execution::blocking.possibly);
    }
    [[nodiscard]] asio::execution::outstanding_work_t
    query(asio::execution::outstanding_work_t) const noexcept {
        return works_ ? asio::execution::outstanding_work_t(asio::execution::outstanding_work.tracked)
                      : asio::execution::outstanding_work_t(asio::execution::outstanding_work.untracked);
    }

    [[nodiscard]] load_executor require(asio::execution::blocking_t::never_t) const {
        return with(true, works_);
    }
    [[nodiscard]] load_executor require(asio::execution::blocking_t::possibly_t) const {
        return with(false, works_);
    }
    [[nodiscard]] load_executor require(asio::execution::outstanding_work_t::tracked_t) const {
        return with(posts_, true);
    }
    [[nodiscard]] load_executor require(asio::execution::outstanding_work_t::untracked_t) const {
        return with(posts_, false);
    }

    template <class F>
    void execute(F&& f) const {
        if (posts_) {
            lane_->post(std::decay_t<F>(std::forward<F>(f)));
        } else {
            lane_->dispatch(std::decay_t<F>(std::forward<F>(f)));
        }
    }

    friend bool operator==(const load_executor& a, const load_executor& b) noexcept {
        return a.lane_ == b.lane_ && a.posts_ == b.posts_ && a.works_ == b.works_;
    }
    friend bool operator!=(const load_executor& a, const load_executor& b) noexcept { return !(a == b); }

private:
    [[nodiscard]] load_executor with(bool posts, bool works) const {
        load_executor result(lane_);
        result.posts_ = posts;
        if (works) {
            lane_->add_work();
            result.works_ = true;
        }
        return result;
    }

    load_lane_ptr lane_;
    bool posts_ = false; // never runs what it is given before `execute` returns
    bool works_ = false; // counts as work of the context
};

/// The load that runs on `executor`; null where none does.
[[nodiscard]] inline load_node_ptr load_of(const asio::any_io_executor& executor) {
    const auto* found = executor.target<load_executor>();
    return found != nullptr ? found->node() : nullptr;
}

} // namespace acache::detail

#endif
