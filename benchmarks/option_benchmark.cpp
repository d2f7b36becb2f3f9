// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// What the options cost that are off unless asked for: hits of entries that have them, and loads that store
// such entries. Keys are u64, 32,768 of them resident; a hit is an awaited get_or_load, Zipf 0.99; a load is
// a refresh whose loader returns at once. To be read beside `hit` and `load`, which have none.

#include "common/coroutines.hpp"
#include "common/measure.hpp"
#include "common/zipf.hpp"

#include <acache/acache.hpp>

#include <benchmark/benchmark.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace {

using benchmarks::awaitable;
using benchmarks::measure;
using namespace std::chrono_literals;
namespace asio = boost::asio;

constexpr std::uint64_t resident = 32'768;
constexpr std::size_t length = 1 << 18; ///< of the sequence of requests

struct hit_counter {
    std::uint64_t hits = 0;
    void on(const acache::events::hit<std::uint64_t>&) noexcept { ++hits; }
};

awaitable<std::uint64_t> plain_load(std::uint64_t key) {
    co_return key;
}
awaitable<std::uint64_t> tagging_load(acache::load_context& context, std::uint64_t key) {
    static const std::array<std::string, 4> orgs{"org:0", "org:1", "org:2", "org:3"};
    context.tag(orgs[key % orgs.size()]);
    co_return key;
}
awaitable<std::uint64_t> versioned_load(acache::load_context& context, std::uint64_t key) {
    context.validator("v1");
    co_return key;
}
awaitable<std::uint64_t> comparing_load(acache::load_context& context, std::uint64_t key) {
    if (context.stale<std::uint64_t>() != nullptr) {
        context.not_modified();
    }
    co_return key;
}
awaitable<std::optional<std::uint64_t>> optional_load(std::uint64_t key) {
    co_return key;
}

template <class Observer = acache::no_observer>
using cache_type = acache::async_cache<std::uint64_t, std::uint64_t,
                                       acache::memory_backend<std::uint64_t, std::uint64_t>, Observer>;

template <class Cache, class Load>
void fill(asio::io_context& context, Cache& cache, Load load) {
    benchmarks::run(context, [&]() -> awaitable<void> {
        for (std::uint64_t key = 0; key != resident; ++key) {
            (void)co_await cache.refresh(key, load);
        }
    });
}

/// Hits of entries that `load` has made. `look_up(cache, key)` is awaited.
template <class Observer, class Load, class LookUp>
void hits(benchmark::State& state, acache::cache_options options, Load load, LookUp look_up) {
    options.capacity = resident;
    asio::io_context context(1);
    cache_type<Observer> cache(context, options, Observer());
    fill(context, cache, load);
    static const benchmarks::zipf_keys sequence(resident, length, 1);
    const auto pass = [&] {
        benchmarks::run(context, [&]() -> awaitable<void> {
            for (const std::uint64_t key : sequence.requests()) {
                benchmark::DoNotOptimize(co_await look_up(cache, key));
            }
        });
    };
    pass();
    measure(state, length, pass);
    if (cache.metrics().loads != resident) {
        state.SkipWithError("not a hit");
    }
}

/// Loads, each of which replaces the key's entry.
template <class Load>
void loads(benchmark::State& state, acache::cache_options options, Load load) {
    options.capacity = resident;
    asio::io_context context(1);
    cache_type<> cache(context, options);
    fill(context, cache, load);
    measure(state, resident, [&] { fill(context, cache, load); });
}

void add_hits(std::string name, acache::cache_options options, auto load) {
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
        hits<acache::no_observer>(state, options, load, [load](auto& cache, std::uint64_t key) {
            return cache.get_or_load(key, load);
        });
    });
}
void add_loads(std::string name, acache::cache_options options, auto load) {
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { loads(state, options, load); });
}

} // namespace

int main(int argc, char** argv) {
    add_hits("hit", {}, &plain_load);
    add_hits("hit/ttl", {.ttl = 1h}, &plain_load);
    add_hits("hit/stale_windows", {.ttl = 1h, .stale_while_revalidate = 1h, .stale_if_error = 2h},
             &plain_load);
    add_hits("hit/ttl_jitter", {.ttl = 1h, .ttl_jitter = 0.1}, &plain_load);
    add_hits("hit/early_refresh", {.ttl = 1h, .early_refresh = 1}, &plain_load);
    add_hits("hit/soft_timeout", {.ttl = 1h, .stale_if_error = 1h, .soft_timeout = 1s}, &plain_load);
    add_hits("hit/negative_ttl", {.negative_ttl = 1h}, &plain_load);
    add_hits("hit/one_tag", {}, &tagging_load);
    add_hits("hit/validator", {}, &versioned_load);
    benchmark::RegisterBenchmark("hit/max_age", [](benchmark::State& state) {
        hits<acache::no_observer>(state, {}, &plain_load, [](auto& cache, std::uint64_t key) {
            return cache.get_or_load(key, &plain_load, {.max_age = 1h});
        });
    });
    benchmark::RegisterBenchmark("hit/lookup", [](benchmark::State& state) {
        hits<acache::no_observer>(state, {}, &plain_load, [](auto& cache, std::uint64_t key) {
            return cache.lookup(key, &plain_load);
        });
    });
    benchmark::RegisterBenchmark("hit/observer", [](benchmark::State& state) {
        hits<hit_counter>(state, {}, &plain_load,
                          [](auto& cache, std::uint64_t key) { return cache.get_or_load(key, &plain_load); });
    });
    add_loads("load", {}, &plain_load);
    add_loads("load/ttl", {.ttl = 1h}, &plain_load);
    add_loads("load/stale_windows", {.ttl = 1h, .stale_while_revalidate = 1h, .stale_if_error = 2h},
              &plain_load);
    add_loads("load/ttl_jitter", {.ttl = 1h, .ttl_jitter = 0.1}, &plain_load);
    add_loads("load/early_refresh", {.ttl = 1h, .early_refresh = 1}, &plain_load);
    add_loads("load/negative_ttl", {.negative_ttl = 1h}, &optional_load);
    add_loads("load/one_tag", {}, &tagging_load);
    add_loads("load/validator", {}, &versioned_load);
    add_loads("load/not_modified", {}, &comparing_load);
    return benchmarks::main(argc, argv);
}
