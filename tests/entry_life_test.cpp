// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include <acache/detail/entry_life.hpp>
#include <acache/memory_backend.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <new>
#include <vector>

namespace {

std::size_t allocated = 0;

using namespace std::chrono_literals;
using acache::entry_details;
using acache::entry_stamps;
using acache::time_point;
using acache::detail::entry_life;
using acache::detail::packed_stamps;
using acache::detail::saturating_add;
using std::chrono::nanoseconds;

/// A life with its rest, and what it was made of.
class kept {
public:
    explicit kept(const entry_stamps& stamps, nanoseconds retention = 0ns,
                  acache::entry_details_ptr details = nullptr)
        : given_(stamps), details_(details.get()), retention_(retention) {
        const auto before = allocated;
        life_ = entry_life(stamps, std::move(details), retention, rest_);
        has_record_ = allocated != before;
    }
    kept(const kept&) = delete;
    ~kept() { life_.end(rest_); }

    [[nodiscard]] bool has_record() const { return has_record_; }
    [[nodiscard]] packed_stamps stamps(time_point idle_end = time_point::max()) const {
        return {life_, rest_, retention_, idle_end};
    }
    [[nodiscard]] bool fresh(time_point now) const {
        return stamps().fresh([now] { return now; });
    }

    /// All comes back, and freshness ends when it is to.
    [[nodiscard]] bool right() const {
        const auto all = stamps().all();
        const bool same = all.created == given_.created && all.fresh_until == given_.fresh_until &&
                          all.expires == given_.expires && stamps().details() == details_;
        return same && right_at_its_end();
    }

private:
    [[nodiscard]] bool right_at_its_end() const {
        const auto end = given_.fresh_until;
        for (const nanoseconds before : {1ns, nanoseconds(1ms), nanoseconds(255ms), nanoseconds(256ms),
                                         nanoseconds(257ms), nanoseconds(1h), nanoseconds(24h * 365 * 200)}) {
            if (end >= time_point::min() + before && !fresh(end - before)) {
                return false;
            }
            if (end != time_point::max() && fresh(saturating_add(end, before - 1ns))) {
                return false;
            }
        }
        return end == time_point::max() || !fresh(end);
    }

    entry_stamps given_;
    const entry_details* details_;
    nanoseconds retention_;
    entry_life::rest rest_ = 0;
    entry_life life_;
    bool has_record_ = false;
};

entry_stamps living(time_point created, nanoseconds length, nanoseconds retention = 0ns) {
    const auto end = saturating_add(created, length);
    return {created, end, saturating_add(end, retention)};
}

} // namespace

// Side records are told by what is allocated. Out of line, lest g++ take a new and a free that meet for a
// mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
    ++allocated;
    if (void* made = std::malloc(size)) {
        return made;
    }
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* gone) noexcept {
    std::free(gone);
}
[[gnu::noinline]] void operator delete(void* gone, std::size_t) noexcept {
    std::free(gone);
}

namespace {

TEST_CASE("plain entries of whole milliseconds need no record, and are exact") {
    const nanoseconds retention = 5min;
    // Each end of each unit, and of the 256 ms in which freshness ends.
    std::vector<nanoseconds> lengths{0ms, 1ms, 255ms, 256ms, 257ms, 4'194'303ms};
    for (const auto whole : {1, 4'195, 4'194'303}) {
        lengths.push_back(std::chrono::seconds(whole));
    }
    for (const auto whole : {1, 69'906, 4'194'303}) {
        lengths.push_back(std::chrono::minutes(whole));
    }
    for (const auto length : lengths) {
        for (const nanoseconds offset : {0ms, 1ms, 128ms, 255ms, 256ms, 300ms, 1'000'000'007ms}) {
            CAPTURE(length.count(), offset.count());
            const kept plain(living(time_point{offset}, length, retention), retention);
            CHECK_FALSE(plain.has_record());
            CHECK(plain.right());
        }
    }
}

TEST_CASE("lengths that are in no unit, and instants of no whole millisecond, need a record") {
    for (const nanoseconds length : {4'194'304ms, 4'194'303'001ms, 4'194'304'000ms}) {
        CAPTURE(length.count());
        const kept odd(living(time_point{1s}, length));
        CHECK(odd.has_record());
        CHECK(odd.right());
    }
    for (const nanoseconds length : {nanoseconds(1ns), nanoseconds(1ms + 1ns), nanoseconds(4'194'304min),
                                     nanoseconds(1h + 1ns), nanoseconds(24h * 365 * 100)}) {
        CAPTURE(length.count());
        const kept odd(living(time_point{1s}, length));
        CHECK(odd.has_record());
        CHECK(odd.right());
        const kept both(living(time_point{1s + 1ns}, length));
        CHECK(both.has_record());
        CHECK(both.right());
    }
}

TEST_CASE("freshness may end 34 years from the beginning of the clock, later with a record") {
    // The first instant that has the upper bits of those kept for other ends.
    const time_point bound{256ms * std::int64_t{0xfe000000}};
    for (const nanoseconds length : {1ms, 1'000ms, 4'194'303ms}) {
        const kept last(living(bound - 1ms - length, length));
        CHECK_FALSE(last.has_record());
        CHECK(last.right());
        const kept first(living(bound - length, length));
        CHECK(first.has_record());
        CHECK(first.right());
        const kept far(living(time_point::max() - 2h, length));
        CHECK(far.has_record());
        CHECK(far.right());
    }
    const kept before(living(time_point{-5s}, 10s));
    CHECK_FALSE(before.has_record());
    CHECK(before.right());
    const kept over(living(time_point{-15s}, 10s));
    CHECK(over.has_record());
    CHECK(over.right());
    const kept first(living(time_point::min(), 0s));
    CHECK(first.has_record());
    CHECK(first.stamps().created() == time_point::min());
    CHECK_FALSE(first.fresh(time_point::min()));
}

TEST_CASE("what is fresh for ever needs no record where it was created at a whole millisecond") {
    const auto last = std::chrono::floor<std::chrono::milliseconds>(time_point::max());
    for (const time_point created : {time_point{}, time_point{1h}, time_point{12'345ms}, time_point{last}}) {
        const kept plain({.created = created});
        CHECK_FALSE(plain.has_record());
        CHECK(plain.right());
        CHECK(plain.stamps().fresh([]() -> time_point { throw "not to be called"; }));
    }
    for (const time_point created :
         {time_point{1ns}, time_point{-1ms}, time_point::max(), time_point::min()}) {
        const kept odd({.created = created});
        CHECK(odd.has_record());
        CHECK(odd.right());
    }
}

TEST_CASE("what expires otherwise than its store's entries do needs a record") {
    const time_point now{1h};
    const auto retention = nanoseconds(10s);
    for (const auto& stamps :
         {entry_stamps{now, now + 5s, now + 5s}, entry_stamps{now, now + 5s, now + 16s},
          entry_stamps{now, now + 5s, time_point::max()}, entry_stamps{now, now, now + 20s}}) {
        const kept odd(stamps, retention);
        CHECK(odd.has_record());
        CHECK(odd.right());
    }
    const kept usual({now, now + 5s, now + 15s}, retention);
    CHECK_FALSE(usual.has_record());
    CHECK(usual.right());
    const kept lasting({.created = now}, retention);
    CHECK_FALSE(lasting.has_record());
    CHECK(lasting.right());
}

TEST_CASE("details are kept as long as the entry is") {
    const acache::entry_details_ptr details(new entry_details);
    for (const auto& stamps : {living(time_point{1h}, 5s), entry_stamps{.created = time_point{1h}}}) {
        {
            const kept with(stamps, 0ns, details);
            CHECK(with.has_record());
            CHECK(with.right());
            CHECK(details->use_count() == 2);
        }
        CHECK(details->use_count() == 1);
    }
}

TEST_CASE("a time to idle bounds all that an entry has") {
    const time_point now{1h};
    const kept plain(living(now, 10s, 5s), 5s);
    const auto at = [](time_point t) { return [t] { return t; }; };
    CHECK(plain.stamps(now + 7s).all().fresh_until == now + 7s);
    CHECK(plain.stamps(now + 7s).all().expires == now + 7s);
    CHECK(plain.stamps(now + 7s).fresh(at(now + 7s - 1ns)));
    CHECK_FALSE(plain.stamps(now + 7s).fresh(at(now + 7s)));
    CHECK(plain.stamps(now + 12s).all().fresh_until == now + 10s);
    CHECK(plain.stamps(now + 12s).all().expires == now + 12s);
    CHECK_FALSE(plain.stamps(now + 12s).fresh(at(now + 10s)));
    const kept lasting({.created = now});
    CHECK(lasting.stamps(now + 7s).fresh(at(now + 7s - 1ns)));
    CHECK_FALSE(lasting.stamps(now + 7s).fresh(at(now + 7s)));
}

} // namespace
