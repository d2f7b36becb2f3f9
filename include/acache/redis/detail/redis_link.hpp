// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_LINK_HPP
#define ACACHE_REDIS_DETAIL_REDIS_LINK_HPP

#include <acache/clock.hpp>
#include <acache/detail/context_watch.hpp>
#include <acache/detail/waiter.hpp>
#include <acache/redis/detail/redis_calls.hpp>
#include <acache/redis/detail/redis_clock.hpp>
#include <acache/redis/detail/redis_home.hpp>
#include <acache/redis/detail/redis_members.hpp>
#include <acache/redis/detail/redis_opening.hpp>
#include <acache/redis/detail/redis_operation.hpp>
#include <acache/redis/detail/redis_probe.hpp>
#include <acache/redis/detail/redis_push_reader.hpp>
#include <acache/redis/error.hpp>
#include <acache/redis/metrics.hpp>
#include <acache/redis/options.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/redis/connection.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <acache/detail/push_warnings.hpp>

namespace acache::detail {

/// What all caches on one connection share: it sends their requests, limits their time, knows whether the
/// server answers, and tells members what others change.
///
/// Its state belongs to the connection's executor, a strand where the context has several threads. What may
/// be called from other threads says so.
///
/// A connection that is lost shows in its receive operation, which ends; Boost.Redis ends it before the
/// requests of that connection, and takes none before the next. Tracking begins anew then, with a request
/// that waits for the connection.
class redis_link final : public context_watcher, private redis_push_sink {
public:
    redis_link(std::shared_ptr<boost::redis::connection> connection, redis_client_options options)
        : options_(options), connection_(std::move(connection)), home_(connection_->get_executor()),
          context_(&asio::query(home_->executor(), asio::execution::context)), late_timer_(home_->executor()),
          keepalive_timer_(home_->executor()) {}

    /// Once, after construction. From any thread.
    void start() {
        watch(*context_);
        on_home([this] { take_over(); });
    }

    /// Ends everything: what waits fails with `operation_aborted`, and members hear nothing any more. From
    /// any thread.
    void stop() {
        stopped_ = true;
        calls_.abort_callers();
        ready_calls_.abort_callers();
        on_home([this] { let_go(); });
    }

    [[nodiscard]] const asio::any_io_executor& get_executor() const noexcept { return home_->executor(); }
    [[nodiscard]] const redis_client_options& options() const noexcept { return options_; }

    /// Adds a member, which is opened as soon as that can be. From any thread. Throws
    /// `std::invalid_argument` where its prefix and that of another overlap.
    void add(std::shared_ptr<redis_member> member) {
        {
            const std::lock_guard lock{prefix_mutex_};
            for (const auto& [other, prefix] : prefixes_) {
                if (redis_tracking::overlap(prefix, member->prefix())) {
                    throw std::invalid_argument(
                        "acache: the prefixes \"" + prefix + "\" and \"" + member->prefix() +
                        "\" of two caches on one connection overlap; choose prefixes of "
                        "which none begins with another, or use two connections");
                }
            }
            prefixes_.emplace_back(member.get(), member->prefix());
        }
        on_home([this, member = std::move(member)]() mutable {
            if (!stopped_) {
                members_.add(std::move(member));
                open_more();
            }
        });
    }

    /// Removes a member, of which nothing is called once that is carried out: at once on the link's executor,
    /// soon elsewhere. From any thread.
    void remove(redis_member& member) {
        {
            const std::lock_guard lock{prefix_mutex_};
            std::erase_if(prefixes_, [&](const auto& p) { return p.first == &member; });
        }
        on_home([this, &member] { members_.remove(member); });
    }

    /// Whether operations are sent. From any thread.
    [[nodiscard]] bool is_open() const noexcept { return open_.load(std::memory_order_acquire); }

    /// Sends what `build(request&)` appends, if that returns true; it is called on the link's executor just
    /// before. `done(error_code, redis_reply&)` is called there, once, and maybe before `submit` returns
    /// where that is called there; not at all where the context is destroyed. Errors: those of `redis_errc`
    /// and Boost.Redis; `operation_aborted` if the link is stopped. A request that has timed out is left
    /// alone, since Boost.Redis would have to close the connection to cancel it. From any thread.
    template <class Build, class Done>
    void submit(Build build, Done done) {
        auto op = std::make_shared<redis_submission<Done>>(std::move(done));
        on_home([this, op = std::move(op), build = std::move(build)]() mutable {
            calls_.add(*op, options_.timeout);
            if (!may_send() || !build(op->request)) {
                refuse(*op);
            } else {
                send(std::move(op));
            }
        });
    }

    /// The same for a coroutine, on any executor: the replies, or `boost::system::system_error`. A caller
    /// that is cancelled gets `operation_aborted` at once; the request is left alone. What `build` refers to
    /// lives in the caller's frame: it is not called once that may be gone.
    template <class Build>
    [[nodiscard]] asio::awaitable<redis_reply> exec(Build build) {
        const auto self = shared_from_this();
        if (stopped_ || gone_) {
            throw boost::system::system_error(asio::error::operation_aborted);
        }
        auto op = std::make_shared<redis_operation>();
        waiter caller;
        if (home_->here()) {
            if (!may_send() || !build(op->request)) {
                redis_counters::add(counters.refused);
                throw boost::system::system_error(redis_errc::unavailable);
            }
            op->here = co_await asio::this_coro::executor == home_->executor();
            calls_.add(*op, options_.timeout);
            send(op);
            co_await caller.wait(calls_.mutex(), [this, &op](waiter& w) {
                watch(w.context());
                return calls_.park(*op, w);
            });
        } else {
            co_await caller.wait(calls_.mutex(),
                                 [this, &op, &build](waiter& w) { return send_elsewhere(op, build, w); });
        }
        if (op->outcome) {
            throw boost::system::system_error(op->outcome);
        }
        co_return std::move(op->reply);
    }

    /// Waits until all members are open and operations are sent; false when `at_most` is over. On any
    /// executor.
    [[nodiscard]] asio::awaitable<bool> ready(std::chrono::nanoseconds at_most) {
        const auto self = shared_from_this();
        if (stopped_ || gone_) {
            throw boost::system::system_error(asio::error::operation_aborted);
        }
        const auto call = std::make_shared<readiness>();
        waiter caller;
        co_await caller.wait(ready_calls_.mutex(), [this, &call, at_most](waiter& w) {
            watch(w.context());
            const auto kept_link = shared_from_this();
            const auto kept = call;
            ready_calls_.add(*kept, std::chrono::nanoseconds(0)); // its timer is its own
            const bool parked = ready_calls_.park(*kept, w);
            on_home([this, kept, at_most] { await_ready(kept, at_most); });
            return parked;
        });
        co_return !call->outcome;
    }

    /// The number under which a member is open at present; 0 if it is not.
    [[nodiscard]] std::uint64_t coherence_of(const redis_member& member) const noexcept {
        return members_.coherence_of(member);
    }

    /// The server's Unix time at an instant of the local clock, and back; `max()` is never. From any thread.
    [[nodiscard]] std::chrono::microseconds server_time(time_point local) const noexcept {
        return clock_.server_time(local);
    }
    [[nodiscard]] time_point local_time(std::chrono::microseconds server) const noexcept {
        return clock_.local_time(server);
    }

    redis_counters counters;

private:
    using steady = std::chrono::steady_clock;

    struct readiness final : redis_operation {
        std::weak_ptr<asio::steady_timer> timer; // owned by its handler, which the context destroys
    };

    // ---- Sending

    template <class F>
    void on_home(F f) {
        if (gone_) {
            return;
        }
        if (home_->here()) {
            f();
        } else {
            asio::dispatch(home_->executor(),
                           [self = shared_from_this(), f = std::move(f)]() mutable { f(); });
        }
    }

    [[nodiscard]] bool may_send() const noexcept { return is_open() && !stopped_; }

    // Who is parked may be resumed, and the caller's frame be gone, at any time.
    template <class Build>
    [[nodiscard]] bool send_elsewhere(const std::shared_ptr<redis_operation>& op, const Build& build,
                                      waiter& w) {
        watch(w.context());
        const auto self = shared_from_this();
        auto sending = [this, op, build]() mutable {
            bool built = false;
            const bool wanted = calls_.while_waiting(*op, [&] { built = may_send() && build(op->request); });
            if (!wanted) {
                calls_.settle(*op, asio::error::operation_aborted);
            } else if (!built) {
                refuse(*op);
            } else {
                send(std::move(op));
            }
        };
        calls_.add(*op, options_.timeout);
        const bool parked = calls_.park(*op, w);
        on_home(std::move(sending));
        return parked;
    }

    void refuse(redis_operation& op) {
        redis_counters::add(counters.refused);
        calls_.settle(op, stopped_ ? error_code(asio::error::operation_aborted) : redis_errc::unavailable);
    }

    void send(std::shared_ptr<redis_operation> op) {
        redis_counters::add(counters.commands, op->request.get_commands());
        arm_late_timer();
        redis_operation& o = *op;
        connection_->async_exec(o.request, o.reply,
                                [this, self = shared_from_this(),
                                 op = std::move(op)](error_code ec, std::size_t) { answered(*op, ec); });
    }

    void answered(redis_operation& op, error_code ec) {
        if (!ec) {
            timeouts_in_a_row_ = 0;
        }
        if (!calls_.settle(op, ec)) {
            op.answered_late(ec);
        } else if (ec) {
            redis_counters::add(counters.failures);
        }
    }

    // ---- Time limits, and the circuit breaker (Nygard, "Release It!", 2007)

    void arm_late_timer() {
        if (std::exchange(late_timer_armed_, true)) {
            return;
        }
        late_timer_->expires_at(calls_.next_deadline());
        late_timer_->async_wait([this, self = shared_from_this()](error_code ec) {
            late_timer_armed_ = false;
            if (!ec) {
                end_late();
            }
        });
    }

    void end_late() {
        const auto now = steady::now();
        while (redis_operation* const op = calls_.first_late(now)) {
            if (!op->is_probe()) {
                redis_counters::add(counters.timeouts);
                ++timeouts_in_a_row_;
            }
            calls_.settle(*op, redis_errc::timeout);
        }
        if (timeouts_in_a_row_ >= options_.failures_to_open && open_) {
            open_ = false;
            probe_again_ = probe_under_way_; // which was sent before, and proves nothing
            probe();
        }
        if (!stopped_ && calls_.next_deadline() != redis_calls::time::max()) {
            arm_late_timer();
        }
    }

    // ---- Whether the server answers

    void probe() {
        if (stopped_ || !connected_ || std::exchange(probe_under_way_, true)) {
            return;
        }
        auto op =
            std::make_shared<redis_probe>([this](redis_probe& p, error_code ec) { probe_ended(p, ec); });
        op->connection = number_;
        calls_.add(*op, options_.timeout);
        arm_late_timer();
        redis_probe& o = *op;
        connection_->async_exec(o.request, o.reply,
                                [this, self = shared_from_this(), op = std::move(op)](
                                    error_code ec, std::size_t) { probe_answered(*op, ec); });
    }

    // Without an answer in time, or with one that comes later.
    void probe_ended(redis_probe& p, error_code ec) {
        if (ec == redis_errc::timeout) {
            open_ = false;
            lose_all();
            return;
        }
        probe_under_way_ = false;
        if (ec || stopped_ || p.connection != number_) {
            return; // a connection that is lost shows in its receive operation
        }
        if (const auto time = read_time(p.reply, 0)) {
            clock_.learn(*time, p.asked, p.answered);
        }
        if (std::exchange(probe_again_, false)) {
            probe();
            return;
        }
        answers();
        open_more();
    }

    void probe_answered(redis_probe& p, error_code ec) {
        p.answered = steady::now();
        if (!calls_.settle(p, ec)) {
            p.answered_late(ec);
        }
    }

    void answers() {
        timeouts_in_a_row_ = 0;
        open_ = true;
        keepalive_timer_->expires_after(std::chrono::duration_cast<steady::duration>(options_.keepalive));
        keepalive_timer_->async_wait([this, self = shared_from_this()](error_code ec) {
            if (!ec && !stopped_) {
                members_.for_each([](redis_slot& slot) { slot.refused = false; });
                open_more();
                probe();
            }
        });
    }

    // ---- Connections

    void take_over() {
        if (stopped_) {
            return;
        }
        pushes_->set_sink(this);
        redis_push_response response{pushes_};
        connection_->set_receive_response(response);
        receive();
        open_more();
    }

    void receive() {
        connection_->async_receive([this, self = shared_from_this()](error_code ec, std::size_t) {
            if (stopped_) {
                return;
            }
            if (ec) {
                connection_lost();
            }
            receive();
            if (ec) {
                open_more();
            }
        });
    }

    void connection_lost() {
        ++number_;
        connected_ = false;
        open_ = false;
        probe_again_ = false;
        timeouts_in_a_row_ = 0;
        keepalive_timer_->cancel();
        lose_all();
    }

    /// Opens the members that are not open. One request at a time: who comes meanwhile is in the next.
    void open_more() {
        if (stopped_ || opening_) {
            return;
        }
        auto closed = members_.closed();
        if (connected_) {
            if (closed.empty()) {
                tell_ready();
                return;
            }
            if (std::ranges::any_of(
                    closed, [this](const auto& slot) { return tracking_.blocks(slot->member->prefix()); })) {
                connection_lost(); // as good as: all tracking begins anew
                closed = members_.closed();
            }
        }
        opening_ = true;
        auto op = std::make_shared<redis_opening>(!connected_, std::move(closed), tracking_);
        op->connection = number_;
        op->asked = steady::now();
        redis_opening& o = *op;
        connection_->async_exec(o.request, o.reply,
                                [this, self = shared_from_this(),
                                 op = std::move(op)](error_code ec, std::size_t) { opening_ended(*op, ec); });
    }

    void opening_ended(redis_opening& op, error_code ec) {
        opening_ = false;
        for (auto& step : op.steps()) {
            step.slot->opening = false;
        }
        if (stopped_) {
            return;
        }
        if (ec || (!op.fresh() && op.connection != number_)) {
            if (connected_ || op.fresh()) {
                connection_lost();
            }
            later([this] { open_more(); });
            return;
        }
        if (op.fresh()) {
            connected_ = true;
            tracking_.clear();
            redis_counters::add(counters.connections);
            if (const auto time = op.server_time()) {
                // How long it waited for the connection is not known: this will do until the probe.
                clock_.learn(*time, steady::now() - std::chrono::milliseconds(100), steady::now());
            }
        }
        answers();
        for (auto& step : op.steps()) {
            hand_over(op, step);
        }
        if (op.fresh()) {
            probe();
        }
        open_more();
    }

    void hand_over(const redis_opening& op, const redis_opening::step& step) {
        redis_slot& slot = *step.slot;
        const auto member = slot.member;
        if (!member || stopped_) {
            return;
        }
        if (step.tracking_at != step.opening_at) {
            if (op.is_error(step.tracking_at)) {
                slot.refused = true;
                redis_counters::add(counters.failures);
                return;
            }
            tracking_.add(member->prefix());
        }
        if (slot.flushed) {
            return;
        }
        slot.coherence = ++coherence_;
        try {
            member->opened(op.reply, op.reply.of_command(step.opening_at));
            for (std::size_t i = 0; i != slot.early.size() && slot.is_open(); ++i) {
                member->changed(slot.early[i]);
            }
        } catch (...) {
            slot.refused = true; // until the next keepalive
            redis_counters::add(counters.failures);
            lose(slot);
        }
        slot.early.clear();
    }

    void tell_ready() {
        if (open_ && members_.all_open()) {
            end_ready_calls({});
        }
    }

    void await_ready(const std::shared_ptr<readiness>& call, std::chrono::nanoseconds at_most) {
        if (stopped_ || (open_ && connected_ && members_.all_open())) {
            ready_calls_.settle(*call, stopped_ ? error_code(asio::error::operation_aborted) : error_code());
            return;
        }
        const auto timer = std::make_shared<asio::steady_timer>(
            home_->executor(), std::chrono::duration_cast<steady::duration>(at_most));
        call->timer = timer;
        timer->async_wait([this, self = shared_from_this(), call, timer](error_code) {
            ready_calls_.settle(*call, redis_errc::timeout);
        });
    }

    void end_ready_calls(error_code ec) {
        while (redis_operation* const op = ready_calls_.first_late(redis_calls::time::max())) {
            if (const auto timer = static_cast<readiness*>(op)->timer.lock()) {
                timer->cancel();
            }
            ready_calls_.settle(*op, ec);
        }
    }

    // ---- What others change. Boost.Redis is in the middle of parsing: it is not called from here.

    void key_changed(std::string_view key) noexcept override {
        redis_counters::add(counters.invalidations);
        members_.for_each_of(key, [&](redis_slot& slot) {
            const auto member = slot.member;
            try {
                if (slot.is_open()) {
                    member->changed(key);
                } else if (slot.opening && !slot.flushed) {
                    slot.early.emplace_back(key);
                    slot.flushed = slot.early.size() > most_early;
                }
            } catch (...) {
                slot.flushed = true;
                lose(slot);
                later([this] { open_more(); });
            }
        });
    }

    void all_flushed() noexcept override {
        members_.for_each([](redis_slot& slot) { slot.flushed = true; });
        lose_all();
        later([this] { open_more(); });
    }

    static void lose(redis_slot& slot) noexcept {
        if (std::exchange(slot.coherence, 0) != 0) {
            const auto member = slot.member;
            member->lost();
        }
    }

    void lose_all() noexcept {
        bool any = false;
        members_.for_each([&](redis_slot& slot) {
            any = any || slot.is_open();
            lose(slot);
        });
        if (any) {
            redis_counters::add(counters.losses);
        }
    }

    template <class F>
    void later(F f) {
        asio::post(home_->executor(), [self = shared_from_this(), f]() { f(); });
    }

    // ---- The end

    void let_go() {
        pushes_->set_sink(nullptr);
        open_ = false;
        late_timer_->cancel();
        keepalive_timer_->cancel();
        connection_->cancel(boost::redis::operation::receive);
        while (redis_operation* const op = calls_.first_late(redis_calls::time::max())) {
            calls_.settle(*op, asio::error::operation_aborted);
        }
        end_ready_calls(asio::error::operation_aborted);
        members_.clear();
    }

    void context_gone(asio::execution_context& context) override {
        const bool is_own = &context == context_;
        if (is_own) {
            gone_ = true;
            open_ = false;
        }
        calls_.context_gone(context, is_own);
        ready_calls_.context_gone(context, is_own);
        if (is_own) {
            pushes_->set_sink(nullptr);
            late_timer_.reset();
            keepalive_timer_.reset();
            members_.clear();
            connection_.reset();
            home_.reset();
        }
    }

    static constexpr std::size_t most_early = 10'000;

    redis_client_options options_;
    std::shared_ptr<boost::redis::connection> connection_;
    std::optional<redis_home> home_;
    asio::execution_context* context_;
    std::shared_ptr<redis_push_reader> pushes_ = std::make_shared<redis_push_reader>();
    redis_calls calls_;
    redis_calls ready_calls_;
    redis_clock clock_;

    // The prefixes of all members, also of those that are still to be added or removed.
    std::mutex prefix_mutex_;
    std::vector<std::pair<const redis_member*, std::string>> prefixes_;

    std::atomic<bool> open_ = false;    // operations are sent
    std::atomic<bool> stopped_ = false; // for good
    std::atomic<bool> gone_ = false;    // the context of the connection

    // Of the link's executor.
    redis_members members_;
    redis_tracking tracking_;
    std::optional<asio::steady_timer> late_timer_;
    std::optional<asio::steady_timer> keepalive_timer_;
    bool late_timer_armed_ = false;
    bool connected_ = false; // tracking has begun on the present connection
    bool opening_ = false;
    bool probe_under_way_ = false;
    bool probe_again_ = false;
    std::size_t timeouts_in_a_row_ = 0;
    std::uint64_t number_ = 0; // of the present connection
    std::uint64_t coherence_ = 0;
};

} // namespace acache::detail

#include <acache/detail/pop_warnings.hpp>

#endif
