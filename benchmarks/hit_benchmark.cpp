// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// What a hit costs, and what the steps cost that a hit might take. Keys are u64, 32,768 of them resident, and
// every request, Zipf 0.99, is a hit. `floor_*` is the same loop over the same keys without this library.

#include "common/coroutines.hpp"
#include "common/measure.hpp"
#include "common/zipf.hpp"

#include <acache/acache.hpp>

#include <benchmark/benchmark.h>
#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>

namespace {

using benchmarks::awaitable;
using benchmarks::measure;
namespace asio = boost::asio;

constexpr std::uint64_t resident = 32'768;
constexpr std::size_t length = 1 << 18; ///< of the sequence of requests
constexpr std::size_t slice = 1 << 15;  ///< of it, in one pass

/// The requests of one thread.
std::span<const std::uint64_t> requests(int thread) {
    static const std::array<benchmarks::zipf_keys, 2> sequences{benchmarks::zipf_keys(resident, length, 1),
                                                                benchmarks::zipf_keys(resident, length, 2)};
    return sequences.at(static_cast<std::size_t>(thread)).requests();
}

std::uint64_t value_of(std::uint64_t key) {
    return key + 1;
}

/// Looks all requests up in one store that all threads share. A `Store` fills itself when it is made.
template <class Store>
void hit(benchmark::State& state) {
    static Store store;
    const auto keys = requests(state.thread_index());
    for (const std::uint64_t key : keys) {
        if (store.look_up(key) != value_of(key)) {
            state.SkipWithError("not a hit, or another key's value");
            return;
        }
    }
    std::size_t at = 0;
    measure(state, slice, [&] {
        for (const std::uint64_t key : keys.subspan(at, slice)) {
            benchmark::DoNotOptimize(store.look_up(key));
        }
        at = (at + slice) % keys.size();
    });
}

using found = std::optional<std::uint64_t>;

// The look-ups of all stores are inlined, or else it is chance which are: a call would double the floor.

template <class Value = std::uint64_t>
struct flat_map {
    flat_map() {
        for (std::uint64_t key = 0; key != resident; ++key) {
            map.emplace(key, Value(value_of(key)));
        }
    }
    [[gnu::always_inline]] found look_up(std::uint64_t key) {
        const auto at = map.find(key);
        return at == map.end() ? found() : found(at->second);
    }
    boost::unordered_flat_map<std::uint64_t, Value> map;
};

/// A value with the counter of uses that S3-FIFO and CLOCK keep; written only until it is full.
struct counted_value {
    explicit counted_value(std::uint64_t v) : value(v) {}
    counted_value(counted_value&& other) noexcept : value(other.value), uses(other.uses.load()) {}
    std::uint64_t value;
    std::atomic<std::uint8_t> uses = 0;
};

struct flat_map_and_counter : flat_map<counted_value> {
    [[gnu::always_inline]] found look_up(std::uint64_t key) {
        const auto at = map.find(key);
        if (at == map.end()) {
            return {};
        }
        const auto uses = at->second.uses.load(std::memory_order_relaxed);
        if (uses < 3) {
            at->second.uses.store(static_cast<std::uint8_t>(uses + 1), std::memory_order_relaxed);
        }
        return at->second.value;
    }
};

class spin_lock {
public:
    void lock() {
        while (locked_.exchange(true, std::memory_order_acquire)) {
            while (locked_.load(std::memory_order_relaxed)) {
            }
        }
    }
    void unlock() { locked_.store(false, std::memory_order_release); }

private:
    std::atomic<bool> locked_ = false;
};

template <class Mutex, std::size_t Shards>
struct sharded_map {
    struct alignas(64) shard {
        Mutex mutex;
        boost::unordered_flat_map<std::uint64_t, std::uint64_t> map;
    };
    sharded_map() {
        for (std::uint64_t key = 0; key != resident; ++key) {
            of(key).map.emplace(key, value_of(key));
        }
    }
    shard& of(std::uint64_t key) { return shards[(key * 0x9e3779b97f4a7c15) >> 58 & (Shards - 1)]; }
    [[gnu::always_inline]] found look_up(std::uint64_t key) {
        shard& s = of(key);
        const std::scoped_lock lock(s.mutex);
        const auto at = s.map.find(key);
        return at == s.map.end() ? found() : found(at->second);
    }
    std::array<shard, Shards> shards;
};

struct shared_mutex_map : flat_map<> {
    [[gnu::always_inline]] found look_up(std::uint64_t key) {
        const std::shared_lock lock(mutex);
        return flat_map::look_up(key);
    }
    std::shared_mutex mutex;
};

/// Values behind `shared_ptr`s, which a hit copies out.
struct shared_ptr_map {
    shared_ptr_map() {
        for (std::uint64_t key = 0; key != resident; ++key) {
            map.emplace(key, std::make_shared<std::uint64_t>(value_of(key)));
        }
    }
    [[gnu::always_inline]] found look_up(std::uint64_t key) {
        const auto at = map.find(key);
        const std::shared_ptr<std::uint64_t> copy = at == map.end() ? nullptr : at->second;
        return copy ? found(*copy) : found();
    }
    boost::unordered_flat_map<std::uint64_t, std::shared_ptr<std::uint64_t>> map;
};

struct shared_count_map : flat_map<> {
    [[gnu::always_inline]] found look_up(std::uint64_t key) {
        hits.fetch_add(1, std::memory_order_relaxed);
        return flat_map::look_up(key);
    }
    alignas(64) std::atomic<std::uint64_t> hits = 0;
};

struct steady_clock_map : flat_map<> {
    [[gnu::always_inline]] found look_up(std::uint64_t key) {
        benchmark::DoNotOptimize(std::chrono::steady_clock::now());
        return flat_map::look_up(key);
    }
};

struct coarse_clock_map : flat_map<> {
    [[gnu::always_inline]] found look_up(std::uint64_t key) {
        benchmark::DoNotOptimize(acache::coarse_clock::now());
        return flat_map::look_up(key);
    }
};

struct cache_without_ttl {
    explicit cache_without_ttl(acache::cache_options options = {.capacity = resident})
        : cache(context, options) {
        benchmarks::run(context, [this]() -> awaitable<void> {
            for (std::uint64_t key = 0; key != resident; ++key) {
                co_await cache.set(key, value_of(key));
            }
        });
    }
    [[gnu::always_inline]] found look_up(std::uint64_t key) { return cache.try_get(key); }
    asio::io_context context{1};
    acache::async_cache<std::uint64_t, std::uint64_t> cache;
};

struct cache_with_ttl : cache_without_ttl {
    cache_with_ttl() : cache_without_ttl({.capacity = resident, .ttl = std::chrono::hours(1)}) {}
};

/// Awaits `look_up(key)` for all requests, in one coroutine.
template <class LookUp>
void await_all(benchmark::State& state, asio::io_context& context, LookUp look_up) {
    const auto keys = requests(0);
    const auto pass = [&] {
        benchmarks::run(context, [&]() -> awaitable<void> {
            for (const std::uint64_t key : keys) {
                benchmark::DoNotOptimize(co_await look_up(key));
            }
        });
    };
    pass();
    measure(state, keys.size(), pass);
}

void floor_awaited_return(benchmark::State& state) {
    asio::io_context context(1);
    await_all(state, context, [](std::uint64_t key) -> awaitable<std::uint64_t> { co_return key; });
}

void floor_awaited_look_up(benchmark::State& state) {
    asio::io_context context(1);
    flat_map<> map;
    await_all(state, context,
              [&](std::uint64_t key) -> awaitable<std::uint64_t> { co_return *map.look_up(key); });
}

void awaited_hit(benchmark::State& state) {
    cache_without_ttl store;
    const auto load = [](std::uint64_t key) -> awaitable<std::uint64_t> { co_return value_of(key); };
    await_all(state, store.context, [&](std::uint64_t key) { return store.cache.get_or_load(key, load); });
    if (store.cache.metrics().loads != 0) {
        state.SkipWithError("not a hit");
    }
}

void floor_awaited_format_and_look_up(benchmark::State& state) {
    asio::io_context context(1);
    boost::unordered_flat_map<std::string, std::uint64_t, acache::hash<std::string>, std::equal_to<>> map;
    for (std::uint64_t key = 0; key != resident; ++key) {
        map.emplace("user:" + std::to_string(key), value_of(key));
    }
    const auto find = [&](std::uint64_t key) {
        std::array<char, 32> buffer{'u', 's', 'e', 'r', ':'};
        const char* const end = std::to_chars(buffer.data() + 5, buffer.data() + buffer.size(), key).ptr;
        return map.find(std::string_view(buffer.data(), end))->second;
    };
    await_all(state, context, [&](std::uint64_t key) -> awaitable<std::uint64_t> { co_return find(key); });
}

void cached_hit(benchmark::State& state) {
    asio::io_context context(1);
    acache::async_cache<std::string, std::uint64_t> cache{context, {.capacity = resident}};
    std::uint64_t loads = 0;
    const auto get = cache.cached("user:{}", [&loads](std::uint64_t key) -> awaitable<std::uint64_t> {
        ++loads;
        co_return value_of(key);
    });
    benchmarks::run(context, [&]() -> awaitable<void> {
        for (std::uint64_t key = 0; key != resident; ++key) {
            co_await get(key);
        }
    });
    await_all(state, context, [&](std::uint64_t key) { return get(key); });
    if (loads != resident) {
        state.SkipWithError("not a hit");
    }
}

struct cache_by_name {
    cache_by_name() {
        benchmarks::run(context, [this]() -> awaitable<void> {
            for (std::uint64_t key = 0; key != resident; ++key) {
                co_await get(key);
            }
        });
    }
    static awaitable<std::uint64_t> load(std::uint64_t key) { co_return value_of(key); }
    asio::io_context context{1};
    acache::async_cache<std::string, std::uint64_t> cache{context, {.capacity = resident}};
    decltype(cache.cached("user:{}", &load)) get = cache.cached("user:{}", &load);
};

/// One wrapped function that all threads call, each on a context of its own.
void cached_hit_by_all(benchmark::State& state) {
    static cache_by_name store;
    asio::io_context context(1);
    const auto keys = requests(state.thread_index());
    std::size_t at = 0;
    measure(state, slice, [&] {
        benchmarks::run(context, [&]() -> awaitable<void> {
            for (const std::uint64_t key : keys.subspan(at, slice)) {
                benchmark::DoNotOptimize(co_await store.get(key));
            }
        });
        at = (at + slice) % keys.size();
    });
}

/// For one thread and for two, under the name `name/threads:n`.
template <class Store>
void add(const char* name) {
    benchmark::RegisterBenchmark(name, hit<Store>)->Threads(1)->Threads(2);
}

} // namespace

int main(int argc, char** argv) {
    add<flat_map<>>("floor_flat_map");
    add<cache_without_ttl>("try_get");
    add<cache_with_ttl>("try_get_with_ttl");
    add<flat_map_and_counter>("floor_flat_map_and_counter");
    add<coarse_clock_map>("floor_flat_map_and_coarse_clock");
    add<steady_clock_map>("floor_flat_map_and_steady_clock");
    add<shared_count_map>("floor_flat_map_and_shared_count");
    add<sharded_map<spin_lock, 64>>("floor_64_spin_locks");
    add<sharded_map<std::mutex, 16>>("floor_16_mutexes");
    add<shared_mutex_map>("floor_shared_mutex");
    add<shared_ptr_map>("floor_shared_ptr");
    benchmark::RegisterBenchmark("floor_awaited_return", floor_awaited_return);
    benchmark::RegisterBenchmark("floor_awaited_look_up", floor_awaited_look_up);
    benchmark::RegisterBenchmark("awaited_hit", awaited_hit);
    benchmark::RegisterBenchmark("floor_awaited_format_and_look_up", floor_awaited_format_and_look_up);
    benchmark::RegisterBenchmark("cached_hit", cached_hit);
    benchmark::RegisterBenchmark("cached_hit_by_all", cached_hit_by_all)->Threads(1)->Threads(2);
    return benchmarks::main(argc, argv);
}
