// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_BENCHMARKS_COMMON_MEASURE_HPP
#define ACACHE_BENCHMARKS_COMMON_MEASURE_HPP

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

namespace benchmarks {

/// Time of one thread alone is its CPU time, which other programs on the machine disturb least; of several it
/// is that of the clock on the wall, since waiting for each other is part of what they cost.
class stopwatch {
public:
    explicit stopwatch(bool alone) : alone_(alone), start_(now()) {}
    [[nodiscard]] double nanoseconds() const { return now() - start_; }

private:
    [[nodiscard]] double now() const {
#ifdef CLOCK_THREAD_CPUTIME_ID
        if (alone_) {
            std::timespec time{};
            ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
            return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
        }
#endif
        return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch())
            .count();
    }

    bool alone_;
    double start_;
};

/// Runs `pass`, which handles `items` items, as often as the benchmark wants, and sets the counter "ns":
/// nanoseconds an item and thread.
template <class Pass>
void measure(benchmark::State& state, std::size_t items, Pass pass) {
    std::optional<stopwatch> watch; // started by the first turn, before which all threads wait for each other
    double elapsed = 0;
    while (state.KeepRunningBatch(static_cast<std::int64_t>(items))) {
        if (!watch) {
            watch.emplace(state.threads() == 1);
        }
        pass();
        elapsed = watch->nanoseconds();
    }
    state.counters["ns"] = benchmark::Counter(elapsed / static_cast<double>(state.iterations()),
                                              benchmark::Counter::kAvgThreads);
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
