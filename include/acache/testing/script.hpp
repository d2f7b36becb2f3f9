// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTING_SCRIPT_HPP
#define ACACHE_TESTING_SCRIPT_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <deque>
#include <exception>
#include <list>
#include <memory>
#include <mutex>
#include <utility>

namespace acache::testing {

/// The operations of a backend.
enum class op { get, get_many, set, erase, clear };

/// How an asynchronous test double behaves: which of its operations wait to be released, and which fail. A
/// handle; copies are the same script. Any thread may call any member.
///
/// An operation that is parked can be cancelled, and it dies with its `io_context`, as one on a socket does.
class script {
public:
    /// From now on, operations of this kind park before they take effect.
    void hold(op kind) { configure(kind, &per_op::holds); }
    /// From now on, operations of this kind park after they have taken effect: the answer is on its way.
    void hold_answers(op kind) { configure(kind, &per_op::holds_answers); }
    /// Operations of this kind do not park any more. Those that are parked stay so.
    void let_pass(op kind) {
        const std::lock_guard lock{shared_->mutex};
        of(kind).holds = of(kind).holds_answers = false;
    }

    /// The next operation of this kind that takes effect throws `failure` instead. May be called several
    /// times, for several operations.
    template <class E>
    void fail_next(op kind, E failure) {
        const std::lock_guard lock{shared_->mutex};
        of(kind).failures.push_back(std::make_exception_ptr(std::move(failure)));
    }

    /// Operations that are parked.
    [[nodiscard]] std::size_t parked() const {
        const std::lock_guard lock{shared_->mutex};
        return shared_->parked.size();
    }
    [[nodiscard]] std::size_t parked(op kind) const {
        const std::lock_guard lock{shared_->mutex};
        return static_cast<std::size_t>(std::count_if(shared_->parked.begin(), shared_->parked.end(),
                                                      [&](const place* p) { return p->kind == kind; }));
    }

    /// Releases the operation that has been parked longest; whether there was one.
    bool release_one() {
        return release([](const place&) { return true; });
    }
    bool release_one(op kind) {
        return release([kind](const place& p) { return p.kind == kind; });
    }
    /// Releases all that are parked, and counts them.
    std::size_t release_all() {
        std::size_t count = 0;
        while (release_one()) {
            ++count;
        }
        return count;
    }

    /// Operations of this kind that have begun.
    [[nodiscard]] std::size_t calls(op kind) const {
        const std::lock_guard lock{shared_->mutex};
        return of(kind).calls;
    }

    /// For the double itself: every operation begins with `co_await begin(kind)`, takes effect, and ends
    /// with `co_await end(kind)`.
    [[nodiscard]] boost::asio::awaitable<void> begin(op kind) const { return pass(shared_, kind, true); }
    [[nodiscard]] boost::asio::awaitable<void> end(op kind) const { return pass(shared_, kind, false); }

private:
    struct per_op {
        bool holds = false;
        bool holds_answers = false;
        std::size_t calls = 0;
        std::deque<std::exception_ptr> failures;
    };

    // Where an operation waits. A timer that never fires, since Asio destroys what waits for one with the
    // context.
    struct place {
        place(op k, const boost::asio::any_io_executor& executor)
            : kind(k), timer(executor, boost::asio::steady_timer::time_point::max()) {}

        op kind;
        boost::asio::steady_timer timer;
        bool released = false;
    };

    struct shared {
        std::mutex mutex;
        std::array<per_op, 5> ops;
        std::list<place*> parked;
    };

    // Takes a place off the list when its coroutine goes on, or is destroyed.
    struct registration {
        registration(shared& s, place& p) : self(s), at(p) {}
        registration(const registration&) = delete;
        ~registration() {
            const std::lock_guard lock{self.mutex};
            self.parked.remove(&at);
        }

        shared& self;
        place& at;
    };

    [[nodiscard]] per_op& of(op kind) const { return shared_->ops[static_cast<std::size_t>(kind)]; }

    void configure(op kind, bool per_op::* what) {
        const std::lock_guard lock{shared_->mutex};
        of(kind).*what = true;
    }

    template <class Predicate>
    bool release(Predicate wanted) {
        const std::lock_guard lock{shared_->mutex};
        const auto it = std::find_if(shared_->parked.begin(), shared_->parked.end(),
                                     [&](const place* p) { return wanted(*p); });
        if (it == shared_->parked.end()) {
            return false;
        }
        place& first = **it;
        shared_->parked.erase(it);
        first.released = true;
        first.timer.cancel();
        return true;
    }

    static boost::asio::awaitable<void> pass(std::shared_ptr<shared> self, op kind, bool begins) {
        const auto executor = co_await boost::asio::this_coro::executor;
        per_op& mine = self->ops[static_cast<std::size_t>(kind)];
        bool parks = false;
        {
            const std::lock_guard lock{self->mutex};
            mine.calls += begins ? 1 : 0;
            parks = begins ? mine.holds : mine.holds_answers;
        }
        if (parks) {
            co_await park(self, kind, executor);
        } else if (begins) {
            co_await boost::asio::post(executor, boost::asio::deferred);
        }
        if (begins) {
            const std::lock_guard lock{self->mutex};
            if (!mine.failures.empty()) {
                const auto failure = std::move(mine.failures.front());
                mine.failures.pop_front();
                std::rethrow_exception(failure);
            }
        }
    }

    static boost::asio::awaitable<void> park(std::shared_ptr<shared> self, op kind,
                                             boost::asio::any_io_executor executor) {
        place here(kind, executor);
        const registration registered(*self, here);
        try {
            // Registers and begins to wait in one step, or a release could come between.
            co_await boost::asio::async_initiate<const boost::asio::deferred_t&,
                                                 void(boost::system::error_code)>(
                [&self, &here](auto handler) {
                    const std::lock_guard lock{self->mutex};
                    self->parked.push_back(&here);
                    here.timer.async_wait(std::move(handler));
                },
                boost::asio::deferred);
        } catch (const boost::system::system_error&) {
            const std::lock_guard lock{self->mutex};
            if (!here.released) {
                throw;
            }
        }
    }

    std::shared_ptr<shared> shared_ = std::make_shared<shared>();
};

} // namespace acache::testing

#endif
