// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_REDIS_DETAIL_REDIS_LINK_HPP
#define ACACHE_REDIS_DETAIL_REDIS_LINK_HPP

#include <acache/clock.hpp>
#include <acache/detail/checks.hpp>
#include <acache/detail/context_watch.hpp>
#include <acache/detail/waiter.hpp>
#include <acache/redis/detail/context_gate.hpp>
#include <acache/redis/detail/loose_timer.hpp>
#include <acache/redis/detail/prefix_registry.hpp>
#include <acache/redis/detail/push_reader.hpp>
#include <acache/redis/detail/redis_call.hpp>
#include <acache/redis/detail/redis_member.hpp>
#include <acache/redis/detail/redis_operation.hpp>
#include <acache/redis/detail/redis_reply.hpp>
#include <acache/redis/detail/server_clock.hpp>
#include <acache/redis/error.hpp>
#include <acache/redis/metrics.hpp>
#include <acache/redis/options.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/redis/connection.hpp>
#include <boost/redis/operation.hpp>
#include <boost/redis/request.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace acache::detail {

/// What stands between caches and their connection to Redis: requests with a time limit, the news of what
/// others change, and whether the server is there at all. Everything but what is said to be thread-safe
/// happens on the connection's executor, which is a strand where its context has several threads.
///
/// A connection is open to a member once the server has confirmed that it tells what changes under the
/// member's prefix, and has answered the member's opening. It is lost when it breaks, when the database is
/// emptied, and when the server does not answer: to a keepalive, or to several requests in a row. Then
/// requests are refused at once (a circuit breaker; the keepalive is its probe) until everything has been
/// opened again.
class redis_link final : public context_watcher {
public:
    redis_link(std::shared_ptr<boost::redis::connection> connection, const redis_client_options& options)
        : connection_(std::move(connection)), executor_(connection_->get_executor()),
          home_(asio::query(executor_, asio::execution::context)), options_(options),
          news_(std::make_shared<push_reader>([this](std::string_view key) { changed(key); },
                                              [this] { emptied(); })) {
        check_positive(options.timeout, "redis_client_options::timeout");
        check_positive(options.keepalive, "redis_client_options::keepalive");
        check_not_zero(options.failures_to_open, "redis_client_options::failures_to_open");
    }

    [[nodiscard]] const asio::any_io_executor& get_executor() const noexcept { return executor_; }
    [[nodiscard]] const server_clock& clock() const noexcept { return clock_; }
    /// Whether the server is there, for all members that were added before. Thread-safe.
    [[nodiscard]] bool connected() const noexcept {
        return arriving_.load(std::memory_order_acquire) == 0 && connected_.load(std::memory_order_acquire);
    }

    redis_counters counters;

    /// Calls `f` on the link's executor, now if that is here; never, where its context is no more.
    /// Thread-safe.
    template <class F>
    void dispatch(F f) {
        gate_.pass([&] { asio::dispatch(executor_, std::move(f)); });
    }
    /// The same, not before what runs there now has ended.
    template <class F>
    void post(F f) {
        gate_.pass([&] { asio::post(executor_, std::move(f)); });
    }

    /// Thread-safe, as the next three.
    void start() {
        watch(asio::query(executor_, asio::execution::context));
        post_to_self([](redis_link& self) {
            self.connection_->set_receive_response(self.news_);
            self.receive();
            self.probe();
        });
    }
    /// No more requests; whoever waits for one is told so.
    void stop() {
        post_to_self([](redis_link& self) { self.end(); });
    }
    /// Throws `std::invalid_argument` if its prefix and that of another member are of the same keys.
    void add(const std::shared_ptr<redis_member>& member) {
        prefixes_.add(member->prefix());
        arriving_.fetch_add(1, std::memory_order_acq_rel);
        post_to_self([member](redis_link& self) {
            const seat& added = self.members_.emplace_back(seat{member, member.get(), ++self.last_seat_});
            self.connected_ = false;
            self.arriving_.fetch_sub(1, std::memory_order_acq_rel);
            self.open(added.id);
        });
    }
    /// Nothing of it is called after that has been carried out.
    void remove(const redis_member& member) {
        prefixes_.remove(member.prefix());
        post_to_self([gone = &member](redis_link& self) {
            std::erase_if(self.members_, [gone](const seat& s) { return s.name == gone; });
            self.update_connected();
        });
    }

    /// Sends what `build(request)` pushes, unless that says false or the server is not there. `done(error,
    /// reply)` is called on the link's executor, in any case. Thread-safe.
    template <class Build, class Done>
    void submit(Build build, Done done) {
        redis_ending ending(std::make_shared<submission<Done>>(std::move(done)));
        dispatch([self = shared(), build = std::move(build), ending = std::move(ending)]() mutable {
            self->begin(std::move(ending), build);
        });
    }

    /// The same for a coroutine, on any executor. Throws what has gone wrong; cancelled, `operation_aborted`
    /// at once. A request that was sent and is not waited for any more is left alone: to take it back would
    /// break the connection. `build` outlives the call.
    template <class Build>
    asio::awaitable<redis_reply> exec(const Build& build) {
        const auto self = shared();
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        watch(asio::query(executor, asio::execution::context));
        const auto call = std::make_shared<redis_call>(calls_);
        redis_call::caller caller(*call);
        submit_call(call, build);
        if (call->is_pending()) {
            co_await caller.answer();
        }
        co_return call->take();
    }

private:
    /// A request for who is not a coroutine.
    template <class Done>
    struct submission final : redis_operation {
        explicit submission(Done d) : done(std::move(d)) {}
        void end(error_code failure) override { done(failure, std::as_const(reply)); }
        Done done;
    };

    /// A member's place.
    struct seat {
        std::weak_ptr<redis_member> member;
        const redis_member* name;
        std::uint64_t id; // a later member may stand at the same address
        bool open = false;
        bool opening = false;
        std::vector<std::string> early{}; // heard of before the answer to its opening was seen
    };

    [[nodiscard]] std::shared_ptr<redis_link> shared() {
        return std::static_pointer_cast<redis_link>(shared_from_this());
    }
    /// Not in the midst of reading, nor of a walk over the members; and in the order of the calls, wherever
    /// they are made.
    template <class F>
    void post_to_self(F f) {
        post([self = shared(), f = std::move(f)] { f(*self); });
    }

    // ---- Requests
    // ------------------------------------------------------------------------------------------

    template <class Build>
    void submit_call(const std::shared_ptr<redis_call>& call, const Build& build) {
        dispatch([self = shared(), ending = redis_ending(call), &build]() mutable {
            // The caller may leave, and `build` with it.
            auto& waiting = static_cast<redis_call&>(*ending.of());
            if (const auto here = waiting.hold_caller()) {
                self->begin(std::move(ending), build);
            }
        });
    }

    template <class Build>
    void begin(redis_ending ending, Build& build) {
        if (!is_there_ || stopped_ || !build(ending.of()->request)) {
            redis_counters::add(counters.refused);
            ending.end(make_error_code(redis_errc::unavailable));
            return;
        }
        redis_counters::add(counters.requests);
        send(std::move(ending));
    }

    /// Sends a request, which is given up after the timeout.
    void send(redis_ending ending) {
        const auto op = ending.of();
        op->deadline = std::chrono::steady_clock::now() + options_.timeout;
        deadlines_.push_back(*op);
        exec_on_connection(op, [self = shared(), ending = std::move(ending)](error_code failure) mutable {
            self->ended(std::move(ending), failure);
        });
        arm_deadline();
    }

    template <class Handler>
    void exec_on_connection(const redis_operation_ptr& op, Handler handler) {
        connection_->async_exec(op->request, op->reply,
                                asio::bind_executor(executor_, [op, handler = std::move(handler)](
                                                                   error_code failure, std::size_t) mutable {
                                    handler(failure);
                                }));
    }

    void ended(redis_ending ending, error_code failure) {
        redis_operation& op = *ending.of();
        if (op.is_linked()) { // or else it has timed out, and was told so
            op.unlink();
            if (!failure) {
                timeouts_in_row_ = 0;
            } else {
                redis_counters::add(counters.failures);
            }
            ending.end(failure);
        }
        if (failure) {
            broken(); // Boost.Redis fails a request with its connection alone
        }
    }

    void arm_deadline() {
        if (!deadline_timer_.is_running() && !deadlines_.empty()) {
            start_timer(deadline_timer_, deadlines_.front().deadline, &redis_link::give_up);
        }
    }
    void give_up() {
        const auto now = std::chrono::steady_clock::now();
        while (!deadlines_.empty() && deadlines_.front().deadline <= now) {
            redis_operation& late = deadlines_.front();
            deadlines_.pop_front();
            redis_counters::add(counters.timeouts);
            ++timeouts_in_row_;
            late.finish(make_error_code(redis_errc::timeout));
        }
        if (timeouts_in_row_ >= options_.failures_to_open) {
            lose();
        }
        arm_deadline();
    }

    void start_timer(loose_timer& timer, std::chrono::steady_clock::time_point at,
                     void (redis_link::*then)()) {
        timer.start(executor_, at, [self = shared(), then] { ((*self).*then)(); });
    }

    // ---- News
    // ----------------------------------------------------------------------------------------------

    /// Always pending: the connection stops reading else. What arrives has been read by `news_` already.
    void receive() {
        connection_->async_receive(
            asio::bind_executor(executor_, [self = shared()](error_code failure, std::size_t) {
                if (failure) {
                    self->broken(); // the sign that the connection is gone
                    if (self->stopped_ || !self->connection_->will_reconnect()) {
                        self->end();
                        return;
                    }
                }
                self->receive();
            }));
    }

    void changed(std::string_view key) {
        redis_counters::add(counters.invalidations);
        for (seat& s : members_) {
            if (const auto member = s.member.lock(); member && key.starts_with(member->prefix())) {
                if (s.open) {
                    member->changed(key);
                } else if (s.opening) {
                    s.early.emplace_back(key);
                }
                return;
            }
        }
    }
    void emptied() {
        post_to_self([](redis_link& self) { self.lose(); });
        close_all();
    }

    // ---- There and gone
    // ------------------------------------------------------------------------------------

    void close(seat& s) {
        const auto member = s.member.lock();
        if (std::exchange(s.open, false) && member) {
            member->lost();
        }
    }

    void close_all() {
        for (seat& s : members_) {
            close(s);
        }
    }

    void broken() {
        is_new_ = true;
        lose();
    }
    void lose() {
        ++turn_;
        timeouts_in_row_ = 0;
        if (std::exchange(is_there_, false)) {
            redis_counters::add(counters.losses);
        }
        connected_ = false;
        close_all();
        if (!stopped_ && !probing_) {
            probe();
        }
    }

    /// Asks the server for its time until it answers; then it is there.
    void probe() {
        probing_ = true;
        auto op = std::make_shared<probe_operation>();
        op->request.get_config().cancel_if_not_connected = false; // it waits for the connection
        op->request.push("TIME");
        op->sent = std::chrono::steady_clock::now();
        exec_on_connection(op, [self = shared(), op](error_code failure) {
            self->probing_ = false;
            self->probed(*op, failure);
        });
        start_timer(pulse_timer_, op->sent + options_.timeout, &redis_link::pulse);
    }
    struct probe_operation final : redis_operation {
        void end(error_code) override {}
        std::chrono::steady_clock::time_point sent;
    };

    void probed(const probe_operation& op, error_code failure) {
        if (stopped_) {
            return;
        }
        const auto& nodes = op.reply.nodes;
        if (failure && !connection_->will_reconnect()) {
            end();
            return;
        }
        if (failure) {
            broken();
            return;
        }
        if (nodes.size() < 3 || is_error(nodes[0])) {
            lose();
            return;
        }
        clock_.set(std::chrono::seconds(to_number(nodes[1].value)) +
                       std::chrono::microseconds(to_number(nodes[2].value)),
                   op.sent, std::chrono::steady_clock::now());
        is_there_ = true;
        if (std::exchange(is_new_, false)) {
            redis_counters::add(counters.connections);
        }
        open_all();
        update_connected();
        start_timer(pulse_timer_, std::chrono::steady_clock::now() + options_.keepalive, &redis_link::pulse);
    }

    /// It is time to ask the server whether it is there; or it has not said so in time.
    void pulse() {
        if (!probing_) {
            probe();
        } else if (is_there_) {
            lose();
        }
    }

    void open_all() {
        for (std::size_t i = 0; i != members_.size(); ++i) {
            open(members_[i].id);
        }
    }

    [[nodiscard]] seat* find(std::uint64_t id) {
        const auto at = std::ranges::find(members_, id, &seat::id);
        return at == members_.end() ? nullptr : &*at;
    }

    /// Asks the server to tell what changes under the member's prefix, and then what the member asks.
    void open(std::uint64_t id) {
        seat* const s = find(id);
        const auto member = s != nullptr ? s->member.lock() : nullptr;
        if (!is_there_ || stopped_ || !member || s->open || std::exchange(s->opening, true)) {
            return;
        }
        auto done = [self = shared(), id, turn = turn_](error_code failure, const redis_reply& reply) {
            self->opened(id, turn, failure, reply);
        };
        redis_ending ending(std::make_shared<submission<decltype(done)>>(std::move(done)));
        auto& request = ending.of()->request;
        request.push("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", member->prefix(), "NOLOOP");
        member->push_opening(request);
        send(std::move(ending));
    }

    void opened(std::uint64_t id, std::uint64_t turn, error_code failure, const redis_reply& reply) {
        seat* const s = find(id);
        if (s == nullptr) {
            return;
        }
        s->opening = false;
        const auto early = std::exchange(s->early, {});
        const auto member = s->member.lock();
        if (turn != turn_) {
            open(id); // that was another connection
        } else if (!failure && member) {
            admit(*s, *member, reply, early);
        }
    }
    void admit(seat& s, redis_member& member, const redis_reply& reply,
               const std::vector<std::string>& early) {
        try {
            if (!is_covered(member.prefix(), reply.nodes.at(0))) {
                track_anew();
                return;
            }
            s.open = true;
            member.opened(reply, 1);
            for (const auto& key : early) {
                member.changed(key);
            }
            update_connected();
        } catch (...) {
            redis_counters::add(counters.failures);
            close(s); // asked again with the next keepalive
        }
    }

    /// Whether the server tells of all keys with the prefix, going by its answer to that. It does where it
    /// finds that it overlaps with one that it is a part of; not where that is a part of it, which an earlier
    /// member may have left.
    static bool is_covered(std::string_view prefix, const redis_node& answer) {
        constexpr std::string_view before = "existing prefix '";
        const auto at = is_error(answer) ? answer.value.rfind(before) : std::string::npos;
        if (at == std::string::npos) {
            throw_if_error(answer);
            return true;
        }
        const auto existing = std::string_view(answer.value).substr(at + before.size());
        return prefix.starts_with(existing.substr(0, existing.rfind("'. ")));
    }
    /// Gives up all prefixes, and opens all members with theirs.
    void track_anew() {
        ++turn_;
        connected_ = false;
        close_all();
        const auto done = [](error_code, const redis_reply&) {};
        redis_ending ending(std::make_shared<submission<decltype(done)>>(done));
        ending.of()->request.push("CLIENT", "TRACKING", "OFF");
        send(std::move(ending));
        open_all();
    }

    void update_connected() { connected_ = is_there_ && std::ranges::all_of(members_, &seat::open); }

    void end() {
        if (std::exchange(stopped_, true)) {
            return;
        }
        is_there_ = false;
        connected_ = false;
        pulse_timer_.stop();
        deadline_timer_.stop();
        news_->close();
        close_all();
        abort_all();
        connection_->cancel(boost::redis::operation::receive);
        connection_->cancel(boost::redis::operation::exec);
    }

    void context_gone(asio::execution_context& context) override {
        calls_.discard_waiters_of(context);
        if (&context == &home_) {
            // Nobody is on the executor any more, which this has to itself therefore.
            gate_.close();
            stopped_ = true;
            is_there_ = false;
            connected_ = false;
            news_->close();
            close_all();
            abort_all();
            connection_.reset(); // not to be destroyed after its context, nor a strand of it
            executor_ = {};
        }
    }
    void abort_all() {
        while (!deadlines_.empty()) {
            redis_operation& op = deadlines_.front();
            deadlines_.pop_front();
            op.finish(asio::error::operation_aborted);
        }
    }

    std::shared_ptr<boost::redis::connection> connection_; // none when the context is no more
    asio::any_io_executor executor_;                       // likewise
    const asio::execution_context& home_;
    context_gate gate_;
    const redis_client_options options_;
    const std::shared_ptr<push_reader> news_;
    server_clock clock_;
    redis_calls calls_;
    prefix_registry prefixes_;
    std::atomic<bool> connected_ = false;
    std::atomic<std::size_t> arriving_ = 0; // members on their way

    std::vector<seat> members_;
    boost::intrusive::list<redis_operation, boost::intrusive::constant_time_size<false>>
        deadlines_; // in order
    loose_timer deadline_timer_, pulse_timer_;
    std::size_t timeouts_in_row_ = 0;
    std::uint64_t turn_ = 0; // another one after each loss
    std::uint64_t last_seat_ = 0;
    bool is_new_ = true; // the connection has not been used yet
    bool is_there_ = false;
    bool probing_ = false;
    bool stopped_ = false;
};

} // namespace acache::detail

#endif
