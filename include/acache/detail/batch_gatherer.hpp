// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_BATCH_GATHERER_HPP
#define ACACHE_DETAIL_BATCH_GATHERER_HPP

#include <acache/clock.hpp>
#include <acache/detail/cache_batch.hpp>
#include <acache/detail/cache_state.hpp>
#include <acache/detail/job_board.hpp>
#include <acache/detail/loader_core.hpp>
#include <acache/error.hpp>
#include <acache/options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/post.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// The part of a loader that puts batches together and sends them. A batch is a job for flights of the
/// cache's state; it is open, and takes keys, until its tick or window is over, it is full, or it is flushed.
///
/// Locks: a shard's mutex, then `mutex_`, then a board's.
template <class State, class Fn>
class batch_gatherer : public loader_core<typename State::key_type, typename State::value_type> {
public:
    using job_ptr = typename State::job_ptr;

    batch_gatherer(std::shared_ptr<State> state, Fn fn, const data_loader_options& options)
        : state_(std::move(state)), board_(*this, options.max_concurrent_batches), fn_(std::move(fn)),
          options_(options) {
        this->watch(asio::query(state_->executor(), asio::execution::context));
    }

    void flush() override {
        if (const auto batch = take_open()) {
            send(*batch);
        }
    }

    void context_gone(asio::execution_context& context) override {
        board_.discard_waiters_of(context);
        const std::lock_guard lock{mutex_};
        window_.reset();
    }

protected:
    /// The batches as jobs: an open one gets no more keys once it has been dropped.
    class batch_board final : public job_board {
    public:
        batch_board(batch_gatherer& loader, std::size_t limit) : job_board(limit), loader_(loader) {}

    private:
        bool seal(load_job& batch) override {
            loader_.take_open(&batch);
            return true;
        }
        batch_gatherer& loader_;
    };

    /// The part that one operation has in the batches that it puts keys into.
    class ticket {
    public:
        explicit ticket(batch_gatherer& loader) : loader_(loader) {}
        ticket(const ticket&) = delete;
        ticket& operator=(const ticket&) = delete;
        /// An operation that failed between `add` and `launch` leaves no batch that nobody sends.
        ~ticket() {
            try {
                launch();
            } catch (...) {
                return; // the batch has been dropped, and its callers told
            }
        }

        /// The cache's own hold for all loads.
        [[nodiscard]] static const load_options& options() noexcept {
            static constexpr load_options none;
            return none;
        }
        [[nodiscard]] static bool too_old(time_point) noexcept { return false; }

        template <class Make>
        [[nodiscard]] auto add(Make make, bool counts) {
            const std::lock_guard lock{loader_.mutex_};
            const bool opens = !loader_.open_;
            if (opens) {
                loader_.open_ = loader_.make_batch();
                loader_.open_->flights.reserve(loader_.last_size_);
            }
            auto& batch = loader_.open_;
            const bool fills = batch->flights.size() + 1 >= loader_.options_.max_batch_size;
            decltype(make(batch)) flight;
            try {
                if (fills) {
                    full_.reserve(full_.size() + 1);
                }
                flight = make(batch);
            } catch (...) {
                if (opens) {
                    loader_.close_open(); // nobody would send it
                }
                throw;
            }
            if (loader_.open_tally_ && counts) {
                loader_.open_tally_->add();
            }
            if (opens && !fills) {
                opened_ = batch;
            }
            if (fills) {
                full_.push_back(std::move(batch));
                loader_.close_open();
            }
            return flight;
        }

        /// Sends what is full, and sees to it that what was opened will be sent. A batch that cannot be seen
        /// to is dropped.
        void launch() {
            if (!full_.empty()) {
                for (const auto& batch : std::exchange(full_, {})) {
                    loader_.send(*batch);
                }
            }
            if (const auto batch = std::exchange(opened_, nullptr)) {
                try {
                    loader_.arm(batch);
                } catch (...) {
                    loader_.board_.drop(*batch);
                    throw;
                }
            }
        }

    private:
        batch_gatherer& loader_;
        std::vector<job_ptr> full_;
        job_ptr opened_;
    };

    const std::shared_ptr<State> state_;
    batch_board board_;

private:
    using timer_clock = typename State::timer_clock;
    using timer =
        asio::basic_waitable_timer<timer_clock, asio::wait_traits<timer_clock>, asio::any_io_executor>;

    /// The batch function, kept alive with the loader as long as a batch is. Loader and cache wait for it in
    /// `close` and `drain`, from when the batch is opened.
    struct shared_function {
        std::shared_ptr<batch_gatherer> loader;
        board_operation of_loader;
        board_operation of_cache;

        // By reference: the function may keep one, and the keys outlive the batch, but not this call.
        template <class Keys>
            requires std::invocable<Fn&, Keys>
        auto operator()(Keys&& keys) {
            return std::invoke(loader->fn_, std::forward<Keys>(keys));
        }
    };

    [[nodiscard]] std::shared_ptr<batch_gatherer> self() {
        return std::static_pointer_cast<batch_gatherer>(this->shared_from_this());
    }

    // Wants the mutex.
    [[nodiscard]] job_ptr make_batch() {
        const std::shared_ptr<job_board> board(this->shared_from_this(), &board_);
        shared_function fn{self(), board_operation(board), board_operation(state_->shared_board())};
        open_tally_ = make_batch_tally(*state_);
        return state_->template make_job<batch_load<State, shared_function>>(
            std::nullopt, board, std::move(fn), ticket::options(), open_tally_);
    }

    // Wants the mutex.
    void close_open() {
        open_tally_.reset();
        open_.reset();
        window_.reset();
    }

    /// Takes the open batch, if it is `only` or `only` is null.
    job_ptr take_open(const load_job* only = nullptr) {
        const std::lock_guard lock{mutex_};
        if (!open_ || (only != nullptr && open_.get() != only)) {
            return nullptr;
        }
        auto taken = open_;
        last_size_ = taken->flights.size();
        close_open();
        return taken;
    }

    /// Sends a batch that is no longer open, unless all its callers have left or the cache has closed.
    void send(load_job& batch) {
        if (batch.wanted.load(std::memory_order_relaxed) == 0 || !state_->board.admits(true)) {
            board_.drop(batch);
        } else {
            board_.submit(batch);
        }
    }

    /// Sees to it that `batch` is sent when its tick or window is over.
    void arm(const job_ptr& batch) {
        auto send_it = [loader = self(), batch] {
            if (const auto still_open = loader->take_open(batch.get())) {
                loader->send(*still_open);
            }
        };
        if (!state_->board.admits(true) || !board_.admits(true)) {
            send_it(); // closed since it was opened: its callers are told now
        } else if (options_.batch_window.count() == 0) {
            asio::post(state_->executor(), std::move(send_it));
        } else {
            const std::lock_guard lock{mutex_};
            if (open_ == batch) {
                window_.emplace(state_->executor());
                window_->expires_at(saturating_add(timer_clock::now(), options_.batch_window));
                window_->async_wait([send_it = std::move(send_it)](error_code ec) {
                    if (!ec) {
                        send_it();
                    }
                });
            }
        }
    }

    Fn fn_;
    const data_loader_options options_;
    std::mutex mutex_;
    job_ptr open_; // the batch that takes keys
    batch_tally_ptr<State> open_tally_;
    std::size_t last_size_ = 0;   // of the batch before, a guess at the next one's
    std::optional<timer> window_; // of the open batch
};

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
