// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// A hit in TBB's concurrent_lru_cache: the loop of hit_benchmark.cpp.

#include "common/measure.hpp"
#include "common/zipf.hpp"

#define TBB_PREVIEW_CONCURRENT_LRU_CACHE 1
#include <tbb/concurrent_lru_cache.h>

#include <benchmark/benchmark.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace {

constexpr std::uint64_t resident = 32'768;
constexpr std::size_t slice = 1 << 12; ///< of the requests, in one pass

std::uint64_t load(std::uint64_t key) {
    return key + 1;
}

void hit(benchmark::State& state) {
    static tbb::concurrent_lru_cache<std::uint64_t, std::uint64_t> cache(load, resident);
    static const std::array<benchmarks::zipf_keys, 2> sequences{benchmarks::zipf_keys(resident, 1 << 18, 1),
                                                                benchmarks::zipf_keys(resident, 1 << 18, 2)};
    const auto keys = sequences.at(static_cast<std::size_t>(state.thread_index())).requests();
    for (const std::uint64_t key : keys) {
        benchmark::DoNotOptimize(cache[key].value());
    }
    std::size_t at = 0;
    benchmarks::measure(state, slice, [&] {
        for (const std::uint64_t key : keys.subspan(at, slice)) {
            benchmark::DoNotOptimize(cache[key].value());
        }
        at = (at + slice) % keys.size();
    });
}

} // namespace

int main(int argc, char** argv) {
    benchmark::RegisterBenchmark("tbb", hit)->Threads(1)->Threads(2);
    return benchmarks::main(argc, argv);
}
