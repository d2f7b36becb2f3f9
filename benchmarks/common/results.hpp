// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_BENCHMARKS_COMMON_RESULTS_HPP
#define ACACHE_BENCHMARKS_COMMON_RESULTS_HPP

#include "csv.hpp"
#include "median.hpp"

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace benchmarks {

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
        for (const auto& round : values_) {
            const auto& figures = round.second;
            all.push_back(f([&figures](std::string_view name) {
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
