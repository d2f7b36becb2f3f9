// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_BENCHMARKS_COMMON_MEASURE_HPP
#define ACACHE_BENCHMARKS_COMMON_MEASURE_HPP

#include "median.hpp"
#include "team.hpp"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace benchmarks {

/// The processor time of this thread in nanoseconds, which other programs on the machine disturb least.
inline double thread_time() {
#ifdef CLOCK_THREAD_CPUTIME_ID
    std::timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
#else
    return wall_time();
#endif
}

/// Runs `pass`, which handles `items` items, as often as the benchmark wants, and sets the counter "ns":
/// nanoseconds an item and thread, in the median of the passes.
///
/// One thread is timed by its processor time. Several are timed by the clock on the wall, since to wait for
/// each other is part of what they cost; and of passes that they began together and in which none of them was
/// put aside for another program. A short pass has a chance of that even on a machine with other work to do.
template <class Pass>
void measure(benchmark::State& state, std::size_t items, Pass pass) {
    const auto count = static_cast<std::int64_t>(items);
    if (state.threads() == 1) {
        std::vector<double> times;
        while (state.KeepRunningBatch(count)) {
            const double start = thread_time();
            pass();
            times.push_back(thread_time() - start);
        }
        state.counters["ns"] = median(std::move(times)) / static_cast<double>(items);
        return;
    }
    static team together; // one benchmark runs at a time
    const auto self = static_cast<std::size_t>(state.thread_index());
    together.clear(self);
    while (state.KeepRunningBatch(count)) {
        together.wait_for_all(static_cast<unsigned>(state.threads()));
        together.time(self, pass);
    }
    if (self == 0) { // by now all have ended
        const auto summary = together.summarize(static_cast<std::size_t>(state.threads()));
        state.counters["ns"] = summary.median / static_cast<double>(items);
        state.counters["undisturbed"] = summary.undisturbed;
    }
}

/// Prints counters alone, as lines `name,value`: what `benchmarks/run` reads.
class line_reporter : public benchmark::BenchmarkReporter {
public:
    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            for (const auto& [counter, value] : run.counters) {
                const std::string suffix = counter == "ns" ? "" : "." + counter;
                std::printf("%s%s,%.4f\n", run.benchmark_name().c_str(), suffix.c_str(), value.value);
            }
        }
    }
};

/// Keeps glibc's malloc from adding noise of its own, to figures and floors alike. A burst of frames comes
/// and goes with every pass: by default their pages go back to the system each time, which a service under
/// load does not see. And small chunks stay where they are when they are freed, so that it is chance whether
/// the frames between them become one piece again: 100,000 coroutines took 300 ns each in one pass and 2000
/// in the next.
inline void calm_malloc() {
#ifdef __GLIBC__
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_MXFAST, 0);
#endif
}

/// `main` of a program of benchmarks. With `--lines` as its first argument it prints only what
/// `line_reporter` does.
inline int main(int argc, char** argv) {
    calm_malloc();
    const bool lines = argc > 1 && std::strcmp(argv[1], "--lines") == 0;
    if (lines) {
        argv[1] = argv[0];
        ++argv;
        --argc;
    }
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
        return 1;
    }
    line_reporter reporter;
    benchmark::RunSpecifiedBenchmarks(lines ? &reporter : nullptr);
    return 0;
}

} // namespace benchmarks

#endif
