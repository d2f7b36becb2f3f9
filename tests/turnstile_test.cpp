// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "bounded_set.hpp"

#include <acache/lru.hpp>
#include <acache/turnstile.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

namespace {

using acache_test::bounded_set;

/// The same accesses to both, and the misses of each since the last question.
class race {
public:
    explicit race(std::size_t capacity) : ours_(capacity), lru_(capacity) {}

    void access(int key) {
        ours_.access(key);
        lru_.access(key);
    }

    struct misses {
        int ours;
        int lru;
    };
    misses take_misses() {
        const misses now{ours_.misses() - before_.ours, lru_.misses() - before_.lru};
        before_ = {ours_.misses(), lru_.misses()};
        return now;
    }

    bool contains(int key) const { return ours_.contains(key); }

private:
    bounded_set<acache::turnstile> ours_;
    bounded_set<acache::lru> lru_;
    misses before_{0, 0};
};

/// Draws 0 to n - 1, n with a weight of (n + 1)^-skew.
class zipf {
public:
    zipf(int count, double skew) {
        double sum = 0;
        for (int n = 1; n <= count; ++n) {
            sums_.push_back(sum += std::pow(n, -skew));
        }
    }

    int operator()(std::mt19937_64& random) const {
        const double at = static_cast<double>(random() >> 11) * 0x1p-53 * sums_.back();
        return static_cast<int>(std::upper_bound(sums_.begin(), sums_.end(), at) - sums_.begin());
    }

private:
    std::vector<double> sums_;
};

/// Keys from a window that moves on: the newest are the likeliest.
int recent(int now, std::mt19937_64& random, double reach) {
    const double draw = static_cast<double>((random() >> 11) + 1) * 0x1p-53;
    return 1'000'000 + now - static_cast<int>(-std::log(draw) * reach);
}

TEST_CASE("a scan drives out nothing that is read again and again") {
    // Which keys a ghost's tag mistakes for others is luck, so there are some scans.
    constexpr int scans = 20;
    int kept = 0;
    for (int scan = 1; scan <= scans; ++scan) {
        race race{100};
        for (int round = 0; round != 20; ++round) {
            for (int key = 0; key != 50; ++key) {
                race.access(key);
            }
        }
        for (int key = 0; key != 10'000; ++key) {
            race.access(scan * 100'000 + key);
        }
        for (int key = 0; key != 50; ++key) {
            kept += race.contains(key) ? 1 : 0;
        }
    }
    CHECK(kept > scans * 50 * .85);
}

TEST_CASE("most of a loop stays, however long it is") {
    const std::size_t capacity = GENERATE(10u, 100u, 1000u);
    const double length = GENERATE(1.1, 1.5, 3., 10.);
    CAPTURE(capacity, length);
    race race{capacity};
    const int keys = static_cast<int>(static_cast<double>(capacity) * length);
    for (int round = 0; round != 50; ++round) {
        for (int key = 0; key != keys; ++key) {
            race.access(key);
        }
    }
    const auto [ours, lru] = race.take_misses();
    CHECK(lru == 50 * keys);
    // The optimum keeps all but one in place.
    const double best_hits = 50. * static_cast<double>(capacity - 1);
    CHECK(lru - ours > best_hits * (capacity < 1000 ? .7 : .85));
}

TEST_CASE("where recency is all, it is about as good as lru") {
    const std::size_t capacity = GENERATE(100u, 1000u, 5000u);
    const double reach = GENERATE(.2, .5, 1.);
    CAPTURE(capacity, reach);
    race race{capacity};
    std::mt19937_64 random{5};
    int now = 0;
    for (int step = 0; step != 400'000; ++step) {
        if (step == 200'000) {
            race.take_misses(); // it learns at first
        }
        now += step % 5 == 0 ? 1 : 0;
        race.access(recent(now, random, reach * static_cast<double>(capacity)));
    }
    const auto [ours, lru] = race.take_misses();
    CHECK(ours < lru * 1.05);
}

TEST_CASE("where frequency is all, it is far better than lru") {
    const std::size_t capacity = GENERATE(20u, 100u, 1000u);
    const double skew = GENERATE(.7, .99);
    CAPTURE(capacity, skew);
    race race{capacity};
    std::mt19937_64 random{6};
    const zipf keys{static_cast<int>(capacity) * 20, skew};
    for (int step = 0; step != 200'000; ++step) {
        race.access(keys(random));
    }
    const auto [ours, lru] = race.take_misses();
    CHECK(ours < lru * .95);
}

TEST_CASE("it follows a workload that changes its kind") {
    race race{500};
    std::mt19937_64 random{7};
    const zipf keys{10'000, .9};
    int now = 0;
    for (int phase = 0; phase != 9; ++phase) {
        CAPTURE(phase);
        for (int step = 0; step != 100'000; ++step) {
            if (step == 50'000) {
                race.take_misses();
            }
            switch (phase % 3) {
            case 0:
                race.access(step % 700);
                break;
            case 1:
                race.access(recent(now += step % 5 == 0 ? 1 : 0, random, 250));
                break;
            default:
                race.access(10'000'000 + (phase * 100'000) + keys(random));
            }
        }
        const auto [ours, lru] = race.take_misses();
        switch (phase % 3) {
        case 0:
            CHECK(ours < lru * .45);
            break;
        case 1:
            CHECK(ours < lru * 1.05);
            break;
        default:
            CHECK(ours < lru * .93);
        }
    }
}

} // namespace
