// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// What the library adds to what Asio costs anyway: each figure stands beside its floor, and is to be read as a
// ratio to it, from one run.

#include <acache/acache.hpp>

#include <benchmark/benchmark.h>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <exception>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace asio = boost::asio;
using asio::awaitable;

namespace {

constexpr std::int64_t callers = 1000;
constexpr std::uint64_t resident = 32'768;

void rethrow(std::exception_ptr error) {
    if (error) {
        std::rethrow_exception(error);
    }
}

template <class F>
void run(asio::io_context& context, F coroutine) {
    context.restart();
    asio::co_spawn(context, std::move(coroutine), rethrow);
    context.run();
}

awaitable<void> hop() {
    co_await asio::post(co_await asio::this_coro::executor, asio::deferred);
}

// Times `callers` coroutines that are spawned together, an item each.
template <class MakeCaller>
void spawn_callers(benchmark::State& state, asio::io_context& context, MakeCaller caller) {
    for (auto _ : state) {
        context.restart();
        for (std::int64_t i = 0; i != callers; ++i) {
            asio::co_spawn(context, caller(i), asio::detached);
        }
        context.run();
    }
    state.SetItemsProcessed(state.iterations() * callers);
}

void floor_spawn_and_wake(benchmark::State& state) {
    asio::io_context context(1);
    spawn_callers(state, context, [](std::int64_t) { return hop(); });
}
BENCHMARK(floor_spawn_and_wake);

void herd_on_one_key(benchmark::State& state) {
    asio::io_context context(1);
    acache::async_cache<std::uint64_t, int> cache{context, {.capacity = 0}};
    const auto load = [](std::uint64_t) -> awaitable<int> {
        co_await hop();
        co_await hop();
        co_return 1;
    };
    spawn_callers(state, context, [&](std::int64_t) -> awaitable<void> {
        benchmark::DoNotOptimize(co_await cache.get_or_load(std::uint64_t{1}, load));
    });
    const auto loads = cache.metrics().loads;
    if (loads != static_cast<std::uint64_t>(state.iterations())) {
        state.SkipWithError("a herd was not one load");
    }
}
BENCHMARK(herd_on_one_key);

void loader_distinct_keys(benchmark::State& state) {
    asio::io_context context(1);
    const auto batch = [](std::span<const std::uint64_t> keys) -> awaitable<std::vector<int>> {
        co_return std::vector<int>(keys.size(), 1);
    };
    acache::DataLoader<std::uint64_t, int> loader{context, batch, {.cache = false}};
    spawn_callers(state, context, [&](std::int64_t i) -> awaitable<void> {
        benchmark::DoNotOptimize(co_await loader.load(static_cast<std::uint64_t>(i)));
    });
}
BENCHMARK(loader_distinct_keys);

// Awaits `look_up(key)` for all resident keys, an item each, in one coroutine.
template <class LookUp>
void await_all(benchmark::State& state, asio::io_context& context, LookUp look_up) {
    for (auto _ : state) {
        run(context, [&]() -> awaitable<void> {
            for (std::uint64_t key = 0; key != resident; ++key) {
                benchmark::DoNotOptimize(co_await look_up(key));
            }
        });
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(resident));
}

void floor_awaited_look_up(benchmark::State& state) {
    asio::io_context context(1);
    boost::unordered_flat_map<std::uint64_t, int> map;
    for (std::uint64_t key = 0; key != resident; ++key) {
        map.emplace(key, 1);
    }
    await_all(state, context, [&](std::uint64_t key) -> awaitable<int> { co_return map.find(key)->second; });
}
BENCHMARK(floor_awaited_look_up);

void hit_get_or_load(benchmark::State& state) {
    asio::io_context context(1);
    acache::async_cache<std::uint64_t, int> cache{context, {.capacity = 2 * resident}};
    const auto load = [](std::uint64_t) -> awaitable<int> { co_return 1; };
    const auto look_up = [&](std::uint64_t key) { return cache.get_or_load(key, load); };
    run(context, [&]() -> awaitable<void> {
        for (std::uint64_t key = 0; key != resident; ++key) {
            co_await look_up(key);
        }
    });
    await_all(state, context, look_up);
}
BENCHMARK(hit_get_or_load);

void floor_awaited_format_and_look_up(benchmark::State& state) {
    asio::io_context context(1);
    boost::unordered_flat_map<std::string, int, acache::hash<std::string>, std::equal_to<>> map;
    for (std::uint64_t key = 0; key != resident; ++key) {
        map.emplace("user:" + std::to_string(key), 1);
    }
    const auto find = [&](acache::key_format<std::uint64_t> format, std::uint64_t key) {
        acache::key_buffer buffer;
        return map.find(format.write(buffer, key))->second;
    };
    await_all(state, context, [&](std::uint64_t key) -> awaitable<int> { co_return find("user:{}", key); });
}
BENCHMARK(floor_awaited_format_and_look_up);

void hit_cached_format(benchmark::State& state) {
    asio::io_context context(1);
    acache::async_cache<std::string, int> cache{context, {.capacity = 2 * resident}};
    const auto get = cache.cached("user:{}", [](std::uint64_t) -> awaitable<int> { co_return 1; });
    run(context, [&]() -> awaitable<void> {
        for (std::uint64_t key = 0; key != resident; ++key) {
            co_await get(key);
        }
    });
    await_all(state, context, [&](std::uint64_t key) { return get(key); });
}
BENCHMARK(hit_cached_format);

void read_through_of_distinct_keys(benchmark::State& state) {
    asio::io_context context(1);
    acache::async_cache<std::uint64_t, int> cache{context, {.capacity = 0}};
    const auto load = [](std::uint64_t) -> awaitable<int> { co_return 1; };
    await_all(state, context, [&](std::uint64_t key) { return cache.get_or_load(key, load); });
}
BENCHMARK(read_through_of_distinct_keys);

} // namespace

int main(int argc, char** argv) {
#ifdef M_TRIM_THRESHOLD
    // A burst of frames comes and goes with every iteration: without this the C library gives their pages back to
    // the system each time, which a service under load does not see.
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return 1;
    }
    benchmark::RunSpecifiedBenchmarks();
}
