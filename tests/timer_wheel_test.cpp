// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "sanitized.hpp"

#include <acache/detail/timer_wheel.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <vector>

namespace {

using namespace std::chrono_literals;
using acache::entry_id;
using acache::time_point;
using acache::detail::timer_links;
using acache::detail::timer_wheel;

constexpr auto tick = timer_wheel::tick;

TEST_CASE("an entry comes up when it is due, and within a tick") {
    const time_point start{GENERATE(0ns, 1ns, 123456789ns, -5s, 100 * 24h * 365)};
    const auto length =
        GENERATE(1ns, 1ms, 9ms, 100ms, 540ms, 1s, 33s, 35s, 59s, 1h, 40h, 24h * 100, 24h * 365 * 10);
    CAPTURE(start.time_since_epoch().count(), length.count());
    std::vector<timer_links> links(1);
    timer_wheel wheel(start);
    wheel.insert(links, 0, start + length);
    CHECK(timer_wheel::holds(links[0]));
    int came = 0;
    const auto up = [&](entry_id) { ++came; };
    // On the way there in steps, some of which bring it down to a lower wheel.
    for (int part = 1; part != 10; ++part) {
        wheel.advance(links, start + length / 10 * part, [&](entry_id id) {
            CHECK_FALSE(timer_wheel::holds(links[id]));
            wheel.insert(links, id, start + length);
        });
    }
    wheel.advance(links, start + length - 1ns, [&](entry_id id) { wheel.insert(links, id, start + length); });
    CHECK_FALSE(wheel.empty());
    wheel.advance(links, start + length + tick, up);
    CHECK(came == 1);
    CHECK(wheel.empty());
    wheel.advance(links, start + length + 1000h, up);
    CHECK(came == 1);
}

TEST_CASE("an entry that is due already comes up at the next tick") {
    std::vector<timer_links> links(1);
    timer_wheel wheel(time_point{1h});
    wheel.insert(links, 0, time_point{1s});
    int came = 0;
    wheel.advance(links, time_point{1h}, [&](entry_id) { ++came; });
    CHECK(came == 0);
    wheel.advance(links, time_point{1h} + tick, [&](entry_id) { ++came; });
    CHECK(came == 1);
}

TEST_CASE("time may leap to its end, and go back") {
    std::vector<timer_links> links(3);
    timer_wheel wheel(time_point{1h});
    wheel.insert(links, 0, time_point::max() - tick);
    wheel.insert(links, 1, time_point{2h});
    std::vector<entry_id> came;
    wheel.advance(links, time_point{1s}, [&](entry_id id) { came.push_back(id); });
    CHECK(came.empty());
    wheel.advance(links, time_point::max(), [&](entry_id id) { came.push_back(id); });
    CHECK(came.size() == 2);
    CHECK(wheel.empty());
}

TEST_CASE("a wheel agrees with a sorted map over many operations") {
    constexpr std::size_t entries = 500;
    std::vector<timer_links> links(entries);
    std::map<entry_id, time_point> due;
    std::mt19937_64 random{11};
    const auto any_length = [&] {
        const auto bits = random() % 58;
        return std::chrono::nanoseconds{static_cast<std::int64_t>(random() % (std::uint64_t{1} << bits))};
    };
    time_point now{1h};
    timer_wheel wheel(now);
    for (int step = 0; step != unless_sanitized(1'000'000); ++step) {
        const auto id = static_cast<entry_id>(random() % entries);
        const auto choice = random() % 100;
        if (choice < 60 && !due.contains(id)) {
            due[id] = now + any_length();
            wheel.insert(links, id, due[id]);
        } else if (choice < 90 && due.contains(id)) {
            REQUIRE(timer_wheel::holds(links[id]));
            wheel.remove(links, id);
            due.erase(id);
        } else {
            now += choice == 99 && step % 50 == 0 ? any_length() : random() % 30 * 1ms;
            wheel.advance(links, now, [&](entry_id up) {
                REQUIRE(due.contains(up));
                if (due[up] <= now) {
                    due.erase(up);
                } else {
                    wheel.insert(links, up, due[up]);
                }
            });
            for (const auto& [left, at] : due) {
                REQUIRE(at + tick > now);
            }
            if (now > time_point{24h * 365 * 100}) { // before it leaves what a clock can say
                wheel.clear();
                due.clear();
                links.assign(entries, {});
                now = time_point{1h};
                wheel = timer_wheel(now);
            }
        }
        REQUIRE(wheel.empty() == due.empty());
    }
}

} // namespace
