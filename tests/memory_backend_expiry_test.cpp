// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/lru.hpp>
#include <acache/memory_backend.hpp>
#include <acache/s3_fifo.hpp>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>

namespace {

using namespace std::chrono_literals;
using acache::entry;
using acache::memory_options;
using acache::time_point;

struct test_clock {
    static time_point now() noexcept {
        ++reads;
        return current;
    }
    static inline time_point current{1h};
    static inline int reads = 0;
};

template <class Policy = acache::s3_fifo>
using backend = acache::memory_backend<int, int, acache::hash<int>, std::equal_to<>, Policy, test_clock>;

entry<int> living(int value, std::chrono::nanoseconds ttl) {
    return entry<int>{value, test_clock::current, test_clock::current + ttl};
}
entry<int> lasting(int value) {
    return entry<int>{value, test_clock::current};
}

TEST_CASE("what has expired goes without being asked for") {
    const auto ttl =
        GENERATE(values<std::chrono::nanoseconds>({1ms, 20ms, 1s, 90s, 1h, 24h * 30, 24h * 3650}));
    CAPTURE(ttl.count());
    backend<> store{memory_options{.capacity = 1000, .shards = 8}};
    for (int n = 0; n != 100; ++n) {
        store.set(n, living(n, ttl));
        store.set(1000 + n, lasting(n));
    }
    test_clock::current += ttl - 1ns;
    CHECK(store.metrics().size == 200);
    test_clock::current += 10ms;
    const auto m = store.metrics();
    CHECK(m.size == 100);
    CHECK(m.removals.expired == 100);
    CHECK(store.size() == 100);
}

TEST_CASE("writes remove what has expired, from their shard at least") {
    backend<> store{memory_options{.capacity = 1000, .shards = 1}};
    for (int n = 0; n != 100; ++n) {
        store.set(n, living(n, 1s));
    }
    test_clock::current += 2s;
    CHECK(store.size() == 100);
    store.set(1000, lasting(1));
    CHECK(store.size() == 1);
    store.set(1, living(1, 1s));
    test_clock::current += 2s;
    store.erase(5);
    CHECK(store.size() == 1);
}

TEMPLATE_TEST_CASE("no living entry is evicted while expired ones are held, in whatever shard", "",
                   acache::s3_fifo, acache::lru) {
    for (int fresh = 1000; fresh != 1020; ++fresh) {
        backend<TestType> store{memory_options{.capacity = 1000, .shards = 16}};
        store.set(0, living(0, 1s));
        for (int n = 1; n != 1000; ++n) {
            store.set(n, lasting(n));
        }
        test_clock::current += 1s + 10ms;
        CHECK_FALSE(store.set(fresh, lasting(1)));
        CHECK(store.set(2000, lasting(1)));
        const auto removals = store.metrics().removals;
        CHECK(removals.expired == 1);
        CHECK(removals.capacity == 1);
    }
}

TEST_CASE("stamps come back as they were given, however odd") {
    backend<> store{10};
    const auto check = [&](time_point created, time_point expires) {
        CAPTURE(created.time_since_epoch().count(), expires.time_since_epoch().count());
        store.set(1, entry<int>{1, created, expires});
        const auto found = store.get(1);
        REQUIRE(found);
        CHECK(found->created == created);
        CHECK(found->expires == expires);
    };
    const time_point now = test_clock::current;
    for (const auto created :
         {now, now - 1h, now + 1ns, time_point::min(), time_point{}, time_point::max()}) {
        for (const std::chrono::nanoseconds life :
             std::initializer_list<std::chrono::nanoseconds>{0ns,
                                                             1ms,
                                                             4'194'303ms,
                                                             4'194'304ms,
                                                             4'194'304s,
                                                             4'194'303s,
                                                             4'194'303min,
                                                             4'194'304min,
                                                             1ns,
                                                             999'999'999ns,
                                                             1'073'741'816ns,
                                                             1'073'741'817ns,
                                                             1s,
                                                             90s,
                                                             1h + 1ns,
                                                             24h * 30 + 1ms,
                                                             24h * 30 + 1us,
                                                             24h * 365 * 100 + 1ns,
                                                             24h * 365 * 30,
                                                             1'073'741'815s,
                                                             1'073'741'816s,
                                                             1'073'741'817s}) {
            check(created, acache::detail::saturating_add(created, life));
        }
        check(created, time_point::max());
        check(created, time_point::max() - 1ns);
        check(created, time_point::min());
        check(created, now + 10s);
    }
}

TEST_CASE("the clock is not read where nothing expires") {
    backend<> store{100};
    test_clock::reads = 0;
    for (int n = 0; n != 200; ++n) {
        store.set(n, lasting(n));
        (void)store.get(n);
        store.erase(n - 50);
    }
    CHECK(test_clock::reads == 0);
    store.set(1, living(1, 1s));
    test_clock::reads = 0;
    (void)store.get(1);
    CHECK(test_clock::reads == 0); // the cache judges
}

TEST_CASE("an entry that nobody uses expires after its time to idle") {
    backend<> store{memory_options{.time_to_idle = 10s}};
    store.set(1, lasting(1));
    store.set(2, living(2, 12s));
    store.set(3, living(3, 5s));
    const auto expires_in = [&](int key) { return store.get(key)->expires - test_clock::current; };
    CHECK(expires_in(1) == 10s);
    CHECK(expires_in(2) == 10s);
    CHECK(expires_in(3) == 5s);
    test_clock::current += 9s;
    CHECK(expires_in(1) == 1s); // as it was when it was asked for, which is a use
    CHECK(expires_in(1) == 10s);
    CHECK(expires_in(2) == 1s);
    CHECK(expires_in(2) == 3s);
    CHECK(expires_in(3) == -4s);
    CHECK(expires_in(3) == -4s); // no use brings it back
    test_clock::current += 9s;
    auto m = store.metrics();
    CHECK(m.size == 1);
    CHECK(m.removals.expired == 2);
    CHECK(expires_in(1) == 1s);
    test_clock::current += 10s + 10ms;
    m = store.metrics();
    CHECK(m.size == 0);
    CHECK(m.removals.expired == 3);
}

TEST_CASE("an entry past its time to idle is dead, though it is still held") {
    backend<> store{memory_options{.time_to_idle = 1s}};
    store.set(1, lasting(1));
    test_clock::current += 1s;
    CHECK(store.get(1)->expired(test_clock::current));
    CHECK(store.get(1)->expired(test_clock::current));
    CHECK_FALSE(store.erase(1));
    CHECK(store.metrics().removals.expired == 1);
}

TEST_CASE("a write is a use") {
    backend<> store{memory_options{.time_to_idle = 10s}};
    store.set(1, lasting(1));
    test_clock::current += 9s;
    store.set(1, lasting(2));
    test_clock::current += 9s;
    CHECK_FALSE(store.get(1)->expired(test_clock::current));
}

TEST_CASE("a time to idle that is not positive is refused, with a word on what to do") {
    const auto idle = GENERATE(values<std::chrono::nanoseconds>({0ns, -1s}));
    CHECK_THROWS_AS(backend<>(memory_options{.time_to_idle = idle}), std::invalid_argument);
    try {
        backend<> store(memory_options{.time_to_idle = idle});
    } catch (const std::invalid_argument& error) {
        CHECK(std::string(error.what()).find("time_to_idle") != std::string::npos);
        CHECK(std::string(error.what()).find("leave it out") != std::string::npos);
    }
}

} // namespace
