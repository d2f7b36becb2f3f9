// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "data_loader_setups.hpp"

#include <boost/asio/steady_timer.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>

// Every suspension point sees its frame destroyed: each scenario runs again and again, its context destroyed
// after 0, 1, 2 ... handlers, until it runs to its end. AddressSanitizer tells what was touched too late, and
// a count of living frames tells what was kept for ever.

namespace {

using namespace loader_tests;
using namespace std::chrono_literals;

/// How a scenario ends, when its handlers have been run.
enum class ending { context_first, loader_first, cache_first, drained };

/// Everything that a scenario is about, so that its parts can go in any order.
class world {
    using memory = acache::memory_backend<int, std::string, acache::hash<int>, std::equal_to<>,
                                          acache::turnstile, kit::manual_clock>;
    using scripted = kit::scripted_backend<int, std::string>;

public:
    world(basis kind, acache::data_loader_options options) {
        kit::manual_clock::reset();
        const auto fn = [this](std::vector<int> ids) { return batch(std::move(ids)); };
        if (kind == basis::alone) {
            loader.emplace(*context, fn, options);
        } else if (kind == basis::memory) {
            in_memory.emplace(*context, memory(100), acache::cache_options{.load_timeout = 1h});
            loader.emplace(*in_memory, fn, options);
        } else {
            remote.emplace(*context, scripted(), acache::cache_options{.load_timeout = 1h});
            loader.emplace(*remote, fn, options);
        }
    }

    std::optional<asio::io_context> context{std::in_place};
    kit::stepper steps{*context};
    std::optional<acache::async_cache<int, std::string, memory>> in_memory;
    std::optional<acache::async_cache<int, std::string, scripted>> remote;
    std::optional<loader_type> loader;
    std::shared_ptr<int> frames = std::make_shared<int>(0); // as many owners as there are frames, and one

    /// A coroutine of the user's: what is in its frame refers to the context.
    struct frame {
        frame(const asio::any_io_executor& executor, std::shared_ptr<int> count)
            : timer(executor, 1h), alive(std::move(count)) {}
        asio::steady_timer timer;
        std::shared_ptr<int> alive;
    };

    void spawn(asio::awaitable<void> work) {
        asio::co_spawn(*context, std::move(work), [](const std::exception_ptr&) {});
    }

    asio::awaitable<void> load(int key) {
        const frame here(co_await asio::this_coro::executor, frames);
        static_cast<void>(co_await loader->load(key));
    }
    asio::awaitable<void> load_many(keys ids) {
        const frame here(co_await asio::this_coro::executor, frames);
        static_cast<void>(co_await loader->load_many(ids));
    }
    asio::awaitable<void> close(bool drains) {
        const frame here(co_await asio::this_coro::executor, frames);
        if (drains) {
            co_await loader->drain();
        } else {
            co_await loader->close();
        }
    }

    /// Keys from 100 on load the key below within; every batch suspends twice.
    asio::awaitable<std::vector<std::string>> batch(std::vector<int> ids) {
        const auto executor = co_await asio::this_coro::executor;
        const frame here(executor, frames);
        co_await asio::post(executor, asio::use_awaitable);
        if (ids.front() >= 100) {
            static_cast<void>(co_await loader->load(ids.front() - 1));
        }
        co_await asio::post(executor, asio::use_awaitable);
        std::vector<std::string> out(ids.size(), "value");
        co_return out;
    }
};

/// Runs a scenario to its n-th handler and ends it, for all n. `begin` spawns, and `at(world, n)` runs before
/// the n-th handler.
template <class Begin, class At>
void run_again_and_again(acache::data_loader_options options, Begin begin, At at) {
    const auto kind = GENERATE(basis::alone, basis::memory, basis::scripted);
    const auto how =
        GENERATE(ending::context_first, ending::loader_first, ending::cache_first, ending::drained);
    CAPTURE(static_cast<int>(kind), static_cast<int>(how));
    std::size_t n = 0;
    for (bool complete = false; !complete; ++n) {
        CAPTURE(n);
        REQUIRE(n < 2000);
        std::weak_ptr<int> frames;
        {
            world w(kind, options);
            frames = w.frames;
            begin(w);
            complete = true;
            for (std::size_t i = 0; i != n; ++i) {
                at(w, i);
                complete = !w.steps.step();
                if (complete) {
                    break;
                }
            }
            if (n == 0) {
                complete = false;
            }
            switch (how) {
            case ending::context_first:
                w.context.reset();
                CHECK(w.frames.use_count() == 1);
                break;
            case ending::loader_first:
                w.loader.reset();
                w.context.reset();
                break;
            case ending::cache_first:
                w.in_memory.reset();
                w.remote.reset();
                w.context.reset();
                break;
            case ending::drained: // the frames end by themselves, without a loader
                w.in_memory.reset();
                w.remote.reset();
                if (kind == basis::alone) {
                    call(*w.context, w.loader->close());
                }
                w.steps.run_until_idle();
                break;
            }
            w.frames.reset();
            if (how != ending::drained) {
                CHECK(frames.expired());
            }
        }
        CHECK(frames.expired());
    }
    CHECK(n > 5);
}

const auto nothing = [](world&, std::size_t) {};

TEST_CASE("A loader may lose its context, cache or owner at any handler: loads and bulk loads of a tick") {
    run_again_and_again(
        {.max_batch_size = 3},
        [](world& w) {
            w.spawn(w.load(1));
            w.spawn(w.load(2));
            w.spawn(w.load(1));
            w.spawn(w.load_many({1, 3, 4, 5}));
        },
        nothing);
}

TEST_CASE("A loader may lose its context, cache or owner at any handler: a window") {
    run_again_and_again(
        {.batch_window = 1ms},
        [](world& w) {
            w.spawn(w.load(1));
            w.spawn(w.load_many({1, 2}));
        },
        [](world&, std::size_t i) {
            if (i == 2) { // gathered, and the window is all there is to wait for
                kit::manual_clock::advance(1ms);
            }
        });
}

TEST_CASE("A loader may lose its context, cache or owner at any handler: nested loads, queued under a cap") {
    run_again_and_again(
        {.max_batch_size = 1, .max_concurrent_batches = 1},
        [](world& w) {
            w.spawn(w.load(101));
            w.spawn(w.load(2));
            w.spawn(w.load(101));
            w.spawn(w.load(3));
        },
        nothing);
}

TEST_CASE("A loader may lose its context, cache or owner at any handler: prime, clear and flush between") {
    run_again_and_again(
        {.max_batch_size = 2},
        [](world& w) {
            w.spawn(w.load(1));
            w.spawn(w.load_many({2, 3, 4}));
        },
        [](world& w, std::size_t i) {
            if (i % 3 == 0 && i < 15) { // or there would be no end
                w.loader->prime(9, "primed");
                w.loader->clear(1);
            } else if (i == 7) {
                w.loader->clear_all();
            }
            w.loader->flush();
            if (i == 4) {
                w.spawn(w.load(1));
            }
        });
}

TEST_CASE("A loader may lose its context, cache or owner at any handler: a close under way") {
    const std::size_t at = GENERATE(2u, 6u, 9u);
    run_again_and_again(
        {.max_batch_size = 2, .max_concurrent_batches = 1},
        [](world& w) {
            w.spawn(w.load(101));
            w.spawn(w.load_many({2, 3, 4}));
        },
        [at](world& w, std::size_t i) {
            if (i == at) {
                w.spawn(w.close(false));
                w.spawn(w.close(true));
            }
        });
}

TEST_CASE("A loader may lose its context, cache or owner at any handler: a drain under way") {
    run_again_and_again(
        {.max_batch_size = 2, .max_concurrent_batches = 1},
        [](world& w) {
            w.spawn(w.load(101));
            w.spawn(w.load_many({2, 3, 4}));
        },
        [](world& w, std::size_t i) {
            if (i == 5) {
                w.spawn(w.close(true));
            }
        });
}

TEST_CASE("A loader may lose its context, cache or owner at any handler: callers on a context of their own") {
    const auto kind = GENERATE(basis::alone, basis::memory, basis::scripted);
    const bool callers_go_first = GENERATE(false, true);
    CAPTURE(static_cast<int>(kind), callers_go_first);
    for (std::size_t n = 0; n != 40; ++n) {
        CAPTURE(n);
        world w(kind, {});
        std::optional<asio::io_context> elsewhere{std::in_place};
        asio::co_spawn(*elsewhere, w.load(1), [](const std::exception_ptr&) {});
        asio::co_spawn(*elsewhere, w.load_many({1, 2}), [](const std::exception_ptr&) {});
        kit::stepper other(*elsewhere);
        for (std::size_t i = 0; i != n; ++i) {
            if (i % 2 == 0) {
                other.step();
            } else {
                w.steps.step();
            }
        }
        if (callers_go_first) {
            elsewhere.reset();
            w.steps.run_until_idle();
            w.context.reset();
        } else {
            w.context.reset();
            other.run_until_idle();
        }
        CHECK(w.frames.use_count() == 1);
    }
}

TEST_CASE("A loader that outlives its context refuses whatever it is asked") {
    const auto kind = GENERATE(basis::alone, basis::memory, basis::scripted);
    world w(kind, {.batch_window = 1h});
    w.spawn(w.load(1));
    w.steps.run_until_idle();
    w.context.reset();
    CHECK_NOTHROW(w.loader->flush());
    CHECK_THROWS_AS(w.loader->prime(1, "v"), boost::system::system_error);
    CHECK_THROWS_AS(w.loader->clear(1), boost::system::system_error);
    CHECK_THROWS_AS(w.loader->clear_all(), boost::system::system_error);
    asio::io_context elsewhere;
    kit::stepper other(elsewhere);
    call refused(elsewhere, w.loader->load(1));
    call refused_many(elsewhere, w.loader->load_many(keys{1}));
    call closing(elsewhere, w.loader->close());
    other.run_until_idle();
    CHECK(refused.error() == errc::closed);
    CHECK(refused_many.error() == errc::closed);
    CHECK(closing.done());
    CHECK_FALSE(closing.failed());
}

} // namespace
