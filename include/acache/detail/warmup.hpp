// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_WARMUP_HPP
#define ACACHE_DETAIL_WARMUP_HPP

#include <acache/detail/cache_load.hpp>
#include <acache/detail/cache_state.hpp>
#include <acache/detail/waiter.hpp>
#include <acache/lookup_result.hpp>
#include <acache/options.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// Wakes a warm-up when one of its flights has ended.
class warmup_bell final : public flight_listener {
public:
    explicit warmup_bell(std::shared_ptr<job_board> board) : board_(std::move(board)) {}

    void flight_ended() override {
        board_->wake(sleeper_, [this] { rung_ = true; });
    }

    /// An operation to be `co_await`ed until a flight has ended since `heard` was last called.
    [[nodiscard]] auto wait() {
        return sleeper_.wait(board_->mutex(), [this](waiter& self) {
            return board_->park_unless(self, [this] { return rung_; });
        });
    }

    void heard() {
        const std::lock_guard lock{board_->mutex()};
        rung_ = false;
    }

private:
    std::shared_ptr<job_board> board_;
    waiter sleeper_;
    bool rung_ = false; // guarded by the board's mutex
};

/// One loader for all keys of a warm-up.
template <class Loader>
class shared_loader {
public:
    template <class L>
        requires std::constructible_from<Loader, L>
    explicit shared_loader(L&& loader) : loader_(std::make_shared<Loader>(std::forward<L>(loader))) {}

    class one {
    public:
        explicit one(std::shared_ptr<Loader> loader) : loader_(std::move(loader)) {}

        template <class K>
            requires(!takes_context<Loader, K>)
        auto operator()(const K& key) {
            return call_function(*loader_, key);
        }
        template <class K>
            requires std::invocable<Loader&, load_context&, const K&>
        auto operator()(load_context& context, const K& key) {
            return std::invoke(*loader_, context, key);
        }
        auto operator()(load_context& context)
            requires std::invocable<Loader&, load_context&>
        {
            return std::invoke(*loader_, context);
        }

    private:
        std::shared_ptr<Loader> loader_;
    };

    [[nodiscard]] one operator()(std::size_t) const { return one(loader_); }

private:
    std::shared_ptr<Loader> loader_;
};

/// A warm-up on its way: the loads it has begun and not yet seen the end of, and what it will report.
template <class State>
class warmup_run {
public:
    using K = typename State::key_type;

    warmup_run(std::shared_ptr<State> state, const asio::any_io_executor& executor)
        : state_(std::move(state)), caller_(state_->admit(executor)),
          bell_(std::make_shared<warmup_bell>(state_->shared_board())) {}

    /// Begins the load of `key` unless it has a value or is being loaded. An error is the key's own.
    template <class Loader>
    void begin(const K& key, Loader loader, load_options options) {
        try {
            load_request<State, K, Loader> request(*state_, key, loader, options,
                                                   load_mode{.counts = false, .serves_stale = false}, bell_);
            bool started = false;
            const auto flight = state_->join_or_add(request, started);
            if (!flight) {
                if (request.failure()) {
                    report_.failed.emplace_back(key, request.failure());
                } else {
                    ++report_.present;
                }
                return;
            }
            flight_share<typename State::group> share(*state_, flight);
            if (!started) {
                ++report_.present;
                return;
            }
            running_.push_back({std::move(share), wait_edge(caller_, flight->job->node())});
            if (caller_) {
                (void)flight->job->board().exempt(*flight->job); // not submitted yet, so not refused
            }
            request.launch(*flight);
        } catch (...) {
            report_.failed.emplace_back(key, std::current_exception());
        }
    }

    [[nodiscard]] std::size_t running() const noexcept { return running_.size(); }

    /// An operation to be `co_await`ed until a load has ended.
    [[nodiscard]] auto wait() { return bell_->wait(); }

    /// Takes the loads that have ended into the report. Throws `errc::closed` once the cache is closed.
    void reap() {
        bell_->heard();
        state_->board.check(true);
        running_.remove_if([this](const load& l) {
            if (!state_->ended(*l.share)) {
                return false;
            }
            const auto& outcome = l.share->outcome;
            if (outcome.error) {
                report_.failed.emplace_back(l.share->key, outcome.error);
            } else {
                ++(outcome.found ? report_.present : report_.loaded);
            }
            return true;
        });
    }

    [[nodiscard]] warmup_report<K>& report() noexcept { return report_; }

private:
    struct load {
        flight_share<typename State::group> share;
        wait_edge edge;
    };

    const std::shared_ptr<State> state_;
    const load_node_ptr caller_;
    const std::shared_ptr<warmup_bell> bell_;
    std::list<load> running_;
    warmup_report<K> report_;
};

/// Begins the loads of `keys`, at most `concurrency` at a time; `loader_of(i)` makes the loader of the i-th.
template <class State, class LoaderOf>
asio::awaitable<warmup_report<typename State::key_type>>
warmup(std::shared_ptr<State> self, std::vector<typename State::key_type> keys, LoaderOf loader_of,
       load_options options, std::size_t concurrency) {
    warmup_run<State> run(std::move(self), co_await asio::this_coro::executor);
    for (std::size_t i = 0; i != keys.size(); ++i) {
        run.begin(keys[i], loader_of(i), options);
        while (run.running() >= concurrency) {
            co_await run.wait();
            run.reap();
        }
    }
    while (run.running() != 0) {
        co_await run.wait();
        run.reap();
    }
    co_return std::move(run.report());
}

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
