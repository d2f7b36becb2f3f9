// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.
#include "shared_setup.hpp"

#include <boost/asio/error.hpp>

#include <catch2/generators/catch_generators.hpp>

#include <stdexcept>
#include <string>
#include <vector>

// Single loads of two caches on one store: leases, and what others write meanwhile.

namespace {

using namespace setup;
using enum acache::lookup_source;

static_assert(acache::leasing_backend<store_client<std::string, int>, std::string, int>);
static_assert(acache::multi_set_backend<store_client<std::string, int>, std::string, int>);
static_assert(acache::notifying_backend<store_client<std::string, int>, std::string>);
static_assert(acache::tagging_backend<store_client<std::string, int>>);

acache::entry<int> made_now(int value) {
    return acache::entry<int>(value, manual_clock::now());
}

TEST_CASE("C01 C28 a cold key with many callers in both processes is loaded once") {
    cluster c;
    c.first.src.hold();
    std::vector<caller<int>> all;
    for (int i = 0; i != 5; ++i) {
        all.push_back(c.call(c.first.load("a")));
        all.push_back(c.call(c.second.load("a")));
    }
    CHECK(c.second.store.waiters() == 1);
    CHECK(c.first.src.starts() == 1);
    CHECK(c.server->leased("a"));
    c.first.src.release_all();
    c.settle();
    for (const auto& one : all) {
        CHECK(one.value() == 101);
    }
    CHECK(c.second.src.starts() == 0);
    CHECK(c.stored("a") == 101);
    CHECK(c.first.script.calls(op::get) == 1);
    CHECK(c.second.script.calls(op::get) == 1);
    CHECK(c.second.cache->metrics().hits == 1);
}

TEST_CASE("C11 an invalidation by the other process during a load kills the store") {
    cluster c;
    c.first.src.hold();
    if (GENERATE(false, true)) {
        c.first.store.go_deaf(); // the lease is enough
    }
    auto before = c.call(c.first.load("a"));
    auto joined = c.call(c.first.load("a"));
    REQUIRE(c.call(c.second.cache->invalidate("a")).done());
    CHECK_FALSE(before.done());
    c.first.src.release_all();
    c.settle();
    CHECK(before.value() == 101);
    CHECK(joined.value() == 101);
    CHECK(c.stored("a") == std::nullopt);
    CHECK(c.first.cache->metrics().backend_failures == 0);
    CHECK(c.call(c.first.cache->get("a")).value() == std::nullopt);
}

TEST_CASE("C14 a get after an invalidation by the other process does not join the load begun before") {
    cluster c;
    c.first.src.hold();
    auto before = c.call(c.first.load("a"));
    REQUIRE(c.call(c.second.cache->invalidate("a")).done());
    auto after = c.call(c.first.load("a"));
    CHECK(c.first.src.starts() == 2);
    c.first.src.release_one();
    c.settle();
    CHECK(before.value() == 101);
    CHECK_FALSE(after.done());
    c.first.src.release_one();
    c.settle();
    CHECK(after.value() == 102);
    CHECK(c.stored("a") == 102);
}

TEST_CASE("C11 C14 the end of a connection fences all that is under way") {
    cluster c;
    c.first.src.hold();
    auto before = c.call(c.first.load("a"));
    REQUIRE(c.call(c.second.cache->clear()).done());
    auto after = c.call(c.first.load("a"));
    CHECK(c.first.src.starts() == 2);
    c.first.src.release_all();
    c.settle();
    CHECK(before.value() == 101);
    CHECK(after.value() == 102);
    CHECK(c.stored("a") == 102);
}

TEST_CASE("C13 a set by the other process during a load wins") {
    cluster c;
    c.first.src.hold();
    if (GENERATE(false, true)) {
        c.first.store.go_deaf();
    }
    auto loading = c.call(c.first.load("a"));
    REQUIRE(c.call(c.second.cache->set("a", 7)).done());
    c.first.src.release_all();
    c.settle();
    CHECK(loading.value() == 101);
    CHECK(c.stored("a") == 7);
}

TEST_CASE("C32 a slow holder does not overwrite the value of his successor") {
    cluster c;
    c.first.src.hold();
    c.first.store.go_deaf(); // it stands still
    auto slow = c.call(c.first.load("a"));
    c.server->expire_lease("a");
    CHECK(c.call(c.second.load("a")).value() == 201);
    c.first.src.release_all();
    c.settle();
    c.first.store.hear_again();
    CHECK(slow.value() == 101);
    CHECK(c.stored("a") == 201);
}

TEST_CASE("C32 the other process loads when the holder dies") {
    cluster c;
    c.first.src.hold();
    auto holding = c.call(c.first.load("a"));
    auto waiting = c.call(c.second.load("a"));
    CHECK_FALSE(waiting.done());
    SECTION("its lease has expired") {
        c.server->expire_lease("a");
        c.settle();
    }
    SECTION("its load fails") {
        c.first.src.fail_next(std::runtime_error("no source"));
        c.first.src.release_all();
        c.settle();
        CHECK(holding.what() == "no source");
    }
    SECTION("its load is cancelled") {
        holding.leave();
        c.settle();
        CHECK(c.first.src.given_up() == 1);
    }
    SECTION("its cache goes") {
        c.first.cache.reset();
        c.settle();
    }
    SECTION("its load takes too long") {
        cluster d({.load_timeout = 1s});
        d.first.src.hold();
        auto late = d.call(d.first.load("a"));
        auto next = d.call(d.second.load("a", {.load_timeout = 1h}));
        manual_clock::advance(1s);
        d.settle();
        CHECK(late.code() == errc::load_timeout);
        CHECK(next.value() == 201);
        return;
    }
    CHECK(waiting.value() == 201);
    CHECK(c.second.src.starts() == 1);
    CHECK(c.stored("a") == 201); // by the flight that has waited
    CHECK(c.call(c.second.load("a")).value() == 201);
}

TEST_CASE("C02 who asks again as soon as a load has failed does not wait for its lease") {
    cluster c;
    c.first.src.fail_next(std::runtime_error("no source"));
    const auto twice = [&]() -> asio::awaitable<int> {
        try {
            co_return co_await c.first.load("a");
        } catch (const std::runtime_error&) {
        }
        co_return co_await c.first.load("a");
    };
    auto caller = c.call(twice());
    CHECK(caller.value() == 102);
    CHECK(c.first.store.waiters() == 0);
    CHECK(c.stored("a") == 102);
}

TEST_CASE("C03 a caller who waits for the other process's load may leave alone") {
    cluster c;
    c.first.src.hold();
    auto holding = c.call(c.first.load("a"));
    auto leaving = c.call(c.second.load("a"));
    auto staying = c.call(c.second.load("a"));
    leaving.leave();
    c.settle();
    CHECK(leaving.code() == asio::error::operation_aborted);
    CHECK(c.second.store.waiters() == 1);
    SECTION("the other stays") {
        c.first.src.release_all();
        c.settle();
        CHECK(staying.value() == 101);
    }
    SECTION("with the last one the wait ends") {
        staying.leave();
        c.settle();
        CHECK(staying.code() == asio::error::operation_aborted);
        CHECK(c.second.store.waiters() == 0);
        CHECK(c.server->leased("a"));
        CHECK(c.second.cache->metrics().in_flight == 0);
        CHECK(c.second.cache->metrics().backend_failures == 0);
        c.first.src.release_all();
        c.settle();
        CHECK(c.stored("a") == 101);
    }
}

TEST_CASE("C10 a cache that waits for a lease can be closed") {
    cluster c;
    c.first.src.hold();
    auto holding = c.call(c.first.load("a"));
    auto waiting = c.call(c.second.load("a"));
    auto closing = c.call(c.second.cache->close());
    CHECK(closing.done());
    CHECK(waiting.code() == errc::closed);
    CHECK(c.second.store.waiters() == 0);
    c.first.src.release_all();
    c.settle();
    CHECK(holding.value() == 101);
    CHECK(c.stored("a") == 101);
}

TEST_CASE("C05 C06 C32 a load that does not heed its cancellation keeps its lease from nobody") {
    cluster c;
    c.first.src.hold();
    c.first.src.ignore_cancellation();
    auto holding = c.call(c.first.load("a", {.load_timeout = 1s}));
    auto waiting = c.call(c.second.load("a"));
    REQUIRE(c.second.store.waiters() == 1);
    SECTION("its time is over") {
        manual_clock::advance(1s);
        c.settle();
        CHECK(holding.code() == errc::load_timeout);
    }
    SECTION("its callers have left") {
        holding.leave();
        c.settle();
    }
    SECTION("its cache is closed") {
        auto closing = c.call(c.first.cache->close());
        CHECK_FALSE(closing.done());
    }
    CHECK(c.first.src.parked() == 1);
    CHECK(waiting.value() == 201);
    CHECK(c.stored("a") == 201);
    c.first.src.release_all();
    c.settle();
    CHECK(c.stored("a") == 201);
    CHECK(c.first.cache->metrics().in_flight == 0);
}

TEST_CASE("C32 a lease does not wait for those who waited for its load") {
    cluster c;
    asio::io_context elsewhere; // which nobody runs now
    stepper there(elsewhere);
    SECTION("the load has failed") {
        c.first.src.fail_next(std::runtime_error("no source"));
        const caller<int> slow(elsewhere.get_executor(), c.first.load("a"));
        there.run_until_idle();
        c.settle();
        CHECK_FALSE(slow.done());
    }
    SECTION("it was cancelled on its way to the loader") {
        c.first.script.hold_answers(op::get);
        const caller<int> slow(elsewhere.get_executor(), c.first.load("a"));
        there.run_until_idle();
        c.settle();
        REQUIRE(c.server->leased("a"));
        c.first.cache.reset();
        c.settle();
        CHECK_FALSE(slow.done());
    }
    CHECK_FALSE(c.server->leased("a"));
}

TEST_CASE("C06 the load timeout holds for the wait too") {
    cluster c;
    c.first.src.hold();
    auto holding = c.call(c.first.load("a"));
    auto waiting = c.call(c.second.load("a", {.load_timeout = 1s}));
    manual_clock::advance(1s);
    c.settle();
    CHECK(waiting.code() == errc::load_timeout);
    CHECK(c.second.store.waiters() == 0);
}

TEST_CASE("C14 what a look has found is for nobody who came after a change") {
    cluster c;
    c.server->write("a", made_now(1));
    c.first.script.hold_answers(op::get);
    auto before = c.call(c.first.load("a"));
    c.first.script.let_pass(op::get);
    c.server->write("a", made_now(2));
    SECTION("a later get joins, and so the flight looks again") {
        auto after = c.call(c.first.load("a"));
        c.first.script.release_all();
        c.settle();
        CHECK(after.value() == 2);
        CHECK(before.done());
        CHECK(c.first.script.calls(op::get) == 2);
    }
    SECTION("nobody has come: the flight ends with what it has") {
        c.first.script.release_all();
        c.settle();
        CHECK(before.value() == 1);
        CHECK(c.first.script.calls(op::get) == 1);
        CHECK(c.call(c.first.load("a")).value() == 2);
    }
    SECTION("while it looks again, a change fences it") {
        auto joined = c.call(c.first.load("a"));
        c.first.script.hold_answers(op::get);
        c.first.script.release_all();
        c.settle();
        c.first.script.let_pass(op::get);
        c.server->write("a", made_now(3));
        auto after = c.call(c.first.load("a"));
        CHECK(after.value() == 3);
        c.first.script.release_all();
        c.settle();
        CHECK(joined.value() == 2);
    }
    CHECK(c.first.src.starts() == 0);
}

TEST_CASE("a change fences no load that has not looked yet") {
    cluster c({.max_concurrent_loads = 1});
    c.first.src.hold();
    auto other = c.call(c.first.load("b"));
    auto before = c.call(c.first.load("a"));
    c.server->write("a", made_now(7));
    auto after = c.call(c.first.load("a"));
    CHECK(c.first.cache->metrics().in_flight == 2);
    SECTION("it finds what was written, and does not look again") {
        c.first.src.release_all();
        c.settle();
        CHECK(before.value() == 7);
        CHECK(after.value() == 7);
        CHECK(c.first.script.calls(op::get) == 2);
    }
    SECTION("it loads") {
        c.server->remove("a", nullptr);
        c.first.src.let_pass();
        c.first.src.release_all();
        c.settle();
        CHECK(before.value() == 102);
        CHECK(after.value() == 102);
        CHECK(c.stored("a") == 102);
    }
}

TEST_CASE("C13 a load whose time is over while its value is being stored keeps its lease until then") {
    cluster c({.load_timeout = 1s});
    c.first.script.hold(op::set);
    c.first.store.ignore_cancellation();
    auto storing = c.call(c.first.load("a"));
    REQUIRE(c.first.script.parked(op::set) == 1);
    c.first.store.go_deaf();
    REQUIRE(c.call(c.second.cache->set("a", 7)).done());
    manual_clock::advance(1s);
    c.settle();
    CHECK(storing.value() == 101);
    c.first.script.let_pass(op::set);
    c.first.script.release_all();
    c.settle();
    CHECK(c.stored("a") == 7);
}

TEST_CASE("C14 a value that was found and is not good enough is not stored over by a fenced flight") {
    cluster c({.ttl = 10s, .stale_if_error = 1h});
    c.server->write("a", acache::entry<int>(1, acache::entry_stamps{manual_clock::now(), manual_clock::now(),
                                                                    acache::time_point::max()}));
    c.first.src.hold();
    auto renewing = c.call(c.first.load("a"));
    CHECK(c.first.src.starts() == 1);
    REQUIRE(c.call(c.second.cache->set("a", 2)).done());
    c.first.src.release_all();
    c.settle();
    CHECK(renewing.value() == 101);
    CHECK(c.stored("a") == 2);
}

TEST_CASE("C13 refresh stores over what there is, unless somebody else was quicker") {
    cluster c;
    c.server->write("a", made_now(1));
    c.first.src.hold();
    auto refreshing = c.call(c.first.cache->refresh("a", c.first.src));
    CHECK(c.first.src.starts() == 1);
    const bool meets_another = GENERATE(false, true);
    if (meets_another) {
        c.first.store.go_deaf();
        REQUIRE(c.call(c.second.cache->set("a", 2)).done());
    }
    c.first.src.release_all();
    c.settle();
    CHECK(refreshing.value() == 101);
    CHECK(c.stored("a") == (meets_another ? 2 : 101));
}

TEST_CASE("refresh and max_age do not wait for the load of another process, and take its lease over") {
    cluster c;
    c.first.src.hold();
    auto holding = c.call(c.first.load("a"));
    c.first.store.go_deaf();
    if (GENERATE(false, true)) {
        CHECK(c.call(c.second.cache->refresh("a", c.second.src)).value() == 201);
    } else {
        CHECK(c.call(c.second.load("a", {.max_age = 0s})).value() == 201);
    }
    CHECK(c.stored("a") == 201);
    c.first.src.release_all();
    c.settle();
    CHECK(holding.value() == 101);
    CHECK(c.stored("a") == 201);
}

TEST_CASE("refresh during a load of the same process stores, whichever ends first") {
    cluster c;
    c.first.src.hold();
    auto earlier = c.call(c.first.load("a"));
    auto refreshing = c.call(c.first.cache->refresh("a", c.first.src));
    CHECK(c.first.src.starts() == 2);
    c.first.src.release_one();
    c.settle();
    CHECK(earlier.value() == 101);
    c.first.src.release_one();
    c.settle();
    CHECK(refreshing.value() == 102);
    CHECK(c.stored("a") == 102);
}

constexpr acache::cache_options revalidating{.ttl = 10s, .stale_while_revalidate = 1h};

TEST_CASE("C19 a renewal stores with the lease of the look that found the stale value, and reads no more") {
    cluster c(revalidating);
    REQUIRE(c.call(c.first.load("a")).value() == 101);
    const auto looks = c.second.script.calls(op::get);
    manual_clock::advance(15s);
    c.second.src.hold();
    CHECK(c.call(c.second.load("a")).value() == 101);
    CHECK(c.second.src.starts() == 1);
    const bool meets_another = GENERATE(false, true);
    if (meets_another) {
        c.second.store.go_deaf();
        REQUIRE(c.call(c.first.cache->set("a", 7)).done());
    }
    c.second.src.release_all();
    c.settle();
    CHECK(c.stored("a") == (meets_another ? 7 : 201));
    CHECK(c.second.script.calls(op::get) == looks + 1);
}

TEST_CASE("C19 a renewal of what is known here looks first, and finds that another process was quicker") {
    cluster<true> c(revalidating);
    REQUIRE(c.call(c.first.load("a")).value() == 101);
    REQUIRE(c.call(c.second.load("a")).value() == 101);
    manual_clock::advance(15s);
    c.second.store.go_deaf();
    REQUIRE(c.call(c.first.load("a")).value() == 101);
    REQUIRE(c.stored("a") == 102);
    const auto known = c.call(c.second.cache->lookup("a", c.second.src)).value();
    CHECK(known.source == stale);
    CHECK(known.tier == "near");
    CHECK(known.value == 101);
    CHECK(c.second.src.starts() == 0);
    CHECK(c.call(c.second.load("a")).value() == 102);
    manual_clock::advance(15s);
    CHECK(c.call(c.second.load("a")).value() == 102);
    CHECK(c.second.src.starts() == 1);
    CHECK(c.stored("a") == 201);
}

TEST_CASE("the tier that a value was found in is told") {
    cluster<true> c({.ttl = 10s, .stale_if_error = 1h});
    CHECK(c.call(c.first.cache->lookup("a", c.first.src)).value().tier == "source");
    CHECK(c.call(c.first.cache->lookup("a", c.first.src)).value().tier == "near");
    CHECK(c.call(c.second.cache->lookup("a", c.second.src)).value().tier == "store");
    CHECK(c.call(c.second.cache->lookup("a", c.second.src)).value().tier == "near");
    manual_clock::advance(15s);
    c.second.src.fail_next(std::runtime_error("no source"));
    const auto rescued = c.call(c.second.cache->lookup("a", c.second.src)).value();
    CHECK(rescued.source == stale);
    CHECK(rescued.tier == "near");
}

TEST_CASE("C29 a value whose look failed is given to callers and not stored") {
    cluster c;
    c.first.script.fail_next(op::get, std::runtime_error("no store"));
    CHECK(c.call(c.first.load("a")).value() == 101);
    CHECK(c.stored("a") == std::nullopt);
    CHECK(c.first.cache->metrics().backend_failures == 1);
    CHECK(c.call(c.first.load("a")).value() == 102);
    CHECK(c.stored("a") == 102);
}

TEST_CASE("C29 a store that fails costs nobody his value, and leaves no lease") {
    cluster c;
    c.first.script.fail_next(op::set, std::runtime_error("no store"));
    CHECK(c.call(c.first.load("a")).value() == 101);
    CHECK_FALSE(c.server->leased("a"));
    CHECK(c.first.cache->metrics().backend_failures == 1);
}

TEST_CASE("an answer that there is none lets others go on") {
    cluster c;
    const auto none = [](const std::string&) -> asio::awaitable<std::optional<int>> {
        co_return std::nullopt;
    };
    SECTION("nothing was stored") {
        CHECK(c.call(c.first.cache->get_or_load("a", none)).code() == errc::not_found);
        CHECK_FALSE(c.server->leased("a"));
    }
    SECTION("what was stored goes") {
        c.server->write("a", made_now(1));
        CHECK(c.call(c.first.cache->refresh("a", none)).code() == errc::not_found);
        CHECK(c.stored("a") == std::nullopt);
    }
}

TEST_CASE("a failure that is remembered is forgotten when another process writes the key") {
    cluster c({.negative_ttl = 1h});
    const auto none = [](const std::string&) -> asio::awaitable<std::optional<int>> {
        co_return std::nullopt;
    };
    REQUIRE(c.call(c.first.cache->get_or_load("a", none)).code() == errc::not_found);
    REQUIRE(c.call(c.first.load("a")).code() == errc::not_found);
    REQUIRE(c.call(c.second.cache->set("a", 7)).done());
    CHECK(c.call(c.first.load("a")).value() == 7);
}

TEST_CASE("C12 a change of one key leaves the loads of others alone") {
    cluster c;
    c.first.src.hold();
    auto other = c.call(c.first.load("b"));
    REQUIRE(c.call(c.second.cache->invalidate("a")).done());
    auto joined = c.call(c.first.load("b"));
    CHECK(c.first.src.starts() == 1);
    c.first.src.release_all();
    c.settle();
    CHECK(joined.value() == 101);
    CHECK(c.stored("b") == 101);
}

} // namespace
