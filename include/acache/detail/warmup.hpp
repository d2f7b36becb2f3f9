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
#include <list>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// Wakes a warm-up when one of its loads is over.
class warmup_bell {
public:
    explicit warmup_bell(std::shared_ptr<job_board> board) : board_(std::move(board)) {}

    void ring() {
        board_->wake(sleeper_, [this] { rung_ = true; });
    }

    /// An operation to be `co_await`ed until `ring` has been called since the last one.
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

/// The loader of one key of a warm-up; rings when it is destroyed, which is when its load is over.
template <class Loader>
class warmup_load {
public:
    warmup_load(Loader loader, std::shared_ptr<warmup_bell> bell)
        : loader_(std::move(loader)), bell_(std::move(bell)) {}
    warmup_load(warmup_load&&) noexcept = default;
    warmup_load& operator=(warmup_load&&) = delete;
    ~warmup_load() {
        if (bell_) {
            bell_->ring();
        }
    }

    template <class K>
    [[nodiscard]] auto operator()(load_context& context, const K& key) {
        return call_loader(loader_, context, key);
    }

private:
    Loader loader_;
    std::shared_ptr<warmup_bell> bell_;
};

/// One loader for all keys of a warm-up.
template <class Loader>
class shared_loader {
public:
    template <class L>
        requires std::constructible_from<Loader, L>
    explicit shared_loader(L&& loader) : loader_(std::make_shared<Loader>(std::forward<L>(loader))) {}

    [[nodiscard]] auto operator()(std::size_t) const {
        return [loader = loader_]<class K>(load_context& context, const K& key) {
            return call_loader(*loader, context, key);
        };
    }

private:
    std::shared_ptr<Loader> loader_;
};

/// A load that a warm-up has begun.
template <class State>
struct warmup_share {
    flight_share<typename State::group> share;
    wait_edge edge;
};

/// Takes the loads that have ended off the list and into the report.
template <class State>
void reap(State& self, std::list<warmup_share<State>>& running,
          warmup_report<typename State::key_type>& report) {
    std::erase_if(running, [&](const auto& r) {
        if (!self.ended(*r.share)) {
            return false;
        }
        const auto& outcome = r.share->outcome;
        if (outcome.error) {
            report.failed.emplace_back(r.share->key, outcome.error);
        } else {
            ++(outcome.found ? report.present : report.loaded);
        }
        return true;
    });
}

/// Begins the loads of `keys`, at most `concurrency` at a time; `loader_of(i)` makes the loader of the i-th.
template <class State, class LoaderOf>
asio::awaitable<warmup_report<typename State::key_type>>
warmup(std::shared_ptr<State> self, std::vector<typename State::key_type> keys, LoaderOf loader_of,
       load_options options, std::size_t concurrency) {
    using K = typename State::key_type;
    using load_type = warmup_load<decltype(loader_of(std::size_t{}))>;
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    check_open(*self, executor);
    const load_node_ptr caller = load_of(executor);
    const auto bell = std::make_shared<warmup_bell>(self->shared_board());
    warmup_report<K> report;
    std::list<warmup_share<State>> running;
    for (std::size_t i = 0; i != keys.size(); ++i) {
        load_type one(loader_of(i), bell);
        load_request<State, K, load_type> request(*self, keys[i], one, options, load_mode{.counts = false});
        bool started = false;
        auto flight = self->join_or_add(request, started);
        if (flight) {
            flight_share<typename State::group> share(*self, flight);
            if (started) {
                running.push_back({std::move(share), wait_edge(caller, flight->job->node())});
                if (caller) {
                    flight->job->board().exempt(*flight->job);
                }
                request.launch();
            }
        }
        report.present += started ? 0 : 1;
        while (running.size() >= concurrency) {
            co_await bell->wait();
            bell->heard();
            reap(*self, running, report);
        }
    }
    while (!running.empty()) {
        co_await bell->wait();
        bell->heard();
        reap(*self, running, report);
    }
    co_return report;
}

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
