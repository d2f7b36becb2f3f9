// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_BENCHMARKS_COMMON_GAPS_HPP
#define ACACHE_BENCHMARKS_COMMON_GAPS_HPP

#include "csv.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace benchmarks {

/// How much of the gap between LRU and Belady's optimum policies close, over the cells (a trace and a cache
/// size) of caches of some size and more, where that gap is .001 or more.
struct gap_summary {
    double sum = 0;
    double worst = 0;
    std::size_t cells = 0;

    void add(double gap) {
        worst = cells == 0 ? gap : std::min(worst, gap);
        sum += gap;
        ++cells;
    }
    [[nodiscard]] double mean() const { return sum / static_cast<double>(cells); }
};

using gap_summaries = std::map<std::string, gap_summary, std::less<>>;

/// The name under which `published_gaps` tells what the best policy of each cell closes.
inline constexpr std::string_view best_of_all = "best of all";

/// Of the policies whose miss ratios are columns of `file`.
inline gap_summaries published_gaps(const csv& file, double least_entries) {
    constexpr std::array<std::string_view, 6> no_policy{"trace",      "requests", "unique",
                                                        "cache_size", "pct",      "Belady"};
    gap_summaries result;
    for (std::size_t row = 0; row != file.rows(); ++row) {
        const double lru = file.number(row, "LRU");
        const double gap = lru - file.number(row, "Belady");
        if (file.number(row, "cache_size") < least_entries || gap < 0.001 - 1e-9) {
            continue;
        }
        double best = 0; // LRU's
        for (const std::string& column : file.columns()) {
            if (std::find(no_policy.begin(), no_policy.end(), column) == no_policy.end()) {
                const double closed = (lru - file.number(row, column)) / gap;
                result[column].add(closed);
                best = std::max(best, closed);
            }
        }
        result[std::string(best_of_all)].add(best);
    }
    return result;
}

/// Of the policies that `hit_ratio --csv` wrote a row for each cell of, with columns `policy`, `cache_size`
/// and `gap_closed`. Cells without a gap worth the name have an empty one.
inline gap_summaries measured_gaps(const csv& file, double least_entries) {
    gap_summaries result;
    for (std::size_t row = 0; row != file.rows(); ++row) {
        if (!file.text(row, "gap_closed").empty() && file.number(row, "cache_size") >= least_entries) {
            result[file.text(row, "policy")].add(file.number(row, "gap_closed"));
        }
    }
    return result;
}

} // namespace benchmarks

#endif
