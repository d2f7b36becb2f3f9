// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// What loads, batches and herds cost, beside what Asio wants for spawning and waking as many coroutines.

#include "common/coroutines.hpp"
#include "common/measure.hpp"
#include "common/zipf.hpp"

#include <acache/acache.hpp>

#include <benchmark/benchmark.h>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace {

using benchmarks::awaitable;
using benchmarks::hop;
using benchmarks::measure;
namespace asio = boost::asio;

// ---- Read-through: 1M keys, Zipf 0.99, capacity 65,536, a loader that returns at once ---------------------

constexpr std::size_t distinct = 1'000'000;
constexpr std::size_t capacity = 65'536;

const benchmarks::zipf_keys& requests() {
    static const benchmarks::zipf_keys keys(distinct, 1 << 22);
    return keys;
}

template <class LookUp>
void await_requests(asio::io_context& context, LookUp look_up) {
    benchmarks::run(context, [&]() -> awaitable<void> {
        for (const std::uint64_t key : requests().requests()) {
            benchmark::DoNotOptimize(co_await look_up(key));
        }
    });
}

/// The awaited look-up of the same requests, in a map that holds as many of the most frequent keys.
void floor_read_through_look_up(benchmark::State& state) {
    asio::io_context context(1);
    boost::unordered_flat_map<std::uint64_t, std::uint64_t> map;
    for (const std::uint64_t key : requests().by_rank().first(capacity)) {
        map.emplace(key, key);
    }
    measure(state, requests().requests().size(), [&] {
        await_requests(context, [&](std::uint64_t key) -> awaitable<std::uint64_t> {
            const auto at = map.find(key);
            co_return at == map.end() ? 0 : at->second;
        });
    });
}

/// From an empty cache on.
void read_through(benchmark::State& state) {
    asio::io_context context(1);
    std::uint64_t loads = 0;
    const auto load = [&loads](std::uint64_t key) -> awaitable<std::uint64_t> {
        ++loads;
        co_return key;
    };
    std::uint64_t passes = 0;
    measure(state, requests().requests().size(), [&] {
        acache::async_cache<std::uint64_t, std::uint64_t> cache{context, {.capacity = capacity}};
        await_requests(context, [&](std::uint64_t key) { return cache.get_or_load(key, load); });
        ++passes;
    });
    const auto all = static_cast<double>(passes * requests().requests().size());
    state.counters["miss_ratio"] = static_cast<double>(loads) / all;
}

/// A coroutine that spawns another and is woken by its end: the least that one miss has to do, if the load
/// is to outlive its caller.
void floor_spawn_and_await(benchmark::State& state) {
    asio::io_context context(1);
    constexpr std::size_t length = 1 << 16;
    measure(state, length, [&] {
        benchmarks::run(context, []() -> awaitable<void> {
            const auto executor = co_await asio::this_coro::executor;
            for (std::uint64_t key = 0; key != length; ++key) {
                const auto load = [](std::uint64_t k) -> awaitable<std::uint64_t> { co_return k; };
                benchmark::DoNotOptimize(co_await asio::co_spawn(executor, load(key), asio::use_awaitable));
            }
        });
    });
}

// ---- Many callers at once
// -----------------------------------------------------------------------------------

constexpr std::size_t herd_size = 1000;
constexpr std::size_t batch_size = 100'000;

template <class MakeCaller>
void spawn(asio::io_context& context, std::size_t callers, MakeCaller caller) {
    context.restart();
    for (std::uint64_t i = 0; i != callers; ++i) {
        asio::co_spawn(context, caller(i), asio::detached);
    }
    context.run();
}

void floor_spawn(benchmark::State& state) {
    asio::io_context context(1);
    const auto callers = static_cast<std::size_t>(state.range(0));
    measure(state, callers,
            [&] { spawn(context, callers, [](std::uint64_t) -> awaitable<void> { co_return; }); });
}

void floor_spawn_and_wake(benchmark::State& state) {
    asio::io_context context(1);
    const auto callers = static_cast<std::size_t>(state.range(0));
    measure(state, callers, [&] {
        spawn(context, callers, [](std::uint64_t) -> awaitable<void> {
            co_await asio::post(co_await asio::this_coro::executor, asio::deferred);
        });
    });
}

/// `batch_size` loads in one tick, each by a coroutine of its own, through a loader as new as a request.
void load_batch(benchmark::State& state, bool remember) {
    asio::io_context context(1);
    std::size_t batches = 0;
    std::size_t passes = 0;
    const auto fetch = [&](std::span<const std::uint64_t> keys) -> awaitable<std::vector<std::uint64_t>> {
        ++batches;
        co_return std::vector<std::uint64_t>(keys.begin(), keys.end());
    };
    measure(state, batch_size, [&] {
        ++passes;
        acache::DataLoader<std::uint64_t, std::uint64_t> loader{context, fetch, {.cache = remember}};
        spawn(context, batch_size, [&](std::uint64_t key) -> awaitable<void> {
            benchmark::DoNotOptimize(co_await loader.load(key));
        });
    });
    if (batches != passes) {
        state.SkipWithError("a tick was not one batch");
    }
}

void data_loader(benchmark::State& state) {
    load_batch(state, false);
}

void data_loader_that_remembers(benchmark::State& state) {
    load_batch(state, true);
}

/// The same keys by one caller.
void data_loader_many(benchmark::State& state) {
    asio::io_context context(1);
    const auto fetch = [](std::span<const std::uint64_t> keys) -> awaitable<std::vector<std::uint64_t>> {
        co_return std::vector<std::uint64_t>(keys.begin(), keys.end());
    };
    std::vector<std::uint64_t> keys(batch_size);
    std::iota(keys.begin(), keys.end(), std::uint64_t{0});
    measure(state, batch_size, [&] {
        acache::DataLoader<std::uint64_t, std::uint64_t> loader{context, fetch, {.cache = false}};
        benchmarks::run(context, [&]() -> awaitable<void> {
            const auto values = co_await loader.load_many(keys);
            benchmark::DoNotOptimize(values.data());
        });
    });
}

using cache_of_nothing = acache::async_cache<std::uint64_t, std::uint64_t>;

/// Ends when all that are runnable now have run twice, so that they can all have joined.
awaitable<std::uint64_t> slow_load(std::uint64_t key) {
    co_await hop();
    co_await hop();
    co_return key;
}

void check_loads(benchmark::State& state, const cache_of_nothing& cache, std::uint64_t wanted) {
    if (cache.metrics().loads != wanted) {
        state.SkipWithError("a herd was not one load");
    }
}

/// Coroutines that are spawned, join one flight and are woken by it.
void spawned_herd(benchmark::State& state) {
    asio::io_context context(1);
    cache_of_nothing cache{context, {.capacity = 0}};
    std::uint64_t passes = 0;
    measure(state, herd_size, [&] {
        ++passes;
        spawn(context, herd_size, [&](std::uint64_t) -> awaitable<void> {
            benchmark::DoNotOptimize(co_await cache.get_or_load(std::uint64_t{1}, slow_load));
        });
    });
    check_loads(state, cache, passes);
}

constexpr std::uint64_t rounds = 100;

/// The same for coroutines that are there already: each of them waits for one flight after the other, so that
/// what is measured is to join and to be woken.
void herd(benchmark::State& state) {
    asio::io_context context(1);
    cache_of_nothing cache{context, {.capacity = 0}};
    std::uint64_t passes = 0;
    measure(state, herd_size * rounds, [&] {
        ++passes;
        spawn(context, herd_size, [&](std::uint64_t) -> awaitable<void> {
            for (std::uint64_t round = 0; round != rounds; ++round) {
                benchmark::DoNotOptimize(co_await cache.get_or_load(round, slow_load));
            }
        });
    });
    check_loads(state, cache, passes * rounds);
}

/// Coroutines that go to the end of the queue again and again: each is woken by a post, and does nothing
/// else.
void floor_wake(benchmark::State& state) {
    asio::io_context context(1);
    measure(state, herd_size * rounds, [&] {
        spawn(context, herd_size, [](std::uint64_t) -> awaitable<void> {
            const auto executor = co_await asio::this_coro::executor;
            for (std::uint64_t round = 0; round != rounds; ++round) {
                co_await asio::post(executor, asio::deferred);
            }
        });
    });
}

} // namespace

int main(int argc, char** argv) {
    const auto add = [](const char* name, auto* function) {
        return benchmark::RegisterBenchmark(name, function);
    };
    add("floor_read_through_look_up", floor_read_through_look_up);
    add("floor_spawn_and_await", floor_spawn_and_await);
    add("read_through", read_through);
    add("floor_spawn", floor_spawn)->Arg(herd_size)->Arg(batch_size);
    add("floor_spawn_and_wake", floor_spawn_and_wake)->Arg(batch_size);
    add("data_loader", data_loader);
    add("data_loader_that_remembers", data_loader_that_remembers);
    add("data_loader_many", data_loader_many);
    add("floor_spawn_and_wake", floor_spawn_and_wake)->Arg(herd_size);
    add("spawned_herd", spawned_herd);
    add("floor_wake", floor_wake);
    add("herd", herd);
    return benchmarks::main(argc, argv);
}
