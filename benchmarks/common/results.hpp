// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_BENCHMARKS_COMMON_RESULTS_HPP
#define ACACHE_BENCHMARKS_COMMON_RESULTS_HPP

#include "csv.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace benchmarks {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

/// The median of those values that are known; `unknown` without any.
inline double median(std::vector<double> values) {
    std::erase_if(values, [](double value) { return std::isnan(value); });
    if (values.empty()) {
        return unknown;
    }
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.size() % 2 != 0 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

/// What `benchmarks/run` measured: a value for each round and figure. Those of one round were measured close
/// together, so that what disturbs one disturbs the other.
class results {
public:
    explicit results(const std::string& path) {
        const csv file(path);
        for (std::size_t row = 0; row != file.rows(); ++row) {
            values_[file.text(row, "round")][file.text(row, "figure")] = file.number(row, "value");
        }
    }

    /// The median, over all rounds, of `f`, which is given a function from names of figures to their values
    /// in a round (`unknown` where they were not measured).
    template <class F>
    [[nodiscard]] double over_rounds(F f) const {
        std::vector<double> all;
        for (const auto& [round, figures] : values_) {
            all.push_back(f([&figures = figures](std::string_view name) {
                const auto at = figures.find(name);
                return at == figures.end() ? unknown : at->second;
            }));
        }
        return median(std::move(all));
    }

    [[nodiscard]] double operator[](std::string_view name) const {
        return over_rounds([&](auto value) { return value(name); });
    }

private:
    std::map<std::string, std::map<std::string, double, std::less<>>> values_;
};

} // namespace benchmarks

#endif
