// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#ifndef ACACHE_BENCHMARKS_COMMON_ZIPF_HPP
#define ACACHE_BENCHMARKS_COMMON_ZIPF_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <random>
#include <span>
#include <vector>

namespace benchmarks {

/// A sequence of requests for the keys 0 to `distinct` - 1, in which the key of rank i comes with a
/// probability in proportion to 1 / (i + 1)^0.99, as in YCSB; ranks are given to keys at random. The same for
/// the same arguments, on every machine up to the rounding of `pow`.
class zipf_keys {
public:
    zipf_keys(std::size_t distinct, std::size_t requests, std::uint64_t seed = 1) : by_rank_(distinct) {
        std::mt19937_64 ranks(42); // the same order of ranks for every seed
        std::iota(by_rank_.begin(), by_rank_.end(), std::uint64_t{0});
        for (std::size_t i = distinct; i > 1; --i) { // std::shuffle is not the same everywhere
            std::swap(by_rank_[i - 1], by_rank_[ranks() % i]);
        }

        std::vector<double> cumulated(distinct);
        double sum = 0;
        for (std::size_t i = 0; i != distinct; ++i) {
            cumulated[i] = sum += std::pow(static_cast<double>(i + 1), -0.99);
        }
        std::mt19937_64 random(seed);
        requests_.reserve(requests);
        for (std::size_t i = 0; i != requests; ++i) {
            const double point = static_cast<double>(random() >> 11) * 0x1p-53 * sum;
            const auto rank = std::upper_bound(cumulated.begin(), cumulated.end(), point) - cumulated.begin();
            requests_.push_back(by_rank_[std::min(static_cast<std::size_t>(rank), distinct - 1)]);
        }
    }

    [[nodiscard]] std::span<const std::uint64_t> requests() const { return requests_; }
    /// The keys, the most frequent first.
    [[nodiscard]] std::span<const std::uint64_t> by_rank() const { return by_rank_; }

private:
    std::vector<std::uint64_t> by_rank_;
    std::vector<std::uint64_t> requests_;
};

} // namespace benchmarks

#endif
