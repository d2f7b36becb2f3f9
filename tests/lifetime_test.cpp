// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "cache_setup.hpp"

#include <acache/single_flight.hpp>

#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <vector>

// Every suspension point sees its frame destroyed: each scenario runs again and again, and ends after 0, 1,
// 2 ... handlers, until it has run to its end. AddressSanitizer sees what is touched too late; the count of
// living frames sees what is never destroyed.

namespace {

using namespace setup;

/// What users' frames hold: a timer of their context, which must not outlive it.
struct guard {
    guard(const asio::any_io_executor& executor, std::shared_ptr<int> count)
        : timer(executor, 1h), alive(std::move(count)) {}
    asio::steady_timer timer;
    std::shared_ptr<int> alive;
};

enum class end_order { context_first, other_first, cache_first, cache_while_running };

template <class Kind>
struct env {
    using backend_type = typename Kind::template backend<std::string, int>;
    using cache_type = acache::async_cache<std::string, int, backend_type>;

    explicit env(acache::cache_options options) {
        manual_clock::reset();
        if constexpr (Kind::remote) {
            cache.emplace(*context, backend_type(), options);
        } else {
            cache.emplace(*context, options);
        }
    }

    /// Suspends twice, with a guard in its frame.
    asio::awaitable<int> load() const {
        const auto executor = co_await asio::this_coro::executor;
        const guard g(executor, alive);
        co_await asio::post(executor, asio::use_awaitable);
        co_await asio::post(executor, asio::use_awaitable);
        co_return 1;
    }
    auto loader() {
        return [this](const std::string&) { return load(); };
    }

    asio::awaitable<void> get(std::string key) {
        const guard g(co_await asio::this_coro::executor, alive);
        auto load_it = loader();
        (void)co_await the_cache().get_or_load(key, load_it);
    }

    template <class Work>
    void spawn(Work work) {
        spawn_on(*context, std::move(work));
    }
    template <class Work>
    void spawn_on(asio::io_context& where, Work work) {
        // Who is told of the closing is content.
        asio::co_spawn(where, std::move(work), [](const std::exception_ptr&) {});
    }

    /// Throws when the scenario has destroyed the cache already.
    cache_type& the_cache() { return cache.value(); }

    std::shared_ptr<int> alive = std::make_shared<int>(0);
    std::optional<asio::io_context> context{std::in_place};
    std::optional<asio::io_context> other{std::in_place};
    std::optional<cache_type> cache;
};

/// Runs both contexts for at most `n` handlers; how many there were.
inline std::size_t run_for(asio::io_context& a, asio::io_context& b, std::size_t n) {
    stepper first(a);
    stepper second(b);
    std::size_t count = 0;
    // In turns, so that neither is always done when the other begins.
    while (count != n && (count % 2 == 0 ? first.step() || second.step() : second.step() || first.step())) {
        ++count;
    }
    return count;
}

template <class Kind, class Start>
void end_at_every_point(acache::cache_options options, Start start) {
    for (const auto order : {end_order::context_first, end_order::other_first, end_order::cache_first,
                             end_order::cache_while_running}) {
        for (std::size_t n = 0;; ++n) {
            std::size_t ran = 0;
            std::shared_ptr<int> alive;
            {
                env<Kind> e(options);
                alive = e.alive;
                start(e);
                ran = run_for(*e.context, *e.other, n);
                if (order == end_order::cache_while_running) {
                    e.cache.reset();
                    run_for(*e.context, *e.other, 1000);
                    e.other.reset();
                    e.context.reset();
                } else if (order == end_order::cache_first) {
                    e.cache.reset();
                    e.context.reset();
                } else if (order == end_order::other_first) {
                    e.other.reset();
                    stepper(*e.context).run_until_idle();
                } else {
                    e.context.reset();
                }
            }
            INFO("ended after " << n << " handlers, order " << static_cast<int>(order));
            REQUIRE(alive.use_count() == 1);
            if (ran < n) {
                REQUIRE(n > 3);
                break;
            }
        }
    }
}

TEMPLATE_TEST_CASE("C10 the end may come at any handler of loads and those who joined them", "", over_memory,
                   over_script) {
    end_at_every_point<TestType>({}, [](auto& e) {
        for (const char* key : {"a", "a", "b", "a"}) {
            e.spawn(e.get(key));
        }
    });
}

TEMPLATE_TEST_CASE("C10 the end may come at any handler of loads that follow each other", "", over_memory,
                   over_script) {
    // They share the coroutines that run them, which rest in between.
    end_at_every_point<TestType>({.max_concurrent_loads = 2}, [](auto& e) {
        const auto in_turn = [](auto& in, std::string prefix) -> asio::awaitable<void> {
            for (const char* key : {"1", "2", "3"}) {
                co_await in.get(prefix + key);
            }
        };
        for (const char* prefix : {"a", "b", "c"}) {
            e.spawn(in_turn(e, prefix));
        }
    });
}

TEMPLATE_TEST_CASE("C10 the end may come at any handler of loads that wait for their turn", "", over_memory,
                   over_script) {
    end_at_every_point<TestType>({.load_timeout = 5s, .max_concurrent_loads = 1}, [](auto& e) {
        for (const char* key : {"a", "b", "c", "b"}) {
            e.spawn(e.get(key));
        }
    });
}

TEMPLATE_TEST_CASE("C10 the end may come at any handler of a load that times out", "", over_memory,
                   over_script) {
    end_at_every_point<TestType>({.load_timeout = 5s}, [](auto& e) {
        auto never = [&e](const std::string&) -> asio::awaitable<int> {
            guard g(co_await asio::this_coro::executor, e.alive);
            co_await g.timer.async_wait(asio::use_awaitable);
            co_return 0;
        };
        const auto wait = [](auto& in, auto load) -> asio::awaitable<void> {
            const guard g(co_await asio::this_coro::executor, in.alive);
            (void)co_await in.the_cache().get_or_load("a", load);
        };
        e.spawn(wait(e, never));
        e.spawn(wait(e, never));
        e.spawn([](auto&) -> asio::awaitable<void> {
            for (int i = 0; i != 6; ++i) {
                co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
                manual_clock::advance(1s);
            }
        }(e));
    });
}

TEMPLATE_TEST_CASE("C10 the end may come at any handler of close and drain", "", over_memory, over_script) {
    for (const bool drains : {false, true}) {
        end_at_every_point<TestType>({}, [&](auto& e) {
            e.spawn(e.get("a"));
            e.spawn(e.get("b"));
            const auto end = [](auto& in, bool drain) -> asio::awaitable<void> {
                const guard g(co_await asio::this_coro::executor, in.alive);
                if (drain) {
                    co_await in.the_cache().drain();
                } else {
                    co_await in.the_cache().close();
                }
            };
            e.spawn(end(e, drains));
            e.spawn(end(e, drains));
            e.spawn_on(*e.other, end(e, drains));
        });
    }
}

TEMPLATE_TEST_CASE("C10 the end may come at any handler of a cache that a coroutine owns", "", over_memory,
                   over_script) {
    end_at_every_point<TestType>({}, [](auto& e) {
        e.spawn([](auto& in) -> asio::awaitable<void> {
            const auto executor = co_await asio::this_coro::executor;
            const guard g(executor, in.alive);
            auto cache = std::move(in.the_cache());
            auto load = in.loader();
            auto wrapped = cache.cached("k:{}", [&in](int) { return in.load(); });
            asio::co_spawn(executor, wrapped(1), asio::detached);
            asio::co_spawn(executor, cache.get_or_load("a", load), [](const auto&...) {});
            (void)co_await cache.get_or_load("a", load);
            (void)co_await wrapped(1);
        }(e));
    });
}

TEMPLATE_TEST_CASE("C10 the end may come at any handler of writes among loads", "", over_memory,
                   over_script) {
    end_at_every_point<TestType>({}, [](auto& e) {
        e.spawn(e.get("a"));
        const auto write = [](auto& in) -> asio::awaitable<void> {
            const guard g(co_await asio::this_coro::executor, in.alive);
            co_await in.the_cache().set("a", 2);
            (void)co_await in.the_cache().invalidate("a");
            co_await in.the_cache().clear();
            (void)co_await in.the_cache().get("a");
        };
        e.spawn(write(e));
        e.spawn(write(e));
        e.spawn_on(*e.other, write(e));
    });
}

TEMPLATE_TEST_CASE("C10 the end may come at any handler of a warm-up and of bulk look-ups", "", over_memory,
                   over_script) {
    end_at_every_point<TestType>({.max_concurrent_loads = 2}, [](auto& e) {
        e.spawn([](auto& in) -> asio::awaitable<void> {
            const guard g(co_await asio::this_coro::executor, in.alive);
            const std::vector<std::string> keys{"a", "b", "c", "d"};
            auto load = in.loader();
            (void)co_await in.the_cache().warmup(keys, load, {.concurrency = 2});
        }(e));
        e.spawn([](auto& in) -> asio::awaitable<void> {
            const guard g(co_await asio::this_coro::executor, in.alive);
            const std::vector<std::string> keys{"x", "b", "y"};
            auto batch = [&in](std::vector<std::string> missing) -> asio::awaitable<std::vector<int>> {
                const int one = co_await in.load();
                co_return std::vector<int>(missing.size(), one);
            };
            (void)co_await in.the_cache().get_many_or_load(keys, batch);
            (void)co_await in.the_cache().get_many(keys);
        }(e));
    });
}

TEMPLATE_TEST_CASE("C10 the end may come at any handler of loads that ask for each other", "", over_memory,
                   over_script) {
    end_at_every_point<TestType>({.max_concurrent_loads = 1}, [](auto& e) {
        auto outer = [&e](const std::string&) -> asio::awaitable<int> {
            const guard g(co_await asio::this_coro::executor, e.alive);
            auto load = e.loader();
            co_return co_await e.the_cache().get_or_load("inner", load);
        };
        const auto ask = [](auto& in, auto load) -> asio::awaitable<void> {
            const guard g(co_await asio::this_coro::executor, in.alive);
            (void)co_await in.the_cache().get_or_load("outer", load);
        };
        e.spawn(ask(e, outer));
        e.spawn(ask(e, outer));
        e.spawn(e.get("inner"));
    });
}

TEMPLATE_TEST_CASE("C10 the end may come at any handler of callers on another context", "", over_memory,
                   over_script) {
    for (const bool others_end_first : {false, true}) {
        end_at_every_point<TestType>({}, [&](auto& e) {
            e.spawn_on(*e.other, e.get("a"));
            e.spawn(e.get("a"));
            e.spawn_on(*e.other, e.get("b"));
            if (others_end_first) {
                e.spawn([](auto& in) -> asio::awaitable<void> {
                    for (int i = 0; i != 3; ++i) {
                        co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable);
                    }
                    in.other.emplace();
                    in.spawn_on(*in.other, in.get("b"));
                }(e));
            }
        });
    }
}

TEMPLATE_TEST_CASE("C03 callers may leave at any handler, with their frames", "", over_memory, over_script) {
    for (std::size_t leavers = 1; leavers != 4; ++leavers) {
        std::size_t ran = 0;
        for (std::size_t n = 0; ran + 1 >= n; ++n) {
            world<TestType> w({.max_concurrent_loads = 1});
            std::vector<caller<int>> callers;
            for (const char* key : {"a", "a", "b"}) {
                callers.push_back(w.begin(w.get_or_load(key)));
            }
            ran = w.steps.run_for(n);
            for (std::size_t i = 0; i != leavers; ++i) {
                callers[i].leave();
            }
            w.settle();
            for (std::size_t i = 0; i != callers.size(); ++i) {
                REQUIRE(callers[i].done());
                const bool may_leave = i < leavers;
                CHECK((!callers[i].failed() ||
                       (may_leave && callers[i].code() == asio::error::operation_aborted)));
            }
            CHECK(w.cache->metrics().in_flight == 0);
            const auto m = w.cache->metrics();
            CHECK(m.hits + m.misses + m.coalesced <= 3);
            CHECK(m.load_failures == 0);
        }
    }
}

TEST_CASE("C10 the end of a single_flight may come at any handler") {
    using flights_type =
        acache::single_flight<std::string, int, acache::hash<std::string>, std::equal_to<>, manual_clock>;
    manual_clock::reset();
    for (const bool context_first : {false, true}) {
        std::size_t ran = 0;
        for (std::size_t n = 0; ran + 1 >= n; ++n) {
            const auto alive = std::make_shared<int>(0);
            std::optional<asio::io_context> context(std::in_place);
            std::optional<flights_type> flights(
                std::in_place, *context,
                acache::single_flight_options{.load_timeout = 5s, .max_concurrent_loads = 1});
            const auto ask = [](auto& in, std::string key, auto count) -> asio::awaitable<void> {
                const guard g(co_await asio::this_coro::executor, count);
                auto fn = [&count](const std::string&) -> asio::awaitable<int> {
                    const auto executor = co_await asio::this_coro::executor;
                    const guard mine(executor, count);
                    co_await asio::post(executor, asio::use_awaitable);
                    co_return 1;
                };
                (void)co_await in->run(key, fn);
            };
            for (const char* key : {"a", "a", "b", "c"}) {
                asio::co_spawn(*context, ask(flights, key, alive), [](const auto&) {});
            }
            ran = stepper(*context).run_for(n);
            if (context_first) {
                context.reset();
                flights.reset();
            } else {
                flights.reset();
                context.reset();
            }
            REQUIRE(alive.use_count() == 1);
        }
        CHECK(ran > 3);
    }
}

} // namespace
