// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_DETAIL_SERIALIZER_HPP
#define ACACHE_DETAIL_SERIALIZER_HPP

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <atomic>
#include <memory>
#include <type_traits>
#include <utility>

namespace acache::detail {

namespace asio = boost::asio;

/// Runs functions on an executor, one at a time and in the order in which they came: what `asio::strand` is,
/// and with its guarantees, at half of its cost where nobody else is there (a third by `dispatch_here`),
/// since it asks the type-erased executor for less.
///
/// Who finds it free takes it, by one atomic operation, and runs his function; the others leave theirs in a
/// list, of which the one who has it takes care. Held functions live no longer than their executor's context:
/// where that is destroyed, so are they.
class serializer : public boost::intrusive_ref_counter<serializer> {
public:
    explicit serializer(const asio::any_io_executor& executor)
        : inner_(executor), io_(inner_.target<asio::io_context::executor_type>()),
          pool_(inner_.target<asio::thread_pool::executor_type>()),
          may_run_here_(asio::query(inner_, asio::execution::blocking) ==
                        asio::execution::blocking.possibly) {}
    serializer(const serializer&) = delete;
    serializer& operator=(const serializer&) = delete;
    virtual ~serializer() = default;

    /// Runs `f`: at once, where the calling thread is in a function of this serializer, or is one of the
    /// executor's and the serializer is free; else later.
    template <class F>
    void dispatch(F f) {
        if (running_here()) {
            f();
        } else if (take()) {
            inner_.execute(turn<F>(*this, std::move(f)));
        } else {
            leave(std::move(f));
        }
    }
    /// The same for a function that does not throw, without asking a context to call it.
    /// `f` may have the only other reference to the serializer.
    template <class F>
    void dispatch_here(F f) {
        if (running_here()) {
            f();
        } else if (!take()) {
            leave(std::move(f));
        } else if (turn<F> t(*this, std::move(f)); is_executors_thread()) {
            t();
        } else {
            const asio::any_io_executor inner = inner_; // which may be gone before its `execute` returns
            inner.execute(std::move(t));
        }
    }
    /// Runs `f` later.
    template <class F>
    void post(F f) {
        if (take()) {
            post_turn(turn<F>(*this, std::move(f)));
        } else {
            leave(std::move(f));
        }
    }

    /// Whether the calling thread is in a function of this serializer.
    [[nodiscard]] bool running_here() const noexcept { return running::is_in(*this); }

    /// What it runs on.
    [[nodiscard]] const asio::any_io_executor& inner() const noexcept { return inner_; }

private:
    struct held {
        void* next = nullptr;
        held() = default;
        held(const held&) = delete;
        held& operator=(const held&) = delete;
        virtual ~held() = default;
        virtual void run() = 0;
    };
    template <class F>
    struct held_function final : held {
        explicit held_function(F f) : function(std::move(f)) {}
        void run() override { function(); }
        F function;
    };

    /// Marks the functions of a serializer that the thread is in.
    class running {
    public:
        explicit running(const serializer& s) noexcept : which_(&s), outer_(std::exchange(innermost, this)) {}
        running(const running&) = delete;
        running& operator=(const running&) = delete;
        ~running() { innermost = outer_; }

        [[nodiscard]] static bool is_in(const serializer& s) noexcept {
            const running* r = innermost;
            while (r != nullptr && r->which_ != &s) {
                r = r->outer_;
            }
            return r != nullptr;
        }

    private:
        static inline constinit thread_local running* innermost = nullptr;
        const serializer* which_;
        running* outer_;
    };

    /// Has the serializer: runs a function, and passes it on. Where it is destroyed before it has run, so are
    /// the functions that were left meanwhile.
    template <class F>
    class turn {
    public:
        turn(serializer& s, F&& f) : serializer_(&s), function_(std::move(f)) {}
        turn(turn&& other) noexcept = default;
        turn& operator=(turn&&) = delete;
        ~turn() {
            if (serializer_) {
                serializer_->drop_all();
            }
        }
        void operator()() {
            const boost::intrusive_ptr<serializer> s = std::move(serializer_);
            const passing_on after{*s}; // whatever the function throws
            const running here(*s);
            function_();
        }

    private:
        boost::intrusive_ptr<serializer> serializer_;
        F function_;
    };
    struct passing_on {
        serializer& s;
        ~passing_on() { s.pass_on(); }
    };
    /// The turn of those functions that were left until it came.
    struct run_left {
        serializer& s;
        void operator()() const { s.run_ready(); }
    };

    [[nodiscard]] bool is_executors_thread() const noexcept {
        return may_run_here_ && (io_ != nullptr ? io_->running_in_this_thread()
                                                : pool_ != nullptr && pool_->running_in_this_thread());
    }

    [[nodiscard]] bool take() noexcept {
        void* free = nullptr;
        return left_.compare_exchange_strong(free, this, std::memory_order_acquire);
    }

    template <class F>
    void leave(F f) {
        std::unique_ptr<held> function(new held_function<F>(std::move(f)));
        void* last = left_.load(std::memory_order_relaxed);
        for (;;) {
            if (last == nullptr) { // it has become free
                if (left_.compare_exchange_weak(last, this, std::memory_order_acquire)) {
                    function->next = nullptr;
                    ready_ = function.release();
                    post_turn(turn<run_left>(*this, run_left{*this}));
                    return;
                }
            } else {
                function->next = last;
                if (left_.compare_exchange_weak(last, function.get(), std::memory_order_release)) {
                    (void)function.release();
                    return;
                }
            }
        }
    }

    template <class F>
    void post_turn(turn<F> t) {
        asio::require(inner_, asio::execution::blocking.never).execute(std::move(t));
    }

    // What follows is for who has the serializer.

    void pass_on() {
        void* nothing = this;
        if (ready_ == nullptr && left_.compare_exchange_strong(nothing, nullptr, std::memory_order_release)) {
            return;
        }
        // By a post, so that a serializer that is never idle leaves others their time.
        post_turn(turn<run_left>(*this, run_left{*this}));
    }

    void run_ready() {
        take_left();
        while (ready_ != nullptr) {
            const std::unique_ptr<held> first(first_ready());
            first->run();
        }
    }

    /// Puts the functions that were left into their order, behind those that are ready.
    void take_left() noexcept {
        void* last = left_.exchange(this, std::memory_order_acquire);
        held* in_order = nullptr;
        while (last != this) {
            held* const f = static_cast<held*>(last);
            last = f->next;
            f->next = in_order;
            in_order = f;
        }
        if (ready_ == nullptr) {
            ready_ = in_order;
            return;
        }
        held* end = ready_; // left by a function that threw
        while (end->next != nullptr) {
            end = static_cast<held*>(end->next);
        }
        end->next = in_order;
    }

    void drop_all() noexcept {
        void* nothing = this;
        do {
            take_left();
            while (ready_ != nullptr) { // the end of one may leave more
                const std::unique_ptr<held> first(first_ready());
            }
            nothing = this;
        } while (!left_.compare_exchange_strong(nothing, nullptr, std::memory_order_release));
    }

    [[nodiscard]] held* first_ready() noexcept {
        held* const first = ready_;
        ready_ = static_cast<held*>(first->next);
        return first;
    }

    const asio::any_io_executor inner_;
    const asio::io_context::executor_type* const io_; // what `inner_` is, or null
    const asio::thread_pool::executor_type* const pool_;
    const bool may_run_here_;
    /// Null while the serializer is free. Else the functions that were left, the latest first; the list ends
    /// with the serializer's own address.
    std::atomic<void*> left_ = nullptr;
    /// The earliest first; for who has the serializer.
    held* ready_ = nullptr;
};

} // namespace acache::detail

#endif
