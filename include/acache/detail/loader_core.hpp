// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_LOADER_CORE_HPP
#define ACACHE_DETAIL_LOADER_CORE_HPP

#include <acache/detail/cache_batch.hpp>
#include <acache/detail/cache_read.hpp>
#include <acache/detail/cache_state.hpp>
#include <acache/detail/cache_write.hpp>
#include <acache/detail/context_watch.hpp>
#include <acache/detail/job_board.hpp>
#include <acache/error.hpp>
#include <acache/options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/co_spawn.hpp>
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

/// What a `DataLoader<K, V>` is a handle to, whatever it stands on.
template <class K, class V>
class loader_core : public context_watcher {
public:
    virtual asio::any_io_executor executor() const = 0;
    virtual asio::awaitable<V> load(K key) = 0;
    virtual asio::awaitable<std::vector<load_result<V>>> load_many(std::vector<K> keys) = 0;
    virtual void prime(K key, V value) = 0;
    virtual void clear(K key) = 0;
    virtual void clear_all() = 0;
    virtual void flush() = 0;
    virtual void shut() = 0;
    virtual asio::awaitable<void> close() = 0;
    virtual asio::awaitable<void> drain() = 0;
};

/// A loader over the state of a cache: its own where it stands alone, then closed with it.
///
/// Loads become flights of that cache, so they join what single and bulk gets have begun, and are joined by
/// them. The jobs of those flights are batches, which are put together here. Locks: a shard's mutex, then
/// `mutex_`, then a board's.
template <class State, class Fn>
class loader_over final : public loader_core<typename State::key_type, typename State::value_type> {
public:
    using K = typename State::key_type;
    using V = typename State::value_type;
    using job_ptr = typename State::job_ptr;

    loader_over(std::shared_ptr<State> state, bool owns_state, Fn fn, const data_loader_options& options)
        : state_(std::move(state)), owns_state_(owns_state), fn_(std::move(fn)), options_(options),
          board_(*this, options.max_concurrent_batches) {
        this->watch(asio::query(state_->executor(), asio::execution::context));
    }

    asio::any_io_executor executor() const override { return state_->executor(); }

    asio::awaitable<V> load(K key) override { return do_load(self(), std::move(key)); }
    asio::awaitable<std::vector<load_result<V>>> load_many(std::vector<K> keys) override {
        return do_load_many(self(), std::move(keys));
    }

    void prime(K key, V value) override {
        board_.check(true);
        state_->board.check(true);
        const auto stamps = state_->stamp(std::nullopt);
        const auto hash = state_->stored().hash(key);
        if constexpr (State::synchronous) {
            entry<V> fresh(std::move(value), stamps.created, stamps.expires);
            std::optional<decltype(state_->stored().set(key, std::move(fresh), hash))> displaced;
            state_->with_key(hash, key, [&](bool in_flight) {
                if (!in_flight && !state_->ask(key, hash).found()) {
                    displaced.emplace(state_->stored().set(key, std::move(fresh), hash));
                }
                return in_flight;
            });
        } else if (!state_->with_key(hash, key, [](bool in_flight) { return in_flight; })) {
            in_background(prime_if_absent(state_, std::move(key), std::move(value), stamps));
        }
    }

    void clear(K key) override {
        board_.check(true);
        state_->board.check(true);
        const auto hash = state_->stored().hash(key);
        if constexpr (State::synchronous) {
            const auto removed =
                state_->fence(hash, key, [&](bool) { return state_->stored().erase(key, hash); });
        } else {
            state_->fence(hash, key, [](bool was) { return was; });
            in_background(erase(state_, std::move(key), begin_erasure(hash)));
        }
    }

    void clear_all() override {
        board_.check(true);
        state_->board.check(true);
        state_->fence_all();
        if constexpr (State::synchronous) {
            const auto removed = kept_result([&] { return state_->stored().backend().clear(); });
        } else {
            in_background(erase_all(state_, begin_erasure(State::store_type::every_key)));
        }
    }

    void flush() override {
        if (const auto batch = take_open()) {
            send(*batch);
        }
    }

    void shut() override {
        board_.close();
        state_->close_flights(&board_);
        state_->dismiss(this, errc::closed); // those who have joined other loads of the cache
        if (owns_state_) {
            state_->shut();
        }
    }

    asio::awaitable<void> close() override { return do_close(self(), false); }
    asio::awaitable<void> drain() override { return do_close(self(), true); }

    void context_gone(asio::execution_context& context) override {
        board_.discard_waiters_of(context);
        const std::lock_guard lock{mutex_};
        window_.reset();
    }

private:
    using timer_clock = typename State::timer_clock;
    using timer =
        asio::basic_waitable_timer<timer_clock, asio::wait_traits<timer_clock>, asio::any_io_executor>;

    /// The batches as jobs: an open one gets no more keys once it has been dropped.
    class batch_board final : public job_board {
    public:
        batch_board(loader_over& loader, std::size_t limit) : job_board(limit), loader_(loader) {}

    private:
        bool seal(load_job& batch) override {
            loader_.take_open(&batch);
            return true;
        }
        loader_over& loader_;
    };

    /// The batch function, kept alive with the loader as long as a batch is. Loader and cache wait for it in
    /// `close` and `drain`, from when the batch is opened.
    struct shared_function {
        std::shared_ptr<loader_over> loader;
        board_operation of_loader;
        board_operation of_cache;

        // By reference: the function may keep one, and the keys outlive the batch, but not this call.
        template <class Keys>
            requires std::invocable<Fn&, Keys>
        auto operator()(Keys&& keys) {
            return std::invoke(loader->fn_, std::forward<Keys>(keys));
        }
    };

    /// The part that one operation has in the batches that it puts keys into.
    class ticket {
    public:
        explicit ticket(loader_over& loader) : loader_(loader) {}
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

        template <class Make>
        [[nodiscard]] auto add(Make make) {
            const std::lock_guard lock{loader_.mutex_};
            full_.reserve(full_.size() + 1);
            const bool opens = !loader_.open_;
            if (opens) {
                loader_.open_ = loader_.make_batch();
            }
            const job_ptr batch = loader_.open_;
            decltype(make(batch)) flight;
            try {
                flight = make(batch);
            } catch (...) {
                if (opens) {
                    loader_.close_open(); // nobody would send it
                }
                throw;
            }
            if (loader_.open_tally_) {
                loader_.open_tally_->add();
            }
            if (batch->flights.size() >= loader_.options_.max_batch_size) {
                loader_.close_open();
                full_.push_back(batch);
            } else if (opens) {
                opened_ = batch;
            }
            return flight;
        }

        /// Sends what is full, and sees to it that what was opened will be sent. A batch that cannot be seen
        /// to is dropped.
        void launch() {
            for (const auto& batch : std::exchange(full_, {})) {
                loader_.send(*batch);
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
        loader_over& loader_;
        std::vector<job_ptr> full_;
        job_ptr opened_;
    };

    [[nodiscard]] std::shared_ptr<loader_over> self() {
        return std::static_pointer_cast<loader_over>(this->shared_from_this());
    }

    // Wants the mutex.
    [[nodiscard]] job_ptr make_batch() {
        const std::shared_ptr<job_board> board(this->shared_from_this(), &board_);
        shared_function fn{self(), board_operation(board), board_operation(state_->shared_board())};
        open_tally_ = make_batch_tally(*state_);
        return state_->make_job(
            batch_load<State, shared_function>(std::move(fn), load_options{}, open_tally_), std::nullopt,
            board);
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

    static asio::awaitable<V> do_load(std::shared_ptr<loader_over> self, K key) {
        auto& state = *self->state_;
        if (!self->board_.admits(false)) {
            self->board_.check(load_of(co_await asio::this_coro::executor) != nullptr);
        }
        if constexpr (State::store_type::answers_locally) {
            auto answer = state.ask(key, state.stored().hash(key));
            if (auto& found = answer.found(); found && state.board.admits(false)) {
                state.count(counter::hits);
                co_return std::move(found->value);
            }
        }
        ticket batch(*self);
        batch_request<State, ticket> request(state, batch, std::move(key));
        for (;;) {
            flight_caller<typename State::group> caller(state, co_await asio::this_coro::executor,
                                                        self.get());
            caller.enter(request);
            if (caller.has_to_wait()) {
                co_await caller.wait();
            }
            if (!caller.withdrawn() || !self->board_.admits(true)) {
                auto result = request.result(caller.flight());
                if (result.has_error()) {
                    std::rethrow_exception(result.error());
                }
                co_return std::move(*result);
            }
        }
    }

    static asio::awaitable<std::vector<load_result<V>>> do_load_many(std::shared_ptr<loader_over> self,
                                                                     std::vector<K> keys) {
        self->board_.check(load_of(co_await asio::this_coro::executor) != nullptr);
        ticket batch(*self);
        std::vector<batch_request<State, ticket>> requests;
        requests.reserve(keys.size());
        for (K& key : keys) {
            requests.emplace_back(*self->state_, batch, std::move(key));
        }
        const auto flights = co_await State::join_all(self->state_, requests, batch, self.get());
        std::vector<load_result<V>> results;
        results.reserve(requests.size());
        for (std::size_t i = 0; i != requests.size(); ++i) {
            results.push_back(requests[i].result(flights[i].get()));
        }
        co_return results;
    }

    static asio::awaitable<void> do_close(std::shared_ptr<loader_over> self, bool drains) {
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        self->state_->check_not_inside(executor, &self->board_);
        self->watch(asio::query(executor, asio::execution::context));
        if (drains) {
            self->board_.drain();
            self->flush();
        } else {
            self->shut();
        }
        waiter w;
        co_await w.wait(self->board_.mutex(),
                        [&](waiter& parked) { return self->board_.park_until_idle(parked); });
        self->shut();
        if (self->owns_state_) {
            co_await State::close(self->state_);
        }
    }

    void in_background(asio::awaitable<void> work) {
        asio::co_spawn(
            state_->executor(), std::move(work),
            [state = state_, pending = board_operation(state_->shared_board())](const std::exception_ptr& e) {
                if (e) {
                    state->count(counter::backend_failures);
                }
            });
    }

    using turn_ptr = std::unique_ptr<write_turns::turn>;

    /// In force from here on: reads that begin later wait for it.
    [[nodiscard]] turn_ptr begin_erasure(std::size_t line) {
        auto turn = std::make_unique<write_turns::turn>(state_->stored().erasures, line);
        if (!turn->try_take()) {
            return nullptr; // another one of the same key is under way, and reads wait for that
        }
        return turn;
    }

    // `in_force` ends with the coroutine, before `state` does.
    static asio::awaitable<void> erase(std::shared_ptr<State> state, K key,
                                       [[maybe_unused]] turn_ptr in_force) {
        co_await invalidate(state, std::move(key));
    }
    static asio::awaitable<void> erase_all(std::shared_ptr<State> state, [[maybe_unused]] turn_ptr in_force) {
        co_await detail::clear(state);
    }

    // Has the turn of its key from the look to the write, so that it overwrites nothing.
    static asio::awaitable<void> prime_if_absent(std::shared_ptr<State> state, K key, V value,
                                                 typename State::stamps stamps) {
        auto& store = state->stored();
        const std::size_t hash = store.hash(key);
        write_turns::turn turn(store.turns, hash);
        if (!turn.try_take()) {
            co_await turn.come();
        }
        const auto present = co_await read(*state, key);
        if (!present) {
            const fence_scope fence([&] { state->fence(hash, key, [](bool was) { return was; }); });
            entry<V> fresh(std::move(value), stamps.created, stamps.expires);
            co_await store.backend().set(key, std::move(fresh));
        }
    }

    const std::shared_ptr<State> state_;
    const bool owns_state_;
    Fn fn_;
    const data_loader_options options_;
    batch_board board_;

    std::mutex mutex_;
    job_ptr open_;                      // the batch that takes keys
    batch_tally_ptr<State> open_tally_; // of the open batch
    std::optional<timer> window_;       // of the open batch
};

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
