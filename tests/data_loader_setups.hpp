// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_TESTS_DATA_LOADER_SETUPS_HPP
#define ACACHE_TESTS_DATA_LOADER_SETUPS_HPP

#include "failures.hpp"

#include <acache/acache.hpp>
#include <acache/testing.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

/// What the tests of DataLoader share: calls that can be looked at and cancelled, a source of batches that
/// records and parks, and the three things that a loader can stand on.
namespace loader_tests {

namespace asio = boost::asio;
namespace kit = acache::testing;
using acache::errc;
using acache::load_result;
using kit::op;

/// An operation that runs beside the test.
template <class T>
class call {
public:
    template <class Where>
    call(Where& where, asio::awaitable<T> work) : state_(std::make_shared<state>()) {
        asio::co_spawn(where, into(std::move(work), state_),
                       asio::bind_cancellation_slot(state_->signal.slot(),
                                                    [ended = state_](const std::exception_ptr& failure) {
                                                        ended->done = true;
                                                        ended->failure = failure;
                                                    }));
    }

    [[nodiscard]] bool done() const { return state_->done; }
    [[nodiscard]] bool failed() const { return state_->failure != nullptr; }
    void cancel() { state_->signal.emit(asio::cancellation_type::terminal); }

    /// The result. Throws what the operation has thrown.
    [[nodiscard]] const auto& value() const {
        REQUIRE(state_->done);
        if (state_->failure) {
            std::rethrow_exception(state_->failure);
        }
        return *state_->value;
    }

    /// The code of what the operation has thrown; none where it has thrown nothing.
    [[nodiscard]] boost::system::error_code error() const {
        REQUIRE(state_->done);
        return code_of(state_->failure);
    }

    /// The text of what the operation has thrown.
    [[nodiscard]] std::string what() const {
        REQUIRE(state_->done);
        return text_of(state_->failure);
    }

private:
    struct state {
        bool done = false;
        std::exception_ptr failure;
        std::optional<std::conditional_t<std::is_void_v<T>, bool, T>> value;
        asio::cancellation_signal signal;
    };

    static asio::awaitable<void> into(asio::awaitable<T> work, std::shared_ptr<state> to) {
        if constexpr (std::is_void_v<T>) {
            co_await std::move(work);
        } else {
            to->value.emplace(co_await std::move(work));
        }
    }

    std::shared_ptr<state> state_;
};

template <class Where, class T>
call(Where&, asio::awaitable<T>) -> call<T>;

/// Where batches come from: it records the keys of each, parks them while it is held, and answers "v" and the
/// key, or as it is told. It outlives the loaders that are made over it.
class source {
public:
    using batches = std::vector<std::vector<int>>;
    using results = std::vector<load_result<std::string>>;

private:
    std::shared_ptr<int> count_ = std::make_shared<int>(0);

public:
    batches seen;
    const int& running = *count_;
    int at_once = 0; // the most that ran together
    int ended = 0;   // that were not cancelled
    std::function<load_result<std::string>(int)> answer = [](int key) {
        return load_result<std::string>("v" + std::to_string(key));
    };
    std::function<std::exception_ptr()> failure = [] { return std::exception_ptr(); };
    /// What else the batch does, before it parks.
    std::function<asio::awaitable<void>(std::vector<int>)> meanwhile;
    std::function<void(results&)> spoil = [](results&) {};

    void hold() { gate_.hold(op::get_many); }
    void let_pass() { gate_.let_pass(op::get_many); }
    bool release_one() { return gate_.release_one(); }
    std::size_t release() {
        let_pass();
        return gate_.release_all();
    }
    [[nodiscard]] std::size_t parked() const { return gate_.parked(); }

    /// The batch function.
    [[nodiscard]] auto fn() {
        return [this](std::vector<int> keys) { return run(std::move(keys)); };
    }

private:
    // A batch that goes with its context may go after the source.
    struct visit {
        explicit visit(source& s) : count(s.count_) { s.at_once = std::max(s.at_once, ++*count); }
        visit(const visit&) = delete;
        ~visit() { --*count; }
        std::shared_ptr<int> count;
    };

    asio::awaitable<results> run(std::vector<int> keys) {
        seen.push_back(keys);
        const visit here(*this);
        if (meanwhile) {
            co_await meanwhile(keys);
        }
        co_await gate_.begin(op::get_many);
        ++ended;
        if (const auto thrown = failure()) {
            std::rethrow_exception(thrown);
        }
        results out;
        for (const int key : keys) {
            out.push_back(answer(key));
        }
        spoil(out);
        co_return out;
    }

    kit::script gate_;
};

using keys = std::vector<int>;
using batches = source::batches;

template <class T>
load_result<T> failed(const std::string& text) {
    return load_result<T>(boost::system::in_place_error, std::make_exception_ptr(std::runtime_error(text)));
}

using loader_type = acache::DataLoader<int, std::string, kit::manual_clock>;

/// What a loader stands on.
enum class basis { alone, memory, scripted };

/// A context, and what loaders stand on; one type for all, since each further one costs seconds to compile.
class setup {
    using memory = acache::memory_backend<int, std::string, acache::hash<int>, std::equal_to<>,
                                          acache::turnstile, kit::manual_clock>;
    using scripted = kit::scripted_backend<int, std::string>;

public:
    explicit setup(basis kind, acache::cache_options options = {}) {
        kit::manual_clock::reset();
        if (kind == basis::memory) {
            in_memory.emplace(context, memory(1000), options);
        } else if (kind == basis::scripted) {
            remote.emplace(context, store, options);
        }
    }

    template <class Fn>
    loader_type make(Fn fn, acache::data_loader_options options = {}) {
        if (in_memory) {
            return loader_type(*in_memory, std::move(fn), options);
        }
        if (remote) {
            return loader_type(*remote, std::move(fn), options);
        }
        return loader_type(context, std::move(fn), options);
    }

    [[nodiscard]] bool over_a_cache() const { return in_memory || remote; }
    [[nodiscard]] bool asynchronous() const { return remote.has_value(); }

    /// Calls `f(cache)` with the cache that there is.
    template <class F>
    decltype(auto) with_cache(F f) {
        REQUIRE(over_a_cache());
        return in_memory ? f(*in_memory) : f(*remote);
    }
    [[nodiscard]] acache::cache_metrics metrics() {
        return with_cache([](auto& cache) { return cache.metrics(); });
    }

    /// The stored value, at once and uncounted.
    [[nodiscard]] std::optional<std::string> stored(int key) {
        if (in_memory) {
            return in_memory->try_get(key);
        }
        const auto found = store.peek(key);
        return found ? std::optional(found->value) : std::nullopt;
    }

    asio::io_context context;
    kit::stepper steps{context};
    scripted store;
    kit::script script = store.script();
    std::optional<acache::async_cache<int, std::string, memory>> in_memory;
    std::optional<acache::async_cache<int, std::string, scripted>> remote;
};

} // namespace loader_tests

#endif
