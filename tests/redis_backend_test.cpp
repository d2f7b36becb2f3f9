// Copyright (c) 2026 The acache authors. Distributed under the Boost Software License, Version 1.0.

// A redis_backend on a real server; two connections stand for two processes.

#include "redis_two_processes.hpp"

#include <acache/redis.hpp>
#include <acache/shared_backend.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace acache_test;
using acache::lease_mode;
using backend = string_backend;

static_assert(acache::leasing_backend<backend, std::string, std::string>);
static_assert(acache::multi_get_backend<backend, std::string, std::string>);
static_assert(acache::multi_set_backend<backend, std::string, std::string>);
static_assert(acache::notifying_backend<backend, std::string>);
static_assert(acache::tagging_backend<backend>);

/// Hears what a backend has to say.
struct listener final : acache::change_listener<std::string> {
    void changed(const std::string& key) override { keys.insert(key); }
    void lost() override { ++losses; }
    void all_changed() override { ++all; }
    std::multiset<std::string> keys;
    int losses = 0;
    int all = 0;
};

} // namespace

TEST_CASE("What one process stores another one finds, with its stamps and details") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        const auto now = acache::coarse_clock::now();
        auto* const details = new acache::entry_details;
        const acache::entry_details_ptr owner(details);
        details->load_time = 7ms;
        details->validator = "v1";
        acache::entry<std::string> e("hello", acache::entry_stamps{now - 2s, now + 10s, now + 30s}, owner);
        co_await p.a.set(k, e);
        const auto found = co_await p.b.get(k);
        REQUIRE(found);
        CHECK(found->value == "hello");
        CHECK(std::chrono::abs(found->created - e.created) < 500ms);
        CHECK(std::chrono::abs(found->fresh_until - e.fresh_until) < 500ms);
        CHECK(std::chrono::abs(found->expires - e.expires) < 500ms);
        REQUIRE(found->details);
        CHECK(found->details->load_time == 7ms);
        CHECK(found->details->validator == "v1");
        const auto left = std::stol(p.server.command({"PTTL", p.slot(k)}));
        CHECK((left > 25'000 && left <= 30'000));

        co_await p.a.set(k, acache::entry<std::string>("for ever", now));
        CHECK((co_await p.b.get(k))->expires == acache::time_point::max());
        CHECK(p.server.command({"PTTL", p.slot(k)}) == "-1");
        CHECK(co_await p.b.erase(k));
        CHECK_FALSE(co_await p.b.erase(k));
        CHECK_FALSE(co_await p.a.get(k));
    });
}

TEST_CASE("An entry that is dead already is not stored, and takes the older one away") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        co_await p.a.set(k, fresh("old"));
        co_await p.a.set(k, fresh("dead", -1s));
        CHECK_FALSE(co_await p.b.get(k));
    });
}

TEST_CASE("Many keys are read and written at once, in their order") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        const std::vector<std::string> keys{"x", "y", "z"};
        co_await p.a.set(keys[1], fresh("Y"));
        std::vector<backend::lease> leases(3);
        auto found = co_await p.b.get_many(keys, leases);
        CHECK(value_of(found[0]) == "(none)");
        CHECK(value_of(found[1]) == "Y");
        CHECK(value_of(found[2]) == "(none)");
        std::vector<std::optional<acache::entry<std::string>>> entries(3);
        entries[0] = fresh("X");
        entries[1] = fresh("Y2");
        const auto stored = co_await p.b.set_many(keys, std::move(entries), leases);
        CHECK(stored == std::vector{true, true, false});
        leases.clear();
        found = co_await p.a.get_many(keys);
        CHECK(value_of(found[0]) == "X");
        CHECK(value_of(found[1]) == "Y2");
        CHECK(value_of(found[2]) == "(none)");
        CHECK((co_await p.a.get_many(std::vector<std::string>{})).empty());
    });
}

TEST_CASE("C11 A removal by another process, or by hand, kills the store of a load under way") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        for (const bool by_hand : {false, true}) {
            backend::lease lease;
            CHECK_FALSE(co_await p.a.get(k, lease, lease_mode::wait));
            if (by_hand) {
                p.server.command({"DEL", p.slot(k)});
            } else {
                co_await p.b.erase(k);
            }
            CHECK_FALSE(co_await p.a.set(k, fresh("stale"), lease));
            CHECK_FALSE(co_await p.b.get(k));
        }
        CHECK(p.here.metrics().leases_lost == 2);
    });
}

TEST_CASE("C11 The same of a load that is to renew an entry, and of one in a batch") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        co_await p.a.set(k, fresh("old"));
        backend::lease renewal;
        CHECK(co_await p.a.get(k, renewal, lease_mode::go_on));
        const std::vector<std::string> keys{"x", k};
        std::vector<backend::lease> batch(2);
        CHECK((co_await p.a.get_many(keys, batch)).size() == 2);
        co_await p.b.erase(k);
        co_await p.b.erase("x");
        CHECK_FALSE(co_await p.a.set(k, fresh("stale"), renewal));
        std::vector<std::optional<acache::entry<std::string>>> entries{fresh("stale"), fresh("stale")};
        const auto stored = co_await p.a.set_many(keys, std::move(entries), batch);
        CHECK(stored == std::vector{false, false});
        CHECK_FALSE(co_await p.b.get(k));
    });
}

TEST_CASE("C32 A slow holder does not overwrite what its successor has stored") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        backend::lease slow, quick_one;
        CHECK_FALSE(co_await p.a.get(k, slow, lease_mode::wait));
        p.server.command({"DEL", p.slot(k)}); // as if it had expired
        CHECK_FALSE(co_await p.b.get(k, quick_one, lease_mode::wait));
        CHECK(co_await p.b.set(k, fresh("new"), quick_one));
        CHECK_FALSE(co_await p.a.set(k, fresh("old"), slow));
        CHECK(value_of(co_await p.a.get(k)) == "new");
    });
}

TEST_CASE("C01 Who misses what another process loads waits for it, and is woken when it is there") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        backend::lease holder;
        CHECK_FALSE(co_await p.a.get(k, holder, lease_mode::wait));
        std::string got;
        asio::co_spawn(
            p.context,
            [&]() -> asio::awaitable<void> {
                backend::lease other;
                got = value_of(co_await p.b.get(k, other, lease_mode::wait));
            },
            asio::detached);
        CHECK(co_await comes_true([&] { return p.there.metrics().leases_awaited == 1; }));
        const auto asked = p.there.metrics().requests;
        co_await pause_for(200ms);
        CHECK(p.there.metrics().requests == asked); // it does not poll
        CHECK(got.empty());
        CHECK(co_await p.a.set(k, fresh("loaded"), holder));
        CHECK(co_await comes_true([&] { return !got.empty(); }));
        CHECK(got == "loaded");
    });
}

TEST_CASE("C32 A lease that is given up lets the next one load at once, in any process") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        std::optional<backend::lease> holder(std::in_place);
        CHECK_FALSE(co_await p.a.get(k, *holder, lease_mode::wait));
        int granted = 0;
        const auto wait_for_it = [&](backend& by) -> asio::awaitable<void> {
            backend::lease mine;
            CHECK_FALSE(co_await by.get(k, mine, lease_mode::wait));
            ++granted;
        };
        asio::co_spawn(p.context, wait_for_it(p.a), asio::detached);
        asio::co_spawn(p.context, wait_for_it(p.b), asio::detached);
        CHECK(co_await comes_true(
            [&] { return p.there.metrics().leases_awaited + p.here.metrics().leases_awaited == 2; }));
        holder.reset();
        CHECK(co_await comes_true([&] { return granted == 2; }, 1s));
    });
}

TEST_CASE("C32 A look-up that is cancelled before its answer leaves no lease to wait for") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        p.server.pause();
        asio::cancellation_signal signal;
        bool has_left = false;
        asio::co_spawn(
            p.context,
            [&]() -> asio::awaitable<void> {
                backend::lease unused;
                (void)co_await p.a.get(k, unused, lease_mode::wait);
            },
            asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr e) { has_left = !!e; }));
        co_await pause_for(20ms);
        signal.emit(asio::cancellation_type::terminal);
        CHECK(co_await comes_true([&] { return has_left; }));
        p.server.resume();
        bool is_granted = false;
        asio::co_spawn(
            p.context,
            [&]() -> asio::awaitable<void> {
                co_await p.ready();
                backend::lease mine;
                CHECK_FALSE(co_await p.b.get(k, mine, lease_mode::wait));
                is_granted = true;
            },
            asio::detached);
        CHECK(co_await comes_true([&] { return is_granted; }, 1s));
        CHECK(p.here.metrics().losses == 0);
    });
}

TEST_CASE("C32 A holder that dies delays the others by the length of its lease") {
    redis_server server;
    asio::io_context context;
    auto dying = std::make_unique<redis_process>(context, server.port());
    redis_process living(context, server.port());
    const acache::redis_options options{.prefix = "users", .lease = 300ms};
    auto a = std::make_unique<backend>(dying->client(), options);
    backend b(living.client(), options);
    run(context, [&]() -> asio::awaitable<void> {
        REQUIRE(co_await dying->client().ready(20s));
        REQUIRE(co_await living.client().ready(20s));
        auto held = std::make_unique<backend::lease>();
        CHECK_FALSE(co_await a->get(k, *held, lease_mode::wait));
        co_await pause_for(1s); // it lives on, as its lease is renewed
        CHECK(server.command({"KEYS", "users:v:*"}) != "");
        dying.reset(); // with its connection: nothing is given back
        bool granted = false;
        asio::co_spawn(
            context,
            [&]() -> asio::awaitable<void> {
                backend::lease mine;
                CHECK_FALSE(co_await b.get(k, mine, lease_mode::wait));
                granted = true;
            },
            asio::detached);
        CHECK(co_await comes_true([&] { return granted; }, 5s));
    });
}

TEST_CASE("Without one_load nobody waits, and what is stored is right all the same") {
    redis_server server;
    asio::io_context context;
    redis_process here(context, server.port()), there(context, server.port());
    const acache::redis_options options{.prefix = "users", .one_load = false};
    backend a(here.client(), options), b(there.client(), options);
    run(context, [&]() -> asio::awaitable<void> {
        REQUIRE(co_await here.client().ready(20s));
        REQUIRE(co_await there.client().ready(20s));
        backend::lease first, second;
        CHECK_FALSE(co_await a.get(k, first, lease_mode::wait));
        CHECK_FALSE(co_await b.get(k, second, lease_mode::wait));
        CHECK(co_await b.set(k, fresh("2"), second));
        CHECK_FALSE(co_await a.set(k, fresh("1"), first));
        CHECK(value_of(co_await a.get(k)) == "2");
    });
}

TEST_CASE("A clear hides everything from everybody, and lets no older load store") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        const auto told = std::make_shared<listener>();
        p.b.listen(told);
        co_await p.a.set(k, fresh("old"));
        backend::lease lease;
        CHECK_FALSE(co_await p.b.get("x", lease, lease_mode::wait));
        const auto before = p.generation();
        co_await p.a.clear();
        CHECK(p.generation() != before);
        CHECK_FALSE(co_await p.a.get(k));
        CHECK_FALSE(co_await p.b.get(k));
        CHECK_FALSE(co_await p.b.set("x", fresh("old"), lease));
        CHECK_FALSE(co_await p.a.get("x"));
        CHECK(co_await comes_true([&] { return told->all != 0; }));
        co_await p.b.set(k, fresh("new"));
        CHECK(value_of(co_await p.a.get(k)) == "new");
        CHECK(co_await p.a.erase(k));
        CHECK_FALSE(co_await p.b.get(k));
    });
}

TEST_CASE("C15 A tag's invalidation drops, for all, whatever began before it, and nothing that began after") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        const auto tagged = [&](backend& by, std::string value) {
            const acache::detail::tag_table::load reading(by.tags());
            auto* const details = new acache::entry_details;
            const acache::entry_details_ptr owner(details);
            details->tags = by.tags().taggings({"team", "other"}, reading.began());
            const auto now = acache::coarse_clock::now();
            return acache::entry<std::string>(std::move(value),
                                              acache::entry_stamps{now, now + 60s, now + 60s}, owner);
        };
        co_await p.a.set(k, tagged(p.a, "old"));
        auto found = co_await p.b.get(k);
        CHECK(value_of(found) == "old");
        REQUIRE(found->details);
        CHECK(found->details->tags.size() == 2);
        CHECK_FALSE(found->details->invalidated());
        co_await p.a.set("untagged", fresh("stays"));

        backend::lease before, after;
        CHECK_FALSE(co_await p.b.get("x", before, lease_mode::wait));
        auto loaded_before = tagged(p.b, "old");
        co_await p.a.invalidate_tag("team");
        CHECK_FALSE(co_await p.a.get(k));
        CHECK_FALSE(co_await p.b.get(k));
        CHECK(value_of(co_await p.b.get("untagged")) == "stays");
        CHECK(
            co_await comes_true([&] { return found->details->invalidated(); })); // what b has kept of it, too
        // The slot has not changed, but the load began too early.
        CHECK(co_await p.b.set("x", loaded_before, before));
        CHECK_FALSE(co_await p.a.get("x"));
        CHECK_FALSE(co_await p.b.get("x"));

        CHECK_FALSE(co_await p.b.get(k, after, lease_mode::wait));
        CHECK(co_await p.b.set(k, tagged(p.b, "new"), after));
        CHECK(value_of(co_await p.a.get(k)) == "new");
        CHECK(value_of(co_await p.b.get(k)) == "new");
    });
}

TEST_CASE("What others change is told, by whatever means, and what this process changes is not") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        const auto told = std::make_shared<listener>();
        p.a.listen(told);
        CHECK(p.a.coherence() != 0);
        co_await p.a.set("mine", fresh("1"));
        co_await p.b.set("theirs", fresh("1"));
        CHECK(co_await comes_true([&] { return told->keys.contains("theirs"); }));
        p.server.command({"DEL", p.slot("mine")});
        CHECK(co_await comes_true([&] { return told->keys.contains("mine"); }));
        CHECK(told->keys.count("mine") == 1);

        // Nor is what scripts do for this process, though the server says so.
        backend::lease lease;
        CHECK_FALSE(co_await p.a.get("mine", lease, lease_mode::wait));
        const auto heard = p.here.metrics().invalidations;
        CHECK(co_await p.a.set("mine", fresh("2"), lease));
        CHECK(co_await comes_true([&] { return p.here.metrics().invalidations != heard; }));
        co_await pause_for(20ms);
        CHECK(told->keys.count("mine") == 1);
        co_await p.b.set("mine", fresh("3"));
        CHECK(co_await comes_true([&] { return told->keys.count("mine") == 2; }));

        p.server.command({"SET", "users:v:of_no_generation:x", "1"});
        p.server.command({"SET", "another:v:x", "1"});
        co_await p.b.set("last", fresh("1"));
        CHECK(co_await comes_true([&] { return told->keys.contains("last"); }));
        CHECK_FALSE(told->keys.contains("x"));
    });
}

TEST_CASE("C33 What is no entry of the key is a miss, counted, and makes room for one") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        const std::string slot = "users:v:" + p.generation() + ":k";
        co_await p.a.set("other", fresh("of another key"));
        const std::string other = p.server.command({"GET", p.slot("other")});
        co_await p.a.set(k, fresh("value"));
        const std::string good = p.server.command({"GET", slot});
        std::string later = good;
        later[1] = '\x02'; // the version
        const std::vector<std::vector<std::string>> bad{
            {"SET", slot, ""},
            {"SET", slot, "garbage"},
            {"SET", slot, std::string(10'000, '\xAC')},
            {"SET", slot, other},
            {"SET", slot, later},
            {"SET", slot, good.substr(0, good.size() - 1)},
            {"SET", slot, good.substr(0, 30)},
            {"RPUSH", slot, "a", "list"},
            {"HSET", slot, "a", "hash"},
        };
        std::uint64_t counted = p.here.metrics().bad_payloads;
        for (const auto& command : bad) {
            INFO(command[0] << ' ' << command[2].size());
            p.server.command({"DEL", slot});
            p.server.command(command);
            CHECK_FALSE(co_await p.a.get(k));
            CHECK(p.here.metrics().bad_payloads > counted);
            const std::vector<std::string> keys{k, "other"};
            CHECK(value_of((co_await p.a.get_many(keys))[0]) == "(none)");
            backend::lease lease;
            CHECK_FALSE(co_await p.a.get(k, lease, lease_mode::wait));
            CHECK(co_await p.a.set(k, fresh("value"), lease));
            CHECK(value_of(co_await p.b.get(k)) == "value");
            counted = p.here.metrics().bad_payloads;
        }
    });
}

TEST_CASE("Values of ten megabytes go through, and larger ones than allowed are not stored") {
    redis_server server;
    asio::io_context context;
    redis_process here(context, server.port(), {.timeout = 10s});
    backend a(here.client(), {.prefix = "large"});
    backend small(here.client(), {.prefix = "small", .max_payload = 1000});
    run(context, [&]() -> asio::awaitable<void> {
        REQUIRE(co_await here.client().ready(20s));
        const std::string large(10'000'000, 'x');
        co_await a.set(k, fresh(large));
        CHECK((co_await a.get(k))->value == large);

        co_await small.set(k, fresh("old"));
        co_await small.set(k, fresh(std::string(1000, 'x')));
        CHECK_FALSE(co_await small.get(k)); // nor is the old one left
        backend::lease lease;
        CHECK_FALSE(co_await small.get(k, lease, lease_mode::wait));
        std::string error;
        try {
            (void)co_await small.set(k, fresh(large), lease);
        } catch (const boost::system::system_error& e) {
            error = e.what();
            CHECK(e.code() == acache::redis_errc::too_large);
        }
        CHECK(error.find("max_payload") != std::string::npos);
        CHECK(here.metrics().oversized_payloads == 2);
    });
}

TEST_CASE("C29 Without a server look-ups fail at once, writes do not fail, and both are counted") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        co_await p.a.set(k, fresh("1"));
        p.server.kill();
        CHECK(co_await comes_true([&] { return !p.here.client().connected(); }));
        bool failed = false;
        const auto begun = std::chrono::steady_clock::now();
        for (int i = 0; i != 100; ++i) {
            try {
                (void)co_await p.a.get(k);
            } catch (const boost::system::system_error& e) {
                failed = e.code() == acache::redis_errc::unavailable;
            }
        }
        CHECK(std::chrono::steady_clock::now() - begun < 400ms); // less than one timeout
        CHECK(failed);
        const std::vector<std::string> keys{"x", "y"};
        std::vector<backend::lease> leases(2);
        int batches_failed = 0;
        try {
            (void)co_await p.a.get_many(keys, leases);
        } catch (const boost::system::system_error&) {
            ++batches_failed;
        }
        std::vector<std::optional<acache::entry<std::string>>> entries(2);
        entries[0] = fresh("1");
        try {
            // Not that it lost to others: so the memory above may keep it.
            (void)co_await p.a.set_many(keys, std::move(entries), leases);
        } catch (const boost::system::system_error& e) {
            batches_failed += e.code() == acache::redis_errc::unavailable ? 1 : 0;
        }
        CHECK(batches_failed == 2);
        co_await p.a.set(k, fresh("2"));
        CHECK_FALSE(co_await p.a.erase("x"));
        co_await p.a.clear();
        co_await p.a.invalidate_tag("t");
        CHECK(p.here.metrics().refused >= 100);
        CHECK(p.here.metrics().queued_removals == 1); // the clear is for all of them
        p.server.restart();
        REQUIRE(co_await p.here.client().ready(20s));
        CHECK(co_await comes_true([&] { return p.here.metrics().queued_removals == 0; }));
        CHECK_FALSE(co_await p.a.get(k));
        co_await p.a.set(k, fresh("3"));
        CHECK(value_of(co_await p.a.get(k)) == "3");
    });
}

TEST_CASE("C29 What an outage kept from being removed is removed when it ends, before anything is read") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        co_await p.a.set("removed", fresh("old"));
        co_await p.a.set("written", fresh("old"));
        co_await p.a.set("left alone", fresh("old"));
        p.server.pause();
        // Those who are connected notice by the time that an answer may take.
        CHECK(co_await comes_true([&] { return !p.here.client().connected(); }));
        co_await p.a.set("written", fresh("new"));
        CHECK_FALSE(co_await p.a.erase("removed"));
        CHECK(p.here.metrics().queued_removals == 2);
        p.server.resume();
        REQUIRE(co_await p.here.client().ready(20s));
        CHECK_FALSE(co_await p.a.get("removed"));
        CHECK_FALSE(
            co_await p.a.get("written")); // its value is not kept, only that the old one is out of date
        CHECK(value_of(co_await p.a.get("left alone")) == "old");
        CHECK(p.here.metrics().removals_replayed == 2);
    });
}

TEST_CASE("C29 With more removals than are kept, the end of an outage clears the cache") {
    redis_server server;
    asio::io_context context;
    redis_process here(context, server.port());
    backend a(here.client(), {.prefix = "users", .max_queued_removals = 3});
    run(context, [&]() -> asio::awaitable<void> {
        REQUIRE(co_await here.client().ready(20s));
        co_await a.set(k, fresh("old"));
        server.pause();
        CHECK(co_await comes_true([&] { return !here.client().connected(); }));
        for (const char* key : {"1", "2", "2", "3"}) {
            CHECK_FALSE(co_await a.erase(key));
        }
        CHECK(here.metrics().queued_removals == 3);
        CHECK_FALSE(co_await a.erase("4"));
        CHECK(here.metrics().queued_removals == 1);
        server.resume();
        REQUIRE(co_await here.client().ready(20s));
        CHECK(co_await comes_true([&] { return here.metrics().queued_removals == 0; }));
        CHECK_FALSE(co_await a.get(k));
    });
}

TEST_CASE("A write that the server refuses leaves no older value") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        co_await p.a.set(k, fresh("old"));
        co_await p.a.set("stays", fresh("readable"));
        p.server.command({"CONFIG", "SET", "maxmemory", "1"}); // SET is refused from here on, UNLINK is not
        backend::lease lease;
        CHECK(value_of(co_await p.b.get("stays", lease, lease_mode::wait)) == "readable");
        backend::lease none;
        CHECK_FALSE(co_await p.b.get("missing", none, lease_mode::wait));
        co_await p.a.set(k, fresh("new"));
        CHECK(co_await comes_true([&] { return p.here.metrics().queued_removals == 0; }));
        CHECK_FALSE(co_await p.b.get(k));
        CHECK(p.here.metrics().failures != 0);
        p.server.command({"CONFIG", "SET", "maxmemory", "0"});
        co_await p.a.set(k, fresh("newer"));
        CHECK(value_of(co_await p.b.get(k)) == "newer");
    });
}

TEST_CASE(
    "C31 A connection that breaks is told as a loss, and what may have changed meanwhile as all of it") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        const auto told = std::make_shared<listener>();
        p.a.listen(told);
        const auto before = p.a.coherence();
        p.server.kill_clients();
        CHECK(co_await comes_true([&] { return told->losses == 1 && told->all == 1; }));
        REQUIRE(co_await p.here.client().ready(20s));
        CHECK(p.a.coherence() != before);
        // FLUSHALL takes the cache's own state away too.
        REQUIRE(co_await p.there.client().ready(20s));
        co_await p.b.set(k, fresh("1"));
        p.server.command({"FLUSHALL"});
        CHECK(co_await comes_true([&] { return told->losses == 2 && told->all >= 2; }));
        REQUIRE(co_await p.here.client().ready(20s));
        CHECK_FALSE(co_await p.a.get(k));
        co_await p.a.set(k, fresh("2"));
        REQUIRE(co_await p.there.client().ready(20s));
        CHECK(value_of(co_await p.b.get(k)) == "2");
    });
}

TEST_CASE("A server that was restarted with what it had saved long before has nothing of the cache") {
    two_processes p;
    run(p.context, [&]() -> asio::awaitable<void> {
        co_await p.ready();
        co_await p.a.set(k, fresh("old"));
        // Another server has the same keys: as a replica that has taken over, or a snapshot.
        const std::string slot = p.slot(k), bytes = p.server.command({"GET", p.slot(k)});
        const std::string run_id = p.server.command({"HGET", "users:s", "run"});
        const std::string generation = p.generation();
        p.server.restart();
        p.server.command({"HSET", "users:s", "run", run_id, "gen", generation, "n", "0"});
        p.server.command({"SET", slot, bytes});
        co_await pause_for(50ms);
        REQUIRE(co_await p.here.client().ready(20s));
        CHECK(co_await comes_true([&] { return p.generation() != generation; }));
        CHECK_FALSE(co_await p.a.get(k));
    });
}

TEST_CASE("C10 A context may be destroyed after any handler, before what used it") {
    redis_server server;
    int handlers = 0;
    for (bool has_ended = false; !has_ended; ++handlers) {
        REQUIRE(handlers < 2'000);
        std::optional<backend> b;
        const auto heard = std::make_shared<listener>();
        std::optional<backend::lease> kept(std::in_place);
        int done = 0;
        {
            asio::io_context io{1};
            const auto connection = std::make_shared<boost::redis::connection>(io);
            asio::co_spawn(io, keep_running(connection, server.port()), asio::detached);
            const acache::redis_client client(connection, quick);
            b.emplace(client, acache::redis_options{.prefix = "users"});
            b->listen(heard);
            const std::vector<std::string> keys{"x", "y"};
            const auto use = [&]() -> asio::awaitable<void> {
                (void)co_await client.ready(20s);
                backend::lease mine;
                if (!co_await b->get(k, mine, lease_mode::wait)) {
                    (void)co_await b->set(k, fresh("v"), mine);
                }
                std::vector<backend::lease> leases(keys.size());
                (void)co_await b->get_many(keys, leases);
                co_await b->invalidate_tag("t");
                co_await b->erase(k);
                ++done;
            };
            const auto keep = [&]() -> asio::awaitable<void> {
                (void)co_await client.ready(20s);
                (void)co_await b->get("kept", *kept, lease_mode::go_on);
            };
            asio::co_spawn(io, use(), asio::detached);
            asio::co_spawn(io, use(), asio::detached);
            asio::co_spawn(io, keep(), asio::detached);
            for (int i = 0; i != handlers && done != 2; ++i) {
                io.run_one_for(50ms);
            }
            has_ended = done == 2;
        }
        CHECK(b->coherence() == 0);
        CHECK(heard->losses == heard->all);
    }
    CHECK(handlers > 30);
}

TEST_CASE("Keys of other types come back as what they were") {
    redis_server server;
    asio::io_context context;
    redis_process here(context, server.port());
    acache::redis_backend<std::int64_t, double> numbers(here.client(), {.prefix = "numbers"});
    struct number_listener final : acache::change_listener<std::int64_t> {
        void changed(const std::int64_t& key) override { seen = key; }
        void lost() override {}
        void all_changed() override {}
        std::int64_t seen = 0;
    };
    run(context, [&]() -> asio::awaitable<void> {
        REQUIRE(co_await here.client().ready(20s));
        const auto told = std::make_shared<number_listener>();
        numbers.listen(told);
        const auto now = acache::coarse_clock::now();
        co_await numbers.set(-42, acache::entry<double>(1.5, now));
        CHECK((co_await numbers.get(-42))->value == 1.5);
        const std::string name = server.command({"KEYS", "numbers:v:*:-42"});
        server.command({"DEL", name.substr(0, name.find('\n'))});
        CHECK(co_await comes_true([&] { return told->seen == -42; }));
    });
}

TEST_CASE("Options that make no sense are refused with what to do") {
    asio::io_context context;
    boost::redis::connection connection(context);
    acache::redis_client client(connection);
    const auto message_of = [&](const acache::redis_options& options) -> std::string {
        try {
            const backend made(client, options);
            return "";
        } catch (const std::invalid_argument& e) {
            return e.what();
        }
    };
    CHECK(message_of({}).find("prefix") != std::string::npos);
    CHECK(message_of({.prefix = "a", .lease = 0s}).find("lease") != std::string::npos);
    const backend first(client, {.prefix = "a"});
    CHECK(message_of({.prefix = "a:b"}).find("\"a:\"") != std::string::npos);
    CHECK(message_of({.prefix = "a"}).find("\"a:\"") != std::string::npos);
    CHECK(message_of({.prefix = "ab"}).empty());
    CHECK_THROWS_AS(acache::redis_client(connection, {.timeout = 0s}), std::invalid_argument);
    CHECK_THROWS_AS(acache::redis_client(std::shared_ptr<boost::redis::connection>()), std::invalid_argument);
    CHECK_THROWS_AS(acache::redis_client(connection, {.failures_to_open = 0}), std::invalid_argument);
}
