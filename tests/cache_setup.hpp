// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_CACHE_SETUP_HPP
#define ACACHE_TESTS_CACHE_SETUP_HPP

#include "failures.hpp"

#include <acache/async_cache.hpp>
#include <acache/error.hpp>
#include <acache/testing.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace setup {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using acache::errc;
using acache::testing::manual_clock;
using acache::testing::op;
using acache::testing::stepper;
using boost::system::error_code;

/// A coroutine that was begun on its own, and may be made to leave.
template <class T>
class caller {
public:
    caller(const asio::any_io_executor& executor, asio::awaitable<T> work) {
        asio::co_spawn(executor, into(std::move(work), end_),
                       asio::bind_cancellation_slot(end_->signal.slot(), [end = end_](std::exception_ptr e) {
                           end->done = true;
                           end->failure = e;
                       }));
    }

    void leave() const { end_->signal.emit(asio::cancellation_type::terminal); }
    [[nodiscard]] bool done() const { return end_->done; }
    [[nodiscard]] bool failed() const { return end_->failure != nullptr; }
    [[nodiscard]] error_code code() const { return code_of(end_->failure); }
    [[nodiscard]] std::string what() const { return text_of(end_->failure); }
    [[nodiscard]] const auto& value() const {
        INFO("failed with: " << what());
        REQUIRE(end_->value.has_value());
        return *end_->value;
    }

private:
    struct end {
        bool done = false;
        std::exception_ptr failure;
        std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value;
        asio::cancellation_signal signal;
    };

    static asio::awaitable<void> into(asio::awaitable<T> work, std::shared_ptr<end> e) {
        if constexpr (std::is_void_v<T>) {
            co_await std::move(work);
            e->value = true;
        } else {
            e->value.emplace(co_await std::move(work));
        }
    }

    std::shared_ptr<end> end_ = std::make_shared<end>();
};

/// A loader that counts: the n-th load it starts brings n, or so much more than `start_at` says. Loads park
/// while it is held. A handle.
class source {
public:
    source() = default;

    asio::awaitable<int> operator()(std::string key) const { return load(state_, std::move(key)); }

    void hold() const { gate().hold(op::get); }
    void let_pass() const { gate().let_pass(op::get); }
    bool release_one() const { return gate().release_one(); }
    void release_all() const { (void)gate().release_all(); }
    [[nodiscard]] std::size_t parked() const { return gate().parked(); }
    template <class E>
    void fail_next(E failure) const {
        gate().fail_next(op::get, std::move(failure));
    }
    void start_at(int base) const { state_->base = base; }
    /// Loads begun from now on do not end when they are cancelled.
    void ignore_cancellation() const { state_->stubborn = true; }

    [[nodiscard]] int starts() const { return state_->starts; }
    [[nodiscard]] int starts(const std::string& key) const { return state_->per_key[key]; }
    /// Loads that ended without a value.
    [[nodiscard]] int given_up() const { return state_->given_up; }

private:
    struct state {
        acache::testing::script gate;
        std::map<std::string, int> per_key;
        int base = 0;
        int starts = 0;
        int given_up = 0;
        bool stubborn = false;
    };

    struct tally {
        state& s;
        bool finished = false;
        explicit tally(state& of) : s(of) {}
        tally(const tally&) = delete;
        ~tally() { s.given_up += finished ? 0 : 1; }
    };

    [[nodiscard]] acache::testing::script gate() const { return state_->gate; }

    static asio::awaitable<int> load(std::shared_ptr<state> s, std::string key) {
        tally t(*s);
        const int number = ++s->starts;
        ++s->per_key[key];
        if (s->stubborn) {
            co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
        }
        co_await s->gate.begin(op::get);
        t.finished = true;
        co_return s->base + number;
    }

    std::shared_ptr<state> state_ = std::make_shared<state>();
};

/// The backends that the whole suite runs over.
struct over_memory {
    static constexpr bool remote = false;
    template <class K, class V>
    using backend =
        acache::memory_backend<K, V, acache::hash<K>, std::equal_to<>, acache::turnstile, manual_clock>;
};
struct over_script {
    static constexpr bool remote = true;
    template <class K, class V>
    using backend = acache::testing::scripted_backend<K, V>;
};

/// A cache, its context and its source.
template <class Kind, class K = std::string, class V = int, class Observer = acache::no_observer>
class world {
public:
    using backend_type = typename Kind::template backend<K, V>;
    using cache_type = acache::async_cache<K, V, backend_type, Observer>;

    explicit world(acache::cache_options options = {}, Observer observer = {}) {
        manual_clock::reset();
        if constexpr (Kind::remote) {
            store.emplace();
            cache.emplace(context, *store, options, std::move(observer));
        } else {
            cache.emplace(context, options, std::move(observer));
        }
    }

    /// Begins a coroutine on the context; nothing of it runs yet.
    template <class T>
    caller<T> begin(asio::awaitable<T> work) {
        return caller<T>(context.get_executor(), std::move(work));
    }
    /// Begins a coroutine and runs until nothing can run.
    template <class T>
    caller<T> call(asio::awaitable<T> work) {
        auto result = begin(std::move(work));
        settle();
        return result;
    }
    auto get_or_load(K key) { return cache->get_or_load(std::move(key), src); }
    auto get(K key) { return steps.run(cache->get(std::move(key))); }
    /// Whether the backend holds the only key of the test, served or not.
    bool holds(const K& key) {
        if constexpr (Kind::remote) {
            return store->peek(key).has_value();
        } else {
            (void)key;
            return cache->metrics().size != 0;
        }
    }
    void settle() { steps.run_until_idle(); }
    /// Lets the loads that are held end, and later ones pass.
    void let_loads_end() {
        src.let_pass();
        src.release_all();
        settle();
    }

    asio::io_context context;
    stepper steps{context};
    source src;
    /// The asynchronous backend, where that is the one.
    std::conditional_t<Kind::remote, std::optional<backend_type>, int> store{};
    std::optional<cache_type> cache;
};

} // namespace setup

#endif
