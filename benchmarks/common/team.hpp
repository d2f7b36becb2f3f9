// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_BENCHMARKS_COMMON_TEAM_HPP
#define ACACHE_BENCHMARKS_COMMON_TEAM_HPP

#include "median.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <limits>
#include <thread>
#include <utility>
#include <vector>

#if __has_include(<sys/resource.h>)
#include <sys/resource.h>
#endif

namespace benchmarks {

inline double wall_time() {
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

/// Threads that do passes of some work at the same time.
class team {
public:
    static constexpr std::size_t most_threads = 8;

    void clear(std::size_t self) { passes_[self].clear(); }

    /// Returns, to all threads at nearly the same time, when the last of them has called.
    void wait_for_all(unsigned threads) {
        const unsigned round = round_.load();
        if (arrived_.fetch_add(1) + 1 == threads) {
            arrived_ = 0;
            round_ = round + 1;
            return;
        }
        for (unsigned turns = 0; round_.load(std::memory_order_acquire) == round; ++turns) {
            if (turns > 10'000) {
                std::this_thread::yield();
            }
        }
    }

    template <class Pass>
    void time(std::size_t self, Pass& pass) {
        const long before = times_put_aside();
        const double start = wall_time();
        pass();
        const double end = wall_time();
        passes_[self].push_back({start, end, times_put_aside() != before});
    }

    struct summary {
        double median; ///< nanoseconds of a pass, the mean of the threads', in those that nothing disturbed
        double undisturbed; ///< the share of those
    };
    /// Of all passes, if too few of them were undisturbed.
    [[nodiscard]] summary summarize(std::size_t threads) const {
        constexpr std::size_t enough = 5;
        std::vector<double> all;
        std::vector<double> undisturbed;
        for (std::size_t i = 0; i != passes_[0].size(); ++i) {
            double sum = 0;
            double first = std::numeric_limits<double>::max();
            double last = 0;
            bool put_aside = false;
            for (std::size_t t = 0; t != threads; ++t) {
                const one_pass& p = passes_[t][i];
                sum += p.end - p.start;
                first = std::min(first, p.start);
                last = std::max(last, p.start);
                put_aside |= p.put_aside;
            }
            all.push_back(sum / static_cast<double>(threads));
            if (!put_aside && last - first < all.back() / 20) {
                undisturbed.push_back(all.back());
            }
        }
        const double share = static_cast<double>(undisturbed.size()) / static_cast<double>(all.size());
        return {median(std::move(undisturbed.size() < enough ? all : undisturbed)), share};
    }

private:
    struct one_pass {
        double start;
        double end;
        bool put_aside;
    };

    /// How often the system took the processor from this thread. One that waits for a lock gives it up
    /// itself.
    static long times_put_aside() {
#ifdef RUSAGE_THREAD
        rusage usage{};
        getrusage(RUSAGE_THREAD, &usage);
        return usage.ru_nivcsw;
#else
        return 0;
#endif
    }

    std::array<std::vector<one_pass>, most_threads> passes_;
    alignas(64) std::atomic<unsigned> arrived_ = 0;
    alignas(64) std::atomic<unsigned> round_ = 0;
};

} // namespace benchmarks

#endif
